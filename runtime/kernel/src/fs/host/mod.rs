//! Host directories, passed through.
//!
//! A node is a path below the mount's root. Each access opens it anew below that root without
//! following links, so no link that the host or a program plants leads out of the mount, also
//! while names change during a walk.

mod file;
mod nodes;
mod records;
mod status;

use super::attributes::{Attributes, Changes, FileType};
use super::filesystem::{
    DirectoryEntry, FileSystem, NewFile, NewKind, NodeId, Opened, RenameMode, Usage,
};
use alloc::{boxed::Box, ffi::CString, vec::Vec};
use bannock_platform::host::{self, HostFd};
use bannock_platform::{Errno, sync::Mutex};
use linux_raw_sys::general as raw;
use nodes::{Nodes, ROOT};
use status::{apply, check_owners, convert, host_times};

pub(super) use file::HostRegular;
pub use records::parse_entries;
pub(super) use status::attributes_of;

/// Most names of one directory: a host that never ends a listing must not use up memory.
const MAX_ENTRIES: usize = 4 << 20;

/// A host directory.
pub struct HostFs {
    /// The directory; inherited by all processes and never closed.
    root: HostFd,
    source: Box<[u8]>,
    owner: (u32, u32),
    device: u64,
    nodes: Mutex<Nodes>,
}

/// The directory and the last name of a path below the root.
fn split_name(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(i) => (
            path.get(..i).unwrap_or_default(),
            path.get(i + 1..).unwrap_or_default(),
        ),
        None => (b"", path),
    }
}

fn c_string(bytes: &[u8]) -> Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::EINVAL)
}

/// A host descriptor that is closed at the end of a scope.
struct Temporary(HostFd);

impl Drop for Temporary {
    fn drop(&mut self) {
        host::file::close(self.0);
    }
}

impl HostFs {
    /// Opens the host directory `source`. Call it before the first program starts: the descriptor
    /// must be in all processes.
    ///
    /// # Errors
    /// What the host said.
    pub fn new(source: &[u8]) -> Result<Self, Errno> {
        let flags = raw::O_PATH | raw::O_DIRECTORY;
        let root = host::file::open_absolute(&c_string(source)?, flags)?;
        let attributes = attributes_of(root, None)?;
        Ok(Self {
            root,
            source: source.into(),
            owner: host::process::user_and_group(),
            device: attributes.device,
            nodes: Mutex::new(Nodes::new()),
        })
    }

    /// The host descriptor of the root, for the list of those that survive exec.
    #[must_use]
    pub fn root_descriptor(&self) -> HostFd {
        self.root
    }

