//! What the host says about files, and changes of it.

use super::super::time::Timespec;
use super::super::{HostFd, call};
use crate::Errno;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use linux_raw_sys::general as raw;

/// An open file description's status, as the host tells it; to be checked before use.
pub type Statx = raw::statx;

/// Status of an open file.
///
/// # Errors
/// What the host said.
pub fn status(fd: HostFd, mask: u32) -> Result<Statx, Errno> {
    statx(fd, c"", raw::AT_EMPTY_PATH, mask)
}

/// Status of the entry `name` of `directory`, not following a symbolic link.
///
/// # Errors
/// What the host said.
pub fn status_at(directory: HostFd, name: &CStr, mask: u32) -> Result<Statx, Errno> {
    statx(directory, name, raw::AT_SYMLINK_NOFOLLOW, mask)
}

fn statx(directory: HostFd, name: &CStr, flags: u32, mask: u32) -> Result<Statx, Errno> {
    let mut value = MaybeUninit::<Statx>::zeroed();
    let args = [
        directory.arg(),
        name.as_ptr() as usize,
        flags as usize,
        mask as usize,
        value.as_mut_ptr() as usize,
        0,
    ];
    // SAFETY: name and structure outlive the call, and the structure is large enough.
    unsafe { call(raw::__NR_statx, args) }?;
    // SAFETY: it was zeroed, and integers may hold anything.
    Ok(unsafe { value.assume_init() })
}

/// fchmod(2).
///
/// # Errors
/// What the host said.
pub fn change_mode(fd: HostFd, mode: u32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    unsafe { call(raw::__NR_fchmod, [fd.arg(), mode as usize, 0, 0, 0, 0]) }.map(drop)
}

/// utimensat(2) on an open file; times as (seconds, nanoseconds) with `UTIME_NOW`/`UTIME_OMIT`.
///
/// # Errors
/// What the host said.
pub fn set_times(fd: HostFd, times: &[Timespec; 2]) -> Result<(), Errno> {
    utimensat(fd, None, times)
}

/// utimensat(2) on the entry `name` of `directory`, not following a symbolic link.
///
/// # Errors
/// What the host said.
pub fn set_times_at(directory: HostFd, name: &CStr, times: &[Timespec; 2]) -> Result<(), Errno> {
    utimensat(directory, Some(name), times)
}

fn utimensat(fd: HostFd, name: Option<&CStr>, times: &[Timespec; 2]) -> Result<(), Errno> {
    let (pointer, flags) = match name {
        Some(name) => (name.as_ptr() as usize, raw::AT_SYMLINK_NOFOLLOW),
        None => (0, 0),
    };
    let args = [
        fd.arg(),
        pointer,
        times.as_ptr() as usize,
        flags as usize,
        0,
        0,
    ];
    // SAFETY: name and times outlive the call; a null path means the descriptor itself.
    unsafe { call(raw::__NR_utimensat, args) }.map(drop)
}

/// fstatfs(2).
///
/// # Errors
/// What the host said.
pub fn file_system_status(fd: HostFd) -> Result<raw::statfs, Errno> {
    let mut value = MaybeUninit::<raw::statfs>::zeroed();
    // SAFETY: the structure is ours and large enough.
    unsafe {
        call(
            raw::__NR_fstatfs,
            [fd.arg(), value.as_mut_ptr() as usize, 0, 0, 0, 0],
        )
    }?;
    // SAFETY: it was zeroed, and integers may hold anything.
    Ok(unsafe { value.assume_init() })
}
