//! Threads.

use super::Process;
use alloc::sync::Arc;

/// A thread.
pub struct Thread {
    /// Thread id.
    pub id: i32,
    /// Its process.
    pub process: Arc<Process>,
}
