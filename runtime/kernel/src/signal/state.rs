//! Signal state of threads and processes.

use super::{Actions, AltStack, Queue, SignalSet};

/// Signal state that the threads of a process share.
#[derive(Debug, Default)]
pub struct ProcessSignals {
    /// What to do on each signal.
    pub actions: Actions,
    /// Signals for whichever thread takes them.
    pub pending: Queue,
}

/// The last exception, as signal frames show it (`uc_mcontext`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultContext {
    /// `REG_TRAPNO`.
    pub trap: usize,
    /// `REG_ERR`.
    pub error: usize,
    /// `REG_CR2`.
    pub address: usize,
}

/// Signal state of one thread.
#[derive(Debug, Default)]
pub struct ThreadSignals {
    /// Blocked signals.
    pub mask: SignalSet,
    /// The mask to come back once a signal was delivered (sigsuspend(2), ppoll(2)).
    pub saved_mask: Option<SignalSet>,
    /// Signals that sigtimedwait(2) waits for, although they are blocked.
    pub awaited: SignalSet,
    /// Signals for this thread alone.
    pub pending: Queue,
    /// The alternate stack.
    pub alt_stack: AltStack,
    /// The last exception.
    pub fault: FaultContext,
}
