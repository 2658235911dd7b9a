//! Host directories, passed through.
//!
//! A node is a path below the mount's root. Each access opens it anew below that root without
//! following links, so no link that the host or a program plants leads out of the mount, also
//! while names change during a walk.

mod file;

use super::attributes::{Attributes, Changes, FileType, NOBODY, NewTime, device_number};
use super::filesystem::{
    DirectoryEntry, FileSystem, NewFile, NewKind, NodeId, Opened, RenameMode, Usage,
};
use alloc::{boxed::Box, collections::BTreeMap, ffi::CString, vec::Vec};
use bannock_platform::host::{self, HostFd, time::Timespec};
use bannock_platform::{Errno, sync::Mutex};
use linux_raw_sys::general as raw;

pub(super) use file::HostRegular;

const ROOT: NodeId = 1;

/// Most names of one directory: a host that never ends a listing must not use up memory.
const MAX_ENTRIES: usize = 4 << 20;

/// `UTIME_NOW` and `UTIME_OMIT` as nanoseconds (utimensat(2)).
const UTIME_NOW: i64 = raw::UTIME_NOW as i64;
const UTIME_OMIT: i64 = raw::UTIME_OMIT as i64;

/// A host directory.
pub struct HostFs {
    /// The directory; inherited by all processes and never closed.
    root: HostFd,
    source: Box<[u8]>,
    owner: (u32, u32),
    device: u64,
    nodes: Mutex<Nodes>,
}

struct Nodes {
    by_id: BTreeMap<NodeId, Entry>,
    by_path: BTreeMap<Box<[u8]>, NodeId>,
    next: NodeId,
}

struct Entry {
    path: Box<[u8]>,
    lookups: u64,
}

