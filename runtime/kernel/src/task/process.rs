//! Processes.

use super::Container;
use alloc::sync::Arc;

/// A process: what its threads share.
pub struct Process {
    /// Process id; that of its first thread.
    pub id: i32,
    /// The container it belongs to.
    pub container: Arc<Container>,
}
