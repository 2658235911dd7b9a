//! Moving bytes between descriptors inside the host.

use super::{HostFd, blocking, counted};
use crate::Errno;
use linux_raw_sys::general as raw;

/// splice(2): up to `len` bytes, from and to the given offsets or else the files' positions; offsets
/// move on.
///
/// # Errors
/// What the host said; `EINTR` on an interrupt.
pub fn splice(
    (from, from_offset): (HostFd, Option<&mut i64>),
    (to, to_offset): (HostFd, Option<&mut i64>),
    len: usize,
    flags: u32,
) -> Result<usize, Errno> {
    let pointer = |p: Option<&mut i64>| p.map_or(0, |r| core::ptr::from_mut(r) as usize);
    let args = [
        from.arg(),
        pointer(from_offset),
        to.arg(),
        pointer(to_offset),
        len,
        flags as usize,
    ];
    // SAFETY: the offsets outlive the call.
    counted(unsafe { blocking(raw::__NR_splice, args) }, len)
}

/// tee(2): up to `len` bytes of a pipe, which stay in it, to another pipe.
///
/// # Errors
/// What the host said; `EINTR` on an interrupt.
pub fn tee(from: HostFd, to: HostFd, len: usize, flags: u32) -> Result<usize, Errno> {
    let args = [from.arg(), to.arg(), len, flags as usize, 0, 0];
    // SAFETY: no pointers.
    counted(unsafe { blocking(raw::__NR_tee, args) }, len)
}
