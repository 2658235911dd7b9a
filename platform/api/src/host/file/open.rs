//! Where descriptors of files come from, and how they end.

use super::super::{HostFd, blocking, call};
use crate::Errno;
use core::ffi::CStr;
use core::mem::size_of;
use linux_raw_sys::general as raw;

/// Opens `path` below `directory` without leaving it and without following any symbolic link:
/// `RESOLVE_BENEATH`, `RESOLVE_NO_SYMLINKS` and `RESOLVE_NO_MAGICLINKS` (openat2(2)).
///
/// # Errors
/// `ELOOP` when a component is a symbolic link, `EXDEV` when the path would leave the directory,
/// and what the host says otherwise.
pub fn open_beneath(
    directory: HostFd,
    path: &CStr,
    flags: u32,
    mode: u32,
) -> Result<HostFd, Errno> {
    let path = if path.is_empty() { c"." } else { path };
    let how = raw::open_how {
        flags: u64::from(flags | raw::O_CLOEXEC),
        mode: u64::from(mode),
        resolve: u64::from(
            raw::RESOLVE_BENEATH | raw::RESOLVE_NO_SYMLINKS | raw::RESOLVE_NO_MAGICLINKS,
        ),
    };
    // CLOEXEC is cleared again: what survives an exec is the kernel's decision.
    let how = raw::open_how {
        flags: how.flags & !u64::from(raw::O_CLOEXEC),
        ..how
    };
    let args = [
        directory.arg(),
        path.as_ptr() as usize,
        core::ptr::from_ref(&how) as usize,
        size_of::<raw::open_how>(),
        0,
        0,
    ];
    // Only an existing FIFO makes an opener wait; nothing else may end with `EINTR`.
    let never_waits = raw::O_PATH | raw::O_DIRECTORY | raw::O_NONBLOCK | raw::O_EXCL;
    let opened = if flags & never_waits == 0 {
        // SAFETY: path and structure outlive the call, which only reads them.
        unsafe { blocking(raw::__NR_openat2, args) }
    } else {
        // SAFETY: as above.
        unsafe { call(raw::__NR_openat2, args) }
    };
    HostFd::from_return(opened?)
}

/// Opens an absolute host path that the runtime itself chose (mount sources, manifests).
///
/// # Errors
/// What the host said.
pub fn open_absolute(path: &CStr, flags: u32) -> Result<HostFd, Errno> {
    let args = [
        raw::AT_FDCWD as isize as usize,
        path.as_ptr() as usize,
        flags as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the path outlives the call.
    HostFd::from_return(unsafe { call(raw::__NR_openat, args) }?)
}

/// A pipe: (read end, write end).
///
/// # Errors
/// What the host said.
pub fn pipe(flags: u32) -> Result<(HostFd, HostFd), Errno> {
    let mut ends = [-1i32; 2];
    // SAFETY: the array is ours.
    unsafe {
        call(
            raw::__NR_pipe2,
            [ends.as_mut_ptr() as usize, flags as usize, 0, 0, 0, 0],
        )
    }?;
    let [reader, writer] = ends;
    if reader < 0 || writer < 0 {
        return Err(Errno::EIO);
    }
    Ok((HostFd::inherited(reader), HostFd::inherited(writer)))
}

/// Duplicates `fd` to the lowest free number of at least `least`.
///
/// # Errors
/// `EMFILE`.
pub fn duplicate(fd: HostFd, least: i32) -> Result<HostFd, Errno> {
    let args = [fd.arg(), raw::F_DUPFD as usize, least as usize, 0, 0, 0];
    // SAFETY: no pointers.
    HostFd::from_return(unsafe { call(raw::__NR_fcntl, args) }?)
}

/// Closes `fd`; the number may be reused at once.
pub fn close(fd: HostFd) {
    // SAFETY: no pointers. Errors are about data written earlier, which fsync reports.
    let _ = unsafe { call(raw::__NR_close, [fd.arg(), 0, 0, 0, 0, 0]) };
}

/// Closes all descriptors from `first` on, except those in `keep` (ascending): after an exec,
/// what other threads had opened in the meantime.
pub fn close_others(first: i32, keep: &[i32]) {
    let mut from = first;
    let close = |from: i32, to: u32| {
        // SAFETY: no pointers; nothing of ours is in the range.
        let _ = unsafe {
            call(
                raw::__NR_close_range,
                [from as usize, to as usize, 0, 0, 0, 0],
            )
        };
    };
    for fd in keep.iter().copied().filter(|fd| *fd >= first) {
        if from < fd {
            close(from, (fd - 1) as u32);
        }
        from = fd.saturating_add(1);
    }
    close(from, u32::MAX);
}
