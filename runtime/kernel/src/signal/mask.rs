//! A thread's mask, and waiting for signals.

use super::{SignalSet, absorb};
use crate::task::Thread;
use alloc::sync::Arc;
use bannock_platform::{
    Errno,
    wait::{Ticket, WaitQueue},
};

/// Signals that `thread` would deliver now: pending for it or its process, and not blocked.
#[must_use]
pub fn deliverable(thread: &Thread) -> SignalSet {
    let shared = thread.process.signals.lock().pending.set();
    let own = thread.signals.lock();
    own.pending.set().union(shared).minus(own.mask)
}

/// Sets the mask of the calling thread, and returns the old one.
///
/// Signals that it now blocks and was woken for go to another thread of the process.
pub fn set_mask(thread: &Arc<Thread>, mask: SignalSet) -> SignalSet {
    let mask = mask.as_mask();
    let old = core::mem::replace(&mut thread.signals.lock().mask, mask);
    after_change(thread, old, mask);
    old
}

fn after_change(thread: &Arc<Thread>, old: SignalSet, new: SignalSet) {
    if !deliverable(thread).is_empty() {
        thread.attend(Thread::SIGNAL);
    }
    let blocked = new.minus(old);
    if !blocked.is_empty() {
        super::send::retarget(thread, blocked);
    }
}

/// Sets the mask of the calling thread until a signal was delivered, or `restore` is called.
pub fn set_mask_until_delivery(thread: &Arc<Thread>, mask: SignalSet) {
    let mask = mask.as_mask();
    let old = {
        let mut own = thread.signals.lock();
        let old = core::mem::replace(&mut own.mask, mask);
        own.saved_mask.get_or_insert(old);
        old
    };
    thread.attend(Thread::RESTORE);
    after_change(thread, old, mask);
}

/// Brings the mask back that [`set_mask_until_delivery`] replaced.
pub(super) fn restore(thread: &Arc<Thread>) {
    if thread.attention() & Thread::RESTORE == 0 {
        return;
    }
    thread.calm(Thread::RESTORE);
    let saved = thread.signals.lock().saved_mask.take();
    if let Some(mask) = saved {
        set_mask(thread, mask);
    }
}

/// Calls `act` with another mask (`None`: the present one), as ppoll(2), pselect(2) and
/// epoll_pwait(2) do: where a signal interrupts, it is delivered under that mask, and the old one
/// comes back afterwards.
///
/// # Errors
/// Those of `act`, and [`Errno::RESTART_NO_HANDLER`] where a signal waits already.
pub fn with_mask<R>(
    thread: &Arc<Thread>,
    mask: Option<SignalSet>,
    act: impl FnOnce() -> Result<R, Errno>,
) -> Result<R, Errno> {
    let Some(mask) = mask else { return act() };
    set_mask_until_delivery(thread, mask);
    if !deliverable(thread).is_empty() {
        return Err(Errno::RESTART_NO_HANDLER);
    }
    let result = act();
    match &result {
        // The mask comes back after delivery.
        Err(Errno::EINTR | Errno::RESTART | Errno::RESTART_NO_HANDLER) => {}
        _ => restore(thread),
    }
    result
}

/// Whether the calling thread has something to attend to before it may go on waiting. Takes the
/// platform's pending interrupt, which may have been for nothing.
#[must_use]
pub fn interrupted(thread: &Arc<Thread>) -> bool {
    absorb(thread);
    thread.has_attention()
}

/// Sleeps on `queue` like [`WaitQueue::sleep`], but not cut short by interrupts that turn out to be
/// for nothing.
///
/// # Errors
/// `EINTR` when the thread has something to attend to, `ETIMEDOUT` after `timeout` nanoseconds.
pub fn sleep(
    thread: &Arc<Thread>,
    queue: &WaitQueue,
    ticket: Ticket,
    timeout: Option<u64>,
) -> Result<(), Errno> {
    match queue.sleep(ticket, timeout) {
        // A wake-up for nothing is one that the caller's loop looks into.
        Err(Errno::EINTR) if !interrupted(thread) => Ok(()),
        other => other,
    }
}
