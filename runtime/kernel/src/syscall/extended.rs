//! Extended attributes, files without a name, and what answers that it is not there.

use super::subject::{self, context, handle, install};
use super::{Argument::*, Call, Outcome, Row};
use crate::fs::filesystem::{Node, SetMode};
use crate::fs::walk::How;
use crate::fs::{Handle, Kind, Location, filesystem::NewFile, filesystem::NewKind};
use bannock_platform::{Errno, user, user::UserSlice};
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(
        raw::__NR_getxattr,
        "getxattr",
        &[Path, Path, Pointer, Size],
        getxattr,
    )
    .with_notes(NOTE),
    Row::emulated(
        raw::__NR_lgetxattr,
        "lgetxattr",
        &[Path, Path, Pointer, Size],
        lgetxattr,
    )
    .with_notes(NOTE),
    Row::emulated(
        raw::__NR_fgetxattr,
        "fgetxattr",
        &[Fd, Path, Pointer, Size],
        fgetxattr,
    )
    .with_notes(NOTE),
    Row::emulated(
        raw::__NR_setxattr,
        "setxattr",
        &[Path, Path, Pointer, Size, Flags],
        setxattr,
    )
    .with_notes(NOTE),
    Row::emulated(
        raw::__NR_lsetxattr,
        "lsetxattr",
        &[Path, Path, Pointer, Size, Flags],
        lsetxattr,
    )
    .with_notes(NOTE),
    Row::emulated(
        raw::__NR_fsetxattr,
        "fsetxattr",
        &[Fd, Path, Pointer, Size, Flags],
        fsetxattr,
    )
    .with_notes(NOTE),
    Row::emulated(
        raw::__NR_listxattr,
        "listxattr",
        &[Path, Pointer, Size],
        listxattr,
    ),
    Row::emulated(
        raw::__NR_llistxattr,
        "llistxattr",
        &[Path, Pointer, Size],
        llistxattr,
    ),
    Row::emulated(
        raw::__NR_flistxattr,
        "flistxattr",
        &[Fd, Pointer, Size],
        flistxattr,
    ),
    Row::emulated(
        raw::__NR_removexattr,
        "removexattr",
        &[Path, Path],
        removexattr,
    )
    .with_notes(NOTE),
    Row::emulated(
        raw::__NR_lremovexattr,
        "lremovexattr",
        &[Path, Path],
        lremovexattr,
    )
    .with_notes(NOTE),
    Row::emulated(
        raw::__NR_fremovexattr,
        "fremovexattr",
        &[Fd, Path],
        fremovexattr,
    )
    .with_notes(NOTE),
    Row::emulated(
        raw::__NR_memfd_create,
        "memfd_create",
        &[Path, Flags],
        memfd_create,
    )
    .with_notes(
        "MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_EXEC, MFD_NOEXEC_SEAL; MFD_HUGETLB answers EINVAL",
    ),
    Row::emulated(
        raw::__NR_name_to_handle_at,
        "name_to_handle_at",
        &[Fd, Path, Pointer, Pointer, Flags],
        unsupported,
    )
    .with_notes("answers EOPNOTSUPP"),
    Row::refused(
        raw::__NR_open_by_handle_at,
        "open_by_handle_at",
        "files are found by the kernel's own walk only",
    ),
    Row::absent(
        raw::__NR_inotify_init,
        "inotify_init",
        "no change notification",
    ),
    Row::absent(
        raw::__NR_inotify_init1,
        "inotify_init1",
        "no change notification",
    ),
    Row::absent(
        raw::__NR_inotify_add_watch,
        "inotify_add_watch",
        "no change notification",
    ),
    Row::absent(
        raw::__NR_inotify_rm_watch,
        "inotify_rm_watch",
        "no change notification",
    ),
];

const NOTE: &str = "names that start with `user.`, on files in memory; EOPNOTSUPP elsewhere";

#[derive(Clone, Copy)]
enum By {
    Path,
    LinkPath,
    Descriptor,
}

fn place(call: &Call<'_>, by: By) -> Result<Location, Errno> {
    let how = match by {
        By::Descriptor => {
            return handle(call, 0)?
                .file()
                .location()
                .cloned()
                .ok_or(Errno::EOPNOTSUPP);
        }
        By::Path => How::empty(),
        By::LinkPath => How::NO_FOLLOW,
    };
    subject::place(subject::target(
        call,
        raw::AT_FDCWD,
        &subject::path(call, 0)?,
        how,
    )?)
}

fn name(call: &Call<'_>) -> Result<alloc::vec::Vec<u8>, Errno> {
    let limit = raw::XATTR_NAME_MAX as usize;
    let name = user::get_string(call.word(1), limit).map_err(|e| {
        if e == Errno::ENAMETOOLONG {
            Errno::ERANGE
        } else {
            e
        }
    })?;
    if name.is_empty() {
        Err(Errno::ERANGE)
    } else {
        Ok(name)
    }
}

