//! Attributes of files: stat, access, modes, owners, times, file systems.

use super::subject::{self, at_flags, context, credentials, handle};
use super::{Argument::*, Call, Outcome, Row};
use crate::fs::attributes::{R_OK, W_OK, X_OK, device_parts};
use crate::fs::filesystem::Usage;
use crate::fs::walk::{How, Target};
use crate::fs::{Attributes, Changes, Credentials, FileType, Location, NewTime};
use bannock_platform::host::time::Timespec;
use bannock_platform::{Errno, user};
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(raw::__NR_stat, "stat", &[Path, Pointer], stat),
    Row::emulated(raw::__NR_lstat, "lstat", &[Path, Pointer], lstat),
    Row::emulated(raw::__NR_fstat, "fstat", &[Fd, Pointer], fstat),
    Row::emulated(
        raw::__NR_newfstatat,
        "newfstatat",
        &[Fd, Path, Pointer, Flags],
        newfstatat,
    ),
    Row::emulated(
        raw::__NR_statx,
        "statx",
        &[Fd, Path, Flags, Flags, Pointer],
        statx,
    ),
    Row::emulated(raw::__NR_access, "access", &[Path, Int], access),
    Row::emulated(
        raw::__NR_faccessat,
        "faccessat",
        &[Fd, Path, Int],
        faccessat,
    ),
    Row::emulated(
        raw::__NR_faccessat2,
        "faccessat2",
        &[Fd, Path, Int, Flags],
        faccessat2,
    ),
    Row::emulated(raw::__NR_chmod, "chmod", &[Path, Int], chmod),
    Row::emulated(raw::__NR_fchmod, "fchmod", &[Fd, Int], fchmod),
    Row::emulated(raw::__NR_fchmodat, "fchmodat", &[Fd, Path, Int], fchmodat),
    Row::emulated(
        NR_FCHMODAT2,
        "fchmodat2",
        &[Fd, Path, Int, Flags],
        fchmodat2,
    ),
    Row::emulated(raw::__NR_chown, "chown", &[Path, Int, Int], chown).with_notes(HOST_OWNERS),
    Row::emulated(raw::__NR_lchown, "lchown", &[Path, Int, Int], lchown).with_notes(HOST_OWNERS),
    Row::emulated(raw::__NR_fchown, "fchown", &[Fd, Int, Int], fchown).with_notes(HOST_OWNERS),
    Row::emulated(
        raw::__NR_fchownat,
        "fchownat",
        &[Fd, Path, Int, Int, Flags],
        fchownat,
    )
    .with_notes(HOST_OWNERS),
    Row::emulated(raw::__NR_utime, "utime", &[Path, Pointer], utime),
    Row::emulated(raw::__NR_utimes, "utimes", &[Path, Pointer], utimes),
    Row::emulated(
        raw::__NR_futimesat,
        "futimesat",
        &[Fd, Path, Pointer],
        futimesat,
    ),
    Row::emulated(
        raw::__NR_utimensat,
        "utimensat",
        &[Fd, Path, Pointer, Flags],
        utimensat,
    ),
    Row::emulated(raw::__NR_statfs, "statfs", &[Path, Pointer], statfs),
    Row::emulated(raw::__NR_fstatfs, "fstatfs", &[Fd, Pointer], fstatfs),
    Row::emulated(raw::__NR_umask, "umask", &[Int], umask),
];

const HOST_OWNERS: &str =
    "on host mounts, succeeds where it changes nothing and answers EPERM otherwise";

/// fchmodat2(2), Linux 6.6.
const NR_FCHMODAT2: u32 = 452;

fn put_stat(call: &Call<'_>, index: usize, a: &Attributes) -> Outcome {
    let nanos = |t: Timespec| u64::try_from(t.nanoseconds).unwrap_or(0);
    let stat = raw::stat {
        st_dev: a.device,
        st_ino: a.inode,
        st_nlink: u64::from(a.links),
        st_mode: a.mode_bits(),
        st_uid: a.uid,
        st_gid: a.gid,
        __pad0: 0,
        st_rdev: a.special,
        st_size: a.size as i64,
        st_blksize: i64::from(a.block_size),
        st_blocks: a.blocks as i64,
        st_atime: a.accessed.seconds as u64,
        st_atime_nsec: nanos(a.accessed),
        st_mtime: a.modified.seconds as u64,
        st_mtime_nsec: nanos(a.modified),
        st_ctime: a.changed.seconds as u64,
        st_ctime_nsec: nanos(a.changed),
        __unused: [0; 3],
    };
    user::put(call.word(index), &stat)?;
    Ok(0)
}

