//! Files of the host.

use super::{From, HostFd, Into, blocking, call, counted};
use crate::{Errno, user::UserSlice};
use core::ffi::CStr;
use core::mem::{MaybeUninit, size_of};
use linux_raw_sys::general as raw;

/// An open file description's status, as the host tells it; to be checked before use.
pub type Statx = raw::statx;

fn empty() -> &'static CStr {
    c""
}

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

/// Duplicates `fd` to the lowest free number of at least `least`.
///
/// # Errors
/// `EMFILE`.
pub fn duplicate(fd: HostFd, least: i32) -> Result<HostFd, Errno> {
    let args = [fd.arg(), raw::F_DUPFD as usize, least as usize, 0, 0, 0];
    // SAFETY: no pointers.
    HostFd::from_return(unsafe { call(raw::__NR_fcntl, args) }?)
}

/// Reads at the file's position.
///
/// # Errors
/// What the host said; `EINTR` on an interrupt.
pub fn read(fd: HostFd, into: Into<'_>) -> Result<usize, Errno> {
    let (address, len) = into.parts();
    // SAFETY: the buffer is ours or the program's and as long as said.
    counted(
        unsafe { blocking(raw::__NR_read, [fd.arg(), address, len, 0, 0, 0]) },
        len,
    )
}

/// Writes at the file's position.
///
/// # Errors
/// What the host said; `EINTR` on an interrupt.
pub fn write(fd: HostFd, from: From<'_>) -> Result<usize, Errno> {
    let (address, len) = from.parts();
    // SAFETY: the buffer is readable and as long as said.
    counted(
        unsafe { blocking(raw::__NR_write, [fd.arg(), address, len, 0, 0, 0]) },
        len,
    )
}

/// Reads at `offset`.
///
/// # Errors
/// What the host said.
pub fn read_at(fd: HostFd, into: Into<'_>, offset: i64) -> Result<usize, Errno> {
    let (address, len) = into.parts();
    let args = [fd.arg(), address, len, offset as usize, 0, 0];
    // SAFETY: the buffer is ours or the program's and as long as said.
    counted(unsafe { blocking(raw::__NR_pread64, args) }, len)
}

/// Writes at `offset`.
///
/// # Errors
/// What the host said.
pub fn write_at(fd: HostFd, from: From<'_>, offset: i64) -> Result<usize, Errno> {
    let (address, len) = from.parts();
    let args = [fd.arg(), address, len, offset as usize, 0, 0];
    // SAFETY: the buffer is readable and as long as said.
    counted(unsafe { blocking(raw::__NR_pwrite64, args) }, len)
}

/// A scatter/gather list over the program's memory, checked range by range.
pub struct UserVector {
    entries: alloc::vec::Vec<raw::iovec>,
    total: usize,
}

impl UserVector {
    /// Most entries of a list (Linux `UIO_MAXIOV`).
    pub const MAX: usize = 1024;

    /// Copies in and checks the list of `count` entries at `address`.
    ///
    /// # Errors
    /// `EINVAL` for too many entries or a total over `isize::MAX`, `EFAULT` for ranges that are not
    /// the program's.
    pub fn read(address: usize, count: usize) -> Result<Self, Errno> {
        let entries: alloc::vec::Vec<raw::iovec> =
            crate::user::get_many(address, count, Self::MAX)?;
        let mut total = 0usize;
        for entry in &entries {
            let len = entry.iov_len as usize;
            UserSlice::new(entry.iov_base as usize, len)?;
            total = total
                .checked_add(len)
                .filter(|t| isize::try_from(*t).is_ok())
                .ok_or(Errno::EINVAL)?;
        }
        Ok(Self { entries, total })
    }

    /// Bytes of all ranges together.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.total
    }

    /// The ranges in order.
    pub fn slices(&self) -> impl Iterator<Item = UserSlice> + '_ {
        self.entries
            .iter()
            .filter_map(|e| UserSlice::new(e.iov_base as usize, e.iov_len as usize).ok())
    }

    pub(crate) fn address(&self) -> usize {
        self.entries.as_ptr() as usize
    }

    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }
}

/// preadv2(2); an `offset` of -1 means the file's position.
///
/// # Errors
/// What the host said.
pub fn read_vectored(
    fd: HostFd,
    into: &UserVector,
    offset: i64,
    flags: u32,
) -> Result<usize, Errno> {
    let args = [
        fd.arg(),
        into.address(),
        into.count(),
        offset as usize,
        0,
        flags as usize,
    ];
    // SAFETY: the list is the kernel's copy, its ranges are the program's.
    counted(unsafe { blocking(raw::__NR_preadv2, args) }, into.total)
}

