//! Measured host trees.
//!
//! The manifest alone says what exists. A listed file's bytes are copied from the host into the
//! page cache when it is first opened, hashed on the way, and only that copy is ever used; the host is
//! not asked again, so it cannot answer differently the second time.

mod verify;

use self::verify::{Difference, copy_and_check};
use super::attributes::{Attributes, FileType};
use super::filesystem::{DirectoryEntry, FileSystem, NodeId, Opened, Usage};
use super::ops::{FileOps, Kind, Mapped};
use super::{Handle, locks::LockOwner, locks::LockTable};
use alloc::{collections::BTreeMap, ffi::CString, format, string::String, sync::Arc, vec::Vec};
use bannock_measure::{
    escape,
    tree::{Entry, Manifest, Node},
};
use bannock_platform::cache::{Fixed, Pool};
use bannock_platform::host::{self, HostFd};
use bannock_platform::{Errno, memory::Backing, sync::Mutex};
use core::any::Any;
use linux_raw_sys::general as raw;

/// Is told why the container must end as denied.
pub trait Denied: Send + Sync {
    /// A measured file is not what was measured.
    fn denied(&self, reason: String);
}

/// A measured host tree.
pub struct TreeFs {
    shared: Arc<Shared>,
}

struct Shared {
    root: HostFd,
    manifest: Manifest,
    device: u64,
    pool: Arc<Pool>,
    denied: Arc<dyn Denied>,
    copies: Mutex<BTreeMap<NodeId, Arc<Copy>>>,
}

/// A verified copy of a file, kept for the container's life.
struct Copy {
    content: Fixed,
    size: u64,
    key: u128,
    locks: Arc<LockTable>,
}

const ROOT: NodeId = 1;

impl TreeFs {
    /// The tree `manifest` over the host directory `source`. The manifest's digest has been
    /// compared with the session's. Call it before the first program starts: the descriptor must
    /// be in all processes.
    ///
    /// # Errors
    /// What the host said about `source`.
    pub fn new(
        source: &[u8],
        manifest: Manifest,
        device: u64,
        pool: Arc<Pool>,
        denied: Arc<dyn Denied>,
    ) -> Result<Self, Errno> {
        let path = CString::new(source).map_err(|_| Errno::EINVAL)?;
        let root = host::file::open_absolute(&path, raw::O_PATH | raw::O_DIRECTORY)?;
        Ok(Self {
            shared: Arc::new(Shared {
                root,
                manifest,
                device,
                pool,
                denied,
                copies: Mutex::new(BTreeMap::new()),
            }),
        })
    }

    /// The host descriptor of the root, for the list of those that survive exec.
    #[must_use]
    pub fn root_descriptor(&self) -> HostFd {
        self.shared.root
    }
}

impl Shared {
    fn entry(&self, node: NodeId) -> Result<&Entry, Errno> {
        let index = usize::try_from(node)
            .ok()
            .and_then(|n| n.checked_sub(1))
            .ok_or(Errno::ENOENT)?;
        self.manifest.entries().get(index).ok_or(Errno::ENOENT)
    }