fn by_path(call: &Call<'_>, how: How) -> Outcome {
    let target = subject::target(call, raw::AT_FDCWD, &subject::path(call, 0)?, how)?;
    put_stat(call, 1, &subject::attributes(&target)?)
}

fn stat(call: &Call<'_>) -> Outcome {
    by_path(call, How::empty())
}

fn lstat(call: &Call<'_>) -> Outcome {
    by_path(call, How::NO_FOLLOW)
}

fn fstat(call: &Call<'_>) -> Outcome {
    let file = call.thread.process.files.get(call.int(0))?;
    put_stat(call, 1, &file.attributes()?)
}

const STAT_FLAGS: u32 = raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH | raw::AT_NO_AUTOMOUNT;

/// The path at `index`; a null pointer counts as empty with `AT_EMPTY_PATH` (Linux 6.11).
fn maybe_empty_path(call: &Call<'_>, index: usize, how: How) -> Result<alloc::vec::Vec<u8>, Errno> {
    if call.word(index) == 0 && how.contains(How::EMPTY) {
        return Ok(alloc::vec::Vec::new());
    }
    subject::path(call, index)
}

fn newfstatat(call: &Call<'_>) -> Outcome {
    let how = at_flags(call.uint(3), STAT_FLAGS)?;
    let target = subject::target(call, call.int(0), &maybe_empty_path(call, 1, how)?, how)?;
    put_stat(call, 2, &subject::attributes(&target)?)
}

fn statx(call: &Call<'_>) -> Outcome {
    let flags = call.uint(2);
    if flags & raw::AT_STATX_SYNC_TYPE == raw::AT_STATX_SYNC_TYPE
        || call.uint(3) & raw::STATX__RESERVED != 0
    {
        return Err(Errno::EINVAL);
    }
    let how = at_flags(flags, STAT_FLAGS | raw::AT_STATX_SYNC_TYPE)?;
    let target = subject::target(call, call.int(0), &maybe_empty_path(call, 1, how)?, how)?;
    let a = subject::attributes(&target)?;
    let time = |t: Timespec| raw::statx_timestamp {
        tv_sec: t.seconds,
        tv_nsec: u32::try_from(t.nanoseconds).unwrap_or(0),
        __reserved: 0,
    };
    let ((major, minor), (special_major, special_minor)) =
        (device_parts(a.device), device_parts(a.special));
    let status = raw::statx {
        stx_mask: raw::STATX_BASIC_STATS | raw::STATX_BTIME,
        stx_blksize: a.block_size,
        stx_attributes: 0,
        stx_nlink: a.links,
        stx_uid: a.uid,
        stx_gid: a.gid,
        stx_mode: a.mode_bits() as u16,
        __spare0: [0],
        stx_ino: a.inode,
        stx_size: a.size,
        stx_blocks: a.blocks,
        stx_attributes_mask: 0,
        stx_atime: time(a.accessed),
        stx_btime: time(a.born),
        stx_ctime: time(a.changed),
        stx_mtime: time(a.modified),
        stx_rdev_major: special_major,
        stx_rdev_minor: special_minor,
        stx_dev_major: major,
        stx_dev_minor: minor,
        stx_mnt_id: 0,
        stx_dio_mem_align: 0,
        stx_dio_offset_align: 0,
        stx_subvol: 0,
        stx_atomic_write_unit_min: 0,
        stx_atomic_write_unit_max: 0,
        stx_atomic_write_segments_max: 0,
        stx_dio_read_offset_align: 0,
        stx_atomic_write_unit_max_opt: 0,
        __spare2: [0],
        __spare3: [0; 8],
    };
    user::put(call.word(4), &status)?;
    Ok(0)
}

fn accessible(
    call: &Call<'_>,
    directory: i32,
    path_index: usize,
    wanted: u32,
    how: How,
) -> Outcome {
    if wanted & !(R_OK | W_OK | X_OK) != 0 {
        return Err(Errno::EINVAL);
    }
    let target = subject::target(
        call,
        directory,
        &maybe_empty_path(call, path_index, how)?,
        how,
    )?;
    let attributes = subject::attributes(&target)?;
    if let (Target::Found(at, _), true) = (&target, wanted & W_OK != 0)
        && matches!(
            attributes.kind,
            FileType::Regular | FileType::Directory | FileType::Symlink
        )
    {
        at.mount.writable()?;
    }
    attributes.check(&credentials(call), wanted)?;
    Ok(0)
}

fn access(call: &Call<'_>) -> Outcome {
    accessible(call, raw::AT_FDCWD, 0, call.uint(1), How::empty())
}

fn faccessat(call: &Call<'_>) -> Outcome {
    accessible(call, call.int(0), 1, call.uint(2), How::empty())
}

