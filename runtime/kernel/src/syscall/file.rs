//! Bytes of files: read, write, seek, truncate, make durable.

use super::subject::{self, handle, restartable};
use super::{Argument::*, Call, Outcome, Row, file_size};
use crate::fs::walk::How;
use crate::fs::{Changes, FileType, Handle, Kind};
use bannock_platform::host::{self, file::UserVector};
use bannock_platform::{Errno, user, user::UserSlice};
use linux_raw_sys::general as raw;

/// Most bytes of one transfer (Linux `MAX_RW_COUNT`).
const MAX_TRANSFER: usize = 0x7fff_f000;
/// `RWF_*` that are understood.
const TRANSFER_FLAGS: u32 =
    raw::RWF_HIPRI | raw::RWF_DSYNC | raw::RWF_SYNC | raw::RWF_NOWAIT | raw::RWF_APPEND;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(raw::__NR_read, "read", &[Fd, Pointer, Size], read),
    Row::emulated(raw::__NR_write, "write", &[Fd, Pointer, Size], write),
    Row::emulated(
        raw::__NR_pread64,
        "pread64",
        &[Fd, Pointer, Size, Size],
        pread,
    ),
    Row::emulated(
        raw::__NR_pwrite64,
        "pwrite64",
        &[Fd, Pointer, Size, Size],
        pwrite,
    ),
    Row::emulated(raw::__NR_readv, "readv", &[Fd, Pointer, Size], readv),
    Row::emulated(raw::__NR_writev, "writev", &[Fd, Pointer, Size], writev),
    Row::emulated(
        raw::__NR_preadv,
        "preadv",
        &[Fd, Pointer, Size, Size, Size],
        preadv,
    ),
    Row::emulated(
        raw::__NR_pwritev,
        "pwritev",
        &[Fd, Pointer, Size, Size, Size],
        pwritev,
    ),
    Row::emulated(
        raw::__NR_preadv2,
        "preadv2",
        &[Fd, Pointer, Size, Size, Size, Flags],
        preadv2,
    ),
    Row::emulated(
        raw::__NR_pwritev2,
        "pwritev2",
        &[Fd, Pointer, Size, Size, Size, Flags],
        pwritev2,
    ),
    Row::emulated(raw::__NR_lseek, "lseek", &[Fd, Size, Int], lseek)
        .with_notes("SEEK_DATA and SEEK_HOLE see no holes in files in memory"),
    Row::emulated(raw::__NR_truncate, "truncate", &[Path, Size], truncate),
    Row::emulated(raw::__NR_ftruncate, "ftruncate", &[Fd, Size], ftruncate),
    Row::emulated(
        raw::__NR_fallocate,
        "fallocate",
        &[Fd, Flags, Size, Size],
        fallocate,
    )
    .with_notes("in memory: KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE"),
    Row::emulated(raw::__NR_fsync, "fsync", &[Fd], fsync),
    Row::emulated(raw::__NR_fdatasync, "fdatasync", &[Fd], fdatasync),
    Row::emulated(raw::__NR_sync, "sync", &[], sync)
        .with_notes("host files are made durable by fsync alone"),
    Row::emulated(raw::__NR_syncfs, "syncfs", &[Fd], syncfs).with_notes("as sync"),
    Row::emulated(
        raw::__NR_sync_file_range,
        "sync_file_range",
        &[Fd, Size, Size, Flags],
        sync_file_range,
    ),
    Row::emulated(
        raw::__NR_fadvise64,
        "fadvise64",
        &[Fd, Size, Size, Int],
        fadvise,
    ),
    Row::emulated(
        raw::__NR_readahead,
        "readahead",
        &[Fd, Size, Size],
        readahead,
    ),
];

fn buffer(call: &Call<'_>) -> Result<UserSlice, Errno> {
    let (start, len) = (call.word(1), call.word(2));
    if len > MAX_TRANSFER {
        // The whole range, before it is cut.
        user::check_range(start, len)?;
    }
    UserSlice::new(start, len.min(MAX_TRANSFER))
}

/// The offset at argument `index`.
fn offset(call: &Call<'_>, index: usize) -> Result<u64, Errno> {
    u64::try_from(call.word(index) as i64).map_err(|_| Errno::EINVAL)
}

fn seekable(handle: &Handle) -> Result<(), Errno> {
    match handle.kind() {
        Kind::Regular | Kind::Device => Ok(()),
        Kind::Directory => Err(Errno::EISDIR),
        _ => Err(Errno::ESPIPE),
    }
}

fn read(call: &Call<'_>) -> Outcome {
    restartable(handle(call, 0)?.read(host::Into::User(buffer(call)?), None))
}

fn write(call: &Call<'_>) -> Outcome {
    file_size::write(call, &*handle(call, 0)?, buffer(call)?, None)
}

fn pread(call: &Call<'_>) -> Outcome {
    let file = handle(call, 0)?;
    let at = offset(call, 3)?;
    seekable(&file)?;
    restartable(file.read(host::Into::User(buffer(call)?), Some(at)))
}

fn pwrite(call: &Call<'_>) -> Outcome {
    let file = handle(call, 0)?;
    let at = offset(call, 3)?;
    seekable(&file)?;
    file_size::write(call, &file, buffer(call)?, Some(at))
}

fn vector(call: &Call<'_>) -> Result<UserVector, Errno> {
    UserVector::read(call.word(1), call.word(2))
}

fn readv(call: &Call<'_>) -> Outcome {
    restartable(handle(call, 0)?.read_vectored(&vector(call)?, None, 0))
}

fn writev(call: &Call<'_>) -> Outcome {
    file_size::write_vectored(call, &*handle(call, 0)?, &vector(call)?, None, 0)
}

