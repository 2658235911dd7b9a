//! Processes.

use super::{Container, ExitStatus, Ids, Limits, Thread, Timers, Usage, exec::Pending};
use crate::fs::{Credentials, FileTable, FsContext};
use crate::mm::{AddressSpace, Placement};
use crate::readiness::Readiness;
use crate::signal::{ProcessSignals, Signal, absorb, wake};
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use bannock_platform::{sync::Mutex, wait::WaitQueue};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use linux_raw_sys::general as raw;

/// What a process runs.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Absolute path, links resolved.
    pub path: Vec<u8>,
    /// Arguments.
    pub arguments: Vec<Vec<u8>>,
    /// Environment at its start.
    pub environment: Vec<Vec<u8>>,
}

/// Where a process is in its life.
#[derive(Default)]
pub(super) struct Life {
    /// The status that it ends with, once that is decided.
    pub(super) status: Option<ExitStatus>,
    /// Set when it has ended and waits to be waited for.
    pub(super) ended: Option<Usage>,
    /// The signal that stopped it.
    pub(super) stopped: Option<Signal>,
    /// A stop (with its signal) or a continue that no parent has seen yet.
    pub(super) unseen: Option<StopChange>,
}

/// A change between running and stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopChange {
    /// Stopped by this signal.
    Stopped(Signal),
    /// Running again.
    Continued,
}

/// A process: what its threads share.
pub struct Process {
    /// Process id; that of its first thread.
    pub id: i32,
    /// The container it belongs to.
    pub container: Arc<Container>,
    /// Id of its parent.
    pub parent: AtomicI32,
    /// Id of its process group.
    pub group: AtomicI32,
    /// Id of its session.
    pub session: AtomicI32,
    /// Descriptors.
    pub files: FileTable,
    /// Root, working directory and umask.
    pub fs: FsContext,
    /// Resource limits.
    pub limits: Limits,
    /// Who it is.
    pub ids: Mutex<Ids>,
    /// Signal actions, and signals for any of its threads.
    pub signals: Mutex<ProcessSignals>,
    /// Says when a signal for the process, or one of its threads, waits.
    pub signals_changed: Arc<Readiness>,
    /// POSIX timers.
    pub timers: Timers,
    /// What it runs.
    pub program: Mutex<Program>,
    /// Says when it has ended, and when it has been waited for.
    pub over: Arc<Readiness>,
    /// Woken when a child changes.
    pub children_changed: WaitQueue,
    /// The signal that its parent gets at its end; `None` for none.
    pub exit_signal: Mutex<Option<Signal>>,
    /// The signal that it gets when its parent ends (`PR_SET_PDEATHSIG`), 0 for none.
    pub parent_death_signal: AtomicI32,
    /// Whether it adopts orphans among its descendants (`PR_SET_CHILD_SUBREAPER`).
    pub subreaper: AtomicBool,
    /// What it set with `PR_SET_DUMPABLE`; nothing depends on it.
    pub dumpable: AtomicI32,
    /// Whether it gave up gaining privileges (`PR_SET_NO_NEW_PRIVS`); none can be gained anyway.
    pub no_new_privileges: AtomicBool,
    /// Nice value (getpriority(2)), -20 to 19; for show.
    pub nice: AtomicI32,
    /// Whether it has executed a program since it was made (setpgid(2)).
    pub executed: AtomicBool,
    /// What the first thread said on exit(2).
    pub(super) leader_code: AtomicI32,
    /// What children that were waited for used.
    pub(super) children_usage: Mutex<Usage>,
    pub(super) life: Mutex<Life>,
    pub(super) threads_changed: WaitQueue,
    pub(super) pending: Mutex<Option<Pending>>,
    threads: Mutex<BTreeMap<i32, Arc<Thread>>>,
    space: Mutex<Arc<AddressSpace>>,
    continued: WaitQueue,
    continues: AtomicU64,
    borrowing: AtomicBool,
    returned: WaitQueue,
}

