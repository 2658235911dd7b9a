//! Resource limits (getrlimit(2)).

use crate::mm::MemoryLimits;
use bannock_platform::{Errno, sync::Mutex};
use linux_raw_sys::general as raw;

const COUNT: usize = raw::RLIM_NLIMITS as usize;
const UNLIMITED: u64 = u64::MAX;

/// The limits of a process: soft and hard, by resource. They are the kernel's own; the host's never
/// show, and no host limit is changed.
pub struct Limits(Mutex<[[u64; 2]; COUNT]>);

impl Default for Limits {
    fn default() -> Self {
        let mut limits = [[UNLIMITED; 2]; COUNT];
        let values = [
            (raw::RLIMIT_STACK, [8 << 20, UNLIMITED]),
            // No core dump is ever written: it would hold the program's secrets.
            (raw::RLIMIT_CORE, [0, 0]),
            (raw::RLIMIT_NOFILE, [1024, 1 << 20]),
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
        Self(Mutex::new(limits))
    }
}

impl Limits {
    /// A copy for a child.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self(Mutex::new(*self.0.lock()))
    }

    /// Soft and hard limit of `resource`.
    ///
    /// # Errors
    /// `EINVAL` for a resource that Linux does not have.
    pub fn get(&self, resource: u32) -> Result<[u64; 2], Errno> {
        self.0
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
        let mut limits = self.0.lock();
        let slot = limits.get_mut(resource as usize).ok_or(Errno::EINVAL)?;
        if soft > hard {
            return Err(Errno::EINVAL);
        }
        let raises = hard > slot[1] && !privileged;
        if raises || resource == raw::RLIMIT_NOFILE && hard > 1 << 20 {
            return Err(Errno::EPERM);
        }
        *slot = [soft, hard];
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
        usize::try_from(self.soft(raw::RLIMIT_NOFILE)).unwrap_or(usize::MAX)
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