    fn find(&self, path: &[u8]) -> Result<NodeId, Errno> {
        let found = self
            .manifest
            .entries()
            .binary_search_by(|e| e.path[..].cmp(path));
        found
            .map(|index| index as NodeId + 1)
            .map_err(|_| Errno::ENOENT)
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, Errno> {
        let (kind, mode, size) = match &self.entry(node)?.node {
            Node::Directory { mode } => (FileType::Directory, *mode, 0),
            Node::File { mode, size, .. } => (FileType::Regular, *mode, *size),
            Node::Symlink { target } => (FileType::Symlink, 0o777, target.len() as u64),
        };
        Ok(Attributes {
            size,
            blocks: size.div_ceil(512),
            ..Attributes::synthetic(self.device, node, kind, u32::from(mode))
        })
    }

    /// The verified copy of a file.
    fn copy(&self, node: NodeId) -> Result<Arc<Copy>, Errno> {
        if let Some(copy) = self.copies.lock().get(&node) {
            return Ok(Arc::clone(copy));
        }
        let entry = self.entry(node)?;
        let Node::File { size, digest, .. } = &entry.node else {
            return Err(Errno::EISDIR);
        };
        let filled = self
            .pool
            .fixed(*size, |bytes| self.fill(bytes, &entry.path, digest));
        let content = filled.map_err(|why| match why {
            Difference::Content(reason) => {
                self.denied.denied(format!(
                    "measured file {} is not what the session's tree says: {reason}; restore the file, or measure the tree again and put its new digest into the session",
                    escape::encode(&entry.path)
                ));
                Errno::EIO
            }
            Difference::Resources(e) => e,
        })?;
        let mut key = [0u8; 16];
        key.copy_from_slice(&digest[..16]);
        let copy = Arc::new(Copy {
            content,
            size: *size,
            key: u128::from_le_bytes(key),
            locks: Arc::new(LockTable::new()),
        });
        // Another thread may have been first; its copy is as good, and may be in use.
        let mut copies = self.copies.lock();
        let kept = Arc::clone(copies.entry(node).or_insert_with(|| Arc::clone(&copy)));
        drop(copies);
        if !Arc::ptr_eq(&kept, &copy)
            && let Some(spare) = Arc::into_inner(copy)
        {
            self.pool.release(spare.content.into_extent());
        }
        Ok(kept)
    }

    fn fill(&self, bytes: &mut [u8], path: &[u8], digest: &[u8; 32]) -> Result<(), Difference> {
        let relative = path.strip_prefix(b"/").unwrap_or(path);
        let name = CString::new(relative).map_err(|_| Difference::Resources(Errno::EINVAL))?;
        let flags = raw::O_RDONLY | raw::O_NOFOLLOW | raw::O_NONBLOCK;
        let file = host::file::open_beneath(self.root, &name, flags, 0).map_err(|e| match e {
            Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::EINTR => {
                Difference::Resources(e)
            }
            e => Difference::Content(format!("the host cannot open it ({e})")),
        })?;
        let outcome = copy_and_check(bytes, file, digest);
        host::file::close(file);
        outcome
    }
}

impl FileSystem for TreeFs {
    fn kind(&self) -> &'static str {
        "tree"
    }

    fn device(&self) -> u64 {
        self.shared.device
    }

    fn root(&self) -> NodeId {
        ROOT
    }

    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<(NodeId, Attributes), Errno> {
        let entry = self.shared.entry(directory)?;
        if !matches!(entry.node, Node::Directory { .. }) {
            return Err(Errno::ENOTDIR);
        }
        let base: &[u8] = if directory == ROOT { b"" } else { &entry.path };
        let id = self.shared.find(&[base, b"/", name].concat())?;
        Ok((id, self.shared.attributes(id)?))
    }

    fn parent(&self, node: NodeId) -> Result<NodeId, Errno> {
        let path = &self.shared.entry(node)?.path;
        match path.iter().rposition(|b| *b == b'/').unwrap_or(0) {
            0 => Ok(ROOT),
            end => self.shared.find(path.get(..end).unwrap_or_default()),
        }
    }

