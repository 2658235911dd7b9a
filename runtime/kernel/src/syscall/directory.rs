//! Names: directories, links, renaming, the working directory.

use super::subject::{self, context, credentials, handle, last_name};
use super::{Argument::*, Call, Outcome, Row};
use crate::fs::filesystem::{NewFile, NewKind, RenameMode};
use crate::fs::walk::{How, Last, Target};
use crate::fs::{Attributes, Credentials, FileType, Location, RecordFormat};
use alloc::sync::Arc;
use bannock_platform::{Errno, user::UserSlice};
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(
        raw::__NR_getdents,
        "getdents",
        &[Fd, Pointer, Size],
        getdents,
    ),
    Row::emulated(
        raw::__NR_getdents64,
        "getdents64",
        &[Fd, Pointer, Size],
        getdents64,
    ),
    Row::emulated(raw::__NR_getcwd, "getcwd", &[Pointer, Size], getcwd),
    Row::emulated(raw::__NR_chdir, "chdir", &[Path], chdir),
    Row::emulated(raw::__NR_fchdir, "fchdir", &[Fd], fchdir),
    Row::emulated(raw::__NR_chroot, "chroot", &[Path], chroot),
    Row::emulated(raw::__NR_mkdir, "mkdir", &[Path, Int], mkdir),
    Row::emulated(raw::__NR_mkdirat, "mkdirat", &[Fd, Path, Int], mkdirat),
    Row::emulated(raw::__NR_rmdir, "rmdir", &[Path], rmdir),
    Row::emulated(raw::__NR_unlink, "unlink", &[Path], unlink),
    Row::emulated(raw::__NR_unlinkat, "unlinkat", &[Fd, Path, Flags], unlinkat),
    Row::emulated(raw::__NR_rename, "rename", &[Path, Path], rename).with_notes(PINNED),
    Row::emulated(
        raw::__NR_renameat,
        "renameat",
        &[Fd, Path, Fd, Path],
        renameat,
    )
    .with_notes(PINNED),
    Row::emulated(
        raw::__NR_renameat2,
        "renameat2",
        &[Fd, Path, Fd, Path, Flags],
        renameat2,
    )
    .with_notes(
        "RENAME_NOREPLACE, RENAME_EXCHANGE; directories that hold mount points answer EBUSY",
    ),
    Row::emulated(raw::__NR_link, "link", &[Path, Path], link),
    Row::emulated(
        raw::__NR_linkat,
        "linkat",
        &[Fd, Path, Fd, Path, Flags],
        linkat,
    )
    .with_notes("AT_EMPTY_PATH answers ENOENT"),
    Row::emulated(raw::__NR_symlink, "symlink", &[Path, Path], symlink),
    Row::emulated(
        raw::__NR_symlinkat,
        "symlinkat",
        &[Path, Fd, Path],
        symlinkat,
    ),
    Row::emulated(
        raw::__NR_readlink,
        "readlink",
        &[Path, Pointer, Size],
        readlink,
    ),
    Row::emulated(
        raw::__NR_readlinkat,
        "readlinkat",
        &[Fd, Path, Pointer, Size],
        readlinkat,
    ),
    Row::emulated(raw::__NR_mknod, "mknod", &[Path, Int, Size], mknod).with_notes(NODES),
    Row::emulated(
        raw::__NR_mknodat,
        "mknodat",
        &[Fd, Path, Int, Size],
        mknodat,
    )
    .with_notes(NODES),
];

const PINNED: &str = "directories that hold mount points answer EBUSY";
const NODES: &str = "regular files, FIFOs and sockets; devices answer EPERM";

fn list(call: &Call<'_>, format: RecordFormat) -> Outcome {
    handle(call, 0)?.list(UserSlice::new(call.word(1), call.uint(2) as usize)?, format)
}

fn getdents(call: &Call<'_>) -> Outcome {
    list(call, RecordFormat::Old)
}

fn getdents64(call: &Call<'_>) -> Outcome {
    list(call, RecordFormat::New)
}

