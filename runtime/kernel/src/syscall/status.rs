//! What files say about themselves: stat, access, file systems; and the mask of new ones.

use super::subject::{self, at_flags, context, credentials};
use super::{Argument::*, Call, Outcome, Row};
use crate::fs::attributes::{R_OK, W_OK, X_OK, device_parts};
use crate::fs::filesystem::Usage;
use crate::fs::walk::{How, Target};
use crate::fs::{Attributes, FileType, Location};
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
    Row::emulated(raw::__NR_statfs, "statfs", &[Path, Pointer], statfs),
    Row::emulated(raw::__NR_fstatfs, "fstatfs", &[Fd, Pointer], fstatfs),
    Row::emulated(raw::__NR_umask, "umask", &[Int], umask),
];

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
    let target = subject::named(call, 0, how)?;
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

fn newfstatat(call: &Call<'_>) -> Outcome {
    let how = at_flags(call.uint(3), STAT_FLAGS)?;
    let target = subject::named_at(call, how)?;
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
    let target = subject::named_at(call, how)?;
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
        &subject::maybe_empty_path(call, path_index, how)?,
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
    let target = subject::named(call, 0, How::empty())?;
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
