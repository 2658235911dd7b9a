//! Making and ending processes and threads, and executing programs.

use super::{Argument::*, Call, Outcome, Row, subject};
use crate::fs::walk::How;
use crate::signal::Signal;
use crate::task::{ExitStatus, Thread, clone, exec, exit as ending};
use alloc::vec::Vec;
use bannock_platform::{Errno, user};
use core::mem::size_of;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(raw::__NR_fork, "fork", &[], fork),
    Row::emulated(raw::__NR_vfork, "vfork", &[], vfork),
    Row::emulated(raw::__NR_clone, "clone", &[Flags, Pointer, Pointer, Pointer, Pointer], clone_call)
        .with_notes("threads as libraries make them, processes that share nothing, and CLONE_VM with CLONE_VFORK; namespaces EPERM; others EINVAL"),
    Row::emulated(raw::__NR_clone3, "clone3", &[Pointer, Size], clone3)
        .with_notes("as clone; set_tid and cgroup EINVAL"),
    Row::emulated(raw::__NR_execve, "execve", &[Path, Pointer, Pointer], execve)
        .with_notes("set-user-ID and set-group-ID bits have no effect"),
    Row::emulated(raw::__NR_execveat, "execveat", &[Fd, Path, Pointer, Pointer, Flags], execveat),
    Row::emulated(raw::__NR_exit, "exit", &[Int], exit),
    Row::emulated(raw::__NR_exit_group, "exit_group", &[Int], exit_group),
];

/// Longest argument list, as a guard for the kernel's memory; the program's stack sets the real
/// limit.
const MAX_STRINGS: usize = 1 << 16;
const MAX_STRING: usize = 32 * 4096;
const MAX_TOTAL: usize = 6 << 20;
/// Largest `clone_args` (clone(2): `PAGE_SIZE`).
const MAX_CLONE_ARGS: usize = 4096;

fn fork(call: &Call<'_>) -> Outcome {
    made(
        call,
        &clone::Request {
            exit_signal: Signal::CHLD.number(),
            ..clone::Request::default()
        },
    )
}

fn vfork(call: &Call<'_>) -> Outcome {
    let flags = u64::from(raw::CLONE_VM | raw::CLONE_VFORK);
    made(
        call,
        &clone::Request {
            flags,
            exit_signal: Signal::CHLD.number(),
            ..clone::Request::default()
        },
    )
}

fn made(call: &Call<'_>, request: &clone::Request) -> Outcome {
    clone::clone(call.thread, call.registers, request).map(|id| id as usize)
}

fn clone_call(call: &Call<'_>) -> Outcome {
    let flags = u64::from(call.uint(0));
    made(
        call,
        &clone::Request {
            flags: flags & !0xff,
            pidfd: call.word(2),
            stack: call.word(1),
            parent_tid: call.word(2),
            child_tid: call.word(3),
            tls: call.word(4),
            exit_signal: (flags & 0xff) as i32,
        },
    )
}

fn clone3(call: &Call<'_>) -> Outcome {
    let size = call.word(1);
    if size < raw::CLONE_ARGS_SIZE_VER0 as usize {
        return Err(Errno::EINVAL);
    }
    if size > MAX_CLONE_ARGS {
        return Err(Errno::E2BIG);
    }
    let bytes = user::UserSlice::new(call.word(0), size)?.to_vec(MAX_CLONE_ARGS)?;
    let mut fields = [0u64; 11];
    let known = size_of::<u64>() * fields.len();
    if bytes
        .get(known..)
        .is_some_and(|rest| rest.iter().any(|b| *b != 0))
    {
        return Err(Errno::E2BIG);
    }
    for (field, word) in fields.iter_mut().zip(bytes.chunks(size_of::<u64>())) {
        let mut whole = [0; size_of::<u64>()];
        for (to, from) in whole.iter_mut().zip(word) {
            *to = *from;
        }
        *field = u64::from_le_bytes(whole);
    }
    let [
        flags,
        pidfd,
        child_tid,
        parent_tid,
        exit_signal,
        stack,
        stack_size,
        tls,
        set_tid,
        set_tid_size,
        cgroup,
    ] = fields;
    let legacy = flags & 0xff != 0 || flags & u64::from(raw::CLONE_DETACHED) != 0;
    if legacy
        || exit_signal > u64::from(Signal::MAX)
        || set_tid != 0
        || set_tid_size != 0
        || cgroup != 0
    {
        return Err(Errno::EINVAL);
    }
    if (stack == 0) != (stack_size == 0) {
        return Err(Errno::EINVAL);
    }
    let top = stack.checked_add(stack_size).ok_or(Errno::EINVAL)?;
    let request = clone::Request {
        flags,
        pidfd: pidfd as usize,
        stack: top as usize,
        parent_tid: parent_tid as usize,
        child_tid: child_tid as usize,
        tls: tls as usize,
        exit_signal: exit_signal as i32,
    };
    made(call, &request)
}

