//! Moving bytes between files without a program's memory: sendfile, copy_file_range, splice, tee.
//!
//! Where the host has both files, it moves the bytes between its pipes itself; where the kernel keeps
//! one of them, they are copied.

use super::subject::{handle, restartable};
use super::{Argument::*, Call, Outcome, Row};
use crate::fs::{Handle, Kind};
use bannock_platform::host::{self, file::UserVector};
use bannock_platform::{Errno, user};
use linux_raw_sys::general as raw;

/// Most bytes of one transfer (Linux `MAX_RW_COUNT`).
const MAX_TRANSFER: usize = 0x7fff_f000;
/// Bytes that are moved at a time between two files.
const CHUNK: usize = 64 << 10;
/// Bytes that a pipe which is ready for writing takes for sure (`PIPE_BUF`).
const PIPE_BUF: usize = 4096;

/// Linux's numbers (splice(2)).
const SPLICE_MOVE: u32 = 1;
const SPLICE_NONBLOCK: u32 = 2;
const SPLICE_MORE: u32 = 4;
const SPLICE_GIFT: u32 = 8;
const SPLICE_FLAGS: u32 = SPLICE_MOVE | SPLICE_NONBLOCK | SPLICE_MORE | SPLICE_GIFT;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(
        raw::__NR_sendfile,
        "sendfile",
        &[Fd, Fd, Pointer, Size],
        sendfile,
    ),
    Row::emulated(
        raw::__NR_copy_file_range,
        "copy_file_range",
        &[Fd, Pointer, Fd, Pointer, Size, Flags],
        copy_file_range,
    ),
    Row::emulated(
        raw::__NR_splice,
        "splice",
        &[Fd, Pointer, Fd, Pointer, Size, Flags],
        splice,
    ),
    Row::emulated(raw::__NR_tee, "tee", &[Fd, Fd, Size, Flags], tee)
        .with_notes("from a pipe to a FIFO in memory, or the other way round: EINVAL"),
    Row::emulated(
        raw::__NR_vmsplice,
        "vmsplice",
        &[Fd, Pointer, Size, Flags],
        vmsplice,
    )
    .with_notes("bytes are copied"),
];