/// pwritev2(2); an `offset` of -1 means the file's position.
///
/// # Errors
/// What the host said.
pub fn write_vectored(
    fd: HostFd,
    from: &UserVector,
    offset: i64,
    flags: u32,
) -> Result<usize, Errno> {
    let args = [
        fd.arg(),
        from.address(),
        from.count(),
        offset as usize,
        0,
        flags as usize,
    ];
    // SAFETY: the list is the kernel's copy, its ranges are the program's.
    counted(unsafe { blocking(raw::__NR_pwritev2, args) }, from.total)
}

/// Moves the file's position (lseek(2), with its `SEEK_*`).
///
/// # Errors
/// What the host said.
pub fn seek(fd: HostFd, offset: i64, whence: u32) -> Result<u64, Errno> {
    let args = [fd.arg(), offset as usize, whence as usize, 0, 0, 0];
    // SAFETY: no pointers.
    unsafe { call(raw::__NR_lseek, args) }.map(|v| v as u64)
}

/// Status of an open file.
///
/// # Errors
/// What the host said.
pub fn status(fd: HostFd, mask: u32) -> Result<Statx, Errno> {
    let mut value = MaybeUninit::<Statx>::zeroed();
    let args = [
        fd.arg(),
        empty().as_ptr() as usize,
        raw::AT_EMPTY_PATH as usize,
        mask as usize,
        value.as_mut_ptr() as usize,
        0,
    ];
    // SAFETY: the structure is ours and large enough.
    unsafe { call(raw::__NR_statx, args) }?;
    // SAFETY: it was zeroed, and integers may hold anything.
    Ok(unsafe { value.assume_init() })
}

/// Status of the entry `name` of `directory`, not following a symbolic link.
///
/// # Errors
/// What the host said.
pub fn status_at(directory: HostFd, name: &CStr, mask: u32) -> Result<Statx, Errno> {
    let mut value = MaybeUninit::<Statx>::zeroed();
    let args = [
        directory.arg(),
        name.as_ptr() as usize,
        raw::AT_SYMLINK_NOFOLLOW as usize,
        mask as usize,
        value.as_mut_ptr() as usize,
        0,
    ];
    // SAFETY: name and structure outlive the call.
    unsafe { call(raw::__NR_statx, args) }?;
    // SAFETY: it was zeroed, and integers may hold anything.
    Ok(unsafe { value.assume_init() })
}

/// Raw directory entries (getdents64(2)) of an open directory; the caller parses them as hostile.
///
/// # Errors
/// What the host said.
pub fn directory_entries(fd: HostFd, into: &mut [u8]) -> Result<usize, Errno> {
    let args = [fd.arg(), into.as_mut_ptr() as usize, into.len(), 0, 0, 0];
    // SAFETY: the buffer is ours.
    counted(unsafe { call(raw::__NR_getdents64, args) }, into.len())
}

/// Target of the symbolic link `name` in `directory` (of `directory` itself where `name` is empty).
///
/// # Errors
/// What the host said.
pub fn read_link(directory: HostFd, name: &CStr, into: &mut [u8]) -> Result<usize, Errno> {
    let args = [
        directory.arg(),
        name.as_ptr() as usize,
        into.as_mut_ptr() as usize,
        into.len(),
        0,
        0,
    ];
    // SAFETY: name and buffer outlive the call.
    counted(unsafe { call(raw::__NR_readlinkat, args) }, into.len())
}

/// fsync(2), or fdatasync(2) where `data_only`.
///
/// # Errors
/// What the host said.
pub fn sync(fd: HostFd, data_only: bool) -> Result<(), Errno> {
    let number = if data_only {
        raw::__NR_fdatasync
    } else {
        raw::__NR_fsync
    };
    // SAFETY: no pointers.
    unsafe { call(number, [fd.arg(), 0, 0, 0, 0, 0]) }.map(drop)
}

/// sync_file_range(2).
///
/// # Errors
/// What the host said.
pub fn sync_range(fd: HostFd, offset: i64, len: i64, flags: u32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    unsafe {
        call(
            raw::__NR_sync_file_range,
            [
                fd.arg(),
                offset as usize,
                len as usize,
                flags as usize,
                0,
                0,
            ],
        )
    }
    .map(drop)
}

/// ftruncate(2).
///
/// # Errors
/// What the host said.
pub fn truncate(fd: HostFd, len: i64) -> Result<(), Errno> {
    // SAFETY: no pointers; Rust code holds no references into host files.
    unsafe { call(raw::__NR_ftruncate, [fd.arg(), len as usize, 0, 0, 0, 0]) }.map(drop)
}

