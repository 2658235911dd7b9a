//! What files of the host hold, other than by reading and writing: length, space, and when it is
//! on disk.

use super::super::{HostFd, blocking, call};
use crate::Errno;
use linux_raw_sys::general as raw;

/// fsync(2), or fdatasync(2) where `data_only`.
///
/// # Errors
/// What the host said.
pub fn sync(fd: HostFd, data_only: bool) -> Result<(), Errno> {
    let number = if data_only {
        raw::__NR_fdatasync
    } else {
        raw::__NR_fsync
    };
    // SAFETY: no pointers.
    unsafe { call(number, [fd.arg(), 0, 0, 0, 0, 0]) }.map(drop)
}

/// sync_file_range(2).
///
/// # Errors
/// What the host said.
pub fn sync_range(fd: HostFd, offset: i64, len: i64, flags: u32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    unsafe {
        call(
            raw::__NR_sync_file_range,
            [
                fd.arg(),
                offset as usize,
                len as usize,
                flags as usize,
                0,
                0,
            ],
        )
    }
    .map(drop)
}

/// ftruncate(2).
///
/// # Errors
/// What the host said.
pub fn truncate(fd: HostFd, len: i64) -> Result<(), Errno> {
    // SAFETY: no pointers; Rust code holds no references into host files.
    unsafe { call(raw::__NR_ftruncate, [fd.arg(), len as usize, 0, 0, 0, 0]) }.map(drop)
}

/// fallocate(2).
///
/// # Errors
/// What the host said.
pub fn allocate(fd: HostFd, mode: u32, offset: i64, len: i64) -> Result<(), Errno> {
    let args = [fd.arg(), mode as usize, offset as usize, len as usize, 0, 0];
    // SAFETY: no pointers.
    unsafe { blocking(raw::__NR_fallocate, args) }.map(drop)
}

/// posix_fadvise(2).
///
/// # Errors
/// What the host said.
pub fn advise(fd: HostFd, offset: i64, len: i64, advice: u32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    unsafe {
        call(
            raw::__NR_fadvise64,
            [
                fd.arg(),
                offset as usize,
                len as usize,
                advice as usize,
                0,
                0,
            ],
        )
    }
    .map(drop)
}
