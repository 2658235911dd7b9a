//! Files that never had a name.

use super::super::MemoryFs;
use super::super::filesystem::{NewFile, NodeId, Opened};
use super::Mount;
use alloc::sync::Arc;
use bannock_platform::Errno;

/// The file system of files that never had a name (memfd_create(2)).
pub struct Unnamed {
    pub(super) fs: Arc<MemoryFs>,
    pub(super) mount: Arc<Mount>,
}

impl Unnamed {
    /// Its mount, which no path leads to.
    #[must_use]
    pub fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }

    /// Makes and opens a file; without `sealable` its seals are fixed.
    ///
    /// # Errors
    /// What the file system met.
    pub fn create(&self, new: &NewFile<'_>, sealable: bool) -> Result<(NodeId, Opened), Errno> {
        self.fs.unnamed(
            new,
            if sealable {
                0
            } else {
                crate::fs::memory::SEAL_SEAL
            },
        )
    }
}
