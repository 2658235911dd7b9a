//! Attributes of host files, as the container sees them.

use super::super::attributes::{Attributes, Changes, FileType, NOBODY, NewTime, device_number};
use bannock_platform::Errno;
use bannock_platform::host::{self, HostFd, time::Timespec};
use linux_raw_sys::general as raw;

/// `UTIME_NOW` and `UTIME_OMIT` as nanoseconds (utimensat(2)).
const UTIME_NOW: i64 = raw::UTIME_NOW as i64;
const UTIME_OMIT: i64 = raw::UTIME_OMIT as i64;

/// Attributes of an open host file, checked and with the container's ids. `device` overrides the
/// host's device number.
pub(in super::super) fn attributes_of(
    fd: HostFd,
    device: Option<u64>,
) -> Result<Attributes, Errno> {
    let status = host::file::status(fd, raw::STATX_BASIC_STATS | raw::STATX_BTIME)?;
    convert(&status, host::process::user_and_group(), device)
}

pub(super) fn convert(
    status: &host::file::Statx,
    owner: (u32, u32),
    device: Option<u64>,
) -> Result<Attributes, Errno> {
    let time = |t: &raw::statx_timestamp| Timespec {
        seconds: t.tv_sec,
        nanoseconds: i64::from(t.tv_nsec).min(999_999_999),
    };
    Ok(Attributes {
        device: device.unwrap_or_else(|| device_number(status.stx_dev_major, status.stx_dev_minor)),
        inode: status.stx_ino,
        kind: FileType::from_mode(u32::from(status.stx_mode))?,
        mode: u32::from(status.stx_mode) & 0o7777,
        links: status.stx_nlink,
        uid: if status.stx_uid == owner.0 { 0 } else { NOBODY },
        gid: if status.stx_gid == owner.1 { 0 } else { NOBODY },
        special: device_number(status.stx_rdev_major, status.stx_rdev_minor),
        size: status.stx_size.min(i64::MAX as u64),
        block_size: status.stx_blksize,
        blocks: status.stx_blocks,
        accessed: time(&status.stx_atime),
        modified: time(&status.stx_mtime),
        changed: time(&status.stx_ctime),
        born: time(&status.stx_btime),
    })
}

/// Applies `changes` to an open host file. Changes of owners succeed where they change nothing.
pub(super) fn apply(fd: HostFd, owner: (u32, u32), changes: &Changes) -> Result<(), Errno> {
    if changes.uid.is_some() || changes.gid.is_some() {
        let status = host::file::status(fd, raw::STATX_BASIC_STATS)?;
        check_owners(&convert(&status, owner, None)?, changes)?;
    }
    if let Some(mode) = changes.mode {
        host::file::change_mode(fd, mode)?;
    }
    if let Some(size) = changes.size {
        host::file::truncate(fd, i64::try_from(size).map_err(|_| Errno::EFBIG)?)?;
    }
    if let Some(times) = host_times(changes) {
        host::file::set_times(fd, &times)?;
    }
    Ok(())
}

/// Refuses changes of owners, which are the host's; those that change nothing succeed.
///
/// # Errors
/// `EPERM`.
pub(super) fn check_owners(now: &Attributes, changes: &Changes) -> Result<(), Errno> {
    if changes.uid.is_some_and(|u| u != now.uid) || changes.gid.is_some_and(|g| g != now.gid) {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// The times to set, as utimensat(2) takes them; `None` where there are none.
pub(super) fn host_times(changes: &Changes) -> Option<[Timespec; 2]> {
    if changes.accessed.is_none() && changes.modified.is_none() {
        return None;
    }
    let special = |nanoseconds| Timespec {
        seconds: 0,
        nanoseconds,
    };
    Some([changes.accessed, changes.modified].map(|time| match time {
        None => special(UTIME_OMIT),
        Some(NewTime::Now) => special(UTIME_NOW),
        Some(NewTime::At(time)) => time,
    }))
}
