//! Sending signals.

use super::{DefaultAction, Disposition, Info, Signal, SignalSet};
use crate::task::{Process, Thread, expire};
use alloc::sync::Arc;
use bannock_platform::{Errno, host::time::TIMER_SIGNAL, platform};
use linux_raw_sys::general as raw;

/// Sends `info` to whichever thread of `process` takes it.
///
/// # Errors
/// `EAGAIN` when too many real-time signals wait (`RLIMIT_SIGPENDING`).
pub fn send_to_process(process: &Arc<Process>, info: Info) -> Result<(), Errno> {
    prepare(process, info.signal());
    let queued = queue_for_process(process, info);
    follow(process, info.signal());
    queued
}

fn queue_for_process(process: &Arc<Process>, info: Info) -> Result<(), Errno> {
    let signal = info.signal();
    {
        let mut shared = process.signals.lock();
        if shared.actions.get(signal).disposition(signal) == Disposition::Ignore
            && !process
                .first_thread()
                .is_some_and(|thread| thread.blocks(signal))
        {
            return Ok(());
        }
        shared.pending.push(info, process.limits.signals())?;
    }
    process.signals_changed.changed();
    if let Some(thread) = choose(process, signal) {
        wake(&thread, Thread::SIGNAL);
    }
    Ok(())
}

/// Sends `info` to `thread` alone.
///
/// # Errors
/// `EAGAIN` when too many real-time signals wait (`RLIMIT_SIGPENDING`).
pub fn send_to_thread(thread: &Arc<Thread>, info: Info) -> Result<(), Errno> {
    prepare(&thread.process, info.signal());
    let queued = queue_for_thread(thread, info);
    follow(&thread.process, info.signal());
    queued
}

fn queue_for_thread(thread: &Arc<Thread>, info: Info) -> Result<(), Errno> {
    let signal = info.signal();
    let process = &thread.process;
    let ignored = process
        .signals
        .lock()
        .actions
        .get(signal)
        .disposition(signal)
        == Disposition::Ignore;
    if ignored && !thread.blocks(signal) {
        return Ok(());
    }
    let takes = {
        let mut own = thread.signals.lock();
        own.pending.push(info, process.limits.signals())?;
        !own.mask.minus(own.awaited).contains(signal)
    };
    process.signals_changed.changed();
    if takes {
        wake(thread, Thread::SIGNAL);
    }
    Ok(())
}

/// Sends an expiry of a timer to `thread`, or to any thread of `process`; false where one waits
/// already.
pub(crate) fn send_timer(process: &Arc<Process>, thread: Option<&Arc<Thread>>, info: Info) -> bool {
    let waits = |queue: &super::Queue| info.timer_id().is_some_and(|id| queue.has_timer(id));
    match thread {
        Some(thread) if waits(&thread.signals.lock().pending) => false,
        None if waits(&process.signals.lock().pending) => false,
        // Over the limit, an expiry is lost: no room was reserved when the timer was made.
        Some(thread) => send_to_thread(thread, info).is_ok(),
        None => send_to_process(process, info).is_ok(),
    }
}

/// Makes the calling thread take `info`, an exception of its own: where it is blocked or ignored,
/// the default action happens (Linux `force_sig_info`).
pub fn force(thread: &Arc<Thread>, info: Info) {
    let signal = info.signal();
    let mut shared = thread.process.signals.lock();
    let mut own = thread.signals.lock();
    let mut action = shared.actions.get(signal);
    if own.mask.contains(signal) || action.is_ignore() {
        action.handler = 0;
        shared.actions.set(signal, action);
        own.mask = own.mask.without(signal);
    }
    // Only standard signals are forced, which the limit does not concern.
    let _ = own.pending.push(info, 0);
    thread.attend(Thread::SIGNAL);
}

/// Raises `SIGPIPE` for the calling thread, as writing with nobody to read does.
pub fn broken_pipe(thread: &Arc<Thread>) {
    from_itself(thread, Signal::PIPE);
}

/// Raises `SIGXFSZ` for the calling thread, as writing beyond `RLIMIT_FSIZE` does.
pub fn file_too_large(thread: &Arc<Thread>) {
    from_itself(thread, Signal::XFSZ);
}

