//! The container: everything that all of its processes share.

use super::{ExitStatus, Process, Thread, exit};
use crate::fs::Denied;
use crate::signal::Signal;
use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    sync::{Arc, Weak},
    vec::Vec,
};
use bannock_platform::{
    cache::Pool,
    host::{HostFd, time},
    sync::Mutex,
    wait::WaitQueue,
};
use core::sync::atomic::{AtomicI32, Ordering};

/// Id of the supervisor's process.
pub const SUPERVISOR: i32 = 1;
/// Id of the main program's process.
pub const MAIN: i32 = 2;

/// What a container is made with.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `uname -n`.
    pub hostname: Vec<u8>,
    /// `AT_HWCAP`: EDX of CPUID leaf 1.
    pub hwcap: usize,
    /// `AT_HWCAP2`.
    pub hwcap2: usize,
    /// The lowest host descriptor that is not the platform's.
    pub first_descriptor: i32,
}

/// Why a container ended, or is about to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The main program ended.
    Exited(ExitStatus),
    /// Something was found that the policy does not allow.
    Denied(String),
    /// Something happened that the kernel cannot stand for.
    Failed(String),
}

#[derive(Default)]
struct Table {
    processes: BTreeMap<i32, Arc<Process>>,
    threads: BTreeMap<i32, Weak<Thread>>,
}

/// Everything that all processes of a container share.
pub struct Container {
    /// Pages of the page cache.
    pub cache: Arc<Pool>,
    /// Names of local sockets.
    pub names: Arc<crate::net::Names>,
    /// Open files on their way between processes.
    pub in_flight: crate::net::InFlight,
    /// Controlling terminals of sessions.
    pub sessions: crate::tty::Sessions,
    /// Job control of the host's terminal behind standard streams.
    pub console: Arc<crate::tty::JobControl>,
    /// What it was made with.
    pub config: Config,
    /// `CLOCK_BOOTTIME` of its start in nanoseconds.
    pub started: u64,
    /// Woken when the container is about to end.
    pub ending_changed: WaitQueue,
    table: Mutex<Table>,
    next_id: AtomicI32,
    ending: Mutex<Option<Ending>>,
    /// Host processes that ended by themselves, until the supervisor has heard of it.
    ended_hosts: Mutex<BTreeSet<i32>>,
    /// Host descriptors of mounts, ascending, which every process keeps.
    kept: Mutex<Vec<i32>>,
    /// Calls that programs made and the kernel does not have, by number.
    absent: Mutex<BTreeMap<u32, u64>>,
}

impl Container {
    /// Largest process or thread id (Linux `PID_MAX_LIMIT` on 64-bit).
    pub const MAX_ID: i32 = 4 << 20;

