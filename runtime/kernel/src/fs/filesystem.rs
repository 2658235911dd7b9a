//! The interface of file systems.
//!
//! It is shaped like messages, as FUSE is: nodes are numbers, looked up and forgotten by count, so
//! that a file system can move into a server of its own without changing the walk above it. What
//! does cross by reference are open files ([`FileOps`]).

use super::{Attributes, Changes, FileOps, FileType};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use bannock_platform::{Errno, host::HostFd};

/// Longest name in a directory in bytes.
pub const NAME_MAX: usize = 255;
/// Longest path in bytes, its NUL included.
pub const PATH_MAX: usize = 4096;

/// Names a file within its file system for as long as it is looked up.
pub type NodeId = u64;

/// An open file as its file system made it.
pub struct Opened {
    /// What it does.
    pub ops: Box<dyn FileOps>,
    /// The host descriptor behind it; the caller owns it from here on.
    pub host: Option<HostFd>,
}

impl Opened {
    /// An open file without a host descriptor.
    #[must_use]
    pub fn new(ops: impl FileOps + 'static) -> Self {
        Self {
            ops: Box::new(ops),
            host: None,
        }
    }
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The name.
    pub name: Box<[u8]>,
    /// Inode number.
    pub inode: u64,
    /// Type, where the file system knows it without a lookup.
    pub kind: Option<FileType>,
}

/// A file to make.
#[derive(Clone, Copy, Debug)]
pub struct NewFile<'a> {
    /// What it is.
    pub kind: NewKind<'a>,
    /// Permission bits, the umask already taken off.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewKind<'a> {
    /// An empty regular file.
    Regular,
    /// An empty directory.
    Directory,
    /// A symbolic link to this.
    Symlink(&'a [u8]),
    /// A FIFO.
    Fifo,
    /// A socket's name.
    Socket,
}

/// How to rename (renameat2(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameMode {
    /// Replace what has the new name.
    Replace,
    /// `RENAME_NOREPLACE`
    NoReplace,
    /// `RENAME_EXCHANGE`
    Exchange,
}

/// Size and use of a file system (statfs(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Magic number of its kind.
    pub magic: u64,
    /// Bytes in a block.
    pub block_size: u64,
    /// Blocks.
    pub blocks: u64,
    /// Free blocks.
    pub free: u64,
    /// Blocks that may be used.
    pub available: u64,
    /// Inodes.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
}

/// How to set an extended attribute (setxattr(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetMode {
    /// Create or replace.
    Any,
    /// `XATTR_CREATE`
    Create,
    /// `XATTR_REPLACE`
    Replace,
}

/// A file system.
///
/// Names that arrive here are single components: not empty, neither `.` nor `..`, without `/` and
/// NUL, at most [`NAME_MAX`] bytes. Defaults refuse what a read-only file system does not do.
pub trait FileSystem: Send + Sync {
    /// Kind, as in `/proc/mounts`.
    fn kind(&self) -> &'static str;

    /// Device number that its files show.
    fn device(&self) -> u64;

    /// Whether the container alone decides what its links say. On others, mount points are not
    /// looked for through links.
    fn is_trusted(&self) -> bool {
        true
    }

    /// The root directory; it is always looked up.
    fn root(&self) -> NodeId;

    /// Finds `name` in `directory`; the node stays valid until it is forgotten.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, or what the file system met.
    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<(NodeId, Attributes), Errno>;

    /// Looks up `node` once more.
    fn retain(&self, _node: NodeId) {}

    /// Takes back one lookup.
    fn forget(&self, _node: NodeId) {}

    /// The directory that holds the directory `node`; that of the root is itself. Looked up.
    ///
    /// # Errors
    /// `ENOENT` when it was removed.
    fn parent(&self, node: NodeId) -> Result<NodeId, Errno>;

    /// Path of `node` from the root of the file system, starting with `/`.
    ///
    /// # Errors
    /// `ENOENT` when it has none.
    fn path(&self, node: NodeId) -> Result<Vec<u8>, Errno>;

    /// Attributes of `node`.
    ///
    /// # Errors
    /// What the file system met.
    fn attributes(&self, node: NodeId) -> Result<Attributes, Errno>;

    /// Changes attributes.
    ///
    /// # Errors
    /// `EROFS` or what the file system met.
    fn change(&self, _node: NodeId, _changes: &Changes) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    /// Target of a symbolic link.
    ///
    /// # Errors
    /// `EINVAL` when it is none.
    fn read_link(&self, _node: NodeId) -> Result<Vec<u8>, Errno> {
        Err(Errno::EINVAL)
    }

    /// Where a link leads that is not followed by its text (the links of `/proc/self`).
    fn magic_link(&self, _node: NodeId) -> Option<Result<MagicTarget, Errno>> {
        None
    }

    /// All names in a directory, `.` and `..` left out.
    ///
    /// # Errors
    /// `ENOTDIR` or what the file system met.
    fn entries(&self, directory: NodeId) -> Result<Vec<DirectoryEntry>, Errno>;

    /// Opens `node` with `flags` (`O_*`, without the ones that create).
    ///
    /// # Errors
    /// What the file system met.
    fn open(&self, node: NodeId, flags: u32) -> Result<Opened, Errno>;

