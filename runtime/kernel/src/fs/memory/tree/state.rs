//! The inodes, and what keeps links and names of them true.

use super::super::super::attributes::{Attributes, FileType, now};
use super::super::super::filesystem::NodeId;
use super::{Body, Inode, ROOT, State};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use bannock_platform::Errno;

impl Inode {
    pub(super) fn attributes(&self) -> Attributes {
        let mut attributes = self.attributes;
        match &self.body {
            Body::Regular(content) => {
                attributes.size = content.size();
                attributes.blocks = attributes.size.div_ceil(4096).saturating_mul(8);
            }
            Body::Symlink(target) => attributes.size = target.len() as u64,
            Body::Directory { names, .. } => {
                attributes.size = (names.len() as u64).saturating_add(2).saturating_mul(20)
            }
            Body::Fifo(_) | Body::Special => {}
        }
        attributes
    }

    pub(super) fn names(&self) -> Result<&BTreeMap<Box<[u8]>, NodeId>, Errno> {
        match &self.body {
            Body::Directory { names, .. } => Ok(names),
            _ => Err(Errno::ENOTDIR),
        }
    }
}

impl State {
    pub(super) fn get(&self, node: NodeId) -> Result<&Inode, Errno> {
        self.inodes.get(&node).ok_or(Errno::ESTALE)
    }

    pub(super) fn get_mut(&mut self, node: NodeId) -> Result<&mut Inode, Errno> {
        self.inodes.get_mut(&node).ok_or(Errno::ESTALE)
    }

    pub(super) fn child(&self, directory: NodeId, name: &[u8]) -> Result<NodeId, Errno> {
        self.get(directory)?
            .names()?
            .get(name)
            .copied()
            .ok_or(Errno::ENOENT)
    }

    /// The names of a directory that still has a name itself, marked as changed.
    pub(super) fn names_mut(
        &mut self,
        directory: NodeId,
    ) -> Result<&mut BTreeMap<Box<[u8]>, NodeId>, Errno> {
        let inode = self.get_mut(directory)?;
        let time = now();
        (inode.attributes.modified, inode.attributes.changed) = (time, time);
        match &mut inode.body {
            Body::Directory {
                parent: Some(_),
                names,
            } => Ok(names),
            Body::Directory { parent: None, .. } => Err(Errno::ENOENT),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// Gives `node` a name.
    pub(super) fn enter(
        &mut self,
        directory: NodeId,
        name: &[u8],
        node: NodeId,
    ) -> Result<(), Errno> {
        self.names_mut(directory)?.insert(name.into(), node);
        self.get_mut(node)?.home = Some((directory, name.into()));
        Ok(())
    }

    pub(super) fn add_links(&mut self, node: NodeId, difference: i32) {
        if let Ok(inode) = self.get_mut(node) {
            inode.attributes.links = inode.attributes.links.saturating_add_signed(difference);
            inode.attributes.changed = now();
        }
    }

    pub(super) fn is_directory(&self, node: NodeId) -> bool {
        self.get(node)
            .is_ok_and(|i| i.attributes.kind == FileType::Directory)
    }

    /// Takes one name from `node`, which lost it; `directory` held it.
    pub(super) fn unlinked(&mut self, directory: NodeId, node: NodeId) {
        if self.is_directory(node) {
            self.add_links(node, -2);
            self.add_links(directory, -1);
            if let Ok(Inode {
                body: Body::Directory { parent, .. },
                ..
            }) = self.get_mut(node)
            {
                *parent = None;
            }
        } else {
            self.add_links(node, -1);
        }
    }

    /// Removes `node` where nothing leads to it any more; the caller drops it outside of the lock.
    pub(super) fn reap(&mut self, node: NodeId) -> Option<Inode> {
        let inode = self.inodes.get(&node)?;
        (inode.lookups == 0 && inode.attributes.links == 0 && node != ROOT)
            .then(|| self.inodes.remove(&node))?
    }

    pub(super) fn is_inside(&self, mut node: NodeId, ancestor: NodeId) -> bool {
        loop {
            if node == ancestor {
                return true;
            }
            match self.get(node).map(|i| &i.body) {
                Ok(Body::Directory {
                    parent: Some(up), ..
                }) if *up != node => node = *up,
                _ => return false,
            }
        }
    }
}
