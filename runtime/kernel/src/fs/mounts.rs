//! The mount table.
//!
//! Mounts are fixed at boot. Their paths form a tree of names, the *skeleton*: the walk carries
//! the skeleton node of the directory it is in, so that a mount point, or a directory on the way
//! to one, exists whatever the file system below says.

use super::filesystem::{DirectoryEntry, FileSystem, NewFile, Node, NodeId, Opened, Usage};
use super::{Attributes, Credentials, FileType, MemoryFs};
use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use bannock_platform::{Errno, cache::Pool};

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

/// A file's place: its mount and node.
#[derive(Clone)]
pub struct Location {
    /// The mount.
    pub mount: Arc<Mount>,
    /// The node in its file system.
    pub node: Node,
    /// Where in the skeleton this directory is, if it is in it.
    pub(super) skeleton: Option<usize>,
}

/// The file system of files that never had a name (memfd_create(2)).
pub struct Unnamed {
    fs: Arc<MemoryFs>,
    mount: Arc<Mount>,
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
                super::memory::SEAL_SEAL
            },
        )
    }
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

/// What to mount where.
pub struct MountRequest {
    /// Absolute path.
    pub path: Vec<u8>,
    /// The file system.
    pub fs: Arc<dyn FileSystem>,
    /// Whether changes are refused.
    pub read_only: bool,
}

impl Mounts {
    /// Builds the table. A later request for the same path replaces an earlier one. Mount points
    /// are found through links of trusted file systems, as mount(2) does. Files without a name
    /// (memfd_create(2)) take their pages from `pool`.
    ///
    /// # Errors
    /// `EINVAL` for a path that is not absolute or has `..`, `ELOOP` for links without end.
    pub fn new(mut requests: Vec<MountRequest>, pool: &Arc<Pool>) -> Result<Arc<Self>, Errno> {
        requests.sort_by_key(|r| components(&r.path).count());
        let mut nodes = Vec::from([SkeletonNode::default()]);
        for request in requests {
            let path = request.path;
            if path.first() != Some(&b'/') || components(&path).any(|c| c == b"..") {
                return Err(Errno::EINVAL);
            }
            let table = Self::from_nodes(nodes, pool);
            let names = table.mount_point(&path)?;
            nodes = Arc::try_unwrap(table.nodes).map_err(|_| Errno::EBUSY)?;
            let mut at = ROOT;
            let mut full = Vec::new();
            for name in names {
                full.push(b'/');
                full.extend_from_slice(&name);
                at = child_or_new(&mut nodes, at, name);
            }
            if full.is_empty() {
                full.push(b'/');
            }
            let mount = Mount {
                fs: request.fs,
                read_only: request.read_only,
                path: full.into(),
                skeleton: at,
            };
            if let Some(node) = nodes.get_mut(at) {
                node.mount = Some(Arc::new(mount));
            }
        }
        let table = Self::from_nodes(nodes, pool);
        let bare = Mount {
            fs: Arc::new(Bare {
                nodes: Arc::clone(&table.nodes),
            }),
            read_only: true,
            path: Box::from(*b"/"),
            skeleton: ROOT,
        };
        Ok(Arc::new(Self {
            bare: Arc::new(bare),
            ..table
        }))
    }

    fn from_nodes(nodes: Vec<SkeletonNode>, pool: &Arc<Pool>) -> Self {
        // While the table is built, the bare directories need not list anything.
        let bare = Mount {
            fs: Arc::new(Bare {
                nodes: Arc::new(Vec::new()),
            }),
            read_only: true,
            path: Box::from(*b"/"),
            skeleton: ROOT,
        };
        let fs = Arc::new(MemoryFs::new(Arc::clone(pool), UNNAMED_DEVICE, 0));
        let mount = Arc::new(Mount {
            fs: Arc::<MemoryFs>::clone(&fs),
            read_only: false,
            path: Box::from(*b"/"),
            skeleton: ROOT,
        });
        Self {
            nodes: Arc::new(nodes),
            bare: Arc::new(bare),
            unnamed: Unnamed { fs, mount },
        }
    }

    /// The names that lead to a mount point, links of trusted file systems followed.
    fn mount_point(&self, path: &[u8]) -> Result<Vec<Box<[u8]>>, Errno> {
        let mut left: Vec<Box<[u8]>> = components(path).map(Box::from).collect();
        left.reverse();
        let mut done: Vec<Box<[u8]>> = Vec::new();
        let mut at = Some(self.root());
        let mut links = 0;
        while let Some(name) = left.pop() {
            if &*name == b".." {
                done.pop();
                at = self.locate_names(&done);
                continue;
            }
            let next = at.as_ref().and_then(|l| self.child(l, &name).ok());
            if let Some((location, attributes)) = &next
                && attributes.kind == FileType::Symlink
                && location.fs().is_trusted()
            {
                links += 1;
                if links > super::walk::MAX_LINKS {
                    return Err(Errno::ELOOP);
                }
                let target = location.fs().read_link(location.id())?;
                left.extend(
                    components(&target)
                        .map(Box::from)
                        .collect::<Vec<Box<[u8]>>>()
                        .into_iter()
                        .rev(),
                );
                if target.first() == Some(&b'/') {
                    done.clear();
                    at = Some(self.root());
                }
                continue;
            }
            at = next.map(|(location, _)| location);
            done.push(name);
        }
        Ok(done)
    }

    fn locate_names(&self, names: &[Box<[u8]>]) -> Option<Location> {
        names.iter().try_fold(self.root(), |at, name| {
            self.child(&at, name).ok().map(|(l, _)| l)
        })
    }

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

fn child_or_new(nodes: &mut Vec<SkeletonNode>, at: usize, name: Box<[u8]>) -> usize {
    if let Some(found) = nodes.get(at).and_then(|n| n.children.get(&name)) {
        return *found;
    }
    let fresh = nodes.len();
    nodes.push(SkeletonNode {
        parent: at,
        name: name.clone(),
        ..SkeletonNode::default()
    });
    if let Some(parent) = nodes.get_mut(at) {
        parent.children.insert(name, fresh);
    }
    fresh
}

/// Directories that exist only because something is mounted below them.
struct Bare {
    nodes: Arc<Vec<SkeletonNode>>,
}

/// Device number of files without a name.
const UNNAMED_DEVICE: u64 = super::attributes::device_number(0, 3);
/// Device number of [`Bare`] directories.
const BARE_DEVICE: u64 = super::attributes::device_number(0, 1);

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
            names.push(&node.name);
            at = node.parent;
        }
        let mut path = Vec::new();
        for name in names.into_iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        Ok(path)
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
