//! Signals that wait for delivery.

use super::{Info, Signal, SignalSet};
use alloc::collections::VecDeque;
use bannock_platform::Errno;

/// Signals that wait for delivery to a thread, or to any thread of a process.
#[derive(Debug, Default)]
pub struct Queue {
    set: SignalSet,
    entries: VecDeque<Info>,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            set: SignalSet::EMPTY,
            entries: VecDeque::new(),
        }
    }

    /// What waits.
    #[must_use]
    pub const fn set(&self) -> SignalSet {
        self.set
    }

    /// Adds `info`; of standard signals only one instance waits. `limit` is `RLIMIT_SIGPENDING`.
    ///
    /// # Errors
    /// `EAGAIN` for a real-time signal over the limit.
    pub fn push(&mut self, info: Info, limit: usize) -> Result<(), Errno> {
        let signal = info.signal();
        if !signal.is_real_time() && self.set.contains(signal) {
            return Ok(());
        }
        if signal.is_real_time() && self.entries.len() >= limit {
            return Err(Errno::EAGAIN);
        }
        self.set = self.set.with(signal);
        self.entries.push_back(info);
        Ok(())
    }

    /// Whether an expiry of timer `id` waits.
    #[must_use]
    pub fn has_timer(&self, id: i32) -> bool {
        self.entries.iter().any(|info| info.timer_id() == Some(id))
    }

    /// Takes the next signal that is in `wanted`.
    pub fn take(&mut self, wanted: SignalSet) -> Option<Info> {
        let signal = self.set.intersection(wanted).first()?;
        let position = self
            .entries
            .iter()
            .position(|info| info.signal() == signal)?;
        let info = self.entries.remove(position)?;
        if !self.entries.iter().any(|info| info.signal() == signal) {
            self.set = self.set.without(signal);
        }
        Some(info)
    }

    /// Drops all instances of the signals in `which`.
    pub fn discard(&mut self, which: SignalSet) {
        if self.set.intersection(which).is_empty() {
            return;
        }
        self.entries.retain(|info| !which.contains(info.signal()));
        self.set = self.set.minus(which);
    }

    /// Drops all instances of `signal`.
    pub fn discard_one(&mut self, signal: Signal) {
        self.discard(SignalSet::EMPTY.with(signal));
    }
}