    /// The host directory.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    fn path_of(&self, node: NodeId) -> Result<Box<[u8]>, Errno> {
        self.nodes.lock().path(node)
    }

    fn below(&self, node: NodeId, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let base = self.path_of(node)?;
        Ok(if base.is_empty() {
            name.to_vec()
        } else {
            [&base, &b"/"[..], name].concat()
        })
    }

    fn open_host(&self, path: &[u8], flags: u32, mode: u32) -> Result<HostFd, Errno> {
        // No terminal becomes the controlling one; openat2(2) takes the flag for opened files only.
        let flags = if flags & raw::O_PATH == 0 {
            flags | raw::O_NOCTTY
        } else {
            flags
        };
        host::file::open_beneath(self.root, &c_string(path)?, flags, mode)
    }

    fn place(&self, path: &[u8]) -> Result<Temporary, Errno> {
        self.open_host(path, raw::O_PATH | raw::O_NOFOLLOW, 0)
            .map(Temporary)
    }

    fn directory(&self, node: NodeId) -> Result<Temporary, Errno> {
        self.open_host(&self.path_of(node)?, raw::O_PATH | raw::O_DIRECTORY, 0)
            .map(Temporary)
    }

    fn found(&self, path: &[u8]) -> Result<(NodeId, Attributes), Errno> {
        let place = self.place(path)?;
        let attributes = self.attributes_at(place.0)?;
        Ok((self.nodes.lock().retain_path(path), attributes))
    }

    /// Changes what cannot be opened for it: links, sockets and devices.
    fn change_by_name(
        &self,
        path: &[u8],
        attributes: &Attributes,
        changes: &Changes,
    ) -> Result<(), Errno> {
        check_owners(attributes, changes)?;
        if changes.mode.is_some() {
            return Err(Errno::EOPNOTSUPP);
        }
        let Some(times) = host_times(changes) else {
            return Ok(());
        };
        let (base, name) = split_name(path);
        let directory = self
            .open_host(base, raw::O_PATH | raw::O_DIRECTORY, 0)
            .map(Temporary)?;
        host::file::set_times_at(directory.0, &c_string(name)?, &times)
    }

    /// Opens a file that is meant to be regular, without waiting should it have become a FIFO.
    fn open_regular(&self, path: &[u8], flags: u32) -> Result<HostFd, Errno> {
        let fd = self.open_host(path, flags | raw::O_NONBLOCK, 0)?;
        if flags & raw::O_NONBLOCK == 0 {
            let settable = (flags & super::SETTABLE_FLAGS) as usize;
            if let Err(e) = host::file::control(fd, raw::F_SETFL, settable) {
                host::file::close(fd);
                return Err(e);
            }
        }
        Ok(fd)
    }

    fn attributes_at(&self, fd: HostFd) -> Result<Attributes, Errno> {
        let status = host::file::status(fd, raw::STATX_BASIC_STATS | raw::STATX_BTIME)?;
        convert(&status, self.owner, None)
    }

    fn opened(&self, fd: HostFd, attributes: &Attributes) -> Result<Opened, Errno> {
        let ops: Box<dyn super::FileOps> = match attributes.kind {
            FileType::Regular => Box::new(HostRegular::new(self.owner)),
            FileType::Fifo => Box::new(super::ops::HostFile::new(super::Kind::Pipe)),
            // A host's devices, and sockets that are opened as files, are out.
            _ => {
                host::file::close(fd);
                return Err(Errno::ENXIO);
            }
        };
        Ok(Opened {
            ops,
            host: Some(fd),
        })
    }
}

