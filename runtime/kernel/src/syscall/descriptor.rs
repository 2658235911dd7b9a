//! Descriptors: open, duplicate, close, control, lock.

use super::subject::{self, context, credentials, descriptor_limit, handle, install, restartable};
use super::{Argument::*, Call, Outcome, Row};
use crate::fs::walk::How;
use crate::fs::{Handle, KNOWN_FLAGS, Kind, Location, OpenFile, SETTABLE_FLAGS};
use alloc::sync::Arc;
use bannock_platform::host::file as host_file;
use bannock_platform::{Errno, user};
use core::mem::size_of;
use linux_raw_sys::{general as raw, ioctl};

pub(super) const ROWS: &[Row] = &[
    Row::emulated(raw::__NR_open, "open", &[Path, Flags, Int], open),
    Row::emulated(raw::__NR_openat, "openat", &[Fd, Path, Flags, Int], openat),
    Row::emulated(raw::__NR_openat2, "openat2", &[Fd, Path, Pointer, Size], openat2)
        .with_notes("RESOLVE_CACHED answers EAGAIN"),
    Row::emulated(raw::__NR_creat, "creat", &[Path, Int], creat),
    Row::emulated(raw::__NR_close, "close", &[Fd], close),
    Row::emulated(raw::__NR_close_range, "close_range", &[Size, Size, Flags], close_range)
        .with_notes("CLOSE_RANGE_UNSHARE changes nothing: tables are shared within a process only"),
    Row::emulated(raw::__NR_dup, "dup", &[Fd], dup),
    Row::emulated(raw::__NR_dup2, "dup2", &[Fd, Fd], dup2),
    Row::emulated(raw::__NR_dup3, "dup3", &[Fd, Fd, Flags], dup3),
    Row::emulated(raw::__NR_fcntl, "fcntl", &[Fd, Int, Size], fcntl)
        .with_notes("leases and directory notification answer EINVAL; F_SETOWN and F_SETSIG are recorded nowhere and answer EINVAL"),
    Row::emulated(raw::__NR_ioctl, "ioctl", &[Fd, Flags, Size], ioctl_call)
        .with_notes("FIOCLEX, FIONCLEX, FIONBIO, FIONREAD; settings, window size and job control of terminals; TIOCSTI answers EIO, TIOCNOTTY changes something for session leaders only, others ENOTTY"),
    Row::emulated(raw::__NR_flock, "flock", &[Fd, Int], flock),
    Row::emulated(raw::__NR_pipe, "pipe", &[Pointer], pipe),
    Row::emulated(raw::__NR_pipe2, "pipe2", &[Pointer, Flags], pipe2).with_notes("O_CLOEXEC, O_NONBLOCK, O_DIRECT"),
];

fn opened(
    call: &Call<'_>,
    directory: i32,
    path_index: usize,
    flags: u32,
    mode: u32,
    how: How,
) -> Outcome {
    let path = subject::path(call, path_index)?;
    let from = subject::start(call, directory, &path)?;
    open_from(call, from.as_ref(), &path, flags, mode, how)
}

fn open_from(
    call: &Call<'_>,
    from: Option<&Location>,
    path: &[u8],
    flags: u32,
    mode: u32,
    how: How,
) -> Outcome {
    let new = restartable(context(call).open(from, path, flags, mode, how, &credentials(call)))?;
    install(call, new, flags & raw::O_CLOEXEC != 0)
}

fn open(call: &Call<'_>) -> Outcome {
    opened(
        call,
        raw::AT_FDCWD,
        0,
        call.uint(1),
        call.uint(2),
        How::empty(),
    )
}

fn openat(call: &Call<'_>) -> Outcome {
    opened(
        call,
        call.int(0),
        1,
        call.uint(2),
        call.uint(3),
        How::empty(),
    )
}

fn creat(call: &Call<'_>) -> Outcome {
    opened(
        call,
        raw::AT_FDCWD,
        0,
        raw::O_CREAT | raw::O_WRONLY | raw::O_TRUNC,
        call.uint(1),
        How::empty(),
    )
}

