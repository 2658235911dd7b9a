//! Terminals of the host behind standard streams.

use super::Kind;
use crate::signal::Signal;
use crate::task::Thread;
use bannock_platform::host::{self, HostFd, file::IoctlArgument};
use bannock_platform::{Errno, current, user::UserSlice};
use linux_raw_sys::ioctl as raw;

/// `struct termios` as the kernel has it: four flag words, the line discipline, 19 characters.
const TERMIOS: usize = 36;
/// `struct termios2`: the same and two speeds.
const TERMIOS2: usize = 44;
/// `struct winsize`.
const WINSIZE: usize = 8;

/// Direction of an argument.
enum Transfer {
    Out(usize),
    In(usize),
    Value,
}

/// Requests that reach a host terminal, each with the size of its argument: nothing else does, so
/// the host never writes more than is expected (TIOCSTI and its like are out).
fn transfer(kind: Kind, request: u32) -> Option<Transfer> {
    let terminal = kind == Kind::Stream;
    Some(match request {
        raw::FIONREAD if matches!(kind, Kind::Pipe | Kind::Stream | Kind::Socket) => {
            Transfer::Out(4)
        }
        raw::TCGETS if terminal => Transfer::Out(TERMIOS),
        raw::TCSETS | raw::TCSETSW | raw::TCSETSF if terminal => Transfer::In(TERMIOS),
        raw::TCGETS2 if terminal => Transfer::Out(TERMIOS2),
        raw::TCSETS2 | raw::TCSETSW2 | raw::TCSETSF2 if terminal => Transfer::In(TERMIOS2),
        raw::TIOCGWINSZ if terminal => Transfer::Out(WINSIZE),
        raw::TIOCSWINSZ if terminal => Transfer::In(WINSIZE),
        raw::TIOCOUTQ if terminal => Transfer::Out(4),
        raw::TCFLSH | raw::TCSBRK | raw::TCXONC if terminal => Transfer::Value,
        _ => return None,
    })
}

/// ioctl(2) on a host descriptor, with the argument copied in and out.
///
/// # Errors
/// `ENOTTY` for requests that mean nothing here, `EFAULT`, and what the host said.
pub(super) fn ioctl(fd: HostFd, kind: Kind, request: u32, argument: usize) -> Result<usize, Errno> {
    let mut buffer = [0u8; TERMIOS2];
    match transfer(kind, request).ok_or(Errno::ENOTTY)? {
        Transfer::Value => host::file::ioctl(fd, request, IoctlArgument::Value(argument)),
        Transfer::Out(len) => {
            let slice = UserSlice::new(argument, len)?;
            let value = host::file::ioctl(fd, request, IoctlArgument::Bytes(&mut buffer))?;
            slice.write(buffer.get(..len).unwrap_or_default())?;
            Ok(value)
        }
        Transfer::In(len) => {
            let slice = UserSlice::new(argument, len)?;
            slice.read(buffer.get_mut(..len).unwrap_or_default())?;
            host::file::ioctl(fd, request, IoctlArgument::Bytes(&mut buffer))
        }
    }
}

/// Whether a host descriptor is a terminal.
pub(crate) fn is_terminal(fd: HostFd) -> bool {
    let mut buffer = [0u8; TERMIOS2];
    host::file::ioctl(fd, raw::TCGETS, IoctlArgument::Bytes(&mut buffer)).is_ok()
}

/// Checks that the calling thread may use the container's console now; see [`JobControl::check`].
///
/// [`JobControl::check`]: crate::tty::JobControl::check
///
/// # Errors
/// As that.
pub(super) fn check(signal: Signal) -> Result<(), Errno> {
    current::get::<Thread>().map_or(Ok(()), |thread| {
        thread.process.container.console.check(&thread, signal)
    })
}

/// Requests of job control on the container's console, and the check that others need first; `None`
/// where the host's terminal is to answer.
pub(super) fn job_control(request: u32, argument: usize) -> Option<Result<usize, Errno>> {
    let changes = matches!(
        request,
        raw::TCSETS
            | raw::TCSETSW
            | raw::TCSETSF
            | raw::TCSETS2
            | raw::TCSETSW2
            | raw::TCSETSF2
            | raw::TCFLSH
            | raw::TCSBRK
            | raw::TCXONC
    );
    if changes {
        return check(Signal::TTOU).err().map(Err);
    }
    let thread = current::get::<Thread>()?;
    let console = &thread.process.container.console;
    console.ioctl(&thread, request, argument, true)
}