fn preadv(call: &Call<'_>) -> Outcome {
    let file = handle(call, 0)?;
    let at = offset(call, 3)?;
    seekable(&file)?;
    restartable(file.read_vectored(&vector(call)?, Some(at), 0))
}

fn pwritev(call: &Call<'_>) -> Outcome {
    let file = handle(call, 0)?;
    let at = offset(call, 3)?;
    seekable(&file)?;
    file_size::write_vectored(call, &file, &vector(call)?, Some(at), 0)
}

/// Offset and flags of preadv2(2) and pwritev2(2); -1 means the file's position.
fn positioned(call: &Call<'_>, file: &Handle) -> Result<(Option<u64>, u32), Errno> {
    let flags = call.uint(5);
    if flags & !TRANSFER_FLAGS != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    if call.word(3) as i64 == -1 {
        return Ok((None, flags));
    }
    seekable(file)?;
    Ok((Some(offset(call, 3)?), flags))
}

fn preadv2(call: &Call<'_>) -> Outcome {
    let file = handle(call, 0)?;
    let (at, flags) = positioned(call, &file)?;
    restartable(file.read_vectored(&vector(call)?, at, flags))
}

fn pwritev2(call: &Call<'_>) -> Outcome {
    let file = handle(call, 0)?;
    let (at, flags) = positioned(call, &file)?;
    file_size::write_vectored(call, &file, &vector(call)?, at, flags)
}

fn lseek(call: &Call<'_>) -> Outcome {
    handle(call, 0)?
        .seek(call.word(1) as i64, call.uint(2))
        .map(|v| v as usize)
}

fn truncate(call: &Call<'_>) -> Outcome {
    let size = offset(call, 1)?;
    let target = subject::named(call, 0, How::empty())?;
    let attributes = subject::attributes(&target)?;
    match attributes.kind {
        FileType::Regular => {}
        FileType::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    attributes.check(&subject::credentials(call), crate::fs::attributes::W_OK)?;
    file_size::check_growth(call, size, || Ok(attributes.size))?;
    subject::change(
        &target,
        &Changes {
            size: Some(size),
            ..Changes::default()
        },
    )?;
    Ok(0)
}

fn ftruncate(call: &Call<'_>) -> Outcome {
    let file = handle(call, 0)?;
    let size = offset(call, 1)?;
    if !file.file().is_writable() || file.kind() != Kind::Regular {
        return Err(Errno::EINVAL);
    }
    file_size::check_growth(call, size, || file.size())?;
    file.ops().change(
        &file,
        &Changes {
            size: Some(size),
            ..Changes::default()
        },
    )?;
    Ok(0)
}

fn fallocate(call: &Call<'_>) -> Outcome {
    let file = handle(call, 0)?;
    let (at, len) = (offset(call, 2)?, offset(call, 3)?);
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    if !file.file().is_writable() {
        return Err(Errno::EBADF);
    }
    if call.uint(1) & raw::FALLOC_FL_KEEP_SIZE == 0 && file.kind() == Kind::Regular {
        file_size::check_growth(call, at.saturating_add(len), || file.size())?;
    }
    restartable(file.ops().allocate(&file, call.uint(1), at, len))?;
    Ok(0)
}

fn fsync(call: &Call<'_>) -> Outcome {
    let file = handle(call, 0)?;
    file.ops().sync(&file, false)?;
    Ok(0)
}

fn fdatasync(call: &Call<'_>) -> Outcome {
    let file = handle(call, 0)?;
    file.ops().sync(&file, true)?;
    Ok(0)
}

fn sync(call: &Call<'_>) -> Outcome {
    for mount in subject::context(call).mounts().mounts() {
        // sync(2) has no way to report errors; fsync(2) does.
        let _ = mount.fs.sync();
    }
    Ok(0)
}

fn syncfs(call: &Call<'_>) -> Outcome {
    if let Some(at) = handle(call, 0)?.file().location() {
        at.fs().sync()?;
    }
    Ok(0)
}

fn sync_file_range(call: &Call<'_>) -> Outcome {
    let file = handle(call, 0)?;
    seekable(&file).map_err(|e| if e == Errno::EISDIR { Errno::ESPIPE } else { e })?;
    let known = raw::SYNC_FILE_RANGE_WAIT_BEFORE
        | raw::SYNC_FILE_RANGE_WRITE
        | raw::SYNC_FILE_RANGE_WAIT_AFTER;
    if call.uint(3) & !known != 0 {
        return Err(Errno::EINVAL);
    }
    if let Some(fd) = file.host_fd() {
        host::file::sync_range(fd, call.word(1) as i64, call.word(2) as i64, call.uint(3))?;
    }
    Ok(0)
}

fn fadvise(call: &Call<'_>) -> Outcome {
    let file = handle(call, 0)?;
    if matches!(file.kind(), Kind::Pipe | Kind::Socket) {
        return Err(Errno::ESPIPE);
    }
    if call.uint(3) > raw::POSIX_FADV_NOREUSE {
        return Err(Errno::EINVAL);
    }
    if let (Some(fd), Kind::Regular) = (file.host_fd(), file.kind()) {
        host::file::advise(fd, call.word(1) as i64, call.word(2) as i64, call.uint(3))?;
    }
    Ok(0)
}

fn readahead(call: &Call<'_>) -> Outcome {
    let file = handle(call, 0)?;
    if file.kind() != Kind::Regular || !file.file().is_readable() {
        return Err(Errno::EINVAL);
    }
    if let Some(fd) = file.host_fd() {
        host::file::advise(
            fd,
            call.word(1) as i64,
            call.word(2) as i64,
            raw::POSIX_FADV_WILLNEED,
        )?;
    }
    Ok(0)
}
