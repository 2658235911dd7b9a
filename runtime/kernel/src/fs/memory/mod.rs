//! File systems in memory: ephemeral, and filled at boot with what the session injects.

mod content;
mod fifo;
mod file;
mod tree;

pub(super) use content::{Content, SEAL_SEAL, SEALS};
pub(super) use fifo::FifoFile;
pub(super) use file::MemoryFile;

use super::attributes::{Attributes, Changes};
use super::filesystem::{
    DirectoryEntry, FileSystem, NewFile, NewKind, NodeId, Opened, RenameMode, SetMode, Usage,
};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{Errno, cache::Pool, host};
use linux_raw_sys::general as raw;
use tree::Shared;

/// A file system in memory.
pub struct MemoryFs {
    shared: Arc<Shared>,
}

impl MemoryFs {
    /// An empty one; `device` tells it from other file systems, `mode` is that of its root.
    #[must_use]
    pub fn new(pool: Arc<Pool>, device: u64, mode: u32) -> Self {
        Self {
            shared: Arc::new(Shared::new(pool, device, mode)),
        }
    }

    /// A single regular file, owned by root: mounted over a name, it leaves the rest of the directory
    /// as it is.
    ///
    /// # Errors
    /// `ENOSPC`.
    pub fn single(pool: Arc<Pool>, device: u64, mode: u32, bytes: &[u8]) -> Result<Self, Errno> {
        let (shared, content) = Shared::single(pool, device, mode);
        content.write(host::From::Kernel(bytes), Some(0))?;
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Puts a file at `path`, making directories (mode 0755) on the way; for boot.
    ///
    /// # Errors
    /// `ENOTDIR` when a component is a file, `EEXIST` when the file exists, `ENOSPC`.
    pub fn inject(
        &self,
        path: &[u8],
        mode: u32,
        uid: u32,
        gid: u32,
        bytes: &[u8],
    ) -> Result<(), Errno> {
        let (directory, name) = self.parents(path)?;
        let new = NewFile {
            kind: NewKind::Regular,
            mode,
            uid,
            gid,
        };
        let (id, content) = self.shared.create(directory, name, &new)?;
        self.shared.forget(id);
        content.write(host::From::Kernel(bytes), Some(0)).map(drop)
    }

    /// Makes a directory and those on the way, where they are missing; for boot.
    ///
    /// # Errors
    /// `ENOTDIR` when a component is a file.
    pub fn inject_directory(&self, path: &[u8], mode: u32) -> Result<(), Errno> {
        let (directory, name) = match self.parents(path) {
            Err(Errno::EINVAL) => return Ok(()),
            other => other?,
        };
        let new = NewFile {
            kind: NewKind::Directory,
            mode,
            uid: 0,
            gid: 0,
        };
        match self.shared.make(directory, name, &new) {
            Err(Errno::EEXIST) => Ok(()),
            other => other,
        }
    }

    /// Puts a symbolic link at `path`; for boot.
    ///
    /// # Errors
    /// As [`Self::inject`].
    pub fn inject_link(&self, path: &[u8], target: &[u8]) -> Result<(), Errno> {
        let (directory, name) = self.parents(path)?;
        self.shared.make(
            directory,
            name,
            &NewFile {
                kind: NewKind::Symlink(target),
                mode: 0o777,
                uid: 0,
                gid: 0,
            },
        )
    }

    fn parents<'a>(&self, path: &'a [u8]) -> Result<(NodeId, &'a [u8]), Errno> {
        let names: Vec<&[u8]> = super::mounts::components(path).collect();
        let (last, before) = names.split_last().ok_or(Errno::EINVAL)?;
        if names
            .iter()
            .any(|n| *n == b".." || n.len() > super::filesystem::NAME_MAX)
        {
            return Err(Errno::EINVAL);
        }
        let mut at = tree::ROOT;
        for name in before {
            let new = NewFile {
                kind: NewKind::Directory,
                mode: 0o755,
                uid: 0,
                gid: 0,
            };
            match self.shared.make(at, name, &new) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(e) => return Err(e),
            }
            // What a name leads to stays for as long as boot runs.
            let (id, _) = self.shared.lookup(at, name)?;
            self.shared.forget(id);
            at = id;
        }
        Ok((at, last))
    }

    fn opened(&self, node: NodeId, content: Arc<Content>) -> Opened {
        Opened::new(MemoryFile {
            shared: Arc::clone(&self.shared),
            node,
            content,
        })
    }

    /// Opens a file without a name (memfd_create(2)); `seals` are those it starts with.
    ///
    /// # Errors
    /// None at present.
    pub fn unnamed(&self, new: &NewFile<'_>, seals: u32) -> Result<(NodeId, Opened), Errno> {
        let (id, content) = self.shared.create_unnamed(new, seals);
        Ok((id, self.opened(id, content)))
    }
}

