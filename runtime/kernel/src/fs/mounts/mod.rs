//! The mount table.
//!
//! Mounts are fixed at boot. Their paths form a tree of names, the *skeleton*: the walk carries
//! the skeleton node of the directory it is in, so that a mount point, or a directory on the way
//! to one, exists whatever the file system below says.

mod bare;
mod build;
mod location;
mod unnamed;

pub use build::MountRequest;
pub use location::Location;
pub use unnamed::Unnamed;

use super::filesystem::{DirectoryEntry, FileSystem, Node, NodeId};
use super::{Attributes, Credentials, FileType};
use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use bannock_platform::Errno;

/// A mounted file system.
pub struct Mount {
    /// The file system.
    pub fs: Arc<dyn FileSystem>,
    /// Whether changes are refused.
    pub read_only: bool,
    /// Absolute path of the mount point.
    pub path: Box<[u8]>,
    skeleton: usize,
}

impl Mount {
    /// Refuses changes on read-only mounts.
    ///
    /// # Errors
    /// `EROFS`.
    pub fn writable(&self) -> Result<(), Errno> {
        if self.read_only {
            Err(Errno::EROFS)
        } else {
            Ok(())
        }
    }
}

#[derive(Default)]
struct SkeletonNode {
    parent: usize,
    name: Box<[u8]>,
    children: BTreeMap<Box<[u8]>, usize>,
    mount: Option<Arc<Mount>>,
}

/// All mounts of a container.
pub struct Mounts {
    nodes: Arc<Vec<SkeletonNode>>,
    /// Holds the directories that lead to mount points and that no file system has.
    bare: Arc<Mount>,
    unnamed: Unnamed,
}

const ROOT: usize = 0;

impl Mounts {
    /// The root directory.
    #[must_use]
    pub fn root(&self) -> Location {
        self.enter(ROOT).unwrap_or_else(|| self.bare(ROOT))
    }

    /// Where files without a name live.
    #[must_use]
    pub fn unnamed(&self) -> &Unnamed {
        &self.unnamed
    }

    /// The mounts, in no particular order.
    pub fn mounts(&self) -> impl Iterator<Item = &Arc<Mount>> {
        self.nodes.iter().filter_map(|n| n.mount.as_ref())
    }

    fn bare(&self, skeleton: usize) -> Location {
        let node = Node::adopt(Arc::clone(&self.bare.fs), skeleton as NodeId);
        Location {
            mount: Arc::clone(&self.bare),
            node,
            skeleton: Some(skeleton),
        }
    }

    /// The root of what is mounted at a skeleton node.
    fn enter(&self, skeleton: usize) -> Option<Location> {
        let mount = self.nodes.get(skeleton)?.mount.as_ref()?;
        let root = mount.fs.root();
        mount.fs.retain(root);
        let node = Node::adopt(Arc::clone(&mount.fs), root);
        Some(Location {
            mount: Arc::clone(mount),
            node,
            skeleton: Some(skeleton),
        })
    }

    /// Finds `name` in the directory `at`.
    ///
    /// # Errors
    /// What the file system met.
    pub fn child(&self, at: &Location, name: &[u8]) -> Result<(Location, Attributes), Errno> {
        let inner = at
            .skeleton
            .and_then(|s| self.nodes.get(s))
            .and_then(|n| n.children.get(name))
            .copied();
        if let Some(skeleton) = inner {
            if let Some(location) = self.enter(skeleton) {
                let attributes = location.attributes()?;
                return Ok((location, attributes));
            }
            if let Ok((id, attributes)) = at.fs().lookup(at.id(), name) {
                let node = Node::adopt(Arc::clone(at.node.fs()), id);
                if attributes.kind == FileType::Directory {
                    return Ok((
                        Location {
                            mount: Arc::clone(&at.mount),
                            node,
                            skeleton: Some(skeleton),
                        },
                        attributes,
                    ));
                }
            }
            let location = self.bare(skeleton);
            let attributes = location.attributes()?;
            return Ok((location, attributes));
        }
        let (id, attributes) = at.fs().lookup(at.id(), name)?;
        let node = Node::adopt(Arc::clone(at.node.fs()), id);
        Ok((
            Location {
                mount: Arc::clone(&at.mount),
                node,
                skeleton: None,
            },
            attributes,
        ))
    }

    /// Whether a path that starts with `name` in `at` stays in the mount of `at`.
    pub(super) fn stays_inside(&self, at: &Location, name: &[u8]) -> bool {
        !at.skeleton
            .and_then(|s| self.nodes.get(s))
            .is_some_and(|n| n.children.contains_key(name))
    }