impl Process {
    /// A process without threads, open files and memory, of user 0.
    #[must_use]
    pub fn new(id: i32, container: Arc<Container>, fs: FsContext) -> Arc<Self> {
        Arc::new(Self::with(
            id,
            container,
            fs,
            FileTable::new(id),
            Ids::default(),
            Limits::default(),
        ))
    }

    pub(super) fn with(
        id: i32,
        container: Arc<Container>,
        fs: FsContext,
        files: FileTable,
        ids: Ids,
        limits: Limits,
    ) -> Self {
        Self {
            id,
            container,
            parent: AtomicI32::new(0),
            group: AtomicI32::new(id),
            session: AtomicI32::new(id),
            files,
            fs,
            limits,
            ids: Mutex::new(ids),
            signals: Mutex::new(ProcessSignals::default()),
            signals_changed: Arc::new(Readiness::new()),
            timers: Timers::default(),
            program: Mutex::new(Program::default()),
            over: Arc::new(Readiness::new()),
            children_changed: WaitQueue::new(),
            exit_signal: Mutex::new(Some(Signal::CHLD)),
            parent_death_signal: AtomicI32::new(0),
            subreaper: AtomicBool::new(false),
            dumpable: AtomicI32::new(1),
            no_new_privileges: AtomicBool::new(false),
            nice: AtomicI32::new(0),
            executed: AtomicBool::new(false),
            leader_code: AtomicI32::new(0),
            children_usage: Mutex::new(Usage::default()),
            life: Mutex::new(Life::default()),
            threads_changed: WaitQueue::new(),
            pending: Mutex::new(None),
            threads: Mutex::new(BTreeMap::new()),
            space: Mutex::new(AddressSpace::new(Placement::nowhere())),
            continued: WaitQueue::new(),
            continues: AtomicU64::new(0),
            borrowing: AtomicBool::new(false),
            returned: WaitQueue::new(),
        }
    }

    /// A child's copy, without threads and memory.
    pub(super) fn fork(&self, id: i32, files: FileTable) -> Self {
        let child = Self::with(
            id,
            Arc::clone(&self.container),
            self.fs.fork(),
            files,
            self.ids.lock().clone(),
            self.limits.fork(),
        );
        child.parent.store(self.id, Ordering::Relaxed);
        child
            .group
            .store(self.group.load(Ordering::Relaxed), Ordering::Relaxed);
        child
            .session
            .store(self.session.load(Ordering::Relaxed), Ordering::Relaxed);
        child.signals.lock().actions = self.signals.lock().actions.clone();
        *child.program.lock() = self.program.lock().clone();
        child
            .dumpable
            .store(self.dumpable.load(Ordering::Relaxed), Ordering::Relaxed);
        child.no_new_privileges.store(
            self.no_new_privileges.load(Ordering::Relaxed),
            Ordering::Relaxed,
        );
        child
            .nice
            .store(self.nice.load(Ordering::Relaxed), Ordering::Relaxed);
        child
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
        self.ids.lock().for_files()
    }