    /// An empty container with a plain configuration.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::with(Config {
            hostname: b"localhost".to_vec(),
            first_descriptor: 3,
            ..Config::default()
        })
    }

    /// An empty container.
    #[must_use]
    pub fn with(config: Config) -> Arc<Self> {
        Arc::new(Self {
            cache: Arc::new(Pool::new()),
            names: crate::net::Names::new(),
            in_flight: crate::net::InFlight::new(),
            sessions: crate::tty::Sessions::default(),
            console: Arc::default(),
            config,
            started: time::clock(linux_raw_sys::general::CLOCK_BOOTTIME as i32)
                .and_then(time::Timespec::to_nanos)
                .unwrap_or(0),
            ending_changed: WaitQueue::new(),
            table: Mutex::new(Table::default()),
            next_id: AtomicI32::new(SUPERVISOR),
            ending: Mutex::new(None),
            ended_hosts: Mutex::new(BTreeSet::new()),
            kept: Mutex::new(Vec::new()),
            absent: Mutex::new(BTreeMap::new()),
        })
    }

    /// Makes every process keep a host descriptor of the first one: a mount's root.
    pub fn keep(&self, descriptor: HostFd) {
        self.kept.lock().push(descriptor.number());
    }

    /// Host descriptors that every process keeps.
    pub(super) fn kept(&self) -> Vec<i32> {
        self.kept.lock().clone()
    }

    /// A fresh id for a process or thread.
    pub fn allocate_id(&self) -> i32 {
        loop {
            let next = |id: i32| if id >= Self::MAX_ID { 300 } else { id + 1 };
            let id = self
                .next_id
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |id| Some(next(id)));
            let (Ok(id) | Err(id)) = id;
            let table = self.table.lock();
            let group_or_session = |p: &Arc<Process>| {
                p.group.load(Ordering::Relaxed) == id || p.session.load(Ordering::Relaxed) == id
            };
            let used = table.processes.contains_key(&id)
                || table.threads.contains_key(&id)
                || id > MAIN && table.processes.values().any(group_or_session);
            if !used {
                return id;
            }
        }
    }

    /// The process with this id, also when it has ended and was not waited for.
    #[must_use]
    pub fn process(&self, id: i32) -> Option<Arc<Process>> {
        self.table.lock().processes.get(&id).cloned()
    }

    /// The thread with this id.
    #[must_use]
    pub fn thread(&self, id: i32) -> Option<Arc<Thread>> {
        self.table.lock().threads.get(&id).and_then(Weak::upgrade)
    }

    /// All processes, ascending by id.
    #[must_use]
    pub fn processes(&self) -> Vec<Arc<Process>> {
        self.table.lock().processes.values().cloned().collect()
    }

    /// The children of process `parent`.
    #[must_use]
    pub fn children(&self, parent: i32) -> Vec<Arc<Process>> {
        let table = self.table.lock();
        table
            .processes
            .values()
            .filter(|p| p.parent.load(Ordering::Relaxed) == parent)
            .cloned()
            .collect()
    }

    /// The processes of a process group.
    #[must_use]
    pub fn group(&self, group: i32) -> Vec<Arc<Process>> {
        let table = self.table.lock();
        table
            .processes
            .values()
            .filter(|p| p.group.load(Ordering::Relaxed) == group)
            .cloned()
            .collect()
    }

    pub(crate) fn add_process(&self, process: &Arc<Process>) {
        self.table
            .lock()
            .processes
            .insert(process.id, Arc::clone(process));
    }

    pub(super) fn remove_process(&self, id: i32) -> bool {
        let removed = self.table.lock().processes.remove(&id);
        removed.is_some()
    }

    pub(super) fn add_thread(&self, thread: &Arc<Thread>) {
        self.table
            .lock()
            .threads
            .insert(thread.id, Arc::downgrade(thread));
    }

    pub(super) fn remove_thread(&self, id: i32) {
        self.table.lock().threads.remove(&id);
    }

    /// Notes that a host process is about to end by itself.
    pub(super) fn host_ends(&self, host_process: i32) {
        self.ended_hosts.lock().insert(host_process);
    }

    /// Whether the end of a host process was its own; to be asked once.
    pub(super) fn take_host_end(&self, host_process: i32) -> bool {
        self.ended_hosts.lock().remove(&host_process)
    }

    /// Why the container is about to end; `None` while it runs.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.ending.lock().clone()
    }

    /// How the main program ended.
    #[must_use]
    pub fn main_exit(&self) -> Option<ExitStatus> {
        match self.ending() {
            Some(Ending::Exited(status)) => Some(status),
            _ => None,
        }
    }

    /// Ends the container as denied: the reason is recorded, and all processes end.
    pub fn deny(&self, reason: String) {
        self.end(Ending::Denied(reason));
    }

    /// Ends the container as failed.
    pub fn fail(&self, reason: String) {
        self.end(Ending::Failed(reason));
    }

    /// Records why the container ends, unless it is ending already, and ends all processes.
    pub(super) fn end(&self, ending: Ending) {
        self.ending.lock().get_or_insert(ending);
        self.ending_changed.wake();
        for process in self.processes() {
            exit::begin(&process, ExitStatus::Killed(Signal::KILL));
        }
    }

    /// Counts a call that the kernel does not have.
    pub fn count_absent(&self, number: usize) {
        // Numbers beyond any table are one: a program must not fill the kernel's memory with them.
        let number = u32::try_from(number)
            .unwrap_or(u32::MAX)
            .min(crate::syscall::LIMIT as u32);
        let mut absent = self.absent.lock();
        let count = absent.entry(number).or_insert(0);
        *count = count.saturating_add(1);
    }

    /// Calls that programs made and the kernel does not have: number and count. The table's limit
    /// stands for all numbers beyond it.
    #[must_use]
    pub fn absent_calls(&self) -> Vec<(u32, u64)> {
        self.absent
            .lock()
            .iter()
            .map(|(number, count)| (*number, *count))
            .collect()
    }
}

impl Denied for Container {
    fn denied(&self, reason: String) {
        self.deny(reason);
    }
}
