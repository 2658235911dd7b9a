//! Entries of directories.

use super::super::{HostFd, call, counted};
use crate::Errno;
use core::ffi::CStr;
use linux_raw_sys::general as raw;

/// Raw directory entries (getdents64(2)) of an open directory; the caller parses them as hostile.
///
/// # Errors
/// What the host said.
pub fn directory_entries(fd: HostFd, into: &mut [u8]) -> Result<usize, Errno> {
    let args = [fd.arg(), into.as_mut_ptr() as usize, into.len(), 0, 0, 0];
    // SAFETY: the buffer is ours.
    counted(unsafe { call(raw::__NR_getdents64, args) }, into.len())
}

/// Target of the symbolic link `name` in `directory` (of `directory` itself where `name` is empty).
///
/// # Errors
/// What the host said.
pub fn read_link(directory: HostFd, name: &CStr, into: &mut [u8]) -> Result<usize, Errno> {
    let args = [
        directory.arg(),
        name.as_ptr() as usize,
        into.as_mut_ptr() as usize,
        into.len(),
        0,
        0,
    ];
    // SAFETY: name and buffer outlive the call.
    counted(unsafe { call(raw::__NR_readlinkat, args) }, into.len())
}

/// mkdirat(2).
///
/// # Errors
/// What the host said.
pub fn make_directory(directory: HostFd, name: &CStr, mode: u32) -> Result<(), Errno> {
    on_entry(raw::__NR_mkdirat, directory, name, mode)
}

/// mknodat(2): regular files, FIFOs and sockets only; devices are refused by the caller.
///
/// # Errors
/// What the host said.
pub fn make_node(directory: HostFd, name: &CStr, mode: u32) -> Result<(), Errno> {
    on_entry(raw::__NR_mknodat, directory, name, mode)
}

/// unlinkat(2); `flags` is 0 or `AT_REMOVEDIR`.
///
/// # Errors
/// What the host said.
pub fn unlink(directory: HostFd, name: &CStr, flags: u32) -> Result<(), Errno> {
    on_entry(raw::__NR_unlinkat, directory, name, flags)
}

/// A call whose arguments are a directory, a name in it, and a number.
fn on_entry(call_number: u32, directory: HostFd, name: &CStr, value: u32) -> Result<(), Errno> {
    let args = [
        directory.arg(),
        name.as_ptr() as usize,
        value as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the name outlives the call, and nothing else is a pointer.
    unsafe { call(call_number, args) }.map(drop)
}

/// renameat2(2).
///
/// # Errors
/// What the host said.
pub fn rename(
    from: HostFd,
    name: &CStr,
    to: HostFd,
    new_name: &CStr,
    flags: u32,
) -> Result<(), Errno> {
    between(raw::__NR_renameat2, (from, name), (to, new_name), flags)
}

/// linkat(2) without following symbolic links.
///
/// # Errors
/// What the host said.
pub fn link(from: HostFd, name: &CStr, to: HostFd, new_name: &CStr) -> Result<(), Errno> {
    between(raw::__NR_linkat, (from, name), (to, new_name), 0)
}

/// A call whose arguments are two entries, and flags.
fn between(
    call_number: u32,
    (from, name): (HostFd, &CStr),
    (to, new_name): (HostFd, &CStr),
    flags: u32,
) -> Result<(), Errno> {
    let args = [
        from.arg(),
        name.as_ptr() as usize,
        to.arg(),
        new_name.as_ptr() as usize,
        flags as usize,
        0,
    ];
    // SAFETY: the names outlive the call.
    unsafe { call(call_number, args) }.map(drop)
}

/// symlinkat(2).
///
/// # Errors
/// What the host said.
pub fn symlink(target: &CStr, directory: HostFd, name: &CStr) -> Result<(), Errno> {
    let args = [
        target.as_ptr() as usize,
        directory.arg(),
        name.as_ptr() as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the strings outlive the call.
    unsafe { call(raw::__NR_symlinkat, args) }.map(drop)
}
