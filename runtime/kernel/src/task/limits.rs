//! Resource limits (getrlimit(2)).

use crate::mm::MemoryLimits;
use bannock_platform::{Errno, sync::Mutex};
use core::sync::atomic::{AtomicU64, Ordering};
use linux_raw_sys::general as raw;

const COUNT: usize = raw::RLIM_NLIMITS as usize;
const UNLIMITED: u64 = u64::MAX;
/// Descriptors that a process may have at first.
const DESCRIPTORS: u64 = 1024;

/// The limits of a process: soft and hard, by resource. They are the kernel's own; the host's never
/// show, and no host limit is changed.
pub struct Limits {
    values: Mutex<[[u64; 2]; COUNT]>,
    /// Soft `RLIMIT_FSIZE` once more, without the lock: every write asks.
    file_size: AtomicU64,
    /// Soft `RLIMIT_NOFILE` once more: every poll asks.
    descriptors: AtomicU64,
}

impl Default for Limits {
    fn default() -> Self {
        let mut limits = [[UNLIMITED; 2]; COUNT];
        let values = [
            (raw::RLIMIT_STACK, [8 << 20, UNLIMITED]),
            // No core dump is ever written: it would hold the program's secrets.
            (raw::RLIMIT_CORE, [0, 0]),
            (raw::RLIMIT_NOFILE, [DESCRIPTORS, 1 << 20]),
            (raw::RLIMIT_NPROC, [1 << 15, 1 << 15]),
            (raw::RLIMIT_MEMLOCK, [8 << 20, 8 << 20]),
            (raw::RLIMIT_SIGPENDING, [1 << 15, 1 << 15]),
            (raw::RLIMIT_MSGQUEUE, [819_200, 819_200]),
            (raw::RLIMIT_NICE, [0, 0]),
            (raw::RLIMIT_RTPRIO, [0, 0]),
        ];
        for (resource, value) in values {
            if let Some(slot) = limits.get_mut(resource as usize) {
                *slot = value;
            }
        }
        Self {
            values: Mutex::new(limits),
            file_size: AtomicU64::new(UNLIMITED),
            descriptors: AtomicU64::new(DESCRIPTORS),
        }
    }
}

impl Limits {
    /// A copy for a child.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            values: Mutex::new(*self.values.lock()),
            file_size: AtomicU64::new(self.file_size.load(Ordering::Relaxed)),
            descriptors: AtomicU64::new(self.descriptors.load(Ordering::Relaxed)),
        }
    }

    /// Soft and hard limit of `resource`.
    ///
    /// # Errors
    /// `EINVAL` for a resource that Linux does not have.
    pub fn get(&self, resource: u32) -> Result<[u64; 2], Errno> {
        self.values
            .lock()
            .get(resource as usize)
            .copied()
            .ok_or(Errno::EINVAL)
    }

    /// Sets the limits of `resource`.
    ///
    /// # Errors
    /// `EINVAL` where soft is over hard, `EPERM` to raise a hard limit without privilege, or
    /// `RLIMIT_NOFILE` over the most there may be.
    pub fn set(
        &self,
        resource: u32,
        [soft, hard]: [u64; 2],
        privileged: bool,
    ) -> Result<(), Errno> {
        let mut limits = self.values.lock();
        let slot = limits.get_mut(resource as usize).ok_or(Errno::EINVAL)?;
        if soft > hard {
            return Err(Errno::EINVAL);
        }
        let raises = hard > slot[1] && !privileged;
        if raises || resource == raw::RLIMIT_NOFILE && hard > 1 << 20 {
            return Err(Errno::EPERM);
        }
        *slot = [soft, hard];
        match resource {
            raw::RLIMIT_FSIZE => self.file_size.store(soft, Ordering::Relaxed),
            raw::RLIMIT_NOFILE => self.descriptors.store(soft, Ordering::Relaxed),
            _ => {}
        }
        Ok(())
    }

    fn soft(&self, resource: u32) -> u64 {
        self.get(resource).map_or(UNLIMITED, |[soft, _]| soft)
    }

    /// Most waiting real-time signals in one queue.
    #[must_use]
    pub fn signals(&self) -> usize {
        usize::try_from(self.soft(raw::RLIMIT_SIGPENDING))
            .unwrap_or(usize::MAX)
            .min(1 << 16)
    }

    /// `RLIMIT_NOFILE`.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        usize::try_from(self.descriptors.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// `RLIMIT_FSIZE` in bytes; `None` for no limit.
    #[must_use]
    pub fn file_size(&self) -> Option<u64> {
        Some(self.file_size.load(Ordering::Relaxed)).filter(|limit| *limit != UNLIMITED)
    }

    /// `RLIMIT_STACK` in bytes.
    #[must_use]
    pub fn stack(&self) -> u64 {
        self.soft(raw::RLIMIT_STACK)
    }

    /// What the address space has to keep.
    #[must_use]
    pub fn memory(&self, privileged: bool) -> MemoryLimits {
        MemoryLimits {
            address_space: self.soft(raw::RLIMIT_AS),
            data: self.soft(raw::RLIMIT_DATA),
            // CAP_IPC_LOCK (mlock(2)).
            locked: if privileged {
                UNLIMITED
            } else {
                self.soft(raw::RLIMIT_MEMLOCK)
            },
        }
    }
}