fn from_itself(thread: &Arc<Thread>, signal: Signal) {
    let process = &thread.process;
    let uid = process.ids.lock().user.real;
    let info = Info::from_process(signal, raw::SI_USER as i32, process.id, uid);
    // The limit does not concern standard signals.
    let _ = send_to_thread(thread, info);
}

/// What a signal does on being sent, whoever takes it: a stop cancels waiting continues, and the
/// other way round.
fn prepare(process: &Arc<Process>, signal: Signal) {
    let cancelled = match signal.default() {
        DefaultAction::Stop => SignalSet::EMPTY.with(Signal::CONT),
        DefaultAction::Continue => SignalSet::STOPS,
        _ => SignalSet::EMPTY,
    };
    if !cancelled.is_empty() {
        process.signals.lock().pending.discard(cancelled);
        for thread in process.threads() {
            thread.signals.lock().pending.discard(cancelled);
        }
    }
}

/// What `SIGCONT` and `SIGKILL` do once they wait, whoever takes them: a stopped process runs, so
/// that it finds them.
fn follow(process: &Arc<Process>, signal: Signal) {
    if signal == Signal::CONT || signal == Signal::KILL {
        process.note_continue();
        resume(process, signal == Signal::CONT);
    }
}

/// Lets a stopped process run again; tells its parent where `report`.
pub fn resume(process: &Arc<Process>, report: bool) {
    if process.go_on(report) && report {
        crate::task::notify_parent(process, raw::CLD_CONTINUED as i32, Signal::CONT.number());
    }
}

/// A thread that takes `signal`: the first one by preference, as Linux does.
fn choose(process: &Process, signal: Signal) -> Option<Arc<Thread>> {
    let threads = process.threads();
    threads.into_iter().find(|thread| {
        let own = thread.signals.lock();
        !own.mask.minus(own.awaited).contains(signal)
    })
}

/// Passes signals of the process that `thread` no longer takes to threads that do.
pub(super) fn retarget(thread: &Arc<Thread>, blocked: SignalSet) {
    let waiting = thread
        .process
        .signals
        .lock()
        .pending
        .set()
        .intersection(blocked);
    for signal in waiting.iter() {
        if let Some(other) = choose(&thread.process, signal) {
            wake(&other, Thread::SIGNAL);
        }
    }
}

/// Passes all signals of the process to other threads, because `thread` ends.
pub fn leave_to_others(thread: &Arc<Thread>) {
    retarget(thread, SignalSet(u64::MAX));
}

/// Gives `thread` something to attend to, one of its flags, and takes it into the kernel for it.
pub fn wake(thread: &Arc<Thread>, flag: u32) {
    thread.attend(flag);
    let (process, id) = thread.host_ids();
    // A thread that has not started yet looks by itself when it does.
    if id != 0 && (process, id) != platform().host_ids() {
        platform().interrupt(process, id);
    }
}

/// Takes the platform's pending interrupt, and queues signals that came from outside of the
/// container.
#[inline]
pub fn absorb(thread: &Arc<Thread>) {
    let outside = SignalSet(platform().take_interrupt());
    if !outside.is_empty() {
        queue(thread, outside);
    }
}

fn queue(thread: &Arc<Thread>, outside: SignalSet) {
    for signal in outside.iter() {
        if signal.number() == TIMER_SIGNAL {
            expire(&thread.process);
            continue;
        }
        // The host's terminal sends these to all processes alike; the supervisor passes them on to
        // those in the foreground.
        if signal.is_of_terminal() && thread.process.container.console.foreground().is_some() {
            continue;
        }
        let timer = matches!(signal, Signal::ALRM | Signal::VTALRM | Signal::PROF);
        // Whoever sent it has no id in the container.
        let info = if timer {
            Info::kernel(signal)
        } else {
            Info::from_process(signal, raw::SI_USER as i32, 0, 0)
        };
        // Over the limit, a real-time signal from outside is lost, as one from a user would be.
        let _ = send_to_process(&thread.process, info);
    }
}
