//! Inodes and directories in memory.

mod names;
mod state;

use super::super::attributes::{Attributes, Changes, FileType, now};
use super::super::filesystem::{DirectoryEntry, NodeId};
use super::super::mounts::absolute;
use super::super::pipe::Pipe;
use super::content::{Content, SEAL_SEAL};
use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use bannock_platform::{Errno, cache::Pool, sync::Mutex};

pub(super) const ROOT: NodeId = 1;

type Extended = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a file system and its open files share.
pub(super) struct Shared {
    pool: Arc<Pool>,
    device: u64,
    state: Mutex<State>,
}

struct State {
    inodes: BTreeMap<NodeId, Inode>,
    next: NodeId,
}

struct Inode {
    /// Size and blocks of regular files are their content's.
    attributes: Attributes,
    lookups: u64,
    body: Body,
    extended: Extended,
    /// A name of the file, true as far as the directory agrees.
    home: Option<(NodeId, Box<[u8]>)>,
}

enum Body {
    Regular(Arc<Content>),
    Directory {
        parent: Option<NodeId>,
        names: BTreeMap<Box<[u8]>, NodeId>,
    },
    Symlink(Box<[u8]>),
    Fifo(Arc<Pipe>),
    /// A socket's name.
    Special,
}

impl Shared {
    pub(super) fn new(pool: Arc<Pool>, device: u64, mode: u32) -> Self {
        let body = Body::Directory {
            parent: Some(ROOT),
            names: BTreeMap::new(),
        };
        let attributes = Attributes::synthetic(device, ROOT, FileType::Directory, mode);
        Self::with_root(pool, attributes, body)
    }

    /// One whose root is a regular file: it is mounted over a name, not a directory.
    pub(super) fn single(pool: Arc<Pool>, device: u64, mode: u32) -> (Self, Arc<Content>) {
        let content = Content::new(Arc::clone(&pool), SEAL_SEAL);
        let body = Body::Regular(Arc::clone(&content));
        let attributes = Attributes::synthetic(device, ROOT, FileType::Regular, mode & 0o7777);
        (Self::with_root(pool, attributes, body), content)
    }

    fn with_root(pool: Arc<Pool>, attributes: Attributes, body: Body) -> Self {
        let time = now();
        let root = Inode {
            attributes: Attributes {
                accessed: time,
                modified: time,
                changed: time,
                born: time,
                ..attributes
            },
            lookups: 1,
            body,
            extended: Extended::new(),
            home: None,
        };
        let inodes = BTreeMap::from([(ROOT, root)]);
        Self {
            pool,
            device: attributes.device,
            state: Mutex::new(State {
                inodes,
                next: ROOT + 1,
            }),
        }
    }

    pub(super) fn device(&self) -> u64 {
        self.device
    }

    pub(super) fn lookup(
        &self,
        directory: NodeId,
        name: &[u8],
    ) -> Result<(NodeId, Attributes), Errno> {
        let mut state = self.state.lock();
        let id = state.child(directory, name)?;
        let inode = state.get_mut(id)?;
        inode.lookups += 1;
        if !matches!(&inode.home, Some((d, n)) if *d == directory && **n == *name) {
            inode.home = Some((directory, name.into()));
        }
        Ok((id, inode.attributes()))
    }

    pub(super) fn retain(&self, node: NodeId) {
        if let Ok(inode) = self.state.lock().get_mut(node) {
            inode.lookups += 1;
        }
    }

    pub(super) fn forget(&self, node: NodeId) {
        let mut state = self.state.lock();
        if let Ok(inode) = state.get_mut(node) {
            inode.lookups = inode.lookups.saturating_sub(1);
        }
        let gone = state.reap(node);
        drop(state);
        drop(gone);
    }

    pub(super) fn parent(&self, node: NodeId) -> Result<NodeId, Errno> {
        let mut state = self.state.lock();
        let up = match &state.get(node)?.body {
            Body::Directory {
                parent: Some(up), ..
            } => *up,
            Body::Directory { parent: None, .. } => return Err(Errno::ENOENT),
            _ => return Err(Errno::ENOTDIR),
        };
        state.get_mut(up)?.lookups += 1;
        Ok(up)
    }