    fn path(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        Ok(self.shared.entry(node)?.path.to_vec())
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, Errno> {
        self.shared.attributes(node)
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        match &self.shared.entry(node)?.node {
            Node::Symlink { target } => Ok(target.to_vec()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn entries(&self, directory: NodeId) -> Result<Vec<DirectoryEntry>, Errno> {
        let entry = self.shared.entry(directory)?;
        self.shared
            .manifest
            .children(&entry.path)
            .map(|child| {
                let kind = match child.node {
                    Node::Directory { .. } => FileType::Directory,
                    Node::File { .. } => FileType::Regular,
                    Node::Symlink { .. } => FileType::Symlink,
                };
                let inode = self.shared.find(&child.path)?;
                Ok(DirectoryEntry {
                    name: child.name().into(),
                    inode,
                    kind: Some(kind),
                })
            })
            .collect()
    }

    fn open(&self, node: NodeId, _: u32) -> Result<Opened, Errno> {
        let copy = self.shared.copy(node)?;
        Ok(Opened::new(TreeFile {
            shared: Arc::clone(&self.shared),
            node,
            copy,
        }))
    }

    fn usage(&self) -> Result<Usage, Errno> {
        Ok(Usage {
            magic: u64::from(raw::TMPFS_MAGIC),
            block_size: 4096,
            ..Usage::default()
        })
    }
}

/// An open measured file.
struct TreeFile {
    shared: Arc<Shared>,
    node: NodeId,
    copy: Arc<Copy>,
}

impl FileOps for TreeFile {
    fn kind(&self) -> Kind {
        Kind::Regular
    }

    fn has_kernel_offset(&self) -> bool {
        true
    }

    fn read(&self, _: &Handle, into: host::Into<'_>, at: Option<u64>) -> Result<usize, Errno> {
        let at = at.unwrap_or(0);
        let left = usize::try_from(self.copy.size.saturating_sub(at)).unwrap_or(usize::MAX);
        match into {
            host::Into::Kernel(bytes) => {
                let count = bytes.len().min(left);
                let start = usize::try_from(at).map_err(|_| Errno::EFBIG)?;
                let held = self.copy.content.bytes().get(start..);
                match (
                    bytes.get_mut(..count),
                    held.and_then(|held| held.get(..count)),
                ) {
                    (Some(part), Some(held)) => part.copy_from_slice(held),
                    _ => return Ok(0),
                }
                Ok(count)
            }
            host::Into::User(slice) => match slice.take(left) {
                part if part.is_empty() => Ok(0),
                part => self.copy.content.read_to_user(at, part),
            },
        }
    }

    fn size(&self, _: &Handle) -> Result<u64, Errno> {
        Ok(self.copy.size)
    }

    fn seek(&self, _: &Handle, offset: i64, whence: u32) -> Result<u64, Errno> {
        let offset = u64::try_from(offset)
            .ok()
            .filter(|o| *o < self.copy.size)
            .ok_or(Errno::ENXIO)?;
        Ok(if whence == raw::SEEK_HOLE {
            self.copy.size
        } else {
            offset
        })
    }

    fn attributes(&self, _: &Handle) -> Result<Attributes, Errno> {
        self.shared.attributes(self.node)
    }

    fn change(&self, _: &Handle, _: &super::Changes) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    fn sync(&self, _: &Handle, _: bool) -> Result<(), Errno> {
        Ok(())
    }

    fn map(
        &self,
        _: &Handle,
        offset: u64,
        _: u64,
        shared: bool,
        writable: bool,
    ) -> Result<Mapped, Errno> {
        // The copy is what was verified: nobody gets to write to it.
        if shared && writable {
            return Err(Errno::EACCES);
        }
        if offset >= self.copy.content.capacity() {
            return Err(Errno::EOVERFLOW);
        }
        let backing = Backing::Cache {
            offset: self.copy.content.offset() + offset,
            shared,
        };
        let pin: Arc<dyn Any + Send + Sync> = Arc::<Copy>::clone(&self.copy);
        Ok(Mapped {
            backing,
            pin: Some(pin),
            backed: Some(bannock_platform::cache::pages(self.copy.size)?),
        })
    }

    fn content_key(&self, _: &Handle) -> Option<u128> {
        Some(self.copy.key)
    }

    fn fixed(&self) -> Option<&[u8]> {
        Some(self.copy.content.bytes())
    }

    fn locks(&self) -> Option<Arc<LockTable>> {
        Some(Arc::clone(&self.copy.locks))
    }

    fn closed(&self, _: &Handle, process: i32) {
        self.copy.locks.release(LockOwner::Process(process));
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