/// fallocate(2).
///
/// # Errors
/// What the host said.
pub fn allocate(fd: HostFd, mode: u32, offset: i64, len: i64) -> Result<(), Errno> {
    let args = [fd.arg(), mode as usize, offset as usize, len as usize, 0, 0];
    // SAFETY: no pointers.
    unsafe { blocking(raw::__NR_fallocate, args) }.map(drop)
}

/// posix_fadvise(2).
///
/// # Errors
/// What the host said.
pub fn advise(fd: HostFd, offset: i64, len: i64, advice: u32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    unsafe {
        call(
            raw::__NR_fadvise64,
            [
                fd.arg(),
                offset as usize,
                len as usize,
                advice as usize,
                0,
                0,
            ],
        )
    }
    .map(drop)
}

/// flock(2).
///
/// # Errors
/// `EWOULDBLOCK`, `EINTR`, and what else the host said.
pub fn lock(fd: HostFd, operation: u32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    unsafe { blocking(raw::__NR_flock, [fd.arg(), operation as usize, 0, 0, 0, 0]) }.map(drop)
}

/// A record lock (fcntl(2)): `command` is one of the `F_*LK*`; returns the structure as changed.
///
/// # Errors
/// What the host said.
pub fn record_lock(fd: HostFd, command: u32, lock: raw::flock) -> Result<raw::flock, Errno> {
    let mut lock = lock;
    let args = [
        fd.arg(),
        command as usize,
        core::ptr::from_mut(&mut lock) as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the structure is ours.
    unsafe { blocking(raw::__NR_fcntl, args) }.map(|_| lock)
}

/// fcntl(2) with an integer argument.
///
/// # Errors
/// What the host said.
pub fn control(fd: HostFd, command: u32, argument: usize) -> Result<usize, Errno> {
    // SAFETY: the commands that the kernel passes here take integers.
    unsafe {
        call(
            raw::__NR_fcntl,
            [fd.arg(), command as usize, argument, 0, 0, 0],
        )
    }
}

/// mkdirat(2).
///
/// # Errors
/// What the host said.
pub fn make_directory(directory: HostFd, name: &CStr, mode: u32) -> Result<(), Errno> {
    let args = [
        directory.arg(),
        name.as_ptr() as usize,
        mode as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the name outlives the call.
    unsafe { call(raw::__NR_mkdirat, args) }.map(drop)
}

/// mknodat(2): FIFOs and sockets only; devices are refused by the caller.
///
/// # Errors
/// What the host said.
pub fn make_node(directory: HostFd, name: &CStr, mode: u32) -> Result<(), Errno> {
    let args = [
        directory.arg(),
        name.as_ptr() as usize,
        mode as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the name outlives the call.
    unsafe { call(raw::__NR_mknodat, args) }.map(drop)
}

/// unlinkat(2); `flags` is 0 or `AT_REMOVEDIR`.
///
/// # Errors
/// What the host said.
pub fn unlink(directory: HostFd, name: &CStr, flags: u32) -> Result<(), Errno> {
    let args = [
        directory.arg(),
        name.as_ptr() as usize,
        flags as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the name outlives the call.
    unsafe { call(raw::__NR_unlinkat, args) }.map(drop)
}

/// renameat2(2).
///
/// # Errors
/// What the host said.
pub fn rename(
    from: HostFd,
    name: &CStr,
    to: HostFd,
    new_name: &CStr,
    flags: u32,
) -> Result<(), Errno> {
    let args = [
        from.arg(),
        name.as_ptr() as usize,
        to.arg(),
        new_name.as_ptr() as usize,
        flags as usize,
        0,
    ];
    // SAFETY: the names outlive the call.
    unsafe { call(raw::__NR_renameat2, args) }.map(drop)
}

/// linkat(2) without following symbolic links.
///
/// # Errors
/// What the host said.
pub fn link(from: HostFd, name: &CStr, to: HostFd, new_name: &CStr) -> Result<(), Errno> {
    let args = [
        from.arg(),
        name.as_ptr() as usize,
        to.arg(),
        new_name.as_ptr() as usize,
        0,
        0,
    ];
    // SAFETY: the names outlive the call.
    unsafe { call(raw::__NR_linkat, args) }.map(drop)
}

/// symlinkat(2).
///
/// # Errors
/// What the host said.
pub fn symlink(target: &CStr, directory: HostFd, name: &CStr) -> Result<(), Errno> {
    let args = [
        target.as_ptr() as usize,
        directory.arg(),
        name.as_ptr() as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the strings outlive the call.
    unsafe { call(raw::__NR_symlinkat, args) }.map(drop)
}

/// fchmod(2).
///
/// # Errors
/// What the host said.
pub fn change_mode(fd: HostFd, mode: u32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    unsafe { call(raw::__NR_fchmod, [fd.arg(), mode as usize, 0, 0, 0, 0]) }.map(drop)
}

/// utimensat(2) on an open file; times as (seconds, nanoseconds) with `UTIME_NOW`/`UTIME_OMIT`.
///
/// # Errors
/// What the host said.
pub fn set_times(fd: HostFd, times: &[super::time::Timespec; 2]) -> Result<(), Errno> {
    let args = [fd.arg(), 0, times.as_ptr() as usize, 0, 0, 0];
    // SAFETY: the times outlive the call; a null path means the descriptor itself.
    unsafe { call(raw::__NR_utimensat, args) }.map(drop)
}

/// utimensat(2) on the entry `name` of `directory`, not following a symbolic link.
///
/// # Errors
/// What the host said.
pub fn set_times_at(
    directory: HostFd,
    name: &CStr,
    times: &[super::time::Timespec; 2],
) -> Result<(), Errno> {
    let flags = raw::AT_SYMLINK_NOFOLLOW as usize;
    let args = [
        directory.arg(),
        name.as_ptr() as usize,
        times.as_ptr() as usize,
        flags,
        0,
        0,
    ];
    // SAFETY: name and times outlive the call.
    unsafe { call(raw::__NR_utimensat, args) }.map(drop)
}

/// fstatfs(2).
///
/// # Errors
/// What the host said.
pub fn file_system_status(fd: HostFd) -> Result<raw::statfs, Errno> {
    let mut value = MaybeUninit::<raw::statfs>::zeroed();
    // SAFETY: the structure is ours and large enough.
    unsafe {
        call(
            raw::__NR_fstatfs,
            [fd.arg(), value.as_mut_ptr() as usize, 0, 0, 0, 0],
        )
    }?;
    // SAFETY: it was zeroed, and integers may hold anything.
    Ok(unsafe { value.assume_init() })
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
    Ok((HostFd(reader), HostFd(writer)))
}

/// Copies between two host files inside the host (copy_file_range(2)); offsets of `None` mean the
/// files' positions.
///
/// # Errors
/// What the host said.
pub fn copy_range(
    from: HostFd,
    from_offset: Option<&mut i64>,
    to: HostFd,
    to_offset: Option<&mut i64>,
    len: usize,
) -> Result<usize, Errno> {
    let pointer = |p: Option<&mut i64>| p.map_or(0, |r| core::ptr::from_mut(r) as usize);
    let args = [
        from.arg(),
        pointer(from_offset),
        to.arg(),
        pointer(to_offset),
        len,
        0,
    ];
    // SAFETY: the offsets outlive the call.
    counted(unsafe { blocking(raw::__NR_copy_file_range, args) }, len)
}

/// sendfile(2) between two host descriptors.
///
/// # Errors
/// What the host said.
pub fn send_file(
    to: HostFd,
    from: HostFd,
    offset: Option<&mut i64>,
    len: usize,
) -> Result<usize, Errno> {
    let pointer = offset.map_or(0, |r| core::ptr::from_mut(r) as usize);
    // SAFETY: the offset outlives the call.
    counted(
        unsafe {
            blocking(
                raw::__NR_sendfile,
                [to.arg(), from.arg(), pointer, len, 0, 0],
            )
        },
        len,
    )
}

/// ioctl(2) whose argument is an integer or an address that the caller checked to be the
/// program's, for requests that the kernel knows the meaning of.
///
/// # Errors
/// What the host said.
pub fn ioctl(fd: HostFd, request: u32, argument: IoctlArgument<'_>) -> Result<usize, Errno> {
    let value = match argument {
        IoctlArgument::Value(v) => v,
        IoctlArgument::Bytes(b) => b.as_mut_ptr() as usize,
    };
    // SAFETY: a buffer is ours and of the size that the request (checked by the caller) implies.
    unsafe {
        blocking(
            raw::__NR_ioctl,
            [fd.arg(), request as usize, value, 0, 0, 0],
        )
    }
}

/// Argument of [`ioctl`].
pub enum IoctlArgument<'a> {
    /// An integer.
    Value(usize),
    /// A buffer of at least the size that the request's encoding says.
    Bytes(&'a mut [u8]),
}
