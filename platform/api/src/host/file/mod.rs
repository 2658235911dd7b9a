//! Files of the host.

mod content;
mod entries;
mod lock;
mod open;
mod status;
mod transfer;
mod vector;

pub use content::{advise, allocate, sync, sync_range, truncate};
pub use entries::{
    directory_entries, link, make_directory, make_node, read_link, rename, symlink, unlink,
};
pub use lock::{lock, record_lock};
pub use open::{close, close_others, duplicate, open_absolute, open_beneath, pipe};
pub use status::{
    Statx, change_mode, file_system_status, set_times, set_times_at, status, status_at,
};
pub use transfer::{Wait, read, read_vectored, seek, write, write_vectored};
pub use vector::UserVector;

use super::{HostFd, blocking, call};
use crate::Errno;
use linux_raw_sys::general as raw;

/// fcntl(2) with an integer argument.
///
/// # Errors
/// What the host said.
pub fn control(fd: HostFd, command: u32, argument: usize) -> Result<usize, Errno> {
    // SAFETY: the commands that the kernel passes here take integers.
    unsafe {
        call(
            raw::__NR_fcntl,
            [fd.arg(), command as usize, argument, 0, 0, 0],
        )
    }
}

/// ioctl(2) whose argument is an integer or an address that the caller checked to be the
/// program's, for requests that the kernel knows the meaning of.
///
/// # Errors
/// What the host said.
pub fn ioctl(fd: HostFd, request: u32, argument: IoctlArgument<'_>) -> Result<usize, Errno> {
    let value = match argument {
        IoctlArgument::Value(v) => v,
        IoctlArgument::Bytes(b) => b.as_mut_ptr() as usize,
    };
    // SAFETY: a buffer is ours and of the size that the request (checked by the caller) implies.
    unsafe {
        blocking(
            raw::__NR_ioctl,
            [fd.arg(), request as usize, value, 0, 0, 0],
        )
    }
}

/// Argument of [`ioctl`].
pub enum IoctlArgument<'a> {
    /// An integer.
    Value(usize),
    /// A buffer of at least the size that the request's encoding says.
    Bytes(&'a mut [u8]),
}
