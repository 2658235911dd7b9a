//! How the table is made.

use super::super::{FileSystem, FileType, MemoryFs, attributes::device_number, walk::MAX_LINKS};
use super::bare::Bare;
use super::{Location, Mount, Mounts, ROOT, SkeletonNode, Unnamed, absolute, components};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use bannock_platform::{Errno, cache::Pool};

/// What to mount where.
pub struct MountRequest {
    /// Absolute path.
    pub path: Vec<u8>,
    /// The file system.
    pub fs: Arc<dyn FileSystem>,
    /// Whether changes are refused.
    pub read_only: bool,
}

/// Device number of files without a name.
const UNNAMED_DEVICE: u64 = device_number(0, 3);

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
            let full = absolute(names.iter().map(|name| &**name));
            let at = names
                .into_iter()
                .fold(ROOT, |at, name| child_or_new(&mut nodes, at, name));
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
                if links > MAX_LINKS {
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
