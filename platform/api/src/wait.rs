//! Wait queues between the processes of a container.

use crate::{Errno, host};
use core::sync::atomic::{AtomicU32, Ordering};

/// Sleeps until something changed, without losing changes that happen while falling asleep.
///
/// Usage: take a [`Ticket`], look at the condition, sleep on the ticket; a wake between ticket and
/// sleep makes the sleep return at once.
#[derive(Default)]
pub struct WaitQueue {
    generation: AtomicU32,
    sleepers: AtomicU32,
}

/// A moment on a [`WaitQueue`].
#[derive(Clone, Copy)]
pub struct Ticket(u32);

impl WaitQueue {
    /// A queue that nobody waits on.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            generation: AtomicU32::new(0),
            sleepers: AtomicU32::new(0),
        }
    }

    /// The present moment.
    pub fn ticket(&self) -> Ticket {
        Ticket(self.generation.load(Ordering::SeqCst))
    }

    /// Sleeps until a wake after `ticket`, an interrupt, or `timeout` in nanoseconds.
    ///
    /// # Errors
    /// `EINTR` on an interrupt of this thread, `ETIMEDOUT` after the timeout.
    pub fn sleep(&self, ticket: Ticket, timeout: Option<u64>) -> Result<(), Errno> {
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let outcome = if self.generation.load(Ordering::SeqCst) == ticket.0 {
            host::futex_wait_interruptible(&self.generation, ticket.0, timeout)
        } else {
            Ok(())
        };
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        outcome
    }

    /// Wakes all sleepers.
    pub fn wake(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) != 0 {
            host::futex_wake(&self.generation, i32::MAX);
        }
    }
}
