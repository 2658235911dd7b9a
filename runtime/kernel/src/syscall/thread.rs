//! Properties of threads: ids, names, thread-local storage, scheduling.

use super::{Argument::*, Call, Outcome, Row};
use crate::signal::Signal;
use crate::task::Process;
use alloc::sync::Arc;
use bannock_platform::{Errno, host, host::time::Timespec, platform, user};
use core::sync::atomic::Ordering;
use linux_raw_sys::{general as raw, prctl as pr};

pub(super) const ROWS: &[Row] = &[
    Row::emulated(raw::__NR_gettid, "gettid", &[], gettid),
    Row::emulated(raw::__NR_set_tid_address, "set_tid_address", &[Pointer], set_tid_address),
    Row::emulated(raw::__NR_arch_prctl, "arch_prctl", &[Int, Pointer], arch_prctl)
        .with_notes("the FS base; GS is the runtime's own; shadow stacks are not offered"),
    Row::emulated(raw::__NR_prctl, "prctl", &[Int, Size, Size, Size, Size], prctl)
        .with_notes("names, death signal, dumpable, keep-caps, no-new-privileges, subreaper, timer slack, bounding set, names of memory; others EINVAL"),
    Row::emulated(raw::__NR_sched_yield, "sched_yield", &[], sched_yield),
    Row::emulated(raw::__NR_sched_getaffinity, "sched_getaffinity", &[Int, Size, Pointer], sched_getaffinity)
        .with_notes("of the caller, whichever thread is named"),
    Row::emulated(raw::__NR_sched_setaffinity, "sched_setaffinity", &[Int, Size, Pointer], sched_setaffinity)
        .with_notes("of the caller; other threads EPERM"),
    Row::emulated(raw::__NR_sched_getscheduler, "sched_getscheduler", &[Int], sched_getscheduler),
    Row::emulated(raw::__NR_sched_setscheduler, "sched_setscheduler", &[Int, Int, Pointer], sched_setscheduler)
        .with_notes("SCHED_OTHER only; others EPERM"),
    Row::emulated(raw::__NR_sched_getparam, "sched_getparam", &[Int, Pointer], sched_getparam),
    Row::emulated(raw::__NR_sched_setparam, "sched_setparam", &[Int, Pointer], sched_setparam),
    Row::emulated(raw::__NR_sched_get_priority_max, "sched_get_priority_max", &[Int], |call| priority(call, 99)),
    Row::emulated(raw::__NR_sched_get_priority_min, "sched_get_priority_min", &[Int], |call| priority(call, 1)),
    Row::emulated(raw::__NR_sched_rr_get_interval, "sched_rr_get_interval", &[Int, Pointer], sched_rr_get_interval),
    Row::emulated(raw::__NR_getcpu, "getcpu", &[Pointer, Pointer, Pointer], getcpu),
    Row::emulated(raw::__NR_getpriority, "getpriority", &[Int, Int], getpriority),
    Row::emulated(raw::__NR_setpriority, "setpriority", &[Int, Int, Int], setpriority)
        .with_notes("kept for show; the host schedules"),
];

/// Largest affinity mask in bytes that is taken (8192 processors).
const MAX_MASK: usize = 1024;

const ARCH_SET_GS: u32 = 0x1001;
const ARCH_SET_FS: u32 = 0x1002;
const ARCH_GET_FS: u32 = 0x1003;
const ARCH_GET_GS: u32 = 0x1004;

fn gettid(call: &Call<'_>) -> Outcome {
    Ok(call.thread.id as usize)
}

fn set_tid_address(call: &Call<'_>) -> Outcome {
    call.thread
        .clear_child_tid
        .store(call.word(0), Ordering::Relaxed);
    gettid(call)
}

fn arch_prctl(call: &Call<'_>) -> Outcome {
    match call.uint(0) {
        ARCH_SET_FS => {
            let base = call.word(1);
            if base >= platform().layout().user_end {
                return Err(Errno::EPERM);
            }
            platform().set_fs_base(base);
            Ok(0)
        }
        ARCH_GET_FS => user::put(call.word(1), &platform().fs_base()).map(|()| 0),
        ARCH_SET_GS => Err(Errno::EPERM),
        ARCH_GET_GS => user::put(call.word(1), &0usize).map(|()| 0),
        _ => Err(Errno::EINVAL),
    }
}

