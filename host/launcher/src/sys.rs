//! System calls without a safe wrapper that is fit for a process made of a thread of another one.
//!
//! glibc's wrappers of some (setresuid, for one) signal the other threads of the process, which do
//! not exist in a child of clone3(2). These go to the kernel directly and allocate nothing.

use rustix::io::Errno;
use std::ffi::{c_int, c_long, c_ulong};

/// Result of a raw system call.
fn result(value: c_long) -> Result<c_long, Errno> {
    if value >= 0 {
        return Ok(value);
    }
    // SAFETY: `__errno_location` returns a valid pointer to this thread's errno, always.
    Err(Errno::from_raw_os_error(unsafe {
        *libc::__errno_location()
    }))
}

/// `struct clone_args` of `linux/sched.h`, version 2 (Linux 5.7).
#[repr(C)]
#[derive(Default)]
pub(crate) struct CloneArgs {
    pub(crate) flags: u64,
    pub(crate) pidfd: u64,
    pub(crate) child_tid: u64,
    pub(crate) parent_tid: u64,
    pub(crate) exit_signal: u64,
    pub(crate) stack: u64,
    pub(crate) stack_size: u64,
    pub(crate) tls: u64,
    pub(crate) set_tid: u64,
    pub(crate) set_tid_size: u64,
    pub(crate) cgroup: u64,
}

/// clone3(2) without a new stack: returns twice, 0 in the child.
///
/// # Safety
/// `args` shares no memory with the child (no `CLONE_VM`), and its pointers are valid. The child
/// runs alone with a copy of memory in which other threads may have held locks: it must neither
/// allocate nor take a lock, and must end in execve or `_exit`.
pub(crate) unsafe fn clone3(args: &CloneArgs) -> Result<c_long, Errno> {
    // SAFETY: the pointer and the size describe `args`; the rest is the caller's promise.
    result(unsafe {
        libc::syscall(
            libc::SYS_clone3,
            std::ptr::from_ref(args),
            size_of::<CloneArgs>(),
        )
    })
}

/// Ends this process at once, running nothing that is registered for its end.
pub(crate) fn exit_now(code: c_int) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}

/// setns(2).
pub(crate) fn setns(fd: c_int, kind: c_int) -> Result<(), Errno> {
    // SAFETY: takes integers only.
    result(unsafe { libc::syscall(libc::SYS_setns, fd, kind) }).map(drop)
}

/// unshare(2) of the user namespace.
pub(crate) fn unshare_user() -> Result<(), Errno> {
    // SAFETY: takes integers only.
    result(unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_NEWUSER) }).map(drop)
}

/// Drops all supplementary groups of this thread.
pub(crate) fn drop_groups() -> Result<(), Errno> {
    // SAFETY: no list is passed.
    result(unsafe { libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<u32>()) }).map(drop)
}

/// Sets all group and user ids of this thread.
pub(crate) fn set_ids(uid: u32, gid: u32) -> Result<(), Errno> {
    // SAFETY: takes integers only.
    result(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: takes integers only.
    result(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// prctl(2) with integer arguments; only for options that take no pointer.
fn prctl(option: c_int, argument: c_ulong) -> Result<(), Errno> {
    let zero: c_ulong = 0;
    // SAFETY: the callers below use options whose arguments are integers.
    result(unsafe { libc::syscall(libc::SYS_prctl, option, argument, zero, zero, zero) }).map(drop)
}

/// `PR_SET_DUMPABLE` 0.
pub(crate) fn set_not_dumpable() -> Result<(), Errno> {
    prctl(libc::PR_SET_DUMPABLE, 0)
}

/// `PR_SET_NO_NEW_PRIVS`.
pub(crate) fn set_no_new_privileges() -> Result<(), Errno> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

/// Makes user id 0 an id like any other (`SECBIT_NOROOT`, locked).
pub(crate) fn set_no_root() -> Result<(), Errno> {
    const NOROOT: c_ulong = 1;
    const NOROOT_LOCKED: c_ulong = 2;
    prctl(libc::PR_SET_SECUREBITS, NOROOT | NOROOT_LOCKED)
}

/// Empties the bounding set of capabilities.
pub(crate) fn drop_bounding_set() -> Result<(), Errno> {
    for capability in 0..64 {
        match prctl(libc::PR_CAPBSET_DROP, capability) {
            Ok(()) => {}
            // The first number that the kernel does not know ends the list.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gives up all capabilities of this thread: permitted, effective and inheritable.
pub(crate) fn drop_capabilities() -> Result<(), Errno> {
    /// `_LINUX_CAPABILITY_VERSION_3`.
    const VERSION: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION, 0];
    let data = [0u32; 6];
    // SAFETY: header and data have the layout of version 3: {version, pid} and two triples.
    result(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) }).map(drop)
}

/// Leaves the launcher's session keyring for a new, empty one.
pub(crate) fn new_session_keyring() -> Result<(), Errno> {
    const JOIN_SESSION_KEYRING: c_int = 1;
    // SAFETY: no name is passed.
    let joined = result(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            JOIN_SESSION_KEYRING,
            std::ptr::null::<u8>(),
        )
    });
    match joined {
        // No keyrings in this kernel, or a filter that refuses them to the instance as well.
        Err(Errno::NOSYS | Errno::PERM) => Ok(()),
        other => other.map(drop),
    }
}

/// Sets the limit on core files to zero.
pub(crate) fn no_core_files() -> Result<(), Errno> {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `none` lives through the call; no old limit is asked for.
    result(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            libc::RLIMIT_CORE,
            std::ptr::from_ref(&none),
            std::ptr::null::<libc::rlimit>(),
        )
    })
    .map(drop)
}

