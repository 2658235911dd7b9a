//! What handlers of several families need of their caller.

use super::{Call, Outcome};
use crate::fs::{Handle, OpenFile};
use crate::signal::SignalSet;
use alloc::sync::Arc;
use bannock_platform::{Errno, host::HostFd, host::time::Timespec, user};
use linux_raw_sys::general as raw;

/// Bytes of a signal set (Linux `sizeof(sigset_t)`).
const SIGNAL_SET: usize = 8;

/// The open file behind argument `index`.
pub(super) fn handle(call: &Call<'_>, index: usize) -> Result<Arc<Handle>, Errno> {
    call.thread.process.files.usable(call.int(index))
}

/// Gives the caller a descriptor for `file`, whose host descriptor is `host`.
pub(super) fn install(
    call: &Call<'_>,
    file: Arc<OpenFile>,
    host: HostFd,
    close_on_exec: bool,
) -> Outcome {
    let process = &call.thread.process;
    // Closes the host descriptor where there is no room for another one.
    let handle = Handle::new(file, Some(host), process.id);
    let fd = process
        .files
        .insert(handle, 0, close_on_exec, process.descriptor_limit())?;
    usize::try_from(fd).map_err(|_| Errno::EBADF)
}

/// Like [`install`], for both of a pair.
pub(super) fn install_pair(
    call: &Call<'_>,
    pair: [(Arc<OpenFile>, HostFd); 2],
    close_on_exec: bool,
) -> Result<[i32; 2], Errno> {
    let process = &call.thread.process;
    let pair = pair.map(|(file, host)| Handle::new(file, Some(host), process.id));
    process
        .files
        .insert_pair(pair, close_on_exec, process.descriptor_limit())
}

/// The time span at `address` in nanoseconds; `None` where the address is null.
pub(super) fn timeout(address: usize) -> Result<Option<u64>, Errno> {
    if address == 0 {
        return Ok(None);
    }
    user::get::<Timespec>(address)?.to_nanos().map(Some)
}

/// The signal set at `address`, of `size` bytes; `None` where the address is null.
pub(super) fn signal_set(address: usize, size: usize) -> Result<Option<SignalSet>, Errno> {
    if address == 0 {
        return Ok(None);
    }
    if size != SIGNAL_SET {
        return Err(Errno::EINVAL);
    }
    user::get(address).map(|bits| Some(SignalSet(bits)))
}

/// Whether the flags ask for a descriptor that is closed on exec; `O_CLOEXEC`, `SOCK_CLOEXEC`,
/// `EFD_CLOEXEC` and the like are one number.
pub(super) const fn closes_on_exec(flags: u32) -> bool {
    flags & raw::O_CLOEXEC != 0
}