/// Reads a null-terminated array of strings.
fn strings(array: usize, total: &mut usize) -> Result<Vec<Vec<u8>>, Errno> {
    let mut strings = Vec::new();
    let mut at = array;
    if array == 0 {
        // As Linux: no array is an empty one.
        return Ok(strings);
    }
    loop {
        let pointer: usize = user::get(at)?;
        if pointer == 0 {
            return Ok(strings);
        }
        let string = user::get_string(pointer, MAX_STRING).map_err(|e| match e {
            Errno::ENAMETOOLONG => Errno::E2BIG,
            other => other,
        })?;
        *total = total.saturating_add(string.len() + 1 + size_of::<usize>());
        if *total > MAX_TOTAL || strings.len() >= MAX_STRINGS {
            return Err(Errno::E2BIG);
        }
        strings.push(string);
        at = at.checked_add(size_of::<usize>()).ok_or(Errno::EFAULT)?;
    }
}

fn execute(
    call: &Call<'_>,
    directory: i32,
    path: Vec<u8>,
    arrays: [usize; 2],
    how: How,
) -> Outcome {
    let mut total = 0;
    let [arguments, environment] = arrays;
    let arguments = strings(arguments, &mut total)?;
    let environment = strings(environment, &mut total)?;
    let shown = if directory == raw::AT_FDCWD || path.first() == Some(&b'/') {
        path.clone()
    } else if path.is_empty() {
        alloc::format!("/dev/fd/{directory}").into_bytes()
    } else {
        let mut name = alloc::format!("/dev/fd/{directory}/").into_bytes();
        name.extend_from_slice(&path);
        name
    };
    let start = subject::start(call, directory, &path)?;
    let request = exec::Request {
        start,
        path,
        how,
        shown,
        arguments,
        environment,
    };
    exec::prepare(call.thread, request).map(|()| 0)
}

fn execve(call: &Call<'_>) -> Outcome {
    let path = subject::path(call, 0)?;
    execute(
        call,
        raw::AT_FDCWD,
        path,
        [call.word(1), call.word(2)],
        How::empty(),
    )
}

fn execveat(call: &Call<'_>) -> Outcome {
    let flags = call.uint(4);
    if flags & !(raw::AT_EMPTY_PATH | raw::AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut how = How::empty();
    how.set(How::EMPTY, flags & raw::AT_EMPTY_PATH != 0);
    how.set(How::NO_FOLLOW, flags & raw::AT_SYMLINK_NOFOLLOW != 0);
    let path = subject::path(call, 1)?;
    execute(call, call.int(0), path, [call.word(2), call.word(3)], how)
}

fn exit(call: &Call<'_>) -> Outcome {
    call.thread.exit_code.store(call.int(0), Ordering::Relaxed);
    call.thread.attend(Thread::EXIT);
    Ok(0)
}

fn exit_group(call: &Call<'_>) -> Outcome {
    ending::begin(&call.thread.process, ExitStatus::Exited(call.int(0) as u8));
    Ok(0)
}
