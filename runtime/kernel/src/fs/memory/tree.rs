//! Inodes and directories in memory.

use super::super::attributes::{Attributes, Changes, FileType, now};
use super::super::filesystem::{DirectoryEntry, NewFile, NewKind, NodeId, RenameMode};
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

impl Inode {
    fn attributes(&self) -> Attributes {
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

    fn names(&self) -> Result<&BTreeMap<Box<[u8]>, NodeId>, Errno> {
        match &self.body {
            Body::Directory { names, .. } => Ok(names),
            _ => Err(Errno::ENOTDIR),
        }
    }
}

impl State {
    fn get(&self, node: NodeId) -> Result<&Inode, Errno> {
        self.inodes.get(&node).ok_or(Errno::ESTALE)
    }

    fn get_mut(&mut self, node: NodeId) -> Result<&mut Inode, Errno> {
        self.inodes.get_mut(&node).ok_or(Errno::ESTALE)
    }

    fn child(&self, directory: NodeId, name: &[u8]) -> Result<NodeId, Errno> {
        self.get(directory)?
            .names()?
            .get(name)
            .copied()
            .ok_or(Errno::ENOENT)
    }

    /// The names of a directory that still has a name itself, marked as changed.
    fn names_mut(&mut self, directory: NodeId) -> Result<&mut BTreeMap<Box<[u8]>, NodeId>, Errno> {
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
    fn enter(&mut self, directory: NodeId, name: &[u8], node: NodeId) -> Result<(), Errno> {
        self.names_mut(directory)?.insert(name.into(), node);
        self.get_mut(node)?.home = Some((directory, name.into()));
        Ok(())
    }

    fn add_links(&mut self, node: NodeId, difference: i32) {
        if let Ok(inode) = self.get_mut(node) {
            inode.attributes.links = inode.attributes.links.saturating_add_signed(difference);
            inode.attributes.changed = now();
        }
    }

    fn is_directory(&self, node: NodeId) -> bool {
        self.get(node)
            .is_ok_and(|i| i.attributes.kind == FileType::Directory)
    }

    /// Takes one name from `node`, which lost it; `directory` held it.
    fn unlinked(&mut self, directory: NodeId, node: NodeId) {
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
    fn reap(&mut self, node: NodeId) -> Option<Inode> {
        let inode = self.inodes.get(&node)?;
        (inode.lookups == 0 && inode.attributes.links == 0 && node != ROOT)
            .then(|| self.inodes.remove(&node))?
    }

    fn is_inside(&self, mut node: NodeId, ancestor: NodeId) -> bool {
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
        let mut path = Vec::new();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        Ok(path)
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

    fn add(
        &self,
        state: &mut State,
        new: &NewFile<'_>,
        body: Body,
        kind: FileType,
        links: u32,
        lookups: u64,
    ) -> NodeId {
        let id = state.next;
        state.next += 1;
        let time = now();
        let attributes = Attributes {
            links,
            uid: new.uid,
            gid: new.gid,
            accessed: time,
            modified: time,
            changed: time,
            born: time,
            ..Attributes::synthetic(self.device, id, kind, new.mode & 0o7777)
        };
        state.inodes.insert(
            id,
            Inode {
                attributes,
                lookups,
                body,
                extended: Extended::new(),
                home: None,
            },
        );
        id
    }

    fn vacant(state: &mut State, directory: NodeId, name: &[u8]) -> Result<(), Errno> {
        match state.child(directory, name) {
            Ok(_) => Err(Errno::EEXIST),
            Err(Errno::ENOENT) => state.names_mut(directory).map(drop),
            Err(e) => Err(e),
        }
    }

    /// Makes a regular file, looked up once.
    pub(super) fn create(
        &self,
        directory: NodeId,
        name: &[u8],
        new: &NewFile<'_>,
    ) -> Result<(NodeId, Arc<Content>), Errno> {
        let content = Content::new(Arc::clone(&self.pool), SEAL_SEAL);
        let mut state = self.state.lock();
        Self::vacant(&mut state, directory, name)?;
        let body = Body::Regular(Arc::clone(&content));
        let id = self.add(&mut state, new, body, FileType::Regular, 1, 1);
        state.enter(directory, name, id)?;
        Ok((id, content))
    }

    /// Makes a regular file without a name, looked up once.
    pub(super) fn create_unnamed(&self, new: &NewFile<'_>, seals: u32) -> (NodeId, Arc<Content>) {
        let content = Content::new(Arc::clone(&self.pool), seals);
        let body = Body::Regular(Arc::clone(&content));
        let id = self.add(&mut self.state.lock(), new, body, FileType::Regular, 0, 1);
        (id, content)
    }

    pub(super) fn make(
        &self,
        directory: NodeId,
        name: &[u8],
        new: &NewFile<'_>,
    ) -> Result<(), Errno> {
        let mut state = self.state.lock();
        Self::vacant(&mut state, directory, name)?;
        let (body, kind, links) = match new.kind {
            NewKind::Regular => (
                Body::Regular(Content::new(Arc::clone(&self.pool), SEAL_SEAL)),
                FileType::Regular,
                1,
            ),
            NewKind::Directory => (
                Body::Directory {
                    parent: Some(directory),
                    names: BTreeMap::new(),
                },
                FileType::Directory,
                2,
            ),
            NewKind::Symlink(target) => (Body::Symlink(target.into()), FileType::Symlink, 1),
            NewKind::Fifo => (Body::Fifo(Pipe::new()), FileType::Fifo, 1),
            NewKind::Socket => (Body::Special, FileType::Socket, 1),
        };
        let id = self.add(&mut state, new, body, kind, links, 0);
        state.enter(directory, name, id)?;
        if kind == FileType::Directory {
            state.add_links(directory, 1);
        }
        Ok(())
    }

    pub(super) fn remove(
        &self,
        directory: NodeId,
        name: &[u8],
        directory_wanted: bool,
    ) -> Result<(), Errno> {
        let mut state = self.state.lock();
        let id = state.child(directory, name)?;
        match (&state.get(id)?.body, directory_wanted) {
            (Body::Directory { names, .. }, true) if !names.is_empty() => {
                return Err(Errno::ENOTEMPTY);
            }
            (Body::Directory { .. }, false) => return Err(Errno::EISDIR),
            (Body::Directory { .. }, true) | (_, false) => {}
            (_, true) => return Err(Errno::ENOTDIR),
        }
        state.names_mut(directory)?.remove(name);
        state.unlinked(directory, id);
        let gone = state.reap(id);
        drop(state);
        drop(gone);
        Ok(())
    }

    pub(super) fn rename(
        &self,
        from: NodeId,
        name: &[u8],
        to: NodeId,
        new_name: &[u8],
        mode: RenameMode,
    ) -> Result<(), Errno> {
        let mut state = self.state.lock();
        let id = state.child(from, name)?;
        let target = match state.child(to, new_name) {
            Ok(target) => Some(target),
            Err(Errno::ENOENT) => None,
            Err(e) => return Err(e),
        };
        if state.is_directory(id) && state.is_inside(to, id) {
            return Err(Errno::EINVAL);
        }
        let mut gone = None;
        match (target, mode) {
            (Some(_), RenameMode::NoReplace) => return Err(Errno::EEXIST),
            (None, RenameMode::Exchange) => return Err(Errno::ENOENT),
            (Some(other), RenameMode::Exchange) => {
                if state.is_directory(other) && state.is_inside(from, other) {
                    return Err(Errno::EINVAL);
                }
                state.enter(from, name, other)?;
                state.enter(to, new_name, id)?;
                Self::moved(&mut state, other, to, from);
            }
            (Some(other), RenameMode::Replace) => {
                if other == id {
                    return Ok(());
                }
                match (state.is_directory(id), &state.get(other)?.body) {
                    (true, Body::Directory { names, .. }) if !names.is_empty() => {
                        return Err(Errno::ENOTEMPTY);
                    }
                    (true, Body::Directory { .. }) => {}
                    (true, _) => return Err(Errno::ENOTDIR),
                    (false, Body::Directory { .. }) => return Err(Errno::EISDIR),
                    (false, _) => {}
                }
                state.enter(to, new_name, id)?;
                state.names_mut(from)?.remove(name);
                state.unlinked(to, other);
                gone = state.reap(other);
            }
            (None, RenameMode::Replace | RenameMode::NoReplace) => {
                state.enter(to, new_name, id)?;
                state.names_mut(from)?.remove(name);
            }
        }
        Self::moved(&mut state, id, from, to);
        state.add_links(id, 0);
        drop(state);
        drop(gone);
        Ok(())
    }

    /// `node` went from one directory to another.
    fn moved(state: &mut State, node: NodeId, from: NodeId, to: NodeId) {
        if from == to || !state.is_directory(node) {
            return;
        }
        state.add_links(from, -1);
        state.add_links(to, 1);
        if let Ok(Inode {
            body: Body::Directory { parent, .. },
            ..
        }) = state.get_mut(node)
        {
            *parent = Some(to);
        }
    }

    pub(super) fn link(&self, node: NodeId, directory: NodeId, name: &[u8]) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if state.is_directory(node) {
            return Err(Errno::EPERM);
        }
        Self::vacant(&mut state, directory, name)?;
        state.enter(directory, name, node)?;
        state.add_links(node, 1);
        Ok(())
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