impl FileSystem for HostFs {
    fn kind(&self) -> &'static str {
        "host"
    }

    fn device(&self) -> u64 {
        self.device
    }

    fn is_trusted(&self) -> bool {
        false
    }

    fn root(&self) -> NodeId {
        ROOT
    }

    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<(NodeId, Attributes), Errno> {
        self.found(&self.below(directory, name)?)
    }

    fn lookup_path(
        &self,
        directory: NodeId,
        path: &[u8],
    ) -> Result<Option<(NodeId, Attributes)>, Errno> {
        let (id, attributes) = match self.found(&self.below(directory, path)?) {
            Err(Errno::ELOOP) => return Ok(None),
            other => other?,
        };
        if attributes.kind == FileType::Symlink {
            self.forget(id);
            return Ok(None);
        }
        Ok(Some((id, attributes)))
    }

    fn open_path(
        &self,
        directory: NodeId,
        path: &[u8],
        flags: u32,
    ) -> Result<Option<(NodeId, Attributes, Opened)>, Errno> {
        let path = self.below(directory, path)?;
        // Opening something else to find out what it is would let a FIFO's waiting writer go, and may
        // set a device in motion. This is a hint: what was opened is looked at again below.
        let hint = host::file::status_at(self.root, &c_string(&path)?, raw::STATX_TYPE);
        if hint.is_ok_and(|hint| u32::from(hint.stx_mode) & raw::S_IFMT != raw::S_IFREG) {
            return Ok(None);
        }
        let fd = match self.open_regular(&path, flags) {
            Err(Errno::ELOOP | Errno::ENXIO | Errno::EISDIR) => return Ok(None),
            other => other?,
        };
        match self.attributes_at(fd) {
            Ok(attributes) if attributes.kind == FileType::Regular => {
                let opened = self.opened(fd, &attributes)?;
                let id = self.nodes.lock().retain_path(&path);
                Ok(Some((id, attributes, opened)))
            }
            other => {
                host::file::close(fd);
                other.map(|_| None)
            }
        }
    }

    fn retain(&self, node: NodeId) {
        self.nodes.lock().retain(node);
    }

    fn forget(&self, node: NodeId) {
        self.nodes.lock().forget(node);
    }

    fn parent(&self, node: NodeId) -> Result<NodeId, Errno> {
        let path = self.path_of(node)?;
        let up = path
            .iter()
            .rposition(|b| *b == b'/')
            .and_then(|i| path.get(..i))
            .unwrap_or_default();
        Ok(self.nodes.lock().retain_path(up))
    }

    fn path(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        Ok([&b"/"[..], &self.path_of(node)?].concat())
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, Errno> {
        self.attributes_at(self.place(&self.path_of(node)?)?.0)
    }

    fn change(&self, node: NodeId, changes: &Changes) -> Result<(), Errno> {
        let path = self.path_of(node)?;
        let attributes = self.attributes(node)?;
        let access = match (changes.size, attributes.kind) {
            (Some(_), FileType::Regular) => raw::O_WRONLY,
            (Some(_), FileType::Directory) => return Err(Errno::EISDIR),
            (Some(_), _) => return Err(Errno::EINVAL),
            (None, FileType::Regular | FileType::Directory | FileType::Fifo) => raw::O_RDONLY,
            (None, _) => return self.change_by_name(&path, &attributes, changes),
        };
        let flags = access | raw::O_NONBLOCK | raw::O_NOFOLLOW;
        let fd = Temporary(self.open_host(&path, flags, 0)?);
        apply(fd.0, self.owner, changes)
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        let place = self.place(&self.path_of(node)?)?;
        let mut buffer = alloc::vec![0; super::filesystem::PATH_MAX];
        let count = host::file::read_link(place.0, c"", &mut buffer).map_err(|e| {
            // An empty name on something that is no link says so in another way.
            if e == Errno::ENOENT { Errno::EINVAL } else { e }
        })?;
        buffer.truncate(count);
        Ok(buffer)
    }

    fn entries(&self, directory: NodeId) -> Result<Vec<DirectoryEntry>, Errno> {
        let path = self.path_of(directory)?;
        let fd = Temporary(self.open_host(&path, raw::O_RDONLY | raw::O_DIRECTORY, 0)?);
        let mut all = Vec::new();
        let mut buffer = alloc::vec![0u8; 32 << 10];
        loop {
            let count = host::file::directory_entries(fd.0, &mut buffer)?;
            if count == 0 {
                return Ok(all);
            }
            parse_entries(buffer.get(..count).unwrap_or_default(), &mut all)?;
            if all.len() > MAX_ENTRIES {
                return Err(Errno::EIO);
            }
        }
    }

    fn open(&self, node: NodeId, flags: u32) -> Result<Opened, Errno> {
        let path = self.path_of(node)?;
        let fd = match self.attributes(node)?.kind {
            FileType::Regular => self.open_regular(&path, flags | raw::O_NOFOLLOW)?,
            FileType::Fifo => self.open_host(&path, flags | raw::O_NOFOLLOW, 0)?,
            _ => return Err(Errno::ENXIO),
        };
        let attributes = match self.attributes_at(fd) {
            Ok(attributes) => attributes,
            Err(e) => {
                host::file::close(fd);
                return Err(e);
            }
        };
        self.opened(fd, &attributes)
    }

    fn create(
        &self,
        directory: NodeId,
        name: &[u8],
        new: &NewFile<'_>,
        flags: u32,
    ) -> Result<(NodeId, Opened), Errno> {
        let path = self.below(directory, name)?;
        let flags = flags | raw::O_CREAT | raw::O_EXCL | raw::O_NOFOLLOW;
        let fd = self.open_host(&path, flags, new.mode)?;
        let opened = Opened {
            ops: Box::new(HostRegular::new(self.owner)),
            host: Some(fd),
        };
        Ok((self.nodes.lock().retain_path(&path), opened))
    }

    fn create_unnamed(
        &self,
        directory: NodeId,
        new: &NewFile<'_>,
        flags: u32,
    ) -> Result<(NodeId, Opened), Errno> {
        let path = self.path_of(directory)?;
        let fd = self.open_host(&path, flags | raw::O_TMPFILE, new.mode)?;
        let opened = Opened {
            ops: Box::new(HostRegular::new(self.owner)),
            host: Some(fd),
        };
        let id = self.nodes.lock().unnamed();
        Ok((id, opened))
    }

    fn make(&self, directory: NodeId, name: &[u8], new: &NewFile<'_>) -> Result<(), Errno> {
        let parent = self.directory(directory)?;
        let name = c_string(name)?;
        match new.kind {
            NewKind::Directory => host::file::make_directory(parent.0, &name, new.mode),
            NewKind::Symlink(target) => host::file::symlink(&c_string(target)?, parent.0, &name),
            NewKind::Regular => host::file::make_node(parent.0, &name, raw::S_IFREG | new.mode),
            NewKind::Fifo => host::file::make_node(parent.0, &name, raw::S_IFIFO | new.mode),
            NewKind::Socket => host::file::make_node(parent.0, &name, raw::S_IFSOCK | new.mode),
        }
    }

    fn remove(&self, directory: NodeId, name: &[u8], directory_wanted: bool) -> Result<(), Errno> {
        let path = self.below(directory, name)?;
        let parent = self.directory(directory)?;
        let flags = if directory_wanted {
            raw::AT_REMOVEDIR
        } else {
            0
        };
        host::file::unlink(parent.0, &c_string(name)?, flags)?;
        self.nodes.lock().removed(&path);
        Ok(())
    }

    fn rename(
        &self,
        from: NodeId,
        name: &[u8],
        to: NodeId,
        new_name: &[u8],
        mode: RenameMode,
    ) -> Result<(), Errno> {
        let (old_path, new_path) = (self.below(from, name)?, self.below(to, new_name)?);
        let (old_parent, new_parent) = (self.directory(from)?, self.directory(to)?);
        let flags = match mode {
            RenameMode::Replace => 0,
            RenameMode::NoReplace => raw::RENAME_NOREPLACE,
            RenameMode::Exchange => raw::RENAME_EXCHANGE,
        };
        host::file::rename(
            old_parent.0,
            &c_string(name)?,
            new_parent.0,
            &c_string(new_name)?,
            flags,
        )?;
        if old_path == new_path {
            return Ok(());
        }
        let mut nodes = self.nodes.lock();
        if mode == RenameMode::Exchange {
            const ASIDE: &[u8] = b"\0aside";
            nodes.moved(&new_path, ASIDE);
            nodes.moved(&old_path, &new_path);
            nodes.moved(ASIDE, &old_path);
        } else {
            nodes.removed(&new_path);
            nodes.moved(&old_path, &new_path);
        }
        Ok(())
    }

    fn link(&self, node: NodeId, directory: NodeId, name: &[u8]) -> Result<(), Errno> {
        let path = self.path_of(node)?;
        let (base, old_name) = split_name(&path);
        let from = Temporary(self.open_host(base, raw::O_PATH | raw::O_DIRECTORY, 0)?);
        let to = self.directory(directory)?;
        host::file::link(from.0, &c_string(old_name)?, to.0, &c_string(name)?)
    }

    fn usage(&self) -> Result<Usage, Errno> {
        let status = host::file::file_system_status(self.root)?;
        let number = |v: i64| u64::try_from(v).unwrap_or(0);
        Ok(Usage {
            magic: number(status.f_type),
            block_size: number(status.f_bsize),
            blocks: number(status.f_blocks),
            free: number(status.f_bfree),
            available: number(status.f_bavail),
            files: number(status.f_files),
            files_free: number(status.f_ffree),
        })
    }

    fn sync_directory(&self, directory: NodeId) -> Result<(), Errno> {
        let path = self.path_of(directory)?;
        let fd = Temporary(self.open_host(&path, raw::O_RDONLY | raw::O_DIRECTORY, 0)?);
        host::file::sync(fd.0, false)
    }

    fn host_place(&self, node: NodeId) -> Option<(HostFd, Vec<u8>)> {
        self.path_of(node)
            .ok()
            .map(|path| (self.root, path.into_vec()))
    }
}