fn faccessat2(call: &Call<'_>) -> Outcome {
    let how = at_flags(
        call.uint(3),
        raw::AT_EACCESS | raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH,
    )?;
    accessible(call, call.int(0), 1, call.uint(2), how)
}

fn change_mode(call: &Call<'_>, target: &Target, mode: u32) -> Outcome {
    let attributes = subject::attributes(target)?;
    if attributes.kind == FileType::Symlink {
        return Err(Errno::EOPNOTSUPP);
    }
    attributes.check_owner(&credentials(call))?;
    subject::change(
        target,
        &Changes {
            mode: Some(mode & 0o7777),
            ..Changes::default()
        },
    )?;
    Ok(0)
}

fn chmod(call: &Call<'_>) -> Outcome {
    let target = subject::target(call, raw::AT_FDCWD, &subject::path(call, 0)?, How::empty())?;
    change_mode(call, &target, call.uint(1))
}

fn fchmod(call: &Call<'_>) -> Outcome {
    change_mode(call, &Target::Open(handle(call, 0)?), call.uint(1))
}

fn fchmodat(call: &Call<'_>) -> Outcome {
    let target = subject::target(call, call.int(0), &subject::path(call, 1)?, How::empty())?;
    change_mode(call, &target, call.uint(2))
}

fn fchmodat2(call: &Call<'_>) -> Outcome {
    let how = at_flags(call.uint(3), raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH)?;
    let target = subject::target(call, call.int(0), &maybe_empty_path(call, 1, how)?, how)?;
    change_mode(call, &target, call.uint(2))
}

fn change_owner(call: &Call<'_>, target: &Target, uid: u32, gid: u32) -> Outcome {
    let attributes = subject::attributes(target)?;
    let wanted = |id: u32| (id != u32::MAX).then_some(id);
    let (uid, gid) = (wanted(uid), wanted(gid));
    may_own(&attributes, &credentials(call), uid, gid)?;
    // A new owner must not inherit the old one's powers (chown(2)).
    let strips = attributes.kind == FileType::Regular && (uid.is_some() || gid.is_some());
    let special = raw::S_ISUID
        | if attributes.mode & raw::S_IXGRP != 0 {
            raw::S_ISGID
        } else {
            0
        };
    let mode = (strips && attributes.mode & special != 0).then_some(attributes.mode & !special);
    subject::change(
        target,
        &Changes {
            uid,
            gid,
            mode,
            ..Changes::default()
        },
    )?;
    Ok(0)
}