impl FileSystem for MemoryFs {
    fn kind(&self) -> &'static str {
        "tmpfs"
    }

    fn device(&self) -> u64 {
        self.shared.device()
    }

    fn root(&self) -> NodeId {
        tree::ROOT
    }

    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<(NodeId, Attributes), Errno> {
        self.shared.lookup(directory, name)
    }

    fn retain(&self, node: NodeId) {
        self.shared.retain(node);
    }

    fn forget(&self, node: NodeId) {
        self.shared.forget(node);
    }

    fn parent(&self, node: NodeId) -> Result<NodeId, Errno> {
        self.shared.parent(node)
    }

    fn path(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        self.shared.path(node)
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, Errno> {
        self.shared.attributes(node)
    }

    fn change(&self, node: NodeId, changes: &Changes) -> Result<(), Errno> {
        self.shared.change(node, changes)
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        self.shared.read_link(node)
    }

    fn entries(&self, directory: NodeId) -> Result<Vec<DirectoryEntry>, Errno> {
        self.shared.entries(directory)
    }

    fn open(&self, node: NodeId, flags: u32) -> Result<Opened, Errno> {
        if let Some(pipe) = self.shared.pipe(node)? {
            return Ok(Opened::new(FifoFile {
                shared: Arc::clone(&self.shared),
                node,
                end: pipe.open(flags)?,
            }));
        }
        let content = self.shared.content(node)?;
        if flags & raw::O_TRUNC != 0 {
            content.resize(0)?;
            self.shared.touch(node);
        }
        Ok(self.opened(node, content))
    }

    fn create(
        &self,
        directory: NodeId,
        name: &[u8],
        new: &NewFile<'_>,
        _: u32,
    ) -> Result<(NodeId, Opened), Errno> {
        let (id, content) = self.shared.create(directory, name, new)?;
        Ok((id, self.opened(id, content)))
    }

    fn create_unnamed(
        &self,
        _: NodeId,
        new: &NewFile<'_>,
        _: u32,
    ) -> Result<(NodeId, Opened), Errno> {
        self.unnamed(new, SEAL_SEAL)
    }

    fn make(&self, directory: NodeId, name: &[u8], new: &NewFile<'_>) -> Result<(), Errno> {
        self.shared.make(directory, name, new)
    }

    fn remove(&self, directory: NodeId, name: &[u8], directory_wanted: bool) -> Result<(), Errno> {
        self.shared.remove(directory, name, directory_wanted)
    }

    fn rename(
        &self,
        from: NodeId,
        name: &[u8],
        to: NodeId,
        new_name: &[u8],
        mode: RenameMode,
    ) -> Result<(), Errno> {
        self.shared.rename(from, name, to, new_name, mode)
    }

    fn link(&self, node: NodeId, directory: NodeId, name: &[u8]) -> Result<(), Errno> {
        self.shared.link(node, directory, name)
    }

    fn usage(&self) -> Result<Usage, Errno> {
        let blocks = bannock_platform::platform().layout().cache_len as u64 / 4096;
        Ok(Usage {
            magic: u64::from(raw::TMPFS_MAGIC),
            block_size: 4096,
            blocks,
            free: blocks,
            available: blocks,
            files: u64::from(u32::MAX),
            files_free: u64::from(u32::MAX),
        })
    }

    fn attribute(&self, node: NodeId, name: &[u8]) -> Result<Vec<u8>, Errno> {
        self.shared.with_extended(node, name, |all| {
            all.get(name).cloned().ok_or(Errno::ENODATA)
        })
    }

    fn attribute_names(&self, node: NodeId) -> Result<Vec<Vec<u8>>, Errno> {
        self.shared
            .with_extended(node, b"user.", |all| Ok(all.keys().cloned().collect()))
    }

    fn set_attribute(
        &self,
        node: NodeId,
        name: &[u8],
        value: &[u8],
        mode: SetMode,
    ) -> Result<(), Errno> {
        self.shared
            .with_extended(node, name, |all| match (mode, all.contains_key(name)) {
                (SetMode::Create, true) => Err(Errno::EEXIST),
                (SetMode::Replace, false) => Err(Errno::ENODATA),
                _ => {
                    all.insert(name.to_vec(), value.to_vec());
                    Ok(())
                }
            })
    }

    fn remove_attribute(&self, node: NodeId, name: &[u8]) -> Result<(), Errno> {
        self.shared.with_extended(node, name, |all| {
            all.remove(name).map(drop).ok_or(Errno::ENODATA)
        })
    }
}
