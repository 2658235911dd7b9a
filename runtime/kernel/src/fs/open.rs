//! Opening files.

use super::attributes::{Credentials, R_OK, W_OK, X_OK};
use super::directory::{Directory, Place};
use super::filesystem::{NewFile, NewKind, Node, Opened};
use super::walk::{End, How, Target, Walker, may_change};
use super::{Attributes, FileType, FsContext, Handle, Location};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use bannock_platform::Errno;
use linux_raw_sys::general as raw;

/// Flags of open(2) that the kernel knows; others are ignored by open(2) and refused by openat2(2).
pub const KNOWN_FLAGS: u32 = raw::O_ACCMODE
    | raw::O_CREAT
    | raw::O_EXCL
    | raw::O_NOCTTY
    | raw::O_TRUNC
    | raw::O_APPEND
    | raw::O_NONBLOCK
    | raw::O_SYNC
    | raw::O_DSYNC
    | raw::FASYNC
    | raw::O_DIRECT
    | raw::O_LARGEFILE
    | raw::O_DIRECTORY
    | raw::O_NOFOLLOW
    | raw::O_NOATIME
    | raw::O_CLOEXEC
    | raw::O_PATH
    | raw::O_TMPFILE;

/// Flags that a file system's `open` is given.
const FS_FLAGS: u32 = raw::O_ACCMODE
    | raw::O_NOCTTY
    | raw::O_TRUNC
    | raw::O_APPEND
    | raw::O_NONBLOCK
    | raw::O_SYNC
    | raw::O_DSYNC
    | raw::O_DIRECT;

/// `O_TMPFILE` without its `O_DIRECTORY` bit.
const UNNAMED: u32 = raw::O_TMPFILE & !raw::O_DIRECTORY;

/// A program file to execute.
pub struct Executable {
    /// The open file.
    pub handle: Arc<Handle>,
    /// Absolute path, links resolved, for `/proc/self/exe`.
    pub path: Vec<u8>,
}

impl FsContext {
    /// Opens `path` with `flags` (`O_*`) and, for a new file, `mode` before the umask.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(
        &self,
        start: Option<&Location>,
        path: &[u8],
        flags: u32,
        mode: u32,
        how: How,
        credentials: &Credentials,
    ) -> Result<Arc<Handle>, Errno> {
        let mut how = how;
        if flags & raw::O_NOFOLLOW != 0
            || flags & (raw::O_CREAT | raw::O_EXCL) == raw::O_CREAT | raw::O_EXCL
        {
            how |= How::NO_FOLLOW;
        }
        let flags = if flags & raw::O_PATH != 0 {
            flags & (raw::O_PATH | raw::O_DIRECTORY | raw::O_NOFOLLOW | raw::O_CLOEXEC)
        } else {
            flags & KNOWN_FLAGS
        };
        let mode = mode & 0o7777 & !self.umask();
        self.with_walker(start, how, credentials, |walker| {
            Opening {
                context: self,
                walker,
                flags,
                mode,
            }
            .open(path)
        })
    }

    /// Opens a program file.
    ///
    /// # Errors
    /// As execve(2): `EACCES` for what is not a regular file or not executable.
    pub fn open_for_exec(
        &self,
        start: Option<&Location>,
        path: &[u8],
        how: How,
        credentials: &Credentials,
    ) -> Result<Executable, Errno> {
        let (at, attributes) = match self.walk(start, path, how, credentials)? {
            Target::Found(at, attributes) => (at, attributes),
            Target::Open(handle) => {
                let attributes = handle.attributes()?;
                let at = handle.file().location().cloned().ok_or(Errno::EACCES)?;
                (at, attributes)
            }
        };
        if attributes.kind == FileType::Symlink {
            return Err(Errno::ELOOP);
        }
        if attributes.kind != FileType::Regular {
            return Err(Errno::EACCES);
        }
        attributes.check(credentials, X_OK)?;
        let opened = at.fs().open(at.id(), raw::O_RDONLY)?;
        let full = self.path(&at)?;
        let handle = Handle::opened(opened, raw::O_RDONLY, at, full.clone().into());
        Ok(Executable { handle, path: full })
    }
}

struct Opening<'a> {
    context: &'a FsContext,
    walker: &'a Walker<'a>,
    flags: u32,
    mode: u32,
}