fn may_own(
    attributes: &Attributes,
    credentials: &Credentials,
    uid: Option<u32>,
    gid: Option<u32>,
) -> Result<(), Errno> {
    if credentials.uid == 0 {
        return Ok(());
    }
    attributes.check_owner(credentials)?;
    let same_owner = uid.is_none_or(|u| u == attributes.uid);
    let own_group = gid.is_none_or(|g| g == attributes.gid || credentials.in_group(g));
    if same_owner && own_group {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

fn chown(call: &Call<'_>) -> Outcome {
    let target = subject::target(call, raw::AT_FDCWD, &subject::path(call, 0)?, How::empty())?;
    change_owner(call, &target, call.uint(1), call.uint(2))
}

fn lchown(call: &Call<'_>) -> Outcome {
    let target = subject::target(
        call,
        raw::AT_FDCWD,
        &subject::path(call, 0)?,
        How::NO_FOLLOW,
    )?;
    change_owner(call, &target, call.uint(1), call.uint(2))
}

fn fchown(call: &Call<'_>) -> Outcome {
    change_owner(
        call,
        &Target::Open(handle(call, 0)?),
        call.uint(1),
        call.uint(2),
    )
}

fn fchownat(call: &Call<'_>) -> Outcome {
    let how = at_flags(call.uint(4), raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH)?;
    let target = subject::target(call, call.int(0), &maybe_empty_path(call, 1, how)?, how)?;
    change_owner(call, &target, call.uint(2), call.uint(3))
}

/// Sets times; `None` means the present.
fn change_times(call: &Call<'_>, target: &Target, times: Option<[Option<NewTime>; 2]>) -> Outcome {
    let attributes = subject::attributes(target)?;
    let [accessed, modified] = times.unwrap_or([Some(NewTime::Now); 2]);
    let only_now = [accessed, modified]
        .iter()
        .all(|t| matches!(t, Some(NewTime::Now)));
    let credentials = credentials(call);
    if attributes.check_owner(&credentials).is_err() {
        if !only_now {
            return Err(Errno::EPERM);
        }
        attributes.check(&credentials, W_OK)?;
    }
    if accessed.is_some() || modified.is_some() {
        subject::change(
            target,
            &Changes {
                accessed,
                modified,
                ..Changes::default()
            },
        )?;
    }
    Ok(0)
}

fn utime(call: &Call<'_>) -> Outcome {
    let target = subject::target(call, raw::AT_FDCWD, &subject::path(call, 0)?, How::empty())?;
    let times = match call.word(1) {
        0 => None,
        address => Some(user::get::<[i64; 2]>(address)?.map(|seconds| {
            Some(NewTime::At(Timespec {
                seconds,
                nanoseconds: 0,
            }))
        })),
    };
    change_times(call, &target, times)
}

/// Two `struct timeval` at `address`.
fn time_values(address: usize) -> Result<Option<[Option<NewTime>; 2]>, Errno> {
    if address == 0 {
        return Ok(None);
    }
    let [a, a_micros, m, m_micros] = user::get::<[i64; 4]>(address)?;
    let time = |seconds, micros: i64| {
        if !(0..1_000_000).contains(&micros) {
            return Err(Errno::EINVAL);
        }
        Ok(Some(NewTime::At(Timespec {
            seconds,
            nanoseconds: micros * 1000,
        })))
    };
    Ok(Some([time(a, a_micros)?, time(m, m_micros)?]))
}

fn utimes(call: &Call<'_>) -> Outcome {
    let times = time_values(call.word(1))?;
    let target = subject::target(call, raw::AT_FDCWD, &subject::path(call, 0)?, How::empty())?;
    change_times(call, &target, times)
}

fn futimesat(call: &Call<'_>) -> Outcome {
    let times = time_values(call.word(2))?;
    let target = match call.word(1) {
        0 => Target::Open(handle(call, 0)?),
        _ => subject::target(call, call.int(0), &subject::path(call, 1)?, How::empty())?,
    };
    change_times(call, &target, times)
}

fn utimensat(call: &Call<'_>) -> Outcome {
    let how = at_flags(call.uint(3), raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH)?;
    let times = match call.word(2) {
        0 => None,
        address => {
            let [a, m] = user::get::<[Timespec; 2]>(address)?;
            let time = |t: Timespec| match t.nanoseconds {
                n if n == i64::from(raw::UTIME_NOW) => Ok(Some(NewTime::Now)),
                n if n == i64::from(raw::UTIME_OMIT) => Ok(None),
                0..1_000_000_000 => Ok(Some(NewTime::At(t))),
                _ => Err(Errno::EINVAL),
            };
            Some([time(a)?, time(m)?])
        }
    };
    let target = match call.word(1) {
        0 => Target::Open(handle(call, 0)?),
        _ => subject::target(call, call.int(0), &subject::path(call, 1)?, how)?,
    };
    change_times(call, &target, times)
}

fn put_usage(address: usize, at: Option<&Location>) -> Outcome {
    const PIPEFS: u64 = 0x5049_5045;
    let usage = match at {
        Some(at) => at.fs().usage()?,
        None => Usage {
            magic: PIPEFS,
            block_size: 4096,
            ..Usage::default()
        },
    };
    const ST_RDONLY: i64 = 1;
    const ST_VALID: i64 = 0x20;
    let read_only = at.is_some_and(|a| a.mount.read_only);
    let device = at.map_or(0, |a| a.fs().device());
    let status = raw::statfs {
        f_type: usage.magic as i64,
        f_bsize: usage.block_size as i64,
        f_blocks: usage.blocks as i64,
        f_bfree: usage.free as i64,
        f_bavail: usage.available as i64,
        f_files: usage.files as i64,
        f_ffree: usage.files_free as i64,
        f_fsid: raw::__kernel_fsid_t {
            val: [device as i32, (device >> 32) as i32],
        },
        f_namelen: crate::fs::filesystem::NAME_MAX as i64,
        f_frsize: usage.block_size as i64,
        f_flags: ST_VALID | if read_only { ST_RDONLY } else { 0 },
        f_spare: [0; 4],
    };
    user::put(address, &status)?;
    Ok(0)
}

fn statfs(call: &Call<'_>) -> Outcome {
    let target = subject::target(call, raw::AT_FDCWD, &subject::path(call, 0)?, How::empty())?;
    match &target {
        Target::Found(at, _) => put_usage(call.word(1), Some(at)),
        Target::Open(file) => put_usage(call.word(1), file.file().location()),
    }
}

fn fstatfs(call: &Call<'_>) -> Outcome {
    put_usage(
        call.word(1),
        call.thread
            .process
            .files
            .get(call.int(0))?
            .file()
            .location(),
    )
}

fn umask(call: &Call<'_>) -> Outcome {
    Ok(context(call).set_umask(call.uint(0)) as usize)
}
