//! Readiness of files that the kernel keeps itself, and whoever waits for it.
//!
//! A file has one [`Readiness`] and says on it when something may have changed; a reader or writer
//! sleeps on it. Whoever waits for many files at once is a [`Poller`] that watches all of them. It
//! may be waiting in the host at that moment, for the host's descriptors, and is then interrupted
//! there: no host descriptor stands for a file of the kernel.

use crate::signal;
use crate::task::Thread;
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{
    Errno, current, platform,
    sync::Mutex,
    wait::{Ticket, WaitQueue},
};
use core::sync::atomic::{AtomicU64, Ordering};

/// Whether the calling thread, woken from a wait with `EINTR`, has a reason to end it.
fn must_end() -> bool {
    current::get::<Thread>().is_none_or(|thread| signal::interrupted(&thread))
}

/// The readiness of one file.
pub struct Readiness {
    queue: WaitQueue,
    changes: AtomicU64,
    pollers: Mutex<Vec<Arc<Poller>>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// The readiness of a file that nobody waits for.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            queue: WaitQueue::new(),
            changes: AtomicU64::new(0),
            pollers: Mutex::new(Vec::new()),
        }
    }

    /// Something may have changed: all who wait look again.
    pub fn changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.queue.wake();
        for poller in self.pollers.lock().iter() {
            poller.wake();
        }
    }

    /// Counts changes, so that a waiter for edges knows a new one.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// The present moment, to be taken before the file is looked at.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.queue.ticket()
    }

    /// Sleeps until a change after `ticket`, for at most `timeout` nanoseconds.
    ///
    /// # Errors
    /// `EINTR` when the calling thread has something to attend to, `ETIMEDOUT` after the timeout.
    pub fn sleep(&self, ticket: Ticket, timeout: Option<u64>) -> Result<(), Errno> {
        match self.queue.sleep(ticket, timeout) {
            Err(Errno::EINTR) if !must_end() => Ok(()),
            other => other,
        }
    }
}

/// A thread that waits for many files.
pub struct Poller {
    woken: WaitQueue,
    /// Host process and thread, where it waits in the host.
    host: Option<(i32, i32)>,
}

impl Poller {
    /// The calling thread; `in_host` says whether it will wait for descriptors of the host too.
    #[must_use]
    pub fn new(in_host: bool) -> Arc<Self> {
        Arc::new(Self {
            woken: WaitQueue::new(),
            host: in_host.then(|| platform().host_ids()),
        })
    }

    fn wake(&self) {
        self.woken.wake();
        if let Some((process, thread)) = self.host {
            platform().interrupt(process, thread);
        }
    }

    /// The present moment, to be taken before the files are looked at. Where the thread waits in the
    /// host, interrupts up to now are taken: later ones cut that wait short.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        if self.host.is_some()
            && let Some(thread) = current::get::<Thread>()
        {
            signal::absorb(&thread);
        }
        self.woken.ticket()
    }

    /// Sleeps until a file that is watched changes, for at most `timeout` nanoseconds.
    ///
    /// # Errors
    /// `EINTR` when the calling thread has something to attend to, `ETIMEDOUT` after the timeout.
    pub fn sleep(&self, ticket: Ticket, timeout: Option<u64>) -> Result<(), Errno> {
        match self.woken.sleep(ticket, timeout) {
            Err(Errno::EINTR) if !must_end() => Ok(()),
            other => other,
        }
    }

    /// What a wait in the host that ended with `error` means: `Ok` is to look again.
    ///
    /// # Errors
    /// `error`, where it was not for an interrupt of this poller alone.
    pub fn after_host(error: Errno) -> Result<(), Errno> {
        if error == Errno::EINTR && !must_end() {
            Ok(())
        } else {
            Err(error)
        }
    }
}

/// A file that a poller watches, for as long as this lives.
pub struct Watch {
    readiness: Arc<Readiness>,
    poller: Arc<Poller>,
}

impl Watch {
    /// Has `poller` woken on changes of `readiness`.
    #[must_use]
    pub fn new(readiness: Arc<Readiness>, poller: &Arc<Poller>) -> Self {
        readiness.pollers.lock().push(Arc::clone(poller));
        Self {
            readiness,
            poller: Arc::clone(poller),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut pollers = self.readiness.pollers.lock();
        if let Some(index) = pollers.iter().position(|p| Arc::ptr_eq(p, &self.poller)) {
            pollers.swap_remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poller_sleeps_until_one_of_its_files_changes() {
        bannock_platform::hosted::install();
        let files = [Arc::new(Readiness::new()), Arc::new(Readiness::new())];
        let poller = Poller::new(false);
        let watches: Vec<Watch> = files
            .iter()
            .map(|f| Watch::new(Arc::clone(f), &poller))
            .collect();
        assert_eq!(
            poller.sleep(poller.ticket(), Some(1_000_000)),
            Err(Errno::ETIMEDOUT)
        );
        let ticket = poller.ticket();
        let other = Arc::clone(&files[1]);
        let changer = std::thread::spawn(move || other.changed());
        assert_eq!(poller.sleep(ticket, None), Ok(()));
        changer.join().unwrap();
        assert_eq!((files[0].changes(), files[1].changes()), (0, 1));
        drop(watches);
        assert!(files[1].pollers.lock().is_empty());
        let ticket = poller.ticket();
        files[1].changed();
        assert_eq!(poller.sleep(ticket, Some(1_000_000)), Err(Errno::ETIMEDOUT));
    }
}