/// Gives out `bytes`, or only their length where there is no room asked for.
fn give(address: usize, size: usize, bytes: &[u8]) -> Outcome {
    if size != 0 {
        if bytes.len() > size {
            return Err(Errno::ERANGE);
        }
        UserSlice::new(address, bytes.len())?.write(bytes)?;
    }
    Ok(bytes.len())
}

fn get(call: &Call<'_>, by: By) -> Outcome {
    let at = place(call, by)?;
    at.attributes()?
        .check(&subject::credentials(call), crate::fs::attributes::R_OK)?;
    give(
        call.word(2),
        call.word(3),
        &at.fs().attribute(at.id(), &name(call)?)?,
    )
}

fn set(call: &Call<'_>, by: By) -> Outcome {
    let mode = match call.uint(4) {
        0 => SetMode::Any,
        raw::XATTR_CREATE => SetMode::Create,
        raw::XATTR_REPLACE => SetMode::Replace,
        _ => return Err(Errno::EINVAL),
    };
    let value = UserSlice::new(call.word(2), call.word(3))?.to_vec(raw::XATTR_SIZE_MAX as usize)?;
    let (at, name) = (place(call, by)?, name(call)?);
    at.mount.writable()?;
    at.attributes()?
        .check(&subject::credentials(call), crate::fs::attributes::W_OK)?;
    at.fs().set_attribute(at.id(), &name, &value, mode)?;
    Ok(0)
}

fn list(call: &Call<'_>, by: By) -> Outcome {
    let at = place(call, by)?;
    let mut all = alloc::vec::Vec::new();
    for name in at.fs().attribute_names(at.id())? {
        all.extend_from_slice(&name);
        all.push(0);
    }
    give(call.word(1), call.word(2), &all)
}

fn remove(call: &Call<'_>, by: By) -> Outcome {
    let (at, name) = (place(call, by)?, name(call)?);
    at.mount.writable()?;
    at.attributes()?
        .check(&subject::credentials(call), crate::fs::attributes::W_OK)?;
    at.fs().remove_attribute(at.id(), &name)?;
    Ok(0)
}

fn getxattr(call: &Call<'_>) -> Outcome {
    get(call, By::Path)
}

fn lgetxattr(call: &Call<'_>) -> Outcome {
    get(call, By::LinkPath)
}

fn fgetxattr(call: &Call<'_>) -> Outcome {
    get(call, By::Descriptor)
}

fn setxattr(call: &Call<'_>) -> Outcome {
    set(call, By::Path)
}

fn lsetxattr(call: &Call<'_>) -> Outcome {
    set(call, By::LinkPath)
}

fn fsetxattr(call: &Call<'_>) -> Outcome {
    set(call, By::Descriptor)
}

fn listxattr(call: &Call<'_>) -> Outcome {
    list(call, By::Path)
}

fn llistxattr(call: &Call<'_>) -> Outcome {
    list(call, By::LinkPath)
}

fn flistxattr(call: &Call<'_>) -> Outcome {
    list(call, By::Descriptor)
}

fn removexattr(call: &Call<'_>) -> Outcome {
    remove(call, By::Path)
}

fn lremovexattr(call: &Call<'_>) -> Outcome {
    remove(call, By::LinkPath)
}

fn fremovexattr(call: &Call<'_>) -> Outcome {
    remove(call, By::Descriptor)
}

fn memfd_create(call: &Call<'_>) -> Outcome {
    const NAME_LIMIT: usize = 249;
    let flags = call.uint(1);
    let known = raw::MFD_CLOEXEC | raw::MFD_ALLOW_SEALING | raw::MFD_EXEC | raw::MFD_NOEXEC_SEAL;
    if flags & !known != 0
        || flags & (raw::MFD_EXEC | raw::MFD_NOEXEC_SEAL) == raw::MFD_EXEC | raw::MFD_NOEXEC_SEAL
    {
        return Err(Errno::EINVAL);
    }
    let name = user::get_string(call.word(0), NAME_LIMIT).map_err(|e| {
        if e == Errno::ENAMETOOLONG {
            Errno::EINVAL
        } else {
            e
        }
    })?;
    let sealable = flags & (raw::MFD_ALLOW_SEALING | raw::MFD_NOEXEC_SEAL) != 0;
    let mode = if flags & raw::MFD_NOEXEC_SEAL != 0 {
        0o666
    } else {
        0o777
    };
    let credentials = subject::credentials(call);
    let new = NewFile {
        kind: NewKind::Regular,
        mode,
        uid: credentials.uid,
        gid: credentials.gid,
    };
    let mount = context(call).mounts().unnamed();
    let (id, opened) = mount.create(&new, sealable)?;
    let node = Node::adopt(alloc::sync::Arc::clone(&mount.mount().fs), id);
    let shown = [b"/memfd:", &*name, b" (deleted)"].concat();
    let handle = Handle::opened(
        opened,
        raw::O_RDWR,
        Location::unnamed(mount.mount(), node),
        shown.into(),
    );
    debug_assert!(handle.kind() == Kind::Regular);
    install(call, handle, flags & raw::MFD_CLOEXEC != 0)
}

fn unsupported(_: &Call<'_>) -> Outcome {
    Err(Errno::EOPNOTSUPP)
}