fn getcwd(call: &Call<'_>) -> Outcome {
    let context = context(call);
    let mut path = context.path(&context.cwd())?;
    path.push(0);
    if path.len() > call.word(1) {
        return Err(Errno::ERANGE);
    }
    UserSlice::new(call.word(0), path.len())?.write(&path)?;
    Ok(path.len())
}

fn directory_at(call: &Call<'_>) -> Result<Location, Errno> {
    match subject::named(call, 0, How::empty())? {
        Target::Found(at, _) => Ok(at),
        Target::Open(file) => file.file().location().cloned().ok_or(Errno::ENOTDIR),
    }
}

fn chdir(call: &Call<'_>) -> Outcome {
    context(call).set_cwd(directory_at(call)?, &credentials(call))?;
    Ok(0)
}

fn fchdir(call: &Call<'_>) -> Outcome {
    let file = call.thread.process.files.get(call.int(0))?;
    let at = file.file().location().cloned().ok_or(Errno::ENOTDIR)?;
    context(call).set_cwd(at, &credentials(call))?;
    Ok(0)
}

fn chroot(call: &Call<'_>) -> Outcome {
    context(call).set_root(directory_at(call)?, &credentials(call))?;
    Ok(0)
}

/// Checks that names in the directory of `last` may be changed.
fn changeable(last: &Last, credentials: &Credentials) -> Result<(), Errno> {
    last.directory.mount.writable()?;
    last.directory_attributes.check(
        credentials,
        crate::fs::attributes::W_OK | crate::fs::attributes::X_OK,
    )
}

/// Whether `name` exists; makers answer `EEXIST` before `EROFS` and `EACCES`.
fn exists(call: &Call<'_>, last: &Last) -> bool {
    context(call)
        .mounts()
        .child(&last.directory, &last.name)
        .is_ok()
}

fn make(call: &Call<'_>, last: &Last, kind: NewKind<'_>, mode: u32) -> Outcome {
    if exists(call, last) {
        return Err(Errno::EEXIST);
    }
    if last.trailing_slash && kind != NewKind::Directory {
        return Err(Errno::ENOENT);
    }
    let credentials = credentials(call);
    changeable(last, &credentials)?;
    let inherits = last.directory_attributes.mode & raw::S_ISGID != 0;
    let gid = if inherits {
        last.directory_attributes.gid
    } else {
        credentials.gid
    };
    let mode = match kind {
        NewKind::Symlink(_) => 0o777,
        NewKind::Directory => {
            (mode & 0o1777 & !context(call).umask()) | if inherits { raw::S_ISGID } else { 0 }
        }
        _ => mode & 0o7777 & !context(call).umask(),
    };
    let new = NewFile {
        kind,
        mode,
        uid: credentials.uid,
        gid,
    };
    last.directory
        .fs()
        .make(last.directory.id(), &last.name, &new)?;
    Ok(0)
}

fn make_directory(call: &Call<'_>, directory: i32, path_index: usize, mode: u32) -> Outcome {
    let last = last_name(
        call,
        directory,
        &subject::path(call, path_index)?,
        Errno::EEXIST,
    )?;
    make(call, &last, NewKind::Directory, mode)
}

fn mkdir(call: &Call<'_>) -> Outcome {
    make_directory(call, raw::AT_FDCWD, 0, call.uint(1))
}

fn mkdirat(call: &Call<'_>) -> Outcome {
    make_directory(call, call.int(0), 1, call.uint(2))
}