fn openat2(call: &Call<'_>) -> Outcome {
    let size = call.word(3);
    if size < size_of::<raw::open_how>() {
        return Err(Errno::EINVAL);
    }
    if size > bannock_platform::PAGE {
        return Err(Errno::E2BIG);
    }
    let rest = user::UserSlice::new(call.word(2), size)?.skip(size_of::<raw::open_how>());
    if rest.to_vec(bannock_platform::PAGE)?.iter().any(|b| *b != 0) {
        return Err(Errno::E2BIG);
    }
    let wanted: raw::open_how = user::get(call.word(2))?;
    let flags = u32::try_from(wanted.flags).map_err(|_| Errno::EINVAL)?;
    let resolve = u32::try_from(wanted.resolve).map_err(|_| Errno::EINVAL)?;
    let makes = flags & raw::O_CREAT != 0 || flags & raw::O_TMPFILE == raw::O_TMPFILE;
    if flags & !KNOWN_FLAGS != 0 || wanted.mode & !0o7777 != 0 || (!makes && wanted.mode != 0) {
        return Err(Errno::EINVAL);
    }
    let mut how = How::empty();
    for (bit, meaning) in [
        (raw::RESOLVE_NO_XDEV, How::NO_XDEV),
        (raw::RESOLVE_NO_MAGICLINKS, How::NO_MAGICLINKS),
        (raw::RESOLVE_NO_SYMLINKS, How::NO_SYMLINKS),
        (raw::RESOLVE_BENEATH, How::BENEATH),
        (raw::RESOLVE_IN_ROOT, How::IN_ROOT),
    ] {
        how.set(meaning, resolve & bit != 0);
    }
    let known = raw::RESOLVE_NO_XDEV
        | raw::RESOLVE_NO_MAGICLINKS
        | raw::RESOLVE_NO_SYMLINKS
        | raw::RESOLVE_BENEATH
        | raw::RESOLVE_IN_ROOT
        | raw::RESOLVE_CACHED;
    if resolve & !known != 0 || how.contains(How::BENEATH | How::IN_ROOT) {
        return Err(Errno::EINVAL);
    }
    if resolve & raw::RESOLVE_CACHED != 0 {
        return Err(Errno::EAGAIN);
    }
    let path = subject::path(call, 1)?;
    // Confined walks start at the descriptor also for absolute paths.
    let from = match call.int(0) {
        raw::AT_FDCWD => None,
        fd if path.first() == Some(&b'/') && !how.intersects(How::BENEATH | How::IN_ROOT) => {
            let _ = fd;
            None
        }
        fd => Some(
            call.thread
                .process
                .files
                .get(fd)?
                .file()
                .location()
                .cloned()
                .ok_or(Errno::ENOTDIR)?,
        ),
    };
    let mode = wanted.mode as u32;
    open_from(call, from.as_ref(), &path, flags, mode, how)
}

fn close(call: &Call<'_>) -> Outcome {
    call.thread.process.files.remove(call.int(0))?;
    Ok(0)
}

