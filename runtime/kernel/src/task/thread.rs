//! Threads.

use super::Process;
use crate::signal::{Signal, ThreadSignals};
use alloc::sync::Arc;
use bannock_platform::{sync::Mutex, wait::WaitQueue};
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Bytes of a thread's name with its NUL (Linux `TASK_COMM_LEN`).
pub(super) const NAME_LEN: usize = 16;

/// A thread.
pub struct Thread {
    /// Thread id.
    pub id: i32,
    /// Its process.
    pub process: Arc<Process>,
    /// Mask, alternate stack and signals of its own.
    pub signals: Mutex<ThreadSignals>,
    /// Where it waits for nothing but signals.
    pub idle: WaitQueue,
    /// Word to clear when it ends (set_tid_address(2)); 0 for none.
    pub clear_child_tid: AtomicUsize,
    /// Head of its list of robust futexes (set_robust_list(2)); 0 for none.
    pub robust_list: AtomicUsize,
    /// Word that gets its id when it starts (`CLONE_CHILD_SETTID`); 0 for none.
    pub(super) set_child_tid: AtomicUsize,
    /// What it said on exit(2).
    pub exit_code: AtomicI32,
    attention: AtomicU32,
    /// Host process id in the high, thread id in the low half; 0 before it has started.
    host: AtomicU64,
    /// When an interrupted wait ends, for the call that is made again; 0 for none.
    deadline: AtomicU64,
    name: Mutex<[u8; NAME_LEN]>,
}

impl Thread {
    /// There may be signals to deliver.
    pub const SIGNAL: u32 = 1;
    /// The thread has to end.
    pub const EXIT: u32 = 2;
    /// The process has stopped.
    pub const STOP: u32 = 4;
    /// The process is replaced by another program.
    pub const REPLACE: u32 = 8;
    /// A signal mask is to come back.
    pub const RESTORE: u32 = 16;

    /// A thread that has not started.
    #[must_use]
    pub fn new(id: i32, process: Arc<Process>) -> Self {
        Self {
            id,
            process,
            signals: Mutex::new(ThreadSignals::default()),
            idle: WaitQueue::new(),
            clear_child_tid: AtomicUsize::new(0),
            robust_list: AtomicUsize::new(0),
            set_child_tid: AtomicUsize::new(0),
            exit_code: AtomicI32::new(0),
            attention: AtomicU32::new(0),
            host: AtomicU64::new(0),
            deadline: AtomicU64::new(0),
            name: Mutex::new([0; NAME_LEN]),
        }
    }

    /// What it has to attend to.
    #[must_use]
    pub fn attention(&self) -> u32 {
        self.attention.load(Ordering::SeqCst)
    }

    /// Whether there is something that a wait must end for.
    #[must_use]
    pub fn has_attention(&self) -> bool {
        self.attention() & !Self::RESTORE != 0
    }

    /// Gives it something to attend to, without waking it.
    pub fn attend(&self, flag: u32) {
        self.attention.fetch_or(flag, Ordering::SeqCst);
    }

    /// Takes something to attend to away.
    pub fn calm(&self, flag: u32) {
        self.attention.fetch_and(!flag, Ordering::SeqCst);
    }

    /// Whether it blocks `signal`.
    #[must_use]
    pub fn blocks(&self, signal: Signal) -> bool {
        self.signals.lock().mask.contains(signal)
    }

    /// Host process and thread id; zeros before it has started.
    #[must_use]
    pub fn host_ids(&self) -> (i32, i32) {
        let ids = self.host.load(Ordering::SeqCst);
        ((ids >> 32) as i32, ids as u32 as i32)
    }

    /// Records host process and thread id.
    pub fn set_host_ids(&self, (process, thread): (i32, i32)) {
        self.host.store(
            (process as u32 as u64) << 32 | thread as u32 as u64,
            Ordering::SeqCst,
        );
    }

    /// The end of the wait that is made again, in nanoseconds of its clock.
    #[must_use]
    pub fn take_deadline(&self) -> Option<u64> {
        match self.deadline.swap(0, Ordering::Relaxed) {
            0 => None,
            deadline => Some(deadline),
        }
    }

    /// Keeps the end of a wait for when the call is made again.
    pub fn keep_deadline(&self, deadline: u64) {
        self.deadline.store(deadline, Ordering::Relaxed);
    }

    /// Forgets the end of a wait, because a handler ran.
    pub fn forget_deadline(&self) {
        self.deadline.store(0, Ordering::Relaxed);
    }

    /// The name, NUL-terminated.
    #[must_use]
    pub fn name(&self) -> [u8; NAME_LEN] {
        *self.name.lock()
    }

    /// Sets the name to the first 15 bytes of `name`.
    pub fn set_name(&self, name: &[u8]) {
        let mut fresh = [0; NAME_LEN];
        for (to, from) in fresh
            .iter_mut()
            .take(NAME_LEN - 1)
            .zip(name.iter().take_while(|b| **b != 0))
        {
            *to = *from;
        }
        *self.name.lock() = fresh;
    }
}