fn make_node(call: &Call<'_>, directory: i32, path_index: usize, mode: u32) -> Outcome {
    let kind = match mode & raw::S_IFMT {
        0 | raw::S_IFREG => NewKind::Regular,
        raw::S_IFIFO => NewKind::Fifo,
        raw::S_IFSOCK => NewKind::Socket,
        raw::S_IFCHR | raw::S_IFBLK | raw::S_IFDIR => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    let last = last_name(
        call,
        directory,
        &subject::path(call, path_index)?,
        Errno::EEXIST,
    )?;
    make(call, &last, kind, mode)
}

fn mknod(call: &Call<'_>) -> Outcome {
    make_node(call, raw::AT_FDCWD, 0, call.uint(1))
}

fn mknodat(call: &Call<'_>) -> Outcome {
    make_node(call, call.int(0), 1, call.uint(2))
}

/// Checks the sticky bit: who may take a name from a directory that everybody may write to.
fn may_take(
    directory: &Attributes,
    file: &Attributes,
    credentials: &Credentials,
) -> Result<(), Errno> {
    let sticky = directory.mode & raw::S_ISVTX != 0;
    if sticky
        && credentials.uid != 0
        && credentials.uid != file.uid
        && credentials.uid != directory.uid
    {
        return Err(Errno::EPERM);
    }
    Ok(())
}

fn remove(call: &Call<'_>, directory: i32, path_index: usize, directory_wanted: bool) -> Outcome {
    let path = subject::path(call, path_index)?;
    let otherwise = if !directory_wanted {
        Errno::EISDIR
    } else if path.split(|b| *b == b'/').rfind(|c| !c.is_empty()) == Some(b".") {
        Errno::EINVAL
    } else if path.split(|b| *b == b'/').rfind(|c| !c.is_empty()) == Some(b"..") {
        Errno::ENOTEMPTY
    } else {
        Errno::EBUSY
    };
    let last = last_name(call, directory, &path, otherwise)?;
    let (at, attributes) = context(call).mounts().child(&last.directory, &last.name)?;
    let credentials = credentials(call);
    changeable(&last, &credentials)?;
    may_take(&last.directory_attributes, &attributes, &credentials)?;
    if last.trailing_slash && attributes.kind != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    if at.is_pinned() {
        return Err(match (directory_wanted, attributes.kind) {
            (false, FileType::Directory) => Errno::EISDIR,
            (true, FileType::Directory) | (false, _) => Errno::EBUSY,
            (true, _) => Errno::ENOTDIR,
        });
    }
    last.directory
        .fs()
        .remove(last.directory.id(), &last.name, directory_wanted)?;
    Ok(0)
}

fn rmdir(call: &Call<'_>) -> Outcome {
    remove(call, raw::AT_FDCWD, 0, true)
}

fn unlink(call: &Call<'_>) -> Outcome {
    remove(call, raw::AT_FDCWD, 0, false)
}

fn unlinkat(call: &Call<'_>) -> Outcome {
    let flags = call.uint(2);
    if flags & !raw::AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    remove(call, call.int(0), 1, flags & raw::AT_REMOVEDIR != 0)
}

fn renamed(call: &Call<'_>, from: (i32, usize), to: (i32, usize), flags: u32) -> Outcome {
    let mode = match flags {
        0 => RenameMode::Replace,
        raw::RENAME_NOREPLACE => RenameMode::NoReplace,
        raw::RENAME_EXCHANGE => RenameMode::Exchange,
        _ => return Err(Errno::EINVAL),
    };
    let old = last_name(call, from.0, &subject::path(call, from.1)?, Errno::EBUSY)?;
    let otherwise = if mode == RenameMode::NoReplace {
        Errno::EEXIST
    } else {
        Errno::EBUSY
    };
    let new = last_name(call, to.0, &subject::path(call, to.1)?, otherwise)?;
    if !Arc::ptr_eq(&old.directory.mount, &new.directory.mount) {
        return Err(Errno::EXDEV);
    }
    let mounts = context(call).mounts();
    let credentials = credentials(call);
    let (at, attributes) = mounts.child(&old.directory, &old.name)?;
    let target = mounts.child(&new.directory, &new.name).ok();
    if target.is_some() && mode == RenameMode::NoReplace {
        return Err(Errno::EEXIST);
    }
    for last in [&old, &new] {
        changeable(last, &credentials)?;
    }
    may_take(&old.directory_attributes, &attributes, &credentials)?;
    if let Some((_, replaced)) = &target {
        may_take(&new.directory_attributes, replaced, &credentials)?;
    }
    if at.is_pinned() || target.as_ref().is_some_and(|(t, _)| t.is_pinned()) {
        return Err(Errno::EBUSY);
    }
    if (old.trailing_slash || new.trailing_slash) && attributes.kind != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    old.directory.fs().rename(
        old.directory.id(),
        &old.name,
        new.directory.id(),
        &new.name,
        mode,
    )?;
    Ok(0)
}

fn rename(call: &Call<'_>) -> Outcome {
    renamed(call, (raw::AT_FDCWD, 0), (raw::AT_FDCWD, 1), 0)
}

fn renameat(call: &Call<'_>) -> Outcome {
    renamed(call, (call.int(0), 1), (call.int(2), 3), 0)
}

fn renameat2(call: &Call<'_>) -> Outcome {
    renamed(call, (call.int(0), 1), (call.int(2), 3), call.uint(4))
}

fn linked(call: &Call<'_>, from: (i32, usize), to: (i32, usize), how: How) -> Outcome {
    let target = subject::target(call, from.0, &subject::path(call, from.1)?, how)?;
    let attributes = subject::attributes(&target)?;
    let source = subject::place(target)?;
    let last = last_name(call, to.0, &subject::path(call, to.1)?, Errno::EEXIST)?;
    if exists(call, &last) {
        return Err(Errno::EEXIST);
    }
    if !Arc::ptr_eq(&source.mount, &last.directory.mount) {
        return Err(Errno::EXDEV);
    }
    if attributes.kind == FileType::Directory {
        return Err(Errno::EPERM);
    }
    if last.trailing_slash {
        return Err(Errno::ENOENT);
    }
    changeable(&last, &credentials(call))?;
    source
        .fs()
        .link(source.id(), last.directory.id(), &last.name)?;
    Ok(0)
}

fn link(call: &Call<'_>) -> Outcome {
    linked(call, (raw::AT_FDCWD, 0), (raw::AT_FDCWD, 1), How::NO_FOLLOW)
}

fn linkat(call: &Call<'_>) -> Outcome {
    let flags = call.uint(4);
    if flags & !(raw::AT_SYMLINK_FOLLOW | raw::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & raw::AT_EMPTY_PATH != 0 {
        return Err(Errno::ENOENT);
    }
    let how = if flags & raw::AT_SYMLINK_FOLLOW != 0 {
        How::empty()
    } else {
        How::NO_FOLLOW
    };
    linked(call, (call.int(0), 1), (call.int(2), 3), how)
}

fn make_link(call: &Call<'_>, target_index: usize, directory: i32, path_index: usize) -> Outcome {
    let target = subject::path(call, target_index)?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let last = last_name(
        call,
        directory,
        &subject::path(call, path_index)?,
        Errno::EEXIST,
    )?;
    make(call, &last, NewKind::Symlink(&target), 0o777)
}

fn symlink(call: &Call<'_>) -> Outcome {
    make_link(call, 0, raw::AT_FDCWD, 1)
}

fn symlinkat(call: &Call<'_>) -> Outcome {
    make_link(call, 0, call.int(1), 2)
}

fn read_link(call: &Call<'_>, directory: i32, path_index: usize) -> Outcome {
    let size = call.int(path_index + 2);
    if size <= 0 {
        return Err(Errno::EINVAL);
    }
    let path = subject::path(call, path_index)?;
    let how = if directory == raw::AT_FDCWD {
        How::NO_FOLLOW
    } else {
        How::NO_FOLLOW | How::EMPTY
    };
    let at = subject::place(subject::target(call, directory, &path, how)?)?;
    let text = at.fs().read_link(at.id())?;
    let count = text.len().min(size as usize);
    UserSlice::new(call.word(path_index + 1), count)?
        .write(text.get(..count).unwrap_or_default())?;
    Ok(count)
}

fn readlink(call: &Call<'_>) -> Outcome {
    read_link(call, raw::AT_FDCWD, 0)
}

fn readlinkat(call: &Call<'_>) -> Outcome {
    read_link(call, call.int(0), 1)
}
