//! The way back to the program: everything that a thread has to attend to happens here.

use super::{
    Action, DefaultAction, Disposition, Info, Signal, SignalSet, absorb, force, frame, mask,
};
use crate::task::{ExitStatus, Thread, exit};
use crate::tty::is_orphaned;
use alloc::sync::Arc;
use bannock_platform::{Errno, platform, upcall::Entry};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as raw;

/// A system call that was interrupted before it did anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// The call's number.
    pub number: usize,
    /// Whether a handler with `SA_RESTART` has the call made again ([`Errno::RESTART`]); otherwise
    /// any handler makes it `EINTR`.
    pub after_handler: bool,
}

/// How a thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Leave {
    /// To the program.
    Resume,
    /// No handler ran: the interrupted call is made again.
    CallAgain,
    /// The thread ends.
    Exit,
    /// The process is replaced by the program that exec prepared.
    Replace,
}

/// Attends to everything that the calling thread has to, until it can go on.
#[inline]
pub fn attend(thread: &Arc<Thread>, entry: &mut Entry<'_>, restart: Option<Restart>) -> Leave {
    absorb(thread);
    // After nearly all calls.
    if thread.attention() == 0 && restart.is_none() {
        return Leave::Resume;
    }
    attend_to_all(thread, entry, restart)
}

fn attend_to_all(thread: &Arc<Thread>, entry: &mut Entry<'_>, restart: Option<Restart>) -> Leave {
    let mut restart = restart;
    let mut handled = false;
    loop {
        absorb(thread);
        let flags = thread.attention();
        if flags & Thread::EXIT != 0 {
            return Leave::Exit;
        }
        if flags & Thread::REPLACE != 0 {
            return Leave::Replace;
        }
        if flags & Thread::STOP != 0 {
            thread.process.wait_while_stopped(thread);
            continue;
        }
        if flags & Thread::SIGNAL != 0 {
            // Cleared first: a signal that arrives from now on sets it again.
            thread.calm(Thread::SIGNAL);
            loop {
                // Looked at before a signal is taken: what comes later undoes a stop.
                let continues = thread.process.continues();
                let Some(info) = next(thread) else { break };
                handled |= deliver(thread, entry, &mut restart, &info, continues);
                if thread.attention() & !Thread::SIGNAL != 0 {
                    // Others may wait still.
                    thread.attend(Thread::SIGNAL);
                    break;
                }
            }
            continue;
        }
        if !handled {
            mask::restore(thread);
            // The old mask may let something through.
            if thread.has_attention() {
                continue;
            }
        }
        return match restart {
            Some(_) => Leave::CallAgain,
            None => Leave::Resume,
        };
    }
}

/// Takes the next signal that the thread delivers.
fn next(thread: &Thread) -> Option<Info> {
    let mask = thread.signals.lock().mask;
    take(thread, SignalSet(!mask.0))
}

/// Takes the next signal in `wanted` that waits for the thread or its process; its own come first.
#[must_use]
pub fn take(thread: &Thread, wanted: SignalSet) -> Option<Info> {
    let info = {
        let mut shared = thread.process.signals.lock();
        let mut own = thread.signals.lock();
        // Nothing comes before SIGKILL, wherever it waits.
        let kill = wanted.intersection(SignalSet::EMPTY.with(Signal::KILL));
        shared
            .pending
            .take(kill)
            .or_else(|| own.pending.take(wanted))
            .or_else(|| shared.pending.take(wanted))?
    };
    Some(match info.timer_id() {
        Some(id) => info.with_overrun(thread.process.timers.delivered(id)),
        None => info,
    })
}

/// Does what the process wants done on a signal; whether a handler runs now.
fn deliver(
    thread: &Arc<Thread>,
    entry: &mut Entry<'_>,
    restart: &mut Option<Restart>,
    info: &Info,
    continues: u64,
) -> bool {
    let signal = info.signal();
    let action = thread.process.signals.lock().actions.get(signal);
    match action.disposition(signal) {
        Disposition::Ignore
        | Disposition::Default(DefaultAction::Ignore | DefaultAction::Continue) => false,
        // Nobody could continue a group that is orphaned (POSIX.1-2017, 2.4.3).
        Disposition::Default(DefaultAction::Stop)
            if signal != Signal::STOP
                && is_orphaned(
                    &thread.process.container,
                    thread.process.group.load(Ordering::Relaxed),
                ) =>
        {
            false
        }
        Disposition::Default(DefaultAction::Stop) => {
            thread.process.stop_unless_continued(signal, continues);
            false
        }
        Disposition::Default(DefaultAction::Terminate | DefaultAction::Core) => {
            exit::begin(&thread.process, ExitStatus::Killed(signal));
            false
        }
        Disposition::Handle => handle(thread, entry, restart, &action, info),
    }
}

fn handle(
    thread: &Arc<Thread>,
    entry: &mut Entry<'_>,
    restart: &mut Option<Restart>,
    action: &Action,
    info: &Info,
) -> bool {
    if let Some(Restart {
        number,
        after_handler,
    }) = restart.take()
    {
        let registers = &mut *entry.registers;
        if after_handler && action.has(raw::SA_RESTART) {
            registers.rip = platform().call_site(registers.rip);
            registers.rax = number;
        } else {
            registers.rax = Errno::EINTR.to_return();
        }
        thread.forget_deadline();
    }
    let signal = info.signal();
    let built = {
        let mut shared = thread.process.signals.lock();
        let mut own = thread.signals.lock();
        let saved = own.saved_mask.take();
        let back = saved.unwrap_or(own.mask);
        let built = frame::build(entry, &mut own, action, info, back);
        if built.is_ok() {
            if action.has(raw::SA_RESETHAND) {
                shared.actions.set(
                    signal,
                    Action {
                        handler: 0,
                        ..*action
                    },
                );
            }
            let mut blocked = own.mask.union(action.mask);
            if !action.has(raw::SA_NODEFER) {
                blocked = blocked.with(signal);
            }
            own.mask = blocked.as_mask();
        }
        built
    };
    if built.is_err() {
        // No room for the frame: SIGSEGV, and if that was it, its default action.
        if signal == Signal::SEGV {
            let mut shared = thread.process.signals.lock();
            let reset = Action {
                handler: 0,
                ..*action
            };
            shared.actions.set(signal, reset);
        }
        force(thread, Info::kernel(Signal::SEGV));
        return false;
    }
    super::send::retarget(thread, action.mask.with(signal));
    true
}