fn prctl(call: &Call<'_>) -> Outcome {
    let process = &call.thread.process;
    let value = call.word(1);
    let get = |value: i32| user::put(call.word(1), &value).map(|()| 0);
    match call.uint(0) {
        pr::PR_SET_NAME => {
            let name = match user::get_string(value, 15) {
                Err(Errno::ENAMETOOLONG) => user::get::<[u8; 15]>(value)?.to_vec(),
                other => other?,
            };
            call.thread.set_name(&name);
            Ok(0)
        }
        pr::PR_GET_NAME => user::put(value, &call.thread.name()).map(|()| 0),
        pr::PR_SET_PDEATHSIG => {
            let signal = Signal::optional(call.int(1))?;
            process
                .parent_death_signal
                .store(signal.map_or(0, Signal::number), Ordering::Relaxed);
            Ok(0)
        }
        pr::PR_GET_PDEATHSIG => get(process.parent_death_signal.load(Ordering::Relaxed)),
        pr::PR_SET_DUMPABLE if value <= 1 => {
            process.dumpable.store(value as i32, Ordering::Relaxed);
            Ok(0)
        }
        pr::PR_GET_DUMPABLE => Ok(process.dumpable.load(Ordering::Relaxed) as usize),
        // Capabilities go with user 0, whom setuid leaves without any: nothing is kept.
        pr::PR_SET_KEEPCAPS if value == 0 => Ok(0),
        pr::PR_GET_KEEPCAPS => Ok(0),
        pr::PR_SET_NO_NEW_PRIVS if value == 1 => {
            process.no_new_privileges.store(true, Ordering::Relaxed);
            Ok(0)
        }
        pr::PR_GET_NO_NEW_PRIVS => Ok(usize::from(
            process.no_new_privileges.load(Ordering::Relaxed),
        )),
        pr::PR_SET_CHILD_SUBREAPER => {
            process.subreaper.store(value != 0, Ordering::Relaxed);
            Ok(0)
        }
        pr::PR_GET_CHILD_SUBREAPER => get(i32::from(process.subreaper.load(Ordering::Relaxed))),
        // A hint to the host's scheduler at most; the default is 50 µs.
        pr::PR_SET_TIMERSLACK => Ok(0),
        pr::PR_GET_TIMERSLACK => Ok(50_000),
        pr::PR_CAPBSET_READ if value <= super::identity::LAST_CAPABILITY => Ok(1),
        // Names of anonymous memory are shown nowhere.
        pr::PR_SET_VMA if value == pr::PR_SET_VMA_ANON_NAME as usize => Ok(0),
        pr::PR_GET_SECCOMP => Ok(0),
        pr::PR_GET_SECUREBITS => Ok(0),
        pr::PR_SET_THP_DISABLE if call.args[2..5] == [0; 3] => {
            host::process::disable_huge_pages(value != 0).map(|()| 0)
        }
        pr::PR_GET_THP_DISABLE if call.args[1..5] == [0; 4] => {
            host::process::huge_pages_disabled().map(usize::from)
        }
        _ => Err(Errno::EINVAL),
    }
}

fn sched_yield(_: &Call<'_>) -> Outcome {
    host::process::yield_now();
    Ok(0)
}

/// Checks that a thread exists; 0 is the caller. Whether it is the caller.
fn names_caller(call: &Call<'_>, id: i32) -> Result<bool, Errno> {
    if id < 0 {
        return Err(Errno::EINVAL);
    }
    if id == 0 || id == call.thread.id {
        return Ok(true);
    }
    call.thread
        .process
        .container
        .thread(id)
        .map(|_| false)
        .ok_or(Errno::ESRCH)
}

fn sched_getaffinity(call: &Call<'_>) -> Outcome {
    names_caller(call, call.int(0))?;
    let size = call.word(1);
    if !size.is_multiple_of(8) || size == 0 {
        return Err(Errno::EINVAL);
    }
    let mut mask = alloc::vec![0; size.min(MAX_MASK)];
    let len = host::process::affinity(&mut mask)?;
    let filled = mask.get(..len).ok_or(Errno::EINVAL)?;
    user::UserSlice::new(call.word(2), len)?.write(filled)?;
    Ok(len)
}

