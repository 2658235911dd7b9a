//! The limit on the size of files that a process writes (`RLIMIT_FSIZE`, getrlimit(2)).

use super::{Call, Outcome, subject::restartable};
use crate::fs::{Handle, Kind};
use crate::signal;
use bannock_platform::host::{self, file::UserVector};
use bannock_platform::{Errno, user::UserSlice};
use linux_raw_sys::general as raw;

/// The error of a write or a growth beyond the limit, which also is a signal.
fn too_large(call: &Call<'_>) -> Errno {
    signal::file_too_large(call.thread);
    Errno::EFBIG
}

/// How many of `len` bytes the process may write at `at`, or where the file itself is.
fn allowed(
    call: &Call<'_>,
    file: &Handle,
    len: usize,
    at: Option<u64>,
    appends: bool,
) -> Result<usize, Errno> {
    let Some(limit) = call.thread.process.limits.file_size() else {
        return Ok(len);
    };
    if file.kind() != Kind::Regular || len == 0 {
        return Ok(len);
    }
    let at = match at {
        _ if appends => file.size()?,
        Some(at) => at,
        None => file.seek(0, raw::SEEK_CUR)?,
    };
    match limit.checked_sub(at) {
        None | Some(0) => Err(too_large(call)),
        Some(left) => Ok(usize::try_from(left).unwrap_or(usize::MAX).min(len)),
    }
}

/// write(2), or pwrite(2) where `at` is given.
pub(super) fn write(call: &Call<'_>, file: &Handle, from: UserSlice, at: Option<u64>) -> Outcome {
    let appends = file.file().flags() & raw::O_APPEND != 0;
    let len = allowed(call, file, from.len(), at, appends)?;
    restartable(file.write(host::From::User(from.take(len)), at))
}

/// writev(2), or pwritev2(2).
pub(super) fn write_vectored(
    call: &Call<'_>,
    file: &Handle,
    from: &UserVector,
    at: Option<u64>,
    flags: u32,
) -> Outcome {
    let appends = file.file().flags() & raw::O_APPEND != 0 || flags & raw::RWF_APPEND != 0;
    let mut left = allowed(call, file, from.total(), at, appends)?;
    if left == from.total() {
        return restartable(file.write_vectored(from, at, flags));
    }
    let mut done = 0;
    for slice in from.slices() {
        let part = slice.take(left);
        if part.is_empty() {
            break;
        }
        let at = at.map(|at| at.saturating_add(done as u64));
        match file.write(host::From::User(part), at) {
            Ok(count) => {
                done += count;
                left -= count;
                if count < part.len() {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(error) => return restartable(Err(error)),
        }
    }
    Ok(done)
}

/// Refuses a file of `size` bytes that was smaller `before`, which only a process with a limit asks.
pub(super) fn check_growth(
    call: &Call<'_>,
    size: u64,
    before: impl FnOnce() -> Result<u64, Errno>,
) -> Result<(), Errno> {
    match call.thread.process.limits.file_size() {
        Some(limit) if size > limit && size > before()? => Err(too_large(call)),
        _ => Ok(()),
    }
}
