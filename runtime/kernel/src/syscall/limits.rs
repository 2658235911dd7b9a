//! Resource limits and use.

use super::{Argument::*, Call, Outcome, Row};
use crate::task::{Process, Usage};
use alloc::sync::Arc;
use bannock_platform::{Errno, host, user};
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(raw::__NR_getrlimit, "getrlimit", &[Int, Pointer], getrlimit),
    Row::emulated(raw::__NR_setrlimit, "setrlimit", &[Int, Pointer], setrlimit)
        .with_notes("RLIMIT_NOFILE, STACK, AS, DATA, MEMLOCK and SIGPENDING take effect; others are kept for show"),
    Row::emulated(raw::__NR_prlimit64, "prlimit64", &[Int, Int, Pointer, Pointer], prlimit64)
        .with_notes("as setrlimit"),
    Row::emulated(raw::__NR_getrusage, "getrusage", &[Int, Pointer], getrusage),
    Row::emulated(raw::__NR_times, "times", &[Pointer], times),
];

fn set(call: &Call<'_>, target: &Process, resource: u32, value: [u64; 2]) -> Result<(), Errno> {
    target
        .limits
        .set(resource, value, call.thread.process.is_privileged())?;
    target
        .space()
        .set_limits(target.limits.memory(target.is_privileged()));
    Ok(())
}

fn getrlimit(call: &Call<'_>) -> Outcome {
    user::put(call.word(1), &call.thread.process.limits.get(call.uint(0))?).map(|()| 0)
}

fn setrlimit(call: &Call<'_>) -> Outcome {
    let value = user::get(call.word(1))?;
    set(call, &call.thread.process, call.uint(0), value).map(|()| 0)
}

fn prlimit64(call: &Call<'_>) -> Outcome {
    let own = &call.thread.process;
    let target: Arc<Process> = match call.int(0) {
        0 => Arc::clone(own),
        id => own.container.process(id).ok_or(Errno::ESRCH)?,
    };
    // One lock at a time: two processes may do this to each other.
    let mine = own.ids.lock().user;
    let theirs = target.ids.lock().user;
    if target.id != own.id && !own.is_privileged() && mine != theirs {
        return Err(Errno::EPERM);
    }
    let old = target.limits.get(call.uint(1))?;
    if call.word(2) != 0 {
        set(call, &target, call.uint(1), user::get(call.word(2))?)?;
    }
    user::put_if(call.word(3), &old).map(|()| 0)
}

fn getrusage(call: &Call<'_>) -> Outcome {
    let usage = match call.int(0) {
        0 => Usage::of_caller(raw::RUSAGE_SELF as i32),
        1 => Usage::of_caller(raw::RUSAGE_THREAD as i32),
        raw::RUSAGE_CHILDREN => call.thread.process.children_usage(),
        _ => return Err(Errno::EINVAL),
    };
    user::put(call.word(1), usage.words()).map(|()| 0)
}

fn times(call: &Call<'_>) -> Outcome {
    let (ticks, [user_time, system, ..]) = host::process::times()?;
    let [children_user, children_system] = call.thread.process.children_usage().ticks();
    user::put_if(
        call.word(0),
        &[user_time, system, children_user, children_system],
    )?;
    Ok(ticks)
}