fn close_range(call: &Call<'_>) -> Outcome {
    const UNSHARE: u32 = 2;
    const CLOEXEC: u32 = 4;
    let (first, last, flags) = (call.uint(0), call.uint(1), call.uint(2));
    if first > last || flags & !(UNSHARE | CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let range = first as usize..(last as usize).saturating_add(1);
    if flags & CLOEXEC != 0 {
        call.thread.process.files.mark_range(range);
    } else {
        call.thread.process.files.remove_range(range);
    }
    Ok(0)
}

fn dup(call: &Call<'_>) -> Outcome {
    let file = call.thread.process.files.get(call.int(0))?;
    install(call, file, false)
}

fn replaced(call: &Call<'_>, close_on_exec: bool) -> Outcome {
    let files = &call.thread.process.files;
    let file = files.get(call.int(0))?;
    files.replace(call.int(1), file, close_on_exec, descriptor_limit(call))?;
    Ok(call.int(1) as usize)
}

fn dup2(call: &Call<'_>) -> Outcome {
    if call.int(0) == call.int(1) {
        call.thread.process.files.get(call.int(0))?;
        return Ok(call.int(0) as usize);
    }
    replaced(call, false)
}

fn dup3(call: &Call<'_>) -> Outcome {
    if call.int(0) == call.int(1) || call.uint(2) & !raw::O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    replaced(call, call.uint(2) & raw::O_CLOEXEC != 0)
}

fn fcntl(call: &Call<'_>) -> Outcome {
    let files = &call.thread.process.files;
    let (fd, command) = (call.int(0), call.uint(1));
    let file = files.get(fd)?;
    match command {
        raw::F_DUPFD | raw::F_DUPFD_CLOEXEC => {
            let number = files.insert(
                file,
                call.int(2),
                command == raw::F_DUPFD_CLOEXEC,
                descriptor_limit(call),
            )?;
            return Ok(number as usize);
        }
        raw::F_GETFD => return files.is_close_on_exec(fd).map(usize::from),
        raw::F_SETFD => {
            files.set_close_on_exec(fd, call.uint(2) & raw::FD_CLOEXEC != 0)?;
            return Ok(0);
        }
        raw::F_GETFL => return Ok((file.file().flags() | raw::O_LARGEFILE) as usize),
        _ => {}
    }
    file.usable()?;
    match command {
        raw::F_SETFL => file.set_flags(call.uint(2)).map(|()| 0),
        raw::F_GETLK
        | raw::F_SETLK
        | raw::F_SETLKW
        | raw::F_OFD_GETLK
        | raw::F_OFD_SETLK
        | raw::F_OFD_SETLKW => super::lock::record(call, &file, command),
        raw::F_GETPIPE_SZ => file.pipe_capacity(None),
        raw::F_SETPIPE_SZ => file.pipe_capacity(Some(call.uint(2) as usize)),
        raw::F_GET_SEALS | raw::F_ADD_SEALS => {
            file.seals(command == raw::F_ADD_SEALS, call.uint(2))
        }
        raw::F_GETOWN | raw::F_GETSIG => Ok(0),
        raw::F_GETLEASE => Ok(raw::F_UNLCK as usize),
        _ => Err(Errno::EINVAL),
    }
}

fn ioctl_call(call: &Call<'_>) -> Outcome {
    let files = &call.thread.process.files;
    let file = handle(call, 0)?;
    match call.uint(1) {
        ioctl::FIOCLEX => files.set_close_on_exec(call.int(0), true).map(|()| 0),
        ioctl::FIONCLEX => files.set_close_on_exec(call.int(0), false).map(|()| 0),
        ioctl::FIONBIO => {
            let on = user::get::<i32>(call.word(2))? != 0;
            let flags = file.file().flags() & SETTABLE_FLAGS & !raw::O_NONBLOCK;
            file.set_flags(if on { flags | raw::O_NONBLOCK } else { flags })
                .map(|()| 0)
        }
        ioctl::FIONREAD if file.kind() == Kind::Regular => {
            let left = file.size()?.saturating_sub(file.seek(0, raw::SEEK_CUR)?);
            user::put(call.word(2), &i32::try_from(left).unwrap_or(i32::MAX))?;
            Ok(0)
        }
        request => file.ops().ioctl(&file, request, call.word(2)),
    }
}

fn flock(call: &Call<'_>) -> Outcome {
    let file = handle(call, 0)?;
    super::lock::whole(call, &file, call.uint(1))
}

fn make_pipe(call: &Call<'_>, flags: u32) -> Outcome {
    if flags & !(raw::O_CLOEXEC | raw::O_NONBLOCK | raw::O_DIRECT) != 0 {
        return Err(Errno::EINVAL);
    }
    let kept = flags & (raw::O_NONBLOCK | raw::O_DIRECT);
    let owner = call.thread.process.id;
    let (reader, writer) = host_file::pipe(kept)?;
    let end = |fd, access| Handle::new(OpenFile::host(Kind::Pipe, kept | access), Some(fd), owner);
    let ends: [Arc<Handle>; 2] = [end(reader, raw::O_RDONLY), end(writer, raw::O_WRONLY)];
    let files = &call.thread.process.files;
    let numbers = files.insert_pair(ends, flags & raw::O_CLOEXEC != 0, descriptor_limit(call))?;
    if let Err(e) = user::put(call.word(0), &numbers) {
        for number in numbers {
            let _ = files.remove(number);
        }
        return Err(e);
    }
    Ok(0)
}

fn pipe(call: &Call<'_>) -> Outcome {
    make_pipe(call, 0)
}

fn pipe2(call: &Call<'_>) -> Outcome {
    make_pipe(call, call.uint(1))
}