    /// The directory that holds the directory `at`; that of the root is itself.
    ///
    /// # Errors
    /// `ENOENT` when it was removed.
    pub fn parent(&self, at: &Location) -> Result<Location, Errno> {
        if let Some(skeleton) = at.skeleton {
            let parent = self.nodes.get(skeleton).map_or(ROOT, |n| n.parent);
            return self.locate(parent);
        }
        let id = at.fs().parent(at.id())?;
        let node = Node::adopt(Arc::clone(at.node.fs()), id);
        let skeleton = self.skeleton_of(&at.mount, id);
        Ok(Location {
            mount: Arc::clone(&at.mount),
            node,
            skeleton,
        })
    }

    /// The skeleton node that a directory of `mount` is, if it is one.
    fn skeleton_of(&self, mount: &Arc<Mount>, id: NodeId) -> Option<usize> {
        if id == mount.fs.root() {
            return Some(mount.skeleton);
        }
        if self
            .nodes
            .get(mount.skeleton)
            .is_none_or(|n| n.children.is_empty())
        {
            return None;
        }
        let path = mount.fs.path(id).ok()?;
        components(&path).try_fold(mount.skeleton, |at, name| {
            let next = *self.nodes.get(at)?.children.get(name)?;
            // A mount on the way hides what is below it in this file system.
            self.nodes.get(next)?.mount.is_none().then_some(next)
        })
    }

    fn locate(&self, skeleton: usize) -> Result<Location, Errno> {
        let mut names = Vec::new();
        let mut at = skeleton;
        while at != ROOT {
            let node = self.nodes.get(at).ok_or(Errno::ENOENT)?;
            names.push(&node.name);
            at = node.parent;
        }
        let mut location = self.root();
        for name in names.into_iter().rev() {
            location = self.child(&location, name)?.0;
        }
        Ok(location)
    }

    /// Absolute path of a place.
    ///
    /// # Errors
    /// `ENOENT` when it has none any more.
    pub fn path(&self, at: &Location) -> Result<Vec<u8>, Errno> {
        let inside = at.fs().path(at.id())?;
        Ok(join(&at.mount.path, &inside))
    }

    /// All names in the directory `at`, mount points included, `.` and `..` first.
    ///
    /// # Errors
    /// What the file system met.
    pub fn entries(&self, at: &Location) -> Result<Vec<DirectoryEntry>, Errno> {
        let own = at.attributes()?;
        let up = self.parent(at).and_then(|p| p.attributes()).unwrap_or(own);
        let dot = |name: &[u8], inode| DirectoryEntry {
            name: name.into(),
            inode,
            kind: Some(FileType::Directory),
        };
        let mut all = Vec::from([dot(b".", own.inode), dot(b"..", up.inode)]);
        let inner = at
            .skeleton
            .and_then(|s| self.nodes.get(s))
            .map(|n| &n.children);
        let shadowed = |name: &[u8]| inner.is_some_and(|c| c.contains_key(name));
        all.extend(
            at.fs()
                .entries(at.id())?
                .into_iter()
                .filter(|e| !shadowed(&e.name)),
        );
        for (name, skeleton) in inner.into_iter().flatten() {
            let mounted = self
                .nodes
                .get(*skeleton)
                .and_then(|n| n.mount.as_ref())
                .and_then(|m| m.fs.attributes(m.fs.root()).ok());
            all.push(DirectoryEntry {
                name: name.clone(),
                inode: mounted.map_or(*skeleton as u64 + 1, |a| a.inode),
                kind: Some(mounted.map_or(FileType::Directory, |a| a.kind)),
            });
        }
        Ok(all)
    }

    /// Checks that `credentials` may search the directory `at` where the kernel keeps its modes.
    ///
    /// # Errors
    /// `EACCES`.
    pub(super) fn may_search(
        attributes: &Attributes,
        credentials: &Credentials,
    ) -> Result<(), Errno> {
        attributes.check(credentials, super::attributes::X_OK)
    }
}

/// The components of a path that name something.
pub(super) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/')
        .filter(|c| !c.is_empty() && *c != b".")
}

/// `inside`, an absolute path, below `base`.
pub(super) fn join(base: &[u8], inside: &[u8]) -> Vec<u8> {
    match (base, inside) {
        (b"/", _) => inside.to_vec(),
        (_, b"/") => base.to_vec(),
        _ => [base, inside].concat(),
    }
}

/// The absolute path of `names`, the one nearest to the root first.
pub(super) fn absolute<'a>(names: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut path = Vec::new();
    for name in names {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    path
}
