//! Advisory locks. Those on host files are the host's, so that a second instance meets them; those
//! on the kernel's own files are the kernel's.

use super::subject::restartable;
use super::{Call, Outcome};
use crate::fs::locks::LockOwner;
use crate::fs::{Handle, Kind};
use bannock_platform::host::file as host_file;
use bannock_platform::{Errno, user};
use linux_raw_sys::general as raw;

/// flock(2).
pub(super) fn whole(_: &Call<'_>, file: &Handle, operation: u32) -> Outcome {
    if operation & raw::LOCK_MAND != 0 {
        // Mandatory locks are gone from Linux; asking for them does nothing.
        return Ok(0);
    }
    let wait = operation & raw::LOCK_NB == 0;
    let kind = match operation & !raw::LOCK_NB {
        raw::LOCK_SH => Some(false),
        raw::LOCK_EX => Some(true),
        raw::LOCK_UN => None,
        _ => return Err(Errno::EINVAL),
    };
    if let Some(locks) = file.ops().locks() {
        restartable(locks.whole(LockOwner::File(file.file().id()), kind, wait))?;
    } else {
        restartable(host_file::lock(file.host()?, operation))?;
    }
    Ok(0)
}

/// The record lock commands of fcntl(2).
pub(super) fn record(call: &Call<'_>, file: &Handle, command: u32) -> Outcome {
    let address = call.word(2);
    let mut lock: raw::flock = user::get(address)?;
    let of_file = matches!(
        command,
        raw::F_OFD_GETLK | raw::F_OFD_SETLK | raw::F_OFD_SETLKW
    );
    if of_file && lock.l_pid != 0 {
        return Err(Errno::EINVAL);
    }
    let query = matches!(command, raw::F_GETLK | raw::F_OFD_GETLK);
    let wait = matches!(command, raw::F_SETLKW | raw::F_OFD_SETLKW);
    let kind = match u32::try_from(lock.l_type).map_err(|_| Errno::EINVAL)? {
        raw::F_RDLCK => Some(false),
        raw::F_WRLCK => Some(true),
        raw::F_UNLCK if !query => None,
        _ => return Err(Errno::EINVAL),
    };
    if !query
        && ((kind == Some(false) && !file.file().is_readable())
            || (kind == Some(true) && !file.file().is_writable()))
    {
        return Err(Errno::EBADF);
    }
    let Some(locks) = file.ops().locks() else {
        let answer = restartable(host_file::record_lock(file.host()?, command, lock))?;
        if !query {
            file.note_record_lock();
            return Ok(0);
        }
        // The host's process numbers mean nothing here; 0 stands for a process outside, and -1 for no
        // process, as with locks of open files.
        let container = &call.thread.process.container;
        let pid = match answer.l_pid {
            -1 => -1,
            id => container.process(id).map_or(0, |p| p.id),
        };
        user::put(
            address,
            &raw::flock {
                l_pid: if answer.l_type == raw::F_UNLCK as i16 {
                    lock.l_pid
                } else {
                    pid
                },
                ..answer
            },
        )?;
        return Ok(0);
    };
    let owner = if of_file {
        LockOwner::File(file.file().id())
    } else {
        LockOwner::Process(call.thread.process.id)
    };
    let (start, last) = range(file, &lock)?;
    if !query {
        restartable(locks.record(owner, kind, start, last, wait))?;
        return Ok(0);
    }
    match locks.blocking(owner, kind == Some(true), start, last) {
        None => lock.l_type = raw::F_UNLCK as i16,
        Some(held) => {
            lock.l_type = if held.exclusive {
                raw::F_WRLCK as i16
            } else {
                raw::F_RDLCK as i16
            };
            lock.l_whence = raw::SEEK_SET as i16;
            lock.l_start = i64::try_from(held.start).unwrap_or(i64::MAX);
            lock.l_len = if held.last >= i64::MAX as u64 {
                0
            } else {
                (held.last - held.start + 1) as i64
            };
            lock.l_pid = match held.owner {
                LockOwner::Process(id) => id,
                LockOwner::File(_) => -1,
            };
        }
    }
    user::put(address, &lock)?;
    Ok(0)
}

/// First and last byte that a lock covers; `l_len` 0 goes to the end, negative ones backwards.
fn range(file: &Handle, lock: &raw::flock) -> Result<(u64, u64), Errno> {
    let base = match u32::try_from(lock.l_whence).map_err(|_| Errno::EINVAL)? {
        raw::SEEK_SET => 0,
        raw::SEEK_CUR if file.kind() == Kind::Regular => file.seek(0, raw::SEEK_CUR)? as i64,
        raw::SEEK_END => file.size()? as i64,
        _ => return Err(Errno::EINVAL),
    };
    let start = base.checked_add(lock.l_start).ok_or(Errno::EOVERFLOW)?;
    let (first, last) = match lock.l_len {
        0 => (start, i64::MAX),
        len if len > 0 => (start, start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?),
        len => (start.checked_add(len).ok_or(Errno::EINVAL)?, start - 1),
    };
    let number = |v: i64| u64::try_from(v).map_err(|_| Errno::EINVAL);
    Ok((number(first)?, number(last)?))
}