    pub(super) fn path(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        let state = self.state.lock();
        let mut names: Vec<&[u8]> = Vec::new();
        let mut at = node;
        while at != ROOT {
            let (up, name) = state.get(at)?.home.as_ref().ok_or(Errno::ENOENT)?;
            if state.child(*up, name) != Ok(at) {
                return Err(Errno::ENOENT);
            }
            names.push(name);
            at = *up;
        }
        Ok(absolute(names.into_iter().rev()))
    }

    pub(super) fn attributes(&self, node: NodeId) -> Result<Attributes, Errno> {
        self.state.lock().get(node).map(Inode::attributes)
    }

    pub(super) fn content(&self, node: NodeId) -> Result<Arc<Content>, Errno> {
        match &self.state.lock().get(node)?.body {
            Body::Regular(content) => Ok(Arc::clone(content)),
            Body::Directory { .. } => Err(Errno::EISDIR),
            Body::Symlink(_) => Err(Errno::ELOOP),
            Body::Fifo(_) | Body::Special => Err(Errno::ENXIO),
        }
    }

    /// The pipe of `node`, where it is a FIFO.
    pub(super) fn pipe(&self, node: NodeId) -> Result<Option<Arc<Pipe>>, Errno> {
        Ok(match &self.state.lock().get(node)?.body {
            Body::Fifo(pipe) => Some(Arc::clone(pipe)),
            _ => None,
        })
    }

    /// The bytes of `node` changed.
    pub(super) fn touch(&self, node: NodeId) {
        if let Ok(inode) = self.state.lock().get_mut(node) {
            let time = now();
            (inode.attributes.modified, inode.attributes.changed) = (time, time);
        }
    }

    pub(super) fn change(&self, node: NodeId, changes: &Changes) -> Result<(), Errno> {
        if let Some(size) = changes.size {
            self.content(node)
                .map_err(|e| if e == Errno::EISDIR { e } else { Errno::EINVAL })?
                .resize(size)?;
            self.touch(node);
        }
        let mut state = self.state.lock();
        let attributes = &mut state.get_mut(node)?.attributes;
        attributes.mode = changes.mode.map_or(attributes.mode, |m| m & 0o7777);
        attributes.uid = changes.uid.unwrap_or(attributes.uid);
        attributes.gid = changes.gid.unwrap_or(attributes.gid);
        if let Some(time) = changes.accessed {
            attributes.accessed = time.resolve();
        }
        if let Some(time) = changes.modified {
            attributes.modified = time.resolve();
        }
        attributes.changed = now();
        Ok(())
    }

    pub(super) fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        match &self.state.lock().get(node)?.body {
            Body::Symlink(target) => Ok(target.to_vec()),
            _ => Err(Errno::EINVAL),
        }
    }

    pub(super) fn entries(&self, directory: NodeId) -> Result<Vec<DirectoryEntry>, Errno> {
        let state = self.state.lock();
        let names = state.get(directory)?.names()?;
        Ok(names
            .iter()
            .map(|(name, id)| DirectoryEntry {
                name: name.clone(),
                inode: *id,
                kind: state.get(*id).ok().map(|i| i.attributes.kind),
            })
            .collect())
    }

    /// Works on the extended attributes of `node`; only names that start with `user.` exist, on
    /// regular files and directories (xattr(7)).
    pub(super) fn with_extended<R>(
        &self,
        node: NodeId,
        name: &[u8],
        act: impl FnOnce(&mut Extended) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        if !name.starts_with(b"user.") {
            return Err(Errno::EOPNOTSUPP);
        }
        let mut state = self.state.lock();
        let inode = state.get_mut(node)?;
        match inode.body {
            Body::Regular(_) | Body::Directory { .. } => act(&mut inode.extended),
            Body::Symlink(_) | Body::Fifo(_) | Body::Special => Err(Errno::EPERM),
        }
    }
}
