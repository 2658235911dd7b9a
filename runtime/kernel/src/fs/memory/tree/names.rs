//! Names: what makes, moves and removes them.

use super::super::super::attributes::{Attributes, FileType, now};
use super::super::super::filesystem::{NewFile, NewKind, NodeId, RenameMode};
use super::super::super::pipe::Pipe;
use super::super::content::{Content, SEAL_SEAL};
use super::{Body, Extended, Inode, Shared, State};
use alloc::{collections::BTreeMap, sync::Arc};
use bannock_platform::Errno;

impl Shared {
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
    pub(in crate::fs::memory) fn create(
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
    pub(in crate::fs::memory) fn create_unnamed(
        &self,
        new: &NewFile<'_>,
        seals: u32,
    ) -> (NodeId, Arc<Content>) {
        let content = Content::new(Arc::clone(&self.pool), seals);
        let body = Body::Regular(Arc::clone(&content));
        let id = self.add(&mut self.state.lock(), new, body, FileType::Regular, 0, 1);
        (id, content)
    }

    pub(in crate::fs::memory) fn make(
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

    pub(in crate::fs::memory) fn remove(
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

    pub(in crate::fs::memory) fn rename(
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

    pub(in crate::fs::memory) fn link(
        &self,
        node: NodeId,
        directory: NodeId,
        name: &[u8],
    ) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if state.is_directory(node) {
            return Err(Errno::EPERM);
        }
        Self::vacant(&mut state, directory, name)?;
        state.enter(directory, name, node)?;
        state.add_links(node, 1);
        Ok(())
    }
}
