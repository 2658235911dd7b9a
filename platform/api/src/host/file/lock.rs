//! Locks on files of the host.

use super::super::{HostFd, blocking};
use crate::Errno;
use linux_raw_sys::general as raw;

/// flock(2).
///
/// # Errors
/// `EWOULDBLOCK`, `EINTR`, and what else the host said.
pub fn lock(fd: HostFd, operation: u32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    unsafe { blocking(raw::__NR_flock, [fd.arg(), operation as usize, 0, 0, 0, 0]) }.map(drop)
}

/// A record lock (fcntl(2)): `command` is one of the `F_*LK*`; returns the structure as changed.
///
/// # Errors
/// What the host said.
pub fn record_lock(fd: HostFd, command: u32, lock: raw::flock) -> Result<raw::flock, Errno> {
    let mut lock = lock;
    let args = [
        fd.arg(),
        command as usize,
        core::ptr::from_mut(&mut lock) as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the structure is ours.
    unsafe { blocking(raw::__NR_fcntl, args) }.map(|_| lock)
}