/// Moves up to `len` bytes; stops early at the end of `from`, when `to` takes no more, or on an
/// error after the first bytes. Bytes that were read and not written are read again later, because
/// positions of the source move by what was written.
fn transfer(
    from: &Handle,
    from_at: Option<u64>,
    to: &Handle,
    to_at: Option<u64>,
    len: usize,
) -> Result<usize, Errno> {
    let mut chunk = alloc::vec![0u8; len.min(CHUNK)];
    // The source is read at fixed places, so that nothing is lost when the target takes less.
    let base = match from_at {
        Some(at) => at,
        None => from.seek(0, raw::SEEK_CUR)?,
    };
    let mut done = 0usize;
    while done < len {
        let want = (len - done).min(CHUNK);
        let part = chunk.get_mut(..want).ok_or(Errno::EIO)?;
        let step = from
            .read(host::Into::Kernel(part), Some(base + done as u64))
            .and_then(|got| {
                let bytes = part.get(..got).unwrap_or_default();
                let at = to_at.map(|at| at + done as u64);
                if got == 0 {
                    Ok((0, 0))
                } else {
                    to.write(host::From::Kernel(bytes), at)
                        .map(|put| (got, put))
                }
            });
        match step {
            Ok((got, put)) => {
                done += put;
                if got < want || put < got {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(e) => return Err(e),
        }
    }
    if from_at.is_none() {
        from.seek(
            i64::try_from(base + done as u64).map_err(|_| Errno::EOVERFLOW)?,
            raw::SEEK_SET,
        )?;
    }
    Ok(done)
}

/// Reads an offset that a call takes and gives back, if there is one.
fn offset_at(address: usize) -> Result<Option<u64>, Errno> {
    if address == 0 {
        return Ok(None);
    }
    u64::try_from(user::get::<i64>(address)?)
        .map(Some)
        .map_err(|_| Errno::EINVAL)
}

fn give_back(address: usize, before: Option<u64>, done: usize) -> Result<(), Errno> {
    before.map_or(Ok(()), |at| {
        user::put(address, &(at.saturating_add(done as u64) as i64))
    })
}

fn sendfile(call: &Call<'_>) -> Outcome {
    let (to, from) = (handle(call, 0)?, handle(call, 1)?);
    if from.kind() != Kind::Regular || to.file().flags() & raw::O_APPEND != 0 {
        return Err(Errno::EINVAL);
    }
    let at = offset_at(call.word(2))?;
    let len = call.word(3).min(MAX_TRANSFER);
    let done = restartable(transfer(&from, at, &to, None, len))?;
    give_back(call.word(2), at, done)?;
    Ok(done)
}

fn copy_file_range(call: &Call<'_>) -> Outcome {
    let (from, to) = (handle(call, 0)?, handle(call, 2)?);
    if call.uint(5) != 0 {
        return Err(Errno::EINVAL);
    }
    for file in [&from, &to] {
        match file.kind() {
            Kind::Regular => {}
            Kind::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
    }
    if !from.file().is_readable()
        || !to.file().is_writable()
        || to.file().flags() & raw::O_APPEND != 0
    {
        return Err(Errno::EBADF);
    }
    let (from_at, to_at) = (offset_at(call.word(1))?, offset_at(call.word(3))?);
    let len = call.word(4).min(MAX_TRANSFER);
    if is_same(&from, &to) {
        let position = |file: &Handle, at: Option<u64>| match at {
            Some(at) => Ok(at),
            None => file.seek(0, raw::SEEK_CUR),
        };
        let (a, b) = (position(&from, from_at)?, position(&to, to_at)?);
        // Ranges of one file must not overlap (copy_file_range(2)).
        if a.abs_diff(b) < len as u64 {
            return Err(Errno::EINVAL);
        }
    }
    let done = restartable(transfer(&from, from_at, &to, to_at, len))?;
    give_back(call.word(1), from_at, done)?;
    give_back(call.word(3), to_at, done)?;
    Ok(done)
}

fn is_same(a: &Handle, b: &Handle) -> bool {
    match (a.attributes(), b.attributes()) {
        (Ok(a), Ok(b)) => (a.device, a.inode) == (b.device, b.inode),
        _ => false,
    }
}

/// A file of splice(2), and where in it.
struct Side {
    file: alloc::sync::Arc<Handle>,
    at: Option<u64>,
}

impl Side {
    /// The file at argument `fd`, with the offset at argument `fd + 1`.
    fn read(call: &Call<'_>, fd: usize) -> Result<Self, Errno> {
        let file = handle(call, fd)?;
        let address = call.word(fd + 1);
        if address != 0 && !matches!(file.kind(), Kind::Regular | Kind::Device) {
            return Err(Errno::ESPIPE);
        }
        Ok(Self {
            file,
            at: offset_at(address)?,
        })
    }

    fn is_pipe(&self) -> bool {
        self.file.kind() == Kind::Pipe
    }

    fn is_nonblocking(&self) -> bool {
        self.file.file().flags() & raw::O_NONBLOCK != 0
    }

    /// Refuses to wait for the file.
    fn is_ready(&self, events: u32) -> Result<(), Errno> {
        if self.file.kind().is_always_ready() {
            return Ok(());
        }
        let wanted = events | raw::POLLERR | raw::POLLHUP;
        let ready = match self.file.host_fd() {
            None => self.file.ready(),
            Some(fd) => {
                let mut list = [host::poll::PollFd {
                    fd: fd.number(),
                    events: events as i16,
                    revents: 0,
                }];
                let mut now = host::time::Timespec::default();
                host::poll::poll(&mut list, Some(&mut now))?;
                list.iter()
                    .fold(0, |all, entry| all | u32::from(entry.revents as u16))
            }
        };
        if ready & wanted == 0 {
            Err(Errno::EAGAIN)
        } else {
            Ok(())
        }
    }
}

fn splice(call: &Call<'_>) -> Outcome {
    let (from, to) = (Side::read(call, 0)?, Side::read(call, 2)?);
    let (len, flags) = (call.word(4).min(MAX_TRANSFER), call.uint(5));
    if flags & !SPLICE_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(0);
    }
    if !from.file.file().is_readable() || !to.file.file().is_writable() {
        return Err(Errno::EBADF);
    }
    let same_pipe = from.is_pipe() && to.is_pipe() && is_same(&from.file, &to.file);
    if !from.is_pipe() && !to.is_pipe()
        || same_pipe
        || to.file.file().flags() & raw::O_APPEND != 0
        || [&from, &to]
            .iter()
            .any(|s| s.file.kind() == Kind::Directory)
    {
        return Err(Errno::EINVAL);
    }
    let done = restartable(match (from.file.host_fd(), to.file.host_fd()) {
        (Some(source), Some(target)) => {
            let offset = |at: Option<u64>| at.and_then(|at| i64::try_from(at).ok());
            let (mut from_at, mut to_at) = (offset(from.at), offset(to.at));
            let outcome = host::splice::splice(
                (source, from_at.as_mut()),
                (target, to_at.as_mut()),
                len,
                flags,
            );
            to.file.noticing_broken(outcome, 0)
        }
        _ => spliced_by_copying(&from, &to, len, flags),
    })?;
    give_back(call.word(1), from.at, done)?;
    give_back(call.word(3), to.at, done)?;
    Ok(done)
}

fn spliced_by_copying(from: &Side, to: &Side, len: usize, flags: u32) -> Result<usize, Errno> {
    let now = flags & SPLICE_NONBLOCK != 0;
    let len = len.min(CHUNK);
    if now || from.is_nonblocking() {
        from.is_ready(raw::POLLIN)?;
    }
    let len = if now || to.is_nonblocking() {
        to.is_ready(raw::POLLOUT)?;
        // What is surely taken at once: bytes that were taken from a pipe cannot be put back.
        len.min(PIPE_BUF)
    } else {
        len
    };
    if !from.is_pipe() {
        return match from.file.kind() {
            Kind::Regular => transfer(&from.file, from.at, &to.file, to.at, len),
            _ => streamed(from, to, len),
        };
    }
    streamed(from, to, len)
}

/// Moves what one read of up to `len` bytes gives.
fn streamed(from: &Side, to: &Side, len: usize) -> Result<usize, Errno> {
    let mut chunk = alloc::vec![0u8; len];
    let got = from.file.read(host::Into::Kernel(&mut chunk), from.at)?;
    let mut done = 0;
    while let Some(left) = chunk.get(done..got).filter(|left| !left.is_empty()) {
        let at = to.at.map(|at| at.saturating_add(done as u64));
        match to.file.write(host::From::Kernel(left), at) {
            Ok(0) => break,
            Ok(put) => done += put,
            // Taken bytes are not lost for an interrupt: the file gets them first.
            Err(Errno::EINTR) => {}
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn tee(call: &Call<'_>) -> Outcome {
    let (from, to) = (handle(call, 0)?, handle(call, 1)?);
    let (len, flags) = (call.word(2).min(MAX_TRANSFER), call.uint(3));
    if flags & !SPLICE_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(0);
    }
    if !from.file().is_readable() || !to.file().is_writable() {
        return Err(Errno::EBADF);
    }
    if from.kind() != Kind::Pipe || to.kind() != Kind::Pipe || is_same(&from, &to) {
        return Err(Errno::EINVAL);
    }
    restartable(match (from.host_fd(), to.host_fd()) {
        (Some(source), Some(target)) => {
            to.noticing_broken(host::splice::tee(source, target, len, flags), 0)
        }
        (None, None) => from.tee(&to, len, flags & SPLICE_NONBLOCK == 0),
        _ => Err(Errno::EINVAL),
    })
}

fn vmsplice(call: &Call<'_>) -> Outcome {
    let pipe = handle(call, 0)?;
    if call.uint(3) & !SPLICE_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    if pipe.kind() != Kind::Pipe {
        return Err(Errno::EBADF);
    }
    let vector = UserVector::read(call.word(1), call.word(2))?;
    if vector.total() == 0 {
        return Ok(0);
    }
    let writes = pipe.file().is_writable();
    if call.uint(3) & SPLICE_NONBLOCK != 0 {
        let side = Side {
            file: alloc::sync::Arc::clone(&pipe),
            at: None,
        };
        side.is_ready(if writes { raw::POLLOUT } else { raw::POLLIN })?;
    }
    restartable(if writes {
        pipe.write_vectored(&vector, None, 0)
    } else {
        pipe.read_vectored(&vector, None, 0)
    })
}
