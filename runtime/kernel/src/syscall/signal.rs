//! Signals.

use super::caller::{closes_on_exec, handle};
use super::{Argument::*, Call, Outcome, Row, subject};
use crate::fs::Handle;
use crate::signal::{self, Action, AltStack, Info, Signal as Number, SignalSet};
use crate::task::{Process, SUPERVISOR, Thread};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{Errno, host::time, host::time::Timespec, user};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(
        raw::__NR_rt_sigaction,
        "rt_sigaction",
        &[Signal, Pointer, Pointer, Size],
        rt_sigaction,
    )
    .with_notes("actions need SA_RESTORER, as all libraries set it"),
    Row::emulated(
        raw::__NR_rt_sigprocmask,
        "rt_sigprocmask",
        &[Int, Pointer, Pointer, Size],
        rt_sigprocmask,
    ),
    Row::emulated(raw::__NR_rt_sigreturn, "rt_sigreturn", &[], rt_sigreturn).with_notes(
        "extended state must be the processor's own format; segment registers are ignored",
    ),
    Row::emulated(
        raw::__NR_rt_sigpending,
        "rt_sigpending",
        &[Pointer, Size],
        rt_sigpending,
    ),
    Row::emulated(
        raw::__NR_rt_sigsuspend,
        "rt_sigsuspend",
        &[Pointer, Size],
        rt_sigsuspend,
    ),
    Row::emulated(
        raw::__NR_rt_sigtimedwait,
        "rt_sigtimedwait",
        &[Pointer, Pointer, Pointer, Size],
        rt_sigtimedwait,
    ),
    Row::emulated(
        raw::__NR_sigaltstack,
        "sigaltstack",
        &[Pointer, Pointer],
        sigaltstack,
    ),
    Row::emulated(raw::__NR_pause, "pause", &[], pause),
    Row::emulated(raw::__NR_kill, "kill", &[Int, Signal], kill),
    Row::emulated(raw::__NR_tkill, "tkill", &[Int, Signal], tkill),
    Row::emulated(raw::__NR_tgkill, "tgkill", &[Int, Int, Signal], tgkill),
    Row::emulated(
        raw::__NR_rt_sigqueueinfo,
        "rt_sigqueueinfo",
        &[Int, Signal, Pointer],
        rt_sigqueueinfo,
    ),
    Row::emulated(
        raw::__NR_rt_tgsigqueueinfo,
        "rt_tgsigqueueinfo",
        &[Int, Int, Signal, Pointer],
        rt_tgsigqueueinfo,
    ),
    Row::emulated(
        raw::__NR_signalfd,
        "signalfd",
        &[Fd, Pointer, Size],
        signalfd,
    ),
    Row::emulated(
        raw::__NR_signalfd4,
        "signalfd4",
        &[Fd, Pointer, Size, Flags],
        signalfd4,
    ),
];

const SET_SIZE: usize = 8;

