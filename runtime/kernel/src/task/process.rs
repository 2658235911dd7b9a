//! Processes.

use super::Container;
use crate::fs::{Credentials, FileTable, FsContext};
use crate::mm::{AddressSpace, Placement};
use alloc::sync::Arc;
use bannock_platform::sync::Mutex;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A process: what its threads share.
pub struct Process {
    /// Process id; that of its first thread.
    pub id: i32,
    /// The container it belongs to.
    pub container: Arc<Container>,
    /// Descriptors.
    pub files: FileTable,
    /// Root, working directory and umask.
    pub fs: FsContext,
    space: Mutex<Arc<AddressSpace>>,
    credentials: Mutex<Credentials>,
    descriptor_limit: AtomicUsize,
}

impl Process {
    /// A process without open files and memory, of user 0.
    #[must_use]
    pub fn new(id: i32, container: Arc<Container>, fs: FsContext) -> Arc<Self> {
        Arc::new(Self {
            id,
            container,
            files: FileTable::new(id),
            fs,
            space: Mutex::new(AddressSpace::new(Placement::nowhere())),
            credentials: Mutex::new(Credentials::default()),
            descriptor_limit: AtomicUsize::new(1024),
        })
    }

    /// Its address space.
    #[must_use]
    pub fn space(&self) -> Arc<AddressSpace> {
        Arc::clone(&self.space.lock())
    }

    /// Gives the process another address space, as fork and exec do.
    pub fn set_space(&self, space: Arc<AddressSpace>) {
        let old = core::mem::replace(&mut *self.space.lock(), space);
        // Files that were mapped are let go outside of the lock.
        drop(old);
    }

    /// Who the process is to files.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        self.credentials.lock().clone()
    }

    /// `RLIMIT_NOFILE`, the soft limit.
    #[must_use]
    pub fn descriptor_limit(&self) -> usize {
        self.descriptor_limit.load(Ordering::Relaxed)
    }
}