/// setsid(2), umask(2) and chdir(2) to the root.
pub(crate) fn settle() -> Result<(), Errno> {
    // SAFETY: no arguments.
    result(unsafe { libc::syscall(libc::SYS_setsid) })?;
    // SAFETY: an integer.
    result(unsafe { libc::syscall(libc::SYS_umask, 0o022) })?;
    // SAFETY: a NUL-terminated constant.
    result(unsafe { libc::syscall(libc::SYS_chdir, c"/".as_ptr()) }).map(drop)
}

/// A copy of `fd` above all numbers that the instance uses, closed on execve.
pub(crate) fn dup_high(fd: c_int) -> Result<c_int, Errno> {
    const FIRST: c_int = 16;
    // SAFETY: takes integers only.
    let copy = result(unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, FIRST) })?;
    // A descriptor always fits.
    c_int::try_from(copy).map_err(|_| Errno::BADF)
}

/// Makes `target` a copy of `fd` that stays open over execve; the two differ.
pub(crate) fn dup_to(fd: c_int, target: c_int) -> Result<(), Errno> {
    // SAFETY: takes integers only. What `target` was is of no use to this process any more.
    result(unsafe { libc::syscall(libc::SYS_dup3, fd, target, 0) }).map(drop)
}

/// Marks all descriptors from `first` on to be closed on execve.
pub(crate) fn close_on_exec_from(first: c_int) -> Result<(), Errno> {
    // SAFETY: takes integers only.
    result(unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    })
    .map(drop)
}

/// `struct sigaction` of the x86-64 kernel, not glibc's.
#[repr(C)]
struct KernelSigaction {
    handler: usize,
    flags: c_ulong,
    restorer: usize,
    mask: u64,
}

/// Gives every signal its default disposition.
pub(crate) fn default_signals() -> Result<(), Errno> {
    let default = KernelSigaction {
        handler: libc::SIG_DFL,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    for signal in 1..=64 {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        // SAFETY: `default` has the kernel's layout and lives through the call.
        result(unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                std::ptr::from_ref(&default),
                std::ptr::null::<KernelSigaction>(),
                size_of::<u64>(),
            )
        })?;
    }
    Ok(())
}

/// Sets this thread's signal mask and returns what it was.
pub(crate) fn set_signal_mask(mask: u64) -> Result<u64, Errno> {
    let mut old = 0u64;
    // SAFETY: both masks are the kernel's 64 bits and live through the call.
    result(unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            std::ptr::from_ref(&mask),
            std::ptr::from_mut(&mut old),
            size_of::<u64>(),
        )
    })?;
    Ok(old)
}

/// execveat(2) of the file that `fd` is; returns only if it fails.
///
/// # Safety
/// `argv` and `envp` point to NULL-terminated arrays of NUL-terminated strings.
pub(crate) unsafe fn execute(
    fd: c_int,
    argv: *const *const std::ffi::c_char,
    envp: *const *const std::ffi::c_char,
) -> Errno {
    // SAFETY: the path is a constant; the arrays are the caller's promise.
    let failed = result(unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd,
            c"".as_ptr(),
            argv,
            envp,
            libc::AT_EMPTY_PATH,
        )
    });
    failed.err().unwrap_or(Errno::IO)
}

/// read(2).
pub(crate) fn read(fd: c_int, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: pointer and length are those of `buffer`.
    let count =
        result(unsafe { libc::syscall(libc::SYS_read, fd, buffer.as_mut_ptr(), buffer.len()) })?;
    usize::try_from(count).map_err(|_| Errno::IO)
}

/// write(2).
pub(crate) fn write(fd: c_int, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: pointer and length are those of `bytes`.
    let count = result(unsafe { libc::syscall(libc::SYS_write, fd, bytes.as_ptr(), bytes.len()) })?;
    usize::try_from(count).map_err(|_| Errno::IO)
}

/// Opens an existing file for reading.
pub(crate) fn open(path: &std::ffi::CStr) -> Result<c_int, Errno> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the path is NUL-terminated.
    let fd = result(unsafe {
        libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0)
    })?;
    c_int::try_from(fd).map_err(|_| Errno::BADF)
}