    /// Makes and opens a regular file that must not exist yet.
    ///
    /// # Errors
    /// `EEXIST`, `EROFS`, or what the file system met.
    fn create(
        &self,
        _directory: NodeId,
        _name: &[u8],
        _new: &NewFile<'_>,
        _flags: u32,
    ) -> Result<(NodeId, Opened), Errno> {
        Err(Errno::EROFS)
    }

    /// Opens a regular file without a name (`O_TMPFILE`).
    ///
    /// # Errors
    /// `EOPNOTSUPP`, `EROFS`, or what the file system met.
    fn create_unnamed(
        &self,
        _directory: NodeId,
        _new: &NewFile<'_>,
        _flags: u32,
    ) -> Result<(NodeId, Opened), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Opens `path` (components separated by single slashes) below `directory` in one step, where
    /// the file system can and no component is a link. `Ok(None)` asks for a walk instead.
    ///
    /// # Errors
    /// What a walk would have met.
    fn open_path(
        &self,
        _directory: NodeId,
        _path: &[u8],
        _flags: u32,
    ) -> Result<Option<(NodeId, Attributes, Opened)>, Errno> {
        Ok(None)
    }

    /// Finds `path` below `directory` in one step, as [`Self::open_path`] does.
    ///
    /// # Errors
    /// What a walk would have met.
    fn lookup_path(
        &self,
        _directory: NodeId,
        _path: &[u8],
    ) -> Result<Option<(NodeId, Attributes)>, Errno> {
        Ok(None)
    }

    /// Makes a file without opening it.
    ///
    /// # Errors
    /// `EEXIST`, `EROFS`, or what the file system met.
    fn make(&self, _directory: NodeId, _name: &[u8], _new: &NewFile<'_>) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    /// Removes a name; `directory_wanted` chooses between rmdir(2) and unlink(2).
    ///
    /// # Errors
    /// `ENOENT`, `ENOTEMPTY`, `EISDIR`, `ENOTDIR`, `EROFS`, or what the file system met.
    fn remove(
        &self,
        _directory: NodeId,
        _name: &[u8],
        _directory_wanted: bool,
    ) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    /// Renames within the file system.
    ///
    /// # Errors
    /// As renameat2(2).
    fn rename(
        &self,
        _from: NodeId,
        _name: &[u8],
        _to: NodeId,
        _new_name: &[u8],
        _mode: RenameMode,
    ) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    /// Gives `node` another name.
    ///
    /// # Errors
    /// As link(2).
    fn link(&self, _node: NodeId, _directory: NodeId, _name: &[u8]) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    /// Size and use.
    ///
    /// # Errors
    /// What the file system met.
    fn usage(&self) -> Result<Usage, Errno>;

    /// Makes everything durable.
    ///
    /// # Errors
    /// What the file system met.
    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the file system met.
    fn sync_directory(&self, _directory: NodeId) -> Result<(), Errno> {
        Ok(())
    }

    /// Value of an extended attribute.
    ///
    /// # Errors
    /// `ENODATA`, `EOPNOTSUPP`.
    fn attribute(&self, _node: NodeId, _name: &[u8]) -> Result<Vec<u8>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Names of the extended attributes.
    ///
    /// # Errors
    /// `EOPNOTSUPP`.
    fn attribute_names(&self, _node: NodeId) -> Result<Vec<Vec<u8>>, Errno> {
        Ok(Vec::new())
    }

    /// Sets an extended attribute.
    ///
    /// # Errors
    /// `EEXIST`, `ENODATA`, `EOPNOTSUPP`, `ENOSPC`.
    fn set_attribute(
        &self,
        _node: NodeId,
        _name: &[u8],
        _value: &[u8],
        _mode: SetMode,
    ) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Removes an extended attribute.
    ///
    /// # Errors
    /// `ENODATA`, `EOPNOTSUPP`.
    fn remove_attribute(&self, _node: NodeId, _name: &[u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// The host's directory for `node` where this is a host's file system, with the path below it:
    /// names of local sockets need it.
    fn host_place(&self, _node: NodeId) -> Option<(HostFd, Vec<u8>)> {
        None
    }
}

/// Where a link leads that is not followed by its text.
pub enum MagicTarget {
    /// To an open file.
    Open(Arc<super::Handle>),
    /// To a place.
    Location(super::Location),
}

/// A looked-up node; forgotten when dropped.
pub struct Node {
    fs: Arc<dyn FileSystem>,
    id: NodeId,
}

impl Node {
    /// Takes over one lookup of `id`.
    #[must_use]
    pub fn adopt(fs: Arc<dyn FileSystem>, id: NodeId) -> Self {
        Self { fs, id }
    }

    /// The file system.
    #[must_use]
    pub fn fs(&self) -> &Arc<dyn FileSystem> {
        &self.fs
    }

    /// The number.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }
}

impl Clone for Node {
    fn clone(&self) -> Self {
        self.fs.retain(self.id);
        Self {
            fs: Arc::clone(&self.fs),
            id: self.id,
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.fs.forget(self.id);
    }
}
