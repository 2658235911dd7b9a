//! Where a file is.

use super::super::Attributes;
use super::super::filesystem::{FileSystem, Node, NodeId};
use super::Mount;
use alloc::sync::Arc;
use bannock_platform::Errno;

/// A file's place: its mount and node.
#[derive(Clone)]
pub struct Location {
    /// The mount.
    pub mount: Arc<Mount>,
    /// The node in its file system.
    pub node: Node,
    /// Where in the skeleton this directory is, if it is in it.
    pub(in crate::fs) skeleton: Option<usize>,
}

impl Location {
    /// The place of a file without a name.
    #[must_use]
    pub fn unnamed(mount: &Arc<Mount>, node: Node) -> Self {
        Self {
            mount: Arc::clone(mount),
            node,
            skeleton: None,
        }
    }

    /// The file system.
    #[must_use]
    pub fn fs(&self) -> &dyn FileSystem {
        &**self.node.fs()
    }

    /// The node's number.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.node.id()
    }

    /// Attributes.
    ///
    /// # Errors
    /// What the file system met.
    pub fn attributes(&self) -> Result<Attributes, Errno> {
        self.fs().attributes(self.id())
    }

    /// Whether both are the same file.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && self.id() == other.id()
    }

    /// Whether a file system is mounted here or below, so that the place must stay.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.skeleton.is_some()
    }
}
