//! Directories that lead to mount points and that no file system has.

use super::super::attributes::device_number;
use super::super::filesystem::{DirectoryEntry, FileSystem, NodeId, Opened, Usage};
use super::super::{Attributes, FileType};
use super::{ROOT, SkeletonNode, absolute};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::Errno;

/// Directories that exist only because something is mounted below them.
pub(super) struct Bare {
    pub(super) nodes: Arc<Vec<SkeletonNode>>,
}

/// Device number of [`Bare`] directories.
const BARE_DEVICE: u64 = device_number(0, 1);

impl FileSystem for Bare {
    fn kind(&self) -> &'static str {
        "rootfs"
    }

    fn device(&self) -> u64 {
        BARE_DEVICE
    }

    fn root(&self) -> NodeId {
        ROOT as NodeId
    }

    fn lookup(&self, _: NodeId, _: &[u8]) -> Result<(NodeId, Attributes), Errno> {
        Err(Errno::ENOENT)
    }

    fn parent(&self, node: NodeId) -> Result<NodeId, Errno> {
        let index = usize::try_from(node).map_err(|_| Errno::ENOENT)?;
        self.nodes
            .get(index)
            .map(|n| n.parent as NodeId)
            .ok_or(Errno::ENOENT)
    }

    fn path(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        let mut at = usize::try_from(node).map_err(|_| Errno::ENOENT)?;
        let mut names = Vec::new();
        while at != ROOT {
            let node = self.nodes.get(at).ok_or(Errno::ENOENT)?;
            names.push(&*node.name);
            at = node.parent;
        }
        Ok(absolute(names.into_iter().rev()))
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, Errno> {
        Ok(Attributes::synthetic(
            BARE_DEVICE,
            node + 1,
            FileType::Directory,
            0o755,
        ))
    }

    fn entries(&self, _: NodeId) -> Result<Vec<DirectoryEntry>, Errno> {
        Ok(Vec::new())
    }

    fn open(&self, _: NodeId, _: u32) -> Result<Opened, Errno> {
        // Directories are opened above the file system.
        Err(Errno::EISDIR)
    }

    fn usage(&self) -> Result<Usage, Errno> {
        Ok(Usage {
            magic: 0x8584_58f6,
            block_size: 4096,
            ..Usage::default()
        })
    }
}
