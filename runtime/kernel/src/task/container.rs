//! The container: everything that all of its processes share.

use super::Process;
use alloc::{collections::BTreeMap, sync::Arc};
use bannock_platform::{cache::Pool, sync::Mutex};
use core::sync::atomic::{AtomicI32, Ordering};

/// Everything that all processes of a container share.
pub struct Container {
    /// Pages of the page cache.
    pub cache: Pool,
    /// Names of local sockets.
    pub names: Arc<crate::net::Names>,
    /// Open files on their way between processes.
    pub in_flight: crate::net::InFlight,
    processes: Mutex<BTreeMap<i32, Arc<Process>>>,
    next_id: AtomicI32,
}

impl Container {
    /// Largest process or thread id (Linux `PID_MAX_LIMIT` on 64-bit).
    pub const MAX_ID: i32 = 4 << 20;

    /// An empty container.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            cache: Pool::new(),
            names: crate::net::Names::new(),
            in_flight: crate::net::InFlight::new(),
            processes: Mutex::new(BTreeMap::new()),
            next_id: AtomicI32::new(1),
        })
    }

    /// A fresh id for a process or thread.
    pub fn allocate_id(&self) -> i32 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The process with this id.
    pub fn process(&self, id: i32) -> Option<Arc<Process>> {
        self.processes.lock().get(&id).cloned()
    }
}
