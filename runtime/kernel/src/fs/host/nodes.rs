//! Nodes of a host directory.

use super::super::NodeId;
use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use bannock_platform::Errno;

pub(super) const ROOT: NodeId = 1;

/// The nodes that are looked up, by number and by path below the root.
pub(super) struct Nodes {
    by_id: BTreeMap<NodeId, Entry>,
    by_path: BTreeMap<Box<[u8]>, NodeId>,
    next: NodeId,
}

struct Entry {
    path: Box<[u8]>,
    lookups: u64,
}

impl Nodes {
    pub(super) const fn new() -> Self {
        Self {
            by_id: BTreeMap::new(),
            by_path: BTreeMap::new(),
            next: ROOT + 1,
        }
    }

    pub(super) fn path(&self, node: NodeId) -> Result<Box<[u8]>, Errno> {
        if node == ROOT {
            return Ok(Box::default());
        }
        self.by_id
            .get(&node)
            .map(|e| e.path.clone())
            .ok_or(Errno::ESTALE)
    }

    /// A node without a name, looked up once; no host path has a NUL, so it cannot be opened.
    pub(super) fn unnamed(&mut self) -> NodeId {
        let id = self.next;
        self.next += 1;
        self.by_id.insert(
            id,
            Entry {
                path: Box::from(*b"\0"),
                lookups: 1,
            },
        );
        id
    }

    pub(super) fn retain(&mut self, node: NodeId) {
        if let Some(entry) = self.by_id.get_mut(&node) {
            entry.lookups += 1;
        }
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        let Some(entry) = self.by_id.get_mut(&node) else {
            return;
        };
        entry.lookups = entry.lookups.saturating_sub(1);
        if entry.lookups == 0
            && let Some(entry) = self.by_id.remove(&node)
            && self.by_path.get(&entry.path) == Some(&node)
        {
            self.by_path.remove(&entry.path);
        }
    }

    /// Looks up the node of `path`.
    pub(super) fn retain_path(&mut self, path: &[u8]) -> NodeId {
        if path.is_empty() {
            return ROOT;
        }
        if let Some(id) = self.by_path.get(path)
            && let Some(entry) = self.by_id.get_mut(id)
        {
            entry.lookups += 1;
            return *id;
        }
        let id = self.next;
        self.next += 1;
        self.by_path.insert(path.into(), id);
        self.by_id.insert(
            id,
            Entry {
                path: path.into(),
                lookups: 1,
            },
        );
        id
    }

    /// Nodes at and below `from` go to `to`, as their files just did.
    pub(super) fn moved(&mut self, from: &[u8], to: &[u8]) {
        let below: Vec<(Box<[u8]>, NodeId)> = self
            .by_path
            .iter()
            .filter(|(p, _)| is_at_or_below(p, from))
            .map(|(p, id)| (p.clone(), *id))
            .collect();
        for (path, id) in below {
            self.by_path.remove(&path);
            let rest = path.get(from.len()..).unwrap_or_default();
            let fresh: Box<[u8]> = [to, rest].concat().into();
            if let Some(entry) = self.by_id.get_mut(&id) {
                entry.path = fresh.clone();
            }
            self.by_path.insert(fresh, id);
        }
    }

    /// Nodes at and below `path` lost their name.
    pub(super) fn removed(&mut self, path: &[u8]) {
        self.by_path.retain(|p, _| !is_at_or_below(p, path));
    }
}

fn is_at_or_below(path: &[u8], base: &[u8]) -> bool {
    path.strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
}