    /// Whether it is user 0.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        self.ids.lock().is_privileged()
    }

    /// `RLIMIT_NOFILE`, the soft limit.
    #[must_use]
    pub fn descriptor_limit(&self) -> usize {
        self.limits.descriptors()
    }

    /// Its threads, ascending by id.
    #[must_use]
    pub fn threads(&self) -> Vec<Arc<Thread>> {
        self.threads.lock().values().cloned().collect()
    }

    /// How many threads it has.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        self.threads.lock().len()
    }

    /// The thread with the lowest id, the process's first as long as that lives.
    #[must_use]
    pub fn first_thread(&self) -> Option<Arc<Thread>> {
        self.threads.lock().values().next().cloned()
    }

    /// The thread with this id.
    #[must_use]
    pub fn thread(&self, id: i32) -> Option<Arc<Thread>> {
        self.threads.lock().get(&id).cloned()
    }

    pub(crate) fn add_thread(&self, thread: &Arc<Thread>) {
        self.threads.lock().insert(thread.id, Arc::clone(thread));
    }

    /// Removes a thread; whether it was the last one.
    pub(super) fn remove_thread(&self, id: i32) -> bool {
        let (removed, last) = {
            let mut threads = self.threads.lock();
            (threads.remove(&id), threads.is_empty())
        };
        drop(removed);
        self.threads_changed.wake();
        last
    }

    /// What children that were waited for used.
    #[must_use]
    pub fn children_usage(&self) -> super::Usage {
        *self.children_usage.lock()
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.life.lock().ended.is_some()
    }

    /// Whether a signal stopped it.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.life.lock().stopped.is_some()
    }

    /// Stops all threads.
    pub fn stop(self: &Arc<Self>, signal: Signal) {
        self.stop_unless_continued(signal, self.continues());
    }

    /// How often something came that lets a stopped process run.
    pub(crate) fn continues(&self) -> u64 {
        self.continues.load(Ordering::SeqCst)
    }

    /// Notes that something comes that lets a stopped process run: a stop whose signal was taken
    /// before it does not happen any more.
    pub(crate) fn note_continue(&self) {
        self.continues.fetch_add(1, Ordering::SeqCst);
    }

    /// Stops all threads, unless something came that lets the process run since it had come
    /// `continues` times.
    pub(crate) fn stop_unless_continued(self: &Arc<Self>, signal: Signal, continues: u64) {
        {
            let mut life = self.life.lock();
            if life.status.is_some() || life.stopped.is_some() || self.continues() != continues {
                return;
            }
            life.stopped = Some(signal);
            life.unseen = Some(StopChange::Stopped(signal));
        }
        for thread in self.threads() {
            wake(&thread, Thread::STOP);
        }
        super::notify_parent(self, raw::CLD_STOPPED as i32, signal.number());
    }

    /// Lets stopped threads run; whether they were stopped.
    pub(crate) fn go_on(&self, report: bool) -> bool {
        let was_stopped = {
            let mut life = self.life.lock();
            let was = life.stopped.take().is_some();
            if was {
                life.unseen = report.then_some(StopChange::Continued);
            }
            was
        };
        if was_stopped {
            self.continued.wake();
        }
        was_stopped
    }

    /// Sleeps until the process runs again, or `thread` has to end.
    pub(crate) fn wait_while_stopped(&self, thread: &Arc<Thread>) {
        thread.calm(Thread::STOP);
        loop {
            let ticket = self.continued.ticket();
            if !self.is_stopped() || thread.attention() & Thread::EXIT != 0 {
                return;
            }
            // Interrupts are looked into: a signal from outside may be what lets it go on.
            let _ = self.continued.sleep(ticket, None);
            absorb(thread);
        }
    }

    /// Marks the process as one that runs in its parent's memory.
    pub(super) fn borrow_memory(&self) {
        self.borrowing.store(true, Ordering::SeqCst);
    }

    /// Whether it may still run in its parent's memory.
    pub(super) fn borrows_memory(&self) -> bool {
        self.borrowing.load(Ordering::SeqCst)
    }

    /// Wakes the parent that waits for its memory.
    pub(super) fn return_memory(&self) {
        if self.borrowing.swap(false, Ordering::SeqCst) {
            self.returned.wake();
        }
    }

    /// Sleeps until this child no longer uses the memory of `parent`, or that has to end.
    pub(super) fn wait_for_memory(&self, parent: &Arc<Thread>) {
        loop {
            let ticket = self.returned.ticket();
            if !self.borrowing.load(Ordering::SeqCst) || parent.attention() & Thread::EXIT != 0 {
                return;
            }
            let _ = self.returned.sleep(ticket, None);
            absorb(parent);
        }
    }
}
