//! Advisory locks on files of the kernel's own: flock(2), and POSIX and open-file-description
//! record locks (fcntl(2)). Locks on host files are the host's.

use alloc::vec::Vec;
use bannock_platform::{Errno, sync::Mutex, wait::WaitQueue};

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockOwner {
    /// A process, for POSIX record locks.
    Process(i32),
    /// An open file, for flock(2) and open-file-description locks.
    File(u64),
}

/// Which locks meet each other: record locks and flock(2) are separate worlds (flock(2), NOTES).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum World {
    Whole,
    Record,
}

/// A held lock on bytes `start..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its owner.
    pub owner: LockOwner,
    /// Exclusive or shared.
    pub exclusive: bool,
    /// First byte.
    pub start: u64,
    /// Last byte.
    pub last: u64,
    world: World,
}

/// The locks on one file.
pub struct LockTable {
    held: Mutex<Vec<Held>>,
    changed: WaitQueue,
}

impl Default for LockTable {
    fn default() -> Self {
        Self::new()
    }
}

impl LockTable {
    /// A table without locks.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            held: Mutex::new(Vec::new()),
            changed: WaitQueue::new(),
        }
    }

    /// Sets (`Some(exclusive)`) or ends (`None`) a record lock on `start..=last`.
    ///
    /// # Errors
    /// `EAGAIN` when another holds one that conflicts and `wait` is not set; `EINTR`.
    pub fn record(
        &self,
        owner: LockOwner,
        kind: Option<bool>,
        start: u64,
        last: u64,
        wait: bool,
    ) -> Result<(), Errno> {
        self.set(World::Record, owner, kind, start, last, wait)
    }

    /// Sets or ends a lock on the whole file (flock(2)).
    ///
    /// # Errors
    /// `EAGAIN` when another holds one that conflicts and `wait` is not set; `EINTR`.
    pub fn whole(&self, owner: LockOwner, kind: Option<bool>, wait: bool) -> Result<(), Errno> {
        self.set(World::Whole, owner, kind, 0, u64::MAX, wait)
    }

    fn set(
        &self,
        world: World,
        owner: LockOwner,
        kind: Option<bool>,
        start: u64,
        last: u64,
        wait: bool,
    ) -> Result<(), Errno> {
        loop {
            let ticket = self.changed.ticket();
            {
                let mut held = self.held.lock();
                let blocked = kind.is_some_and(|exclusive| {
                    conflict(&held, world, owner, exclusive, start, last).is_some()
                });
                if !blocked {
                    let before = held.clone();
                    replace(&mut held, world, owner, kind, start, last);
                    let changed = *held != before;
                    drop(held);
                    if changed {
                        self.changed.wake();
                    }
                    return Ok(());
                }
                // A conversion under flock(2) is not atomic: the old lock is given up first.
                if world == World::Whole
                    && held.iter().any(|h| h.world == world && h.owner == owner)
                {
                    replace(&mut held, world, owner, None, start, last);
                    drop(held);
                    self.changed.wake();
                    if !wait {
                        return Err(Errno::EAGAIN);
                    }
                    continue;
                }
            }
            if !wait {
                return Err(Errno::EAGAIN);
            }
            self.changed.sleep(ticket, None)?;
        }
    }

    /// The first record lock that would stand in the way.
    #[must_use]
    pub fn blocking(
        &self,
        owner: LockOwner,
        exclusive: bool,
        start: u64,
        last: u64,
    ) -> Option<Held> {
        conflict(
            &self.held.lock(),
            World::Record,
            owner,
            exclusive,
            start,
            last,
        )
    }

    /// Ends all locks of `owner`.
    pub fn release(&self, owner: LockOwner) {
        let mut held = self.held.lock();
        let before = held.len();
        held.retain(|h| h.owner != owner);
        let changed = held.len() != before;
        drop(held);
        if changed {
            self.changed.wake();
        }
    }
}

fn conflict(
    held: &[Held],
    world: World,
    owner: LockOwner,
    exclusive: bool,
    start: u64,
    last: u64,
) -> Option<Held> {
    held.iter()
        .filter(|h| h.world == world && h.owner != owner && (h.exclusive || exclusive))
        .find(|h| h.start <= last && start <= h.last)
        .copied()
}

/// Makes the owner's locks in `start..=last` be of `kind`, splitting and joining them.
fn replace(
    held: &mut Vec<Held>,
    world: World,
    owner: LockOwner,
    kind: Option<bool>,
    start: u64,
    last: u64,
) {
    let mut kept = Vec::with_capacity(held.len() + 2);
    let mut joined = kind.map(|exclusive| Held {
        owner,
        exclusive,
        start,
        last,
        world,
    });
    for lock in held.drain(..) {
        if lock.world != world || lock.owner != owner {
            kept.push(lock);
            continue;
        }
        if let Some(new) = joined.as_mut()
            && lock.exclusive == new.exclusive
            && lock.start <= new.last.saturating_add(1)
            && new.start <= lock.last.saturating_add(1)
        {
            new.start = new.start.min(lock.start);
            new.last = new.last.max(lock.last);
            continue;
        }
        if lock.start < start {
            kept.push(Held {
                last: lock.last.min(start - 1),
                ..lock
            });
        }
        if lock.last > last {
            kept.push(Held {
                start: lock.start.max(last + 1),
                ..lock
            });
        }
    }
    kept.extend(joined);
    *held = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: LockOwner = LockOwner::Process(1);
    const B: LockOwner = LockOwner::Process(2);

    #[test]
    fn splits_joins_and_conflicts() {
        bannock_platform::hosted::install();
        let table = LockTable::new();
        table.record(A, Some(true), 0, 99, false).unwrap();
        assert_eq!(
            table.record(B, Some(false), 50, 50, false),
            Err(Errno::EAGAIN)
        );
        table.record(A, None, 40, 59, false).unwrap();
        table.record(B, Some(true), 45, 55, false).unwrap();
        assert_eq!(
            table.record(B, Some(true), 39, 39, false),
            Err(Errno::EAGAIN)
        );
        assert_eq!(
            table.blocking(B, true, 0, 1000).map(|h| (h.start, h.last)),
            Some((0, 39))
        );
        table.record(A, Some(true), 40, 44, false).unwrap();
        assert_eq!(
            table.blocking(B, true, 0, 44).map(|h| (h.start, h.last)),
            Some((0, 44))
        );
        table.release(A);
        assert_eq!(table.blocking(B, true, 0, u64::MAX), None);
    }

    #[test]
    fn whole_locks_and_record_locks_do_not_meet() {
        bannock_platform::hosted::install();
        let table = LockTable::new();
        table.whole(LockOwner::File(1), Some(true), false).unwrap();
        table.record(A, Some(true), 0, u64::MAX, false).unwrap();
        assert_eq!(
            table.whole(LockOwner::File(2), Some(false), false),
            Err(Errno::EAGAIN)
        );
        table.whole(LockOwner::File(1), Some(false), false).unwrap();
        table.whole(LockOwner::File(2), Some(false), false).unwrap();
    }
}
