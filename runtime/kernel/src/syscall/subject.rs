//! What file calls need of their caller: its files, places, identity and paths.

use super::Call;
use crate::fs::walk::{End, How, Last, Target};
use crate::fs::{Attributes, Changes, Credentials, FsContext, Handle, Kind, Location, PATH_MAX};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{Errno, user};
use linux_raw_sys::general as raw;

pub(super) fn credentials(call: &Call<'_>) -> Credentials {
    call.thread.process.credentials()
}

pub(super) fn descriptor_limit(call: &Call<'_>) -> usize {
    call.thread.process.descriptor_limit()
}

pub(super) fn context<'a>(call: &'a Call<'_>) -> &'a FsContext {
    &call.thread.process.fs
}

/// The open file behind descriptor argument `index`; not for `O_PATH`.
pub(super) fn handle(call: &Call<'_>, index: usize) -> Result<Arc<Handle>, Errno> {
    call.thread.process.files.usable(call.int(index))
}

/// Gives a new handle the lowest descriptor.
pub(super) fn install(
    call: &Call<'_>,
    handle: Arc<Handle>,
    close_on_exec: bool,
) -> Result<usize, Errno> {
    let number =
        call.thread
            .process
            .files
            .insert(handle, 0, close_on_exec, descriptor_limit(call))?;
    Ok(number as usize)
}

/// The path at address argument `index`.
pub(super) fn path(call: &Call<'_>, index: usize) -> Result<Vec<u8>, Errno> {
    user::get_string(call.word(index), PATH_MAX - 1)
}

/// The path at `index`; a null pointer counts as empty with `AT_EMPTY_PATH` (Linux 6.11).
pub(super) fn maybe_empty_path(call: &Call<'_>, index: usize, how: How) -> Result<Vec<u8>, Errno> {
    if call.word(index) == 0 && how.contains(How::EMPTY) {
        return Ok(Vec::new());
    }
    path(call, index)
}

/// Where a path relative to `descriptor` starts; `None` is the working directory.
pub(super) fn start(
    call: &Call<'_>,
    descriptor: i32,
    path: &[u8],
) -> Result<Option<Location>, Errno> {
    if descriptor == raw::AT_FDCWD || path.first() == Some(&b'/') {
        return Ok(None);
    }
    let handle = call.thread.process.files.get(descriptor)?;
    handle
        .file()
        .location()
        .cloned()
        .map(Some)
        .ok_or(Errno::ENOTDIR)
}

/// Walks to the file that a descriptor and a path mean. An empty path with [`How::EMPTY`] means
/// the descriptor's file itself, whatever it is.
pub(super) fn target(
    call: &Call<'_>,
    descriptor: i32,
    path: &[u8],
    how: How,
) -> Result<Target, Errno> {
    if path.is_empty() && how.contains(How::EMPTY) && descriptor != raw::AT_FDCWD {
        return call.thread.process.files.get(descriptor).map(Target::Open);
    }
    let from = start(call, descriptor, path)?;
    context(call).walk(from.as_ref(), path, how, &credentials(call))
}

/// The file that the path at argument `index` means, from the working directory on.
pub(super) fn named(call: &Call<'_>, index: usize, how: How) -> Result<Target, Errno> {
    target(call, raw::AT_FDCWD, &path(call, index)?, how)
}

/// The file that the first two arguments mean: a descriptor, and a path that may be empty where
/// `how` admits that.
pub(super) fn named_at(call: &Call<'_>, how: How) -> Result<Target, Errno> {
    target(call, call.int(0), &maybe_empty_path(call, 1, how)?, how)
}

/// Walks to the directory that a path's last name lies in.
pub(super) fn last_name(
    call: &Call<'_>,
    descriptor: i32,
    path: &[u8],
    otherwise: Errno,
) -> Result<Last, Errno> {
    let from = start(call, descriptor, path)?;
    let end =
        context(call).with_walker(from.as_ref(), How::NO_FOLLOW, &credentials(call), |w| {
            w.end(path)
        })?;
    match end {
        End::Name(last) => Ok(last),
        End::Place(..) | End::Open(_) => Err(otherwise),
    }
}

/// `AT_SYMLINK_NOFOLLOW` and `AT_EMPTY_PATH` as ways to walk; other flags than `allowed` are
/// refused.
pub(super) fn at_flags(flags: u32, allowed: u32) -> Result<How, Errno> {
    if flags & !allowed != 0 {
        return Err(Errno::EINVAL);
    }
    let mut how = How::empty();
    how.set(How::NO_FOLLOW, flags & raw::AT_SYMLINK_NOFOLLOW != 0);
    how.set(How::EMPTY, flags & raw::AT_EMPTY_PATH != 0);
    Ok(how)
}

/// Attributes of a target.
pub(super) fn attributes(target: &Target) -> Result<Attributes, Errno> {
    match target {
        Target::Found(_, attributes) => Ok(*attributes),
        Target::Open(handle) => handle.attributes(),
    }
}

/// Changes attributes of a target.
pub(super) fn change(target: &Target, changes: &Changes) -> Result<(), Errno> {
    match target {
        Target::Open(handle) if handle.kind() == Kind::Path => {
            let at = handle.file().location().ok_or(Errno::EBADF)?;
            at.mount.writable()?;
            at.fs().change(at.id(), changes)
        }
        Target::Open(handle) => {
            if let Some(at) = handle.file().location() {
                at.mount.writable()?;
            }
            handle.ops().change(handle, changes)
        }
        Target::Found(at, _) => {
            at.mount.writable()?;
            at.fs().change(at.id(), changes)
        }
    }
}

/// The place of a target, for what goes by nodes.
pub(super) fn place(target: Target) -> Result<Location, Errno> {
    match target {
        Target::Found(at, _) => Ok(at),
        Target::Open(handle) => handle.file().location().cloned().ok_or(Errno::EOPNOTSUPP),
    }
}

/// A call that was interrupted before it did anything starts again where the signal's action
/// allows it.
pub(super) fn restartable<T>(outcome: Result<T, Errno>) -> Result<T, Errno> {
    outcome.map_err(|e| if e == Errno::EINTR { Errno::RESTART } else { e })
}
