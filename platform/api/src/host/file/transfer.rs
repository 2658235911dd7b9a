//! Bytes to and from files of the host.

use super::super::{From, HostFd, Into, blocking, call, counted};
use super::UserVector;
use crate::Errno;
use linux_raw_sys::general as raw;

/// What an interrupt does to a transfer that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It ends the transfer with `EINTR`: for files that may wait for somebody else.
    Interruptible,
    /// It waits until the transfer is done: for disks, where programs do not expect `EINTR` and
    /// Linux does not return it, and for the kernel's own files.
    Uninterruptible,
}

impl Wait {
    /// # Safety
    /// As for [`Platform::host_call`](crate::Platform::host_call).
    unsafe fn call(self, number: u32, args: [usize; 6]) -> Result<usize, Errno> {
        match self {
            // SAFETY: passed on to the caller.
            Self::Interruptible => unsafe { blocking(number, args) },
            // SAFETY: as above.
            Self::Uninterruptible => unsafe { call(number, args) },
        }
    }
}

/// Reads at `at`, or at the file's position where that is `None`.
///
/// # Errors
/// `EINVAL` for a place that no file has, `EINTR` on an interrupt where `wait` says so, and what
/// the host said.
pub fn read(fd: HostFd, into: Into<'_>, at: Option<u64>, wait: Wait) -> Result<usize, Errno> {
    let (address, len) = into.parts();
    let (number, offset) = match at {
        Some(at) => (raw::__NR_pread64, offset(at)?),
        None => (raw::__NR_read, 0),
    };
    let args = [fd.arg(), address, len, offset as usize, 0, 0];
    // SAFETY: the buffer is ours or the program's and as long as said.
    counted(unsafe { wait.call(number, args) }, len)
}

/// Writes at `at`, or at the file's position where that is `None`.
///
/// # Errors
/// `EINVAL` for a place that no file has, `EINTR` on an interrupt where `wait` says so, and what
/// the host said.
pub fn write(fd: HostFd, from: From<'_>, at: Option<u64>, wait: Wait) -> Result<usize, Errno> {
    let (address, len) = from.parts();
    let (number, offset) = match at {
        Some(at) => (raw::__NR_pwrite64, offset(at)?),
        None => (raw::__NR_write, 0),
    };
    let args = [fd.arg(), address, len, offset as usize, 0, 0];
    // SAFETY: the buffer is readable and as long as said.
    counted(unsafe { wait.call(number, args) }, len)
}

/// preadv2(2); a place of `None` means the file's position.
///
/// # Errors
/// As for [`read()`].
pub fn read_vectored(
    fd: HostFd,
    into: &UserVector,
    at: Option<u64>,
    flags: u32,
    wait: Wait,
) -> Result<usize, Errno> {
    vectored(raw::__NR_preadv2, fd, into, at, flags, wait)
}

/// pwritev2(2); a place of `None` means the file's position.
///
/// # Errors
/// As for [`write()`].
pub fn write_vectored(
    fd: HostFd,
    from: &UserVector,
    at: Option<u64>,
    flags: u32,
    wait: Wait,
) -> Result<usize, Errno> {
    vectored(raw::__NR_pwritev2, fd, from, at, flags, wait)
}

fn vectored(
    number: u32,
    fd: HostFd,
    list: &UserVector,
    at: Option<u64>,
    flags: u32,
    wait: Wait,
) -> Result<usize, Errno> {
    /// The host's word for the file's own position.
    const OWN_POSITION: i64 = -1;

    let args = [
        fd.arg(),
        list.address(),
        list.count(),
        at.map_or(Ok(OWN_POSITION), offset)? as usize,
        0,
        flags as usize,
    ];
    // SAFETY: the list is the kernel's copy, its ranges are the program's.
    counted(unsafe { wait.call(number, args) }, list.total())
}

/// A place in a file as the host takes it.
fn offset(at: u64) -> Result<i64, Errno> {
    i64::try_from(at).map_err(|_| Errno::EINVAL)
}

/// Moves the file's position (lseek(2), with its `SEEK_*`).
///
/// # Errors
/// What the host said.
pub fn seek(fd: HostFd, offset: i64, whence: u32) -> Result<u64, Errno> {
    let args = [fd.arg(), offset as usize, whence as usize, 0, 0, 0];
    // SAFETY: no pointers.
    unsafe { call(raw::__NR_lseek, args) }.map(|v| v as u64)
}