impl Nodes {
    fn retain_path(&mut self, path: &[u8]) -> NodeId {
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
    fn moved(&mut self, from: &[u8], to: &[u8]) {
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
    fn removed(&mut self, path: &[u8]) {
        self.by_path.retain(|p, _| !is_at_or_below(p, path));
    }
}

fn is_at_or_below(path: &[u8], base: &[u8]) -> bool {
    path.strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
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

/// Attributes of an open host file, checked and with the container's ids. `device` overrides the
/// host's device number.
pub(super) fn attributes_of(fd: HostFd, device: Option<u64>) -> Result<Attributes, Errno> {
    let status = host::file::status(fd, raw::STATX_BASIC_STATS | raw::STATX_BTIME)?;
    convert(&status, host::process::user_and_group(), device)
}

fn convert(
    status: &host::file::Statx,
    owner: (u32, u32),
    device: Option<u64>,
) -> Result<Attributes, Errno> {
    let time = |t: &raw::statx_timestamp| Timespec {
        seconds: t.tv_sec,
        nanoseconds: i64::from(t.tv_nsec).min(999_999_999),
    };
    Ok(Attributes {
        device: device.unwrap_or_else(|| device_number(status.stx_dev_major, status.stx_dev_minor)),
        inode: status.stx_ino,
        kind: FileType::from_mode(u32::from(status.stx_mode))?,
        mode: u32::from(status.stx_mode) & 0o7777,
        links: status.stx_nlink,
        uid: if status.stx_uid == owner.0 { 0 } else { NOBODY },
        gid: if status.stx_gid == owner.1 { 0 } else { NOBODY },
        special: device_number(status.stx_rdev_major, status.stx_rdev_minor),
        size: status.stx_size.min(i64::MAX as u64),
        block_size: status.stx_blksize,
        blocks: status.stx_blocks,
        accessed: time(&status.stx_atime),
        modified: time(&status.stx_mtime),
        changed: time(&status.stx_ctime),
        born: time(&status.stx_btime),
    })
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
            nodes: Mutex::new(Nodes {
                by_id: BTreeMap::new(),
                by_path: BTreeMap::new(),
                next: ROOT + 1,
            }),
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
        if node == ROOT {
            return Ok(Box::default());
        }
        self.nodes
            .lock()
            .by_id
            .get(&node)
            .map(|e| e.path.clone())
            .ok_or(Errno::ESTALE)
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
        let fd = match self.open_host(&path, flags | raw::O_NONBLOCK, 0) {
            Err(Errno::ELOOP | Errno::ENXIO | Errno::EISDIR) => return Ok(None),
            other => other?,
        };
        let attributes = self.attributes_at(fd);
        match attributes {
            Ok(attributes) if attributes.kind == FileType::Regular => {
                if flags & raw::O_NONBLOCK == 0 {
                    let _ = host::file::control(
                        fd,
                        raw::F_SETFL,
                        (flags & super::SETTABLE_FLAGS) as usize,
                    );
                }
                let opened = self.opened(fd, &attributes)?;
                Ok(Some((
                    self.nodes.lock().retain_path(&path),
                    attributes,
                    opened,
                )))
            }
            other => {
                host::file::close(fd);
                other.map(|_| None)
            }
        }
    }

    fn retain(&self, node: NodeId) {
        if let Some(entry) = self.nodes.lock().by_id.get_mut(&node) {
            entry.lookups += 1;
        }
    }

    fn forget(&self, node: NodeId) {
        let mut nodes = self.nodes.lock();
        let Some(entry) = nodes.by_id.get_mut(&node) else {
            return;
        };
        entry.lookups = entry.lookups.saturating_sub(1);
        if entry.lookups == 0
            && let Some(entry) = nodes.by_id.remove(&node)
            && nodes.by_path.get(&entry.path) == Some(&node)
        {
            nodes.by_path.remove(&entry.path);
        }
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
        let kind = self.attributes(node)?.kind;
        let access = match (changes.size, kind) {
            (Some(_), FileType::Regular) => raw::O_WRONLY,
            (Some(_), FileType::Directory) => return Err(Errno::EISDIR),
            (Some(_), _) => return Err(Errno::EINVAL),
            (None, FileType::Regular | FileType::Directory | FileType::Fifo) => raw::O_RDONLY,
            // Devices, sockets and links cannot be opened for a change of their attributes.
            (None, _) => {
                return if changes.mode.is_some() {
                    Err(Errno::EOPNOTSUPP)
                } else {
                    Ok(())
                };
            }
        };
        let fd = Temporary(self.open_host(&path, access | raw::O_NONBLOCK | raw::O_NOFOLLOW, 0)?);
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
        let kind = self.attributes(node)?.kind;
        if !matches!(kind, FileType::Regular | FileType::Fifo) {
            return Err(Errno::ENXIO);
        }
        let fd = self.open_host(&path, flags | raw::O_NOFOLLOW, 0)?;
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
        let mut nodes = self.nodes.lock();
        let id = nodes.next;
        nodes.next += 1;
        nodes.by_id.insert(
            id,
            Entry {
                path: b"\0unnamed".as_slice().into(),
                lookups: 1,
            },
        );
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
        let (base, old_name) = match path.iter().rposition(|b| *b == b'/') {
            Some(i) => (
                path.get(..i).unwrap_or_default(),
                path.get(i + 1..).unwrap_or_default(),
            ),
            None => (&b""[..], &path[..]),
        };
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

/// Applies `changes` to an open host file. Changes of owners succeed where they change nothing.
pub(super) fn apply(fd: HostFd, owner: (u32, u32), changes: &Changes) -> Result<(), Errno> {
    if changes.uid.is_some() || changes.gid.is_some() {
        let status = host::file::status(fd, raw::STATX_BASIC_STATS)?;
        let now = convert(&status, owner, None)?;
        if changes.uid.is_some_and(|u| u != now.uid) || changes.gid.is_some_and(|g| g != now.gid) {
            return Err(Errno::EPERM);
        }
    }
    if let Some(mode) = changes.mode {
        host::file::change_mode(fd, mode)?;
    }
    if let Some(size) = changes.size {
        host::file::truncate(fd, i64::try_from(size).map_err(|_| Errno::EFBIG)?)?;
    }
    if changes.accessed.is_some() || changes.modified.is_some() {
        let time = |t: Option<NewTime>| match t {
            None => Timespec {
                seconds: 0,
                nanoseconds: UTIME_OMIT,
            },
            Some(NewTime::Now) => Timespec {
                seconds: 0,
                nanoseconds: UTIME_NOW,
            },
            Some(NewTime::At(time)) => time,
        };
        host::file::set_times(fd, &[time(changes.accessed), time(changes.modified)])?;
    }
    Ok(())
}

/// Reads a host's directory entries (`struct linux_dirent64`, getdents64(2)), leaving out `.` and
/// `..`.
///
/// # Errors
/// `EIO` for records that do not fit, and for names that could not be components of a path.
pub fn parse_entries(mut bytes: &[u8], into: &mut Vec<DirectoryEntry>) -> Result<(), Errno> {
    const NAME_AT: usize = 19;
    while !bytes.is_empty() {
        let field = |at: usize, len: usize| bytes.get(at..at + len).ok_or(Errno::EIO);
        let inode = u64::from_le_bytes(field(0, 8)?.try_into().map_err(|_| Errno::EIO)?);
        let length = usize::from(u16::from_le_bytes(
            field(16, 2)?.try_into().map_err(|_| Errno::EIO)?,
        ));
        let kind = bytes.get(18).copied().ok_or(Errno::EIO)?;
        let record = bytes.get(..length).ok_or(Errno::EIO)?;
        let padded = record.get(NAME_AT..).ok_or(Errno::EIO)?;
        let name = padded.split(|b| *b == 0).next().unwrap_or_default();
        if name.len() == padded.len()
            || name.is_empty()
            || name.contains(&b'/')
            || name.len() > super::filesystem::NAME_MAX
        {
            return Err(Errno::EIO);
        }
        if name != b"." && name != b".." {
            let kind = FileType::from_mode(u32::from(kind) << 12).ok();
            into.push(DirectoryEntry {
                name: name.into(),
                inode,
                kind,
            });
        }
        bytes = bytes.get(length..).ok_or(Errno::EIO)?;
    }
    Ok(())
}