fn check_size(size: usize) -> Result<(), Errno> {
    if size == SET_SIZE {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

fn rt_sigaction(call: &Call<'_>) -> Outcome {
    check_size(call.word(3))?;
    let signal = Number::new(call.int(0))?;
    let new = match call.word(1) {
        0 => None,
        address => Some(Action::from_words(user::get(address)?)),
    };
    if new.is_some() && SignalSet::UNBLOCKABLE.contains(signal) {
        return Err(Errno::EINVAL);
    }
    let process = &call.thread.process;
    let old = {
        let mut shared = process.signals.lock();
        let old = shared.actions.get(signal);
        if let Some(action) = new {
            shared.actions.set(signal, action);
            // What is ignored now does not wait any longer (sigaction(2)).
            if action.disposition(signal) == signal::Disposition::Ignore {
                shared.pending.discard_one(signal);
                drop(shared);
                for thread in process.threads() {
                    thread.signals.lock().pending.discard_one(signal);
                }
            }
        }
        old
    };
    user::put_if(call.word(2), &old.to_words()).map(|()| 0)
}

fn rt_sigprocmask(call: &Call<'_>) -> Outcome {
    check_size(call.word(3))?;
    let set = match call.word(1) {
        0 => None,
        address => Some(SignalSet(user::get(address)?)),
    };
    let old = call.thread.signals.lock().mask;
    if let Some(set) = set {
        let new = match call.uint(0) {
            raw::SIG_BLOCK => old.union(set),
            raw::SIG_UNBLOCK => old.minus(set),
            raw::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        signal::set_mask(call.thread, new);
    }
    user::put_if(call.word(2), &old.0).map(|()| 0)
}

/// Never asked: the dispatcher answers this call, because it replaces all registers.
fn rt_sigreturn(_: &Call<'_>) -> Outcome {
    Err(Errno::ENOSYS)
}

fn rt_sigpending(call: &Call<'_>) -> Outcome {
    let size = call.word(1);
    if size > SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let shared = call.thread.process.signals.lock().pending.set();
    let own = call.thread.signals.lock();
    let set = own.pending.set().union(shared).intersection(own.mask);
    drop(own);
    let bytes = set.0.to_le_bytes();
    user::UserSlice::new(call.word(0), size)?
        .write(bytes.get(..size).unwrap_or(&bytes))
        .map(|()| 0)
}

/// Sleeps until there is something to attend to.
fn idle(thread: &Arc<Thread>, timeout: Option<u64>) -> Errno {
    loop {
        let ticket = thread.idle.ticket();
        if signal::interrupted(thread) {
            return Errno::EINTR;
        }
        if let Err(error) = signal::sleep(thread, &thread.idle, ticket, timeout) {
            return error;
        }
    }
}

fn rt_sigsuspend(call: &Call<'_>) -> Outcome {
    check_size(call.word(1))?;
    let set = SignalSet(user::get(call.word(0))?);
    signal::set_mask_until_delivery(call.thread, set);
    idle(call.thread, None);
    Err(Errno::RESTART_NO_HANDLER)
}

fn pause(call: &Call<'_>) -> Outcome {
    idle(call.thread, None);
    Err(Errno::RESTART_NO_HANDLER)
}

fn rt_sigtimedwait(call: &Call<'_>) -> Outcome {
    check_size(call.word(3))?;
    let wanted = SignalSet(user::get(call.word(0))?).as_mask();
    let timeout = match call.word(2) {
        0 => None,
        address => Some(user::get::<Timespec>(address)?.to_nanos()?),
    };
    let deadline = timeout.map(|timeout| time::monotonic().saturating_add(timeout));
    let thread = call.thread;
    let found = loop {
        thread.signals.lock().awaited = wanted;
        signal::absorb(thread);
        if let Some(info) = signal::take(thread, wanted) {
            break Ok(info);
        }
        // What was sent was taken, or is not for this wait.
        thread.calm(Thread::SIGNAL);
        if !signal::deliverable(thread).is_empty() {
            thread.attend(Thread::SIGNAL);
        }
        if thread.has_attention() {
            break Err(Errno::EINTR);
        }
        let left = deadline.map(|deadline| deadline.saturating_sub(time::monotonic()));
        if left == Some(0) {
            break Err(Errno::EAGAIN);
        }
        let ticket = thread.idle.ticket();
        let _ = thread.idle.sleep(ticket, left);
    };
    thread.signals.lock().awaited = SignalSet::EMPTY;
    let info = found?;
    user::put_if(call.word(1), info.words())?;
    Ok(info.signal().number() as usize)
}

fn sigaltstack(call: &Call<'_>) -> Outcome {
    let new = match call.word(0) {
        0 => None,
        address => Some(AltStack::from_words(user::get(address)?)?),
    };
    let rsp = call.registers.rsp;
    let old = {
        let mut own = call.thread.signals.lock();
        let old = own.alt_stack;
        if let Some(new) = new {
            if old.holds(rsp) {
                return Err(Errno::EPERM);
            }
            own.alt_stack = new;
        }
        old
    };
    user::put_if(call.word(1), &old.to_words(rsp)).map(|()| 0)
}

/// `SI_USER` or `SI_TKILL` from the caller.
pub(super) fn from_caller(call: &Call<'_>, signal: Number, code: i32) -> Info {
    let process = &call.thread.process;
    let uid = process.ids.lock().user.real;
    Info::from_process(signal, code, process.id, uid)
}

/// Whether the caller may send to `target` (kill(2)).
pub(super) fn may_send(call: &Call<'_>, signal: Option<Number>, target: &Process) -> bool {
    let process = &call.thread.process;
    if process.id == target.id {
        return true;
    }
    let own = process.ids.lock().user;
    let other = target.ids.lock().user;
    let same = [own.real, own.effective]
        .iter()
        .any(|id| *id == other.real || *id == other.saved);
    let session = |p: &Process| p.session.load(Ordering::Relaxed);
    own.effective == 0
        || same
        || signal == Some(Number::CONT) && session(process) == session(target)
}

fn kill(call: &Call<'_>) -> Outcome {
    let signal = Number::optional(call.int(1))?;
    let process = &call.thread.process;
    let container = &process.container;
    let targets: Vec<Arc<Process>> = match call.int(0) {
        -1 => container
            .processes()
            .into_iter()
            .filter(|p| p.id != SUPERVISOR && p.id != process.id)
            .collect(),
        0 => container.group(process.group.load(Ordering::Relaxed)),
        i32::MIN => return Err(Errno::ESRCH),
        group @ ..0 => container.group(-group),
        id => {
            let of_thread = || {
                container
                    .thread(id)
                    .map(|thread| Arc::clone(&thread.process))
            };
            container
                .process(id)
                .or_else(of_thread)
                .into_iter()
                .collect()
        }
    };
    let mut outcome = Err(Errno::ESRCH);
    for target in targets {
        if target.id == SUPERVISOR {
            // The supervisor is no program: nobody signals it.
            outcome = outcome.or(if signal.is_none() {
                Ok(0)
            } else {
                Err(Errno::EPERM)
            });
            continue;
        }
        if !may_send(call, signal, &target) {
            outcome = outcome.or(Err(Errno::EPERM));
            continue;
        }
        let sent = match signal {
            Some(signal) if !target.has_ended() => {
                signal::send_to_process(&target, from_caller(call, signal, raw::SI_USER as i32))
            }
            _ => Ok(()),
        };
        outcome = outcome.or(sent.map(|()| 0));
    }
    outcome
}

fn to_thread(
    call: &Call<'_>,
    group: Option<i32>,
    id: i32,
    signal: i32,
    info: impl FnOnce(Number) -> Result<Info, Errno>,
) -> Outcome {
    if id <= 0 || group.is_some_and(|group| group <= 0) {
        return Err(Errno::EINVAL);
    }
    let signal = Number::optional(signal)?;
    let thread = call
        .thread
        .process
        .container
        .thread(id)
        .ok_or(Errno::ESRCH)?;
    if group.is_some_and(|group| group != thread.process.id) {
        return Err(Errno::ESRCH);
    }
    if !may_send(call, signal, &thread.process) {
        return Err(Errno::EPERM);
    }
    if let Some(signal) = signal {
        signal::send_to_thread(&thread, info(signal)?)?;
    }
    Ok(0)
}

fn tkill(call: &Call<'_>) -> Outcome {
    to_thread(call, None, call.int(0), call.int(1), |signal| {
        Ok(from_caller(call, signal, raw::SI_TKILL))
    })
}

fn tgkill(call: &Call<'_>) -> Outcome {
    to_thread(
        call,
        Some(call.int(0)),
        call.int(1),
        call.int(2),
        |signal| Ok(from_caller(call, signal, raw::SI_TKILL)),
    )
}

/// What a program says about a signal that it queues; only to itself may it claim to be the kernel
/// or kill(2).
pub(super) fn queued(
    call: &Call<'_>,
    target: i32,
    signal: Number,
    address: usize,
) -> Result<Info, Errno> {
    let info = Info::from_words(signal, user::get(address)?);
    if (info.code() >= 0 || info.code() == raw::SI_TKILL) && target != call.thread.process.id {
        return Err(Errno::EPERM);
    }
    Ok(info)
}

fn rt_sigqueueinfo(call: &Call<'_>) -> Outcome {
    let signal = Number::optional(call.int(1))?;
    let target = call
        .thread
        .process
        .container
        .process(call.int(0))
        .ok_or(Errno::ESRCH)?;
    if target.id == SUPERVISOR || !may_send(call, signal, &target) {
        return Err(Errno::EPERM);
    }
    if let Some(signal) = signal {
        signal::send_to_process(&target, queued(call, target.id, signal, call.word(2))?)?;
    }
    Ok(0)
}

fn rt_tgsigqueueinfo(call: &Call<'_>) -> Outcome {
    let group = call.int(0);
    to_thread(call, Some(group), call.int(1), call.int(2), |signal| {
        queued(call, group, signal, call.word(3))
    })
}

fn signal_file(call: &Call<'_>, flags: u32) -> Outcome {
    check_size(call.word(2))?;
    if flags & !(raw::O_CLOEXEC | raw::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let mask = SignalSet(user::get(call.word(1))?);
    if call.int(0) == -1 {
        let file = signal::SignalFile::open(mask, flags & raw::O_NONBLOCK);
        let handle = Handle::new(file, None, call.thread.process.id);
        return subject::install(call, handle, closes_on_exec(flags));
    }
    signal::SignalFile::set_mask(&*handle(call, 0)?, mask)?;
    Ok(call.int(0) as usize)
}

fn signalfd(call: &Call<'_>) -> Outcome {
    signal_file(call, 0)
}

fn signalfd4(call: &Call<'_>) -> Outcome {
    signal_file(call, call.uint(3))
}
