//! Bytes of regular host files.
//!
//! As on Linux, transfers from and to disks are not cut short by interrupts: programs do not
//! expect `EINTR` there. Files that may wait for somebody else are in [`file`](super::file).

use super::file::UserVector;
use super::{From, HostFd, Into, call, counted};
use crate::Errno;
use linux_raw_sys::general as raw;

/// Reads at `offset`, or at the file's position where it is `None`.
///
/// # Errors
/// What the host said.
pub fn read(fd: HostFd, into: Into<'_>, offset: Option<i64>) -> Result<usize, Errno> {
    let (address, len) = into.parts();
    let (number, offset) = match offset {
        Some(offset) => (raw::__NR_pread64, offset as usize),
        None => (raw::__NR_read, 0),
    };
    let args = [fd.arg(), address, len, offset, 0, 0];
    // SAFETY: the buffer is ours or the program's and as long as said.
    counted(unsafe { call(number, args) }, len)
}

/// Writes at `offset`, or at the file's position where it is `None`.
///
/// # Errors
/// What the host said.
pub fn write(fd: HostFd, from: From<'_>, offset: Option<i64>) -> Result<usize, Errno> {
    let (address, len) = from.parts();
    let (number, offset) = match offset {
        Some(offset) => (raw::__NR_pwrite64, offset as usize),
        None => (raw::__NR_write, 0),
    };
    let args = [fd.arg(), address, len, offset, 0, 0];
    // SAFETY: the buffer is readable and as long as said.
    counted(unsafe { call(number, args) }, len)
}

/// preadv2(2); an `offset` of -1 means the file's position.
///
/// # Errors
/// What the host said.
pub fn read_vectored(
    fd: HostFd,
    into: &UserVector,
    offset: i64,
    flags: u32,
) -> Result<usize, Errno> {
    let args = [
        fd.arg(),
        into.address(),
        into.count(),
        offset as usize,
        0,
        flags as usize,
    ];
    // SAFETY: the list is the kernel's copy, its ranges are the program's.
    counted(unsafe { call(raw::__NR_preadv2, args) }, into.total())
}

/// pwritev2(2); an `offset` of -1 means the file's position.
///
/// # Errors
/// What the host said.
pub fn write_vectored(
    fd: HostFd,
    from: &UserVector,
    offset: i64,
    flags: u32,
) -> Result<usize, Errno> {
    let args = [
        fd.arg(),
        from.address(),
        from.count(),
        offset as usize,
        0,
        flags as usize,
    ];
    // SAFETY: the list is the kernel's copy, its ranges are the program's.
    counted(unsafe { call(raw::__NR_pwritev2, args) }, from.total())
}