fn sched_setaffinity(call: &Call<'_>) -> Outcome {
    if !names_caller(call, call.int(0))? {
        return Err(Errno::EPERM);
    }
    let len = call.word(1).min(MAX_MASK);
    let mask = user::UserSlice::new(call.word(2), len)?.to_vec(MAX_MASK)?;
    host::process::set_affinity(&mask).map(|()| 0)
}

fn sched_getscheduler(call: &Call<'_>) -> Outcome {
    names_caller(call, call.int(0))?;
    Ok(raw::SCHED_NORMAL as usize)
}

fn sched_setscheduler(call: &Call<'_>) -> Outcome {
    names_caller(call, call.int(0))?;
    let policy = call.uint(1) & !raw::SCHED_RESET_ON_FORK;
    let priority: i32 = user::get(call.word(2))?;
    match policy {
        raw::SCHED_NORMAL if priority == 0 => Ok(0),
        raw::SCHED_NORMAL => Err(Errno::EINVAL),
        raw::SCHED_FIFO | raw::SCHED_RR | raw::SCHED_BATCH | raw::SCHED_IDLE => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

fn sched_getparam(call: &Call<'_>) -> Outcome {
    names_caller(call, call.int(0))?;
    user::put(call.word(1), &0i32).map(|()| 0)
}

fn sched_setparam(call: &Call<'_>) -> Outcome {
    names_caller(call, call.int(0))?;
    if user::get::<i32>(call.word(1))? == 0 {
        Ok(0)
    } else {
        Err(Errno::EINVAL)
    }
}

fn priority(call: &Call<'_>, real_time: usize) -> Outcome {
    match call.uint(0) {
        raw::SCHED_FIFO | raw::SCHED_RR => Ok(real_time),
        raw::SCHED_NORMAL | raw::SCHED_BATCH | raw::SCHED_IDLE | raw::SCHED_DEADLINE => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

fn sched_rr_get_interval(call: &Call<'_>) -> Outcome {
    names_caller(call, call.int(0))?;
    // Only the real-time policies have one that is fixed.
    user::put(call.word(1), &Timespec::default()).map(|()| 0)
}

fn getcpu(call: &Call<'_>) -> Outcome {
    let (cpu, node) = host::process::cpu();
    user::put_if(call.word(0), &cpu)?;
    user::put_if(call.word(1), &node).map(|()| 0)
}

/// The processes that `which` and `who` of getpriority(2) name.
fn prioritised(call: &Call<'_>) -> Result<alloc::vec::Vec<Arc<Process>>, Errno> {
    let process = &call.thread.process;
    let container = &process.container;
    let who = call.int(1);
    let found: alloc::vec::Vec<_> = match call.uint(0) {
        raw::PRIO_PROCESS if who == 0 => alloc::vec![Arc::clone(process)],
        raw::PRIO_PROCESS => {
            let of_thread = || {
                container
                    .thread(who)
                    .map(|thread| Arc::clone(&thread.process))
            };
            container
                .process(who)
                .or_else(of_thread)
                .into_iter()
                .collect()
        }
        raw::PRIO_PGRP => container.group(if who == 0 {
            process.group.load(Ordering::Relaxed)
        } else {
            who
        }),
        raw::PRIO_USER => {
            let user = if who == 0 {
                process.ids.lock().user.real
            } else {
                who as u32
            };
            container
                .processes()
                .into_iter()
                .filter(|p| p.ids.lock().user.real == user)
                .collect()
        }
        _ => return Err(Errno::EINVAL),
    };
    if found.is_empty() {
        Err(Errno::ESRCH)
    } else {
        Ok(found)
    }
}

fn getpriority(call: &Call<'_>) -> Outcome {
    let lowest = prioritised(call)?
        .iter()
        .map(|p| p.nice.load(Ordering::Relaxed))
        .min()
        .unwrap_or(0);
    // 40 to 1 for -20 to 19, so that no result looks like an error.
    Ok((20 - lowest) as usize)
}

fn setpriority(call: &Call<'_>) -> Outcome {
    let nice = call.int(2).clamp(raw::PRIO_MIN, 19);
    for process in prioritised(call)? {
        if nice < process.nice.load(Ordering::Relaxed) && !call.thread.process.is_privileged() {
            return Err(Errno::EACCES);
        }
        process.nice.store(nice, Ordering::Relaxed);
    }
    Ok(0)
}
