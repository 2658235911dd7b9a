//! What a platform asks of the kernel.

use crate::{Errno, Registers};

/// Extended register state (x87, SSE, AVX …) of the program that entered the kernel.
///
/// The format is the processor's XSAVE area (Intel SDM vol. 1, 13.4), as Linux puts it into signal
/// frames.
pub trait ExtendedState {
    /// Bytes of the area, without Linux's trailing magic word.
    fn len(&self) -> usize;

    /// Whether there is no area.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Feature mask of the area (XCR0).
    fn features(&self) -> u64;

    /// Copies the state to the program's memory at `address` (a multiple of 64).
    ///
    /// # Errors
    /// `EFAULT`.
    fn store(&mut self, address: usize) -> Result<(), Errno>;

    /// Loads the state from the program's memory; what the processor would refuse is refused. A
    /// null `address` gives the initial state.
    ///
    /// # Errors
    /// `EFAULT`, or `EINVAL` for state that is not valid.
    fn load(&mut self, address: usize) -> Result<(), Errno>;
}

/// A program that entered the kernel: its registers, to be changed in place.
pub struct Entry<'a> {
    /// General-purpose registers.
    pub registers: &'a mut Registers,
    /// Extended state.
    pub extended: &'a mut dyn ExtendedState,
    /// Set when all registers and the extended state are to be restored exactly; otherwise the
    /// program resumes as after `syscall`, with rcx and r11 undefined.
    pub exact: bool,
}

/// A synchronous exception of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Signal number that Linux gives it.
    pub signal: u8,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`.
    pub address: usize,
    /// Trap number (`REG_TRAPNO`).
    pub trap: usize,
    /// Error code (`REG_ERR`).
    pub error: usize,
}

/// The kernel, as the platform sees it.
pub trait Kernel: Sync {
    /// The program made a system call.
    fn system_call(&self, entry: &mut Entry<'_>);

    /// The program was interrupted between two instructions, by [`Platform::interrupt`] or by a
    /// signal from the host.
    ///
    /// [`Platform::interrupt`]: crate::Platform::interrupt
    fn interrupted(&self, entry: &mut Entry<'_>);

    /// The program raised an exception.
    fn fault(&self, entry: &mut Entry<'_>, fault: Fault);

    /// A new thread of execution is about to run its first instruction.
    fn started(&self, entry: &mut Entry<'_>);
}
