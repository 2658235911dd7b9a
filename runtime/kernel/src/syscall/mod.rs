//! System calls.
//!
//! Compatibility is data: every call is a [`Row`] of the table, in the file of its family, and the
//! reference documentation is generated from the rows.

mod absent;
mod attribute;
mod caller;
mod descriptor;
mod directory;
mod event;
mod extended;
mod file;
mod file_size;
mod futex;
mod identity;
mod limits;
mod local_socket;
mod lock;
mod memory;
mod message;
mod pidfd;
mod poll;
mod process;
mod random;
pub mod reference;
mod signal;
mod socket;
mod splice;
mod status;
mod subject;
mod system;
mod table;
mod thread;
mod time;
mod timer;
mod wait;

pub use table::{LIMIT, TABLE, lookup};

use crate::task::Thread;
use alloc::sync::Arc;
use bannock_platform::{Errno, Registers};

/// What a handler is given.
pub struct Call<'a> {
    /// The calling thread.
    pub thread: &'a Arc<Thread>,
    /// The six argument registers.
    pub args: [usize; 6],
    /// The program's registers at the call.
    pub registers: &'a Registers,
}

impl Call<'_> {
    /// Argument `index` (0 to 5) as a signed 32-bit integer: how Linux takes `int`.
    #[must_use]
    pub fn int(&self, index: usize) -> i32 {
        self.args.get(index).copied().unwrap_or(0) as i32
    }

    /// Argument `index` (0 to 5) as an unsigned 32-bit integer.
    #[must_use]
    pub fn uint(&self, index: usize) -> u32 {
        self.args.get(index).copied().unwrap_or(0) as u32
    }

    /// Argument `index` (0 to 5) as it is.
    #[must_use]
    pub fn word(&self, index: usize) -> usize {
        self.args.get(index).copied().unwrap_or(0)
    }
}

/// A handler's result: the value that the program sees, or an error.
pub type Outcome = Result<usize, Errno>;

/// Where a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// By the kernel alone or with typed host calls.
    Emulated,
    /// Refused, because it would lead around a shield; the error is the handler's.
    Refused,
    /// Not implemented: `ENOSYS`, counted.
    Absent,
}

/// How an argument is decoded for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A descriptor.
    Fd,
    /// A NUL-terminated path.
    Path,
    /// A signed integer.
    Int,
    /// An unsigned integer or a size.
    Size,
    /// A set of flags, shown in hexadecimal.
    Flags,
    /// An address.
    Pointer,
    /// A signal number.
    Signal,
}

/// What answers a call.
pub type Handler = fn(&Call<'_>) -> Outcome;

/// One system call.
#[derive(Clone, Copy)]
pub struct Row {
    /// Number on x86-64.
    pub number: u32,
    /// Linux's name.
    pub name: &'static str,
    /// Arguments in order.
    pub arguments: &'static [Argument],
    /// Where it is answered.
    pub state: State,
    /// What answers it.
    pub handler: Handler,
    /// Supported flags and known differences from Linux, for the reference; empty where there are
    /// none.
    pub notes: &'static str,
}

impl Row {
    /// A call that the kernel answers.
    #[must_use]
    pub const fn emulated(
        number: u32,
        name: &'static str,
        arguments: &'static [Argument],
        handler: fn(&Call<'_>) -> Outcome,
    ) -> Self {
        Self {
            number,
            name,
            arguments,
            state: State::Emulated,
            handler,
            notes: "",
        }
    }

    /// A call that is refused with `EPERM` for a documented reason.
    #[must_use]
    pub const fn refused(number: u32, name: &'static str, notes: &'static str) -> Self {
        Self {
            number,
            name,
            arguments: &[],
            state: State::Refused,
            handler: refuse,
            notes,
        }
    }

    /// A call that answers `ENOSYS`.
    #[must_use]
    pub const fn absent(number: u32, name: &'static str, notes: &'static str) -> Self {
        Self {
            number,
            name,
            arguments: &[],
            state: State::Absent,
            handler: absent,
            notes,
        }
    }

    /// The same row with a note.
    #[must_use]
    pub const fn with_notes(self, notes: &'static str) -> Self {
        Self { notes, ..self }
    }
}

fn refuse(_: &Call<'_>) -> Outcome {
    Err(Errno::EPERM)
}

fn absent(_: &Call<'_>) -> Outcome {
    Err(Errno::ENOSYS)
}

/// Makes the call `number` with the arguments in `registers` for the calling thread.
///
/// # Errors
/// The handler's error; `ENOSYS` for a call that is not there.
pub fn dispatch(thread: &Arc<Thread>, number: usize, registers: &Registers) -> Outcome {
    match table::handler(number) {
        Some(handler) => handler(&Call {
            thread,
            args: registers.arguments(),
            registers,
        }),
        None => {
            thread.process.container.count_absent(number);
            Err(Errno::ENOSYS)
        }
    }
}