impl Opening<'_> {
    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    fn open(&self, path: &[u8]) -> Result<Arc<Handle>, Errno> {
        if self.has(UNNAMED) {
            return self.unnamed(path);
        }
        if self.has(raw::O_CREAT) {
            return self.create(path);
        }
        if !self.has(raw::O_PATH | raw::O_DIRECTORY)
            && let Some((base, rest)) = self.walker.direct(path)?
            && !(self.writes() && base.mount.read_only)
            && let Some((id, _, opened)) =
                base.fs()
                    .open_path(base.id(), &rest, self.flags & FS_FLAGS)?
        {
            let node = Node::adopt(Arc::clone(base.node.fs()), id);
            return Ok(self.handle(
                opened,
                Location {
                    mount: base.mount,
                    node,
                    skeleton: None,
                },
            ));
        }
        match self.walker.walk(path)? {
            Target::Found(at, attributes) => self.existing(at, attributes),
            Target::Open(handle) => self.again(&handle),
        }
    }

    fn writes(&self) -> bool {
        self.flags & raw::O_ACCMODE != raw::O_RDONLY || self.has(raw::O_TRUNC)
    }

    fn create(&self, path: &[u8]) -> Result<Arc<Handle>, Errno> {
        // A second round happens when another made, or removed, the file in between.
        for _ in 0..4 {
            let last = match self.walker.end(path)? {
                End::Name(last) => last,
                End::Place(..) => return Err(Errno::EISDIR),
                End::Open(handle) => return self.again(&handle),
            };
            if last.trailing_slash {
                return Err(Errno::EISDIR);
            }
            let last = if self.walker.how.contains(How::NO_FOLLOW) {
                last
            } else {
                match self.walker.follow_dangling(last)? {
                    End::Name(last) => last,
                    End::Place(..) => return Err(Errno::EISDIR),
                    End::Open(handle) => return self.again(&handle),
                }
            };
            match self.context.mounts().child(&last.directory, &last.name) {
                Ok(_) if self.has(raw::O_EXCL) => return Err(Errno::EEXIST),
                Ok((at, attributes)) => return self.existing(at, attributes),
                Err(Errno::ENOENT) => {}
                Err(e) => return Err(e),
            }
            last.directory.mount.writable()?;
            may_change(&last.directory_attributes, self.walker.credentials)?;
            let new = self.new_file(&last.directory_attributes);
            let flags = self.flags & FS_FLAGS & !raw::O_TRUNC;
            match last
                .directory
                .fs()
                .create(last.directory.id(), &last.name, &new, flags)
            {
                Ok((id, opened)) => {
                    let node = Node::adopt(Arc::clone(last.directory.node.fs()), id);
                    let at = Location {
                        mount: Arc::clone(&last.directory.mount),
                        node,
                        skeleton: None,
                    };
                    let mut name = self.context.path(&last.directory).unwrap_or_default();
                    if name != b"/" {
                        name.push(b'/');
                    }
                    name.extend_from_slice(&last.name);
                    return Ok(Handle::opened(opened, self.flags, at, name.into()));
                }
                Err(Errno::EEXIST) if !self.has(raw::O_EXCL) => {}
                Err(e) => return Err(e),
            }
        }
        Err(Errno::EAGAIN)
    }

    fn new_file(&self, directory: &Attributes) -> NewFile<'static> {
        let credentials = self.walker.credentials;
        NewFile {
            kind: NewKind::Regular,
            mode: self.mode,
            uid: credentials.uid,
            gid: new_group(directory, credentials),
        }
    }

    fn unnamed(&self, path: &[u8]) -> Result<Arc<Handle>, Errno> {
        if self.flags & raw::O_ACCMODE == raw::O_RDONLY {
            return Err(Errno::EINVAL);
        }
        let Target::Found(at, attributes) = self.walker.walk(path)? else {
            return Err(Errno::ENOTDIR);
        };
        if attributes.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        at.mount.writable()?;
        may_change(&attributes, self.walker.credentials)?;
        let (id, opened) =
            at.fs()
                .create_unnamed(at.id(), &self.new_file(&attributes), self.flags & FS_FLAGS)?;
        let node = Node::adopt(Arc::clone(at.node.fs()), id);
        let name = Box::from(&b"(unnamed)"[..]);
        Ok(Handle::opened(
            opened,
            self.flags & !UNNAMED,
            Location {
                mount: at.mount,
                node,
                skeleton: None,
            },
            name,
        ))
    }

    fn existing(&self, at: Location, attributes: Attributes) -> Result<Arc<Handle>, Errno> {
        if attributes.kind == FileType::Symlink && !self.has(raw::O_PATH) {
            return Err(Errno::ELOOP);
        }
        if self.has(raw::O_DIRECTORY) && attributes.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        if self.has(raw::O_PATH) {
            return Ok(self.handle(Opened::new(Place { at: at.clone() }), at));
        }
        if attributes.kind == FileType::Directory {
            if self.writes() || self.has(raw::O_CREAT) {
                return Err(Errno::EISDIR);
            }
            attributes.check(self.walker.credentials, R_OK)?;
            return Ok(self.handle(Directory::open(self.context.mounts(), &at), at));
        }
        let wanted = match self.flags & raw::O_ACCMODE {
            raw::O_RDONLY => R_OK,
            raw::O_WRONLY => W_OK,
            _ => R_OK | W_OK,
        };
        let wanted = if self.has(raw::O_TRUNC) {
            wanted | W_OK
        } else {
            wanted
        };
        attributes.check(self.walker.credentials, wanted)?;
        if wanted & W_OK != 0 && matches!(attributes.kind, FileType::Regular) {
            at.mount.writable()?;
        }
        let opened = at.fs().open(at.id(), self.flags & FS_FLAGS)?;
        Ok(self.handle(opened, at))
    }

    /// Opens once more what an open file stands for, through a link of `/proc`.
    fn again(&self, handle: &Arc<Handle>) -> Result<Arc<Handle>, Errno> {
        match handle.file().location() {
            Some(at) => self.existing(at.clone(), at.attributes()?),
            // Pipes and streams have no place; the same open file is what comes nearest.
            None => Ok(Arc::clone(handle)),
        }
    }

    fn handle(&self, opened: Opened, at: Location) -> Arc<Handle> {
        let name = self.context.path(&at).unwrap_or_default();
        Handle::opened(opened, self.flags, at, name.into())
    }
}

/// Group of a new file: that of the directory where it has the set-group-ID bit (inode(7)).
pub(crate) fn new_group(directory: &Attributes, credentials: &Credentials) -> u32 {
    if directory.mode & raw::S_ISGID != 0 {
        directory.gid
    } else {
        credentials.gid
    }
}
