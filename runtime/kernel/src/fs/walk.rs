//! From a path to a file.
//!
//! The walk is the kernel's own: file systems answer for one component, or for several at once
//! where none is a link, and never follow links. `..` goes by the mount table, so no path leads
//! out of the root, and no link of a host leads out of its mount.

use super::attributes::{Credentials, X_OK};
use super::filesystem::{MagicTarget, NAME_MAX, Node, PATH_MAX};
use super::{Attributes, FileType, Handle, Location, Mounts};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use bannock_platform::Errno;
use bitflags::bitflags;

/// Most links on one walk (Linux `MAXSYMLINKS`).
pub const MAX_LINKS: u32 = 40;

bitflags! {
    /// How to walk.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct How: u32 {
        /// Do not follow a link in the last component.
        const NO_FOLLOW = 1;
        /// An empty path means the start (`AT_EMPTY_PATH`).
        const EMPTY = 2;
        /// `RESOLVE_NO_SYMLINKS`
        const NO_SYMLINKS = 4;
        /// `RESOLVE_NO_MAGICLINKS`
        const NO_MAGICLINKS = 8;
        /// `RESOLVE_BENEATH`
        const BENEATH = 16;
        /// `RESOLVE_IN_ROOT`
        const IN_ROOT = 32;
        /// `RESOLVE_NO_XDEV`
        const NO_XDEV = 64;
    }
}

/// Where walks start and who walks.
pub struct Walker<'a> {
    /// The mount table.
    pub mounts: &'a Mounts,
    /// The process's root.
    pub root: &'a Location,
    /// Where relative paths start.
    pub start: &'a Location,
    /// Who walks.
    pub credentials: &'a Credentials,
    /// How.
    pub how: How,
}

/// What a path leads to.
pub enum Target {
    /// A file.
    Found(Location, Attributes),
    /// The open file behind a link of `/proc/self/fd`.
    Open(Arc<Handle>),
}

/// The directory that a path's last name lies in.
pub struct Last {
    /// The directory.
    pub directory: Location,
    /// Its attributes.
    pub directory_attributes: Attributes,
    /// The last name.
    pub name: Box<[u8]>,
    /// Whether slashes follow the name.
    pub trailing_slash: bool,
    /// Links followed so far.
    links: u32,
}

/// What the end of a path is, for calls that make or remove names.
pub enum End {
    /// A name in a directory.
    Name(Last),
    /// The root, `.` or `..`.
    Place(Location, Attributes),
    /// An open file, through a link of `/proc`.
    Open(Arc<Handle>),
}

struct Position {
    at: Location,
    attributes: Attributes,
}

enum Step {
    /// Moved on.
    Moved(Position),
    /// A link whose text is walked next.
    Link(Vec<u8>),
    /// An open file.
    Open(Arc<Handle>),
}

impl Walker<'_> {
    /// Walks all of `path`.
    ///
    /// # Errors
    /// As path_resolution(7).
    pub fn walk(&self, path: &[u8]) -> Result<Target, Errno> {
        if path.is_empty() {
            if !self.how.contains(How::EMPTY) {
                return Err(Errno::ENOENT);
            }
            return Ok(Target::Found(self.start.clone(), self.start.attributes()?));
        }
        if let Some(found) = self.fast(path)? {
            return Ok(found);
        }
        match self.end(path)? {
            End::Place(at, attributes) => Ok(Target::Found(at, attributes)),
            End::Open(handle) => Ok(Target::Open(handle)),
            End::Name(last) => self.finish(last),
        }
    }

    /// Walks the last name too, following it unless told not to.
    ///
    /// # Errors
    /// As path_resolution(7).
    pub fn finish(&self, last: Last) -> Result<Target, Errno> {
        let mut last = last;
        loop {
            let follow = last.trailing_slash || !self.how.contains(How::NO_FOLLOW);
            let position = Position {
                at: last.directory,
                attributes: last.directory_attributes,
            };
            match self.step(&position, &last.name, follow, &mut last.links)? {
                Step::Moved(found) => {
                    if last.trailing_slash && found.attributes.kind != FileType::Directory {
                        return Err(Errno::ENOTDIR);
                    }
                    return Ok(Target::Found(found.at, found.attributes));
                }
                Step::Open(handle) => return Ok(Target::Open(handle)),
                Step::Link(text) => match self.end_from(position, &text, last.links)? {
                    End::Name(next) => {
                        let trailing_slash = last.trailing_slash || next.trailing_slash;
                        last = Last {
                            trailing_slash,
                            ..next
                        };
                    }
                    End::Place(at, attributes) => return Ok(Target::Found(at, attributes)),
                    End::Open(handle) => return Ok(Target::Open(handle)),
                },
            }
        }
    }

    /// Follows a dangling link in the last name to the name that would be made.
    ///
    /// # Errors
    /// As path_resolution(7).
    pub fn follow_dangling(&self, last: Last) -> Result<End, Errno> {
        let mut last = last;
        loop {
            let position = Position {
                at: last.directory.clone(),
                attributes: last.directory_attributes,
            };
            match self.step(&position, &last.name, true, &mut last.links) {
                Ok(Step::Link(text)) => match self.end_from(position, &text, last.links)? {
                    End::Name(next) => last = next,
                    other => return Ok(other),
                },
                Ok(Step::Open(handle)) => return Ok(End::Open(handle)),
                Ok(Step::Moved(_)) | Err(Errno::ENOENT) => return Ok(End::Name(last)),
                Err(e) => return Err(e),
            }
        }
    }

    /// Walks up to the last name.
    ///
    /// # Errors
    /// As path_resolution(7).
    pub fn end(&self, path: &[u8]) -> Result<End, Errno> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        let from = if path.first() == Some(&b'/') {
            self.top()?
        } else {
            self.start.clone()
        };
        let attributes = from.attributes()?;
        self.end_from(
            Position {
                at: from,
                attributes,
            },
            path,
            0,
        )
    }

    /// Where absolute paths start.
    fn top(&self) -> Result<Location, Errno> {
        if self.how.contains(How::BENEATH) {
            Err(Errno::EXDEV)
        } else if self.how.contains(How::IN_ROOT) {
            Ok(self.start.clone())
        } else {
            Ok(self.root.clone())
        }
    }

    fn end_from(&self, from: Position, path: &[u8], mut links: u32) -> Result<End, Errno> {
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let mut here = from;
        if path.first() == Some(&b'/') {
            let at = self.top()?;
            self.same_device(&at)?;
            let attributes = at.attributes()?;
            here = Position { at, attributes };
        }
        // Components still to go, the next one last.
        let mut left = split(path);
        loop {
            let Some((name, trailing_slash)) = left.pop() else {
                return Ok(End::Place(here.at, here.attributes));
            };
            if here.attributes.kind != FileType::Directory {
                return Err(Errno::ENOTDIR);
            }
            Mounts::may_search(&here.attributes, self.credentials)?;
            if name.len() > NAME_MAX {
                return Err(Errno::ENAMETOOLONG);
            }
            if &*name == b"." {
                continue;
            }
            if &*name == b".." {
                here = self.up(here)?;
                continue;
            }
            if left.is_empty() {
                return Ok(End::Name(Last {
                    directory: here.at,
                    directory_attributes: here.attributes,
                    name,
                    trailing_slash,
                    links,
                }));
            }
            match self.step(&here, &name, true, &mut links)? {
                Step::Moved(next) => here = next,
                Step::Open(handle) => {
                    let at = handle.file().location().cloned().ok_or(Errno::ENOTDIR)?;
                    let attributes = at.attributes()?;
                    here = Position { at, attributes };
                }
                Step::Link(text) => {
                    if text.first() == Some(&b'/') {
                        let at = self.top()?;
                        self.same_device(&at)?;
                        let attributes = at.attributes()?;
                        here = Position { at, attributes };
                    }
                    left.extend(split(&text));
                    if left.len() > PATH_MAX {
                        return Err(Errno::ENAMETOOLONG);
                    }
                }
            }
        }
    }

    /// One component that is neither `.` nor `..`.
    fn step(
        &self,
        here: &Position,
        name: &[u8],
        follow: bool,
        links: &mut u32,
    ) -> Result<Step, Errno> {
        let (at, attributes) = self.mounts.child(&here.at, name)?;
        if attributes.kind != FileType::Symlink || !follow {
            self.same_device(&at)?;
            return Ok(Step::Moved(Position { at, attributes }));
        }
        if self.how.contains(How::NO_SYMLINKS) {
            return Err(Errno::ELOOP);
        }
        *links += 1;
        if *links > MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        if let Some(target) = at.fs().magic_link(at.id()) {
            if self
                .how
                .intersects(How::NO_MAGICLINKS | How::BENEATH | How::IN_ROOT)
            {
                return Err(Errno::ELOOP);
            }
            return Ok(match target? {
                MagicTarget::Open(handle) => Step::Open(handle),
                MagicTarget::Location(at) => {
                    let attributes = at.attributes()?;
                    Step::Moved(Position { at, attributes })
                }
            });
        }
        let text = at.fs().read_link(at.id())?;
        if text.is_empty() {
            Err(Errno::ENOENT)
        } else {
            Ok(Step::Link(text))
        }
    }

    fn up(&self, here: Position) -> Result<Position, Errno> {
        let confined = self.how.intersects(How::BENEATH | How::IN_ROOT);
        if confined && here.at.is_same(self.start) {
            return if self.how.contains(How::BENEATH) {
                Err(Errno::EXDEV)
            } else {
                Ok(here)
            };
        }
        if here.at.is_same(self.root) {
            return Ok(here);
        }
        let at = self.mounts.parent(&here.at)?;
        self.same_device(&at)?;
        let attributes = at.attributes()?;
        Ok(Position { at, attributes })
    }

    fn same_device(&self, at: &Location) -> Result<(), Errno> {
        if self.how.contains(How::NO_XDEV) && !Arc::ptr_eq(&at.mount, &self.start.mount) {
            return Err(Errno::EXDEV);
        }
        Ok(())
    }

    /// The longest way that file systems can go in one step, where permissions are theirs to check.
    fn fast(&self, path: &[u8]) -> Result<Option<Target>, Errno> {
        let Some((base, rest)) = self.direct(path)? else {
            return Ok(None);
        };
        Ok(base
            .fs()
            .lookup_path(base.id(), &rest)?
            .map(|(id, attributes)| {
                let node = Node::adopt(Arc::clone(base.node.fs()), id);
                Target::Found(
                    Location {
                        mount: Arc::clone(&base.mount),
                        node,
                        skeleton: None,
                    },
                    attributes,
                )
            }))
    }

    /// Splits `path` into the mount that it surely stays in, and the way below; `None` where a
    /// walk is needed. A path that a link might lead elsewhere is still for the file system to
    /// refuse.
    pub(super) fn direct(&self, path: &[u8]) -> Result<Option<(Location, Vec<u8>)>, Errno> {
        if !self.how.is_empty()
            || path.len() >= PATH_MAX
            || path.last() == Some(&b'/')
            || self.credentials.uid != 0
        {
            return Ok(None);
        }
        let mut at = if path.first() == Some(&b'/') {
            self.root.clone()
        } else {
            self.start.clone()
        };
        let mut names = path
            .split(|b| *b == b'/')
            .filter(|c| !c.is_empty())
            .peekable();
        // Down the skeleton first: its directories are the kernel's.
        while let Some(name) = names.peek() {
            if matches!(*name, b"." | b"..") || name.len() > NAME_MAX {
                return Ok(None);
            }
            if self.mounts.stays_inside(&at, name) {
                break;
            }
            let (next, attributes) = self.mounts.child(&at, name)?;
            if attributes.kind != FileType::Directory {
                return Ok(None);
            }
            at = next;
            names.next();
        }
        let mut rest = Vec::with_capacity(path.len());
        for name in names {
            if matches!(name, b"." | b"..") || name.len() > NAME_MAX {
                return Ok(None);
            }
            if !rest.is_empty() {
                rest.push(b'/');
            }
            rest.extend_from_slice(name);
        }
        Ok((!rest.is_empty()).then_some((at, rest)))
    }
}

/// The components of `path`, the first one last, each with whether slashes follow it at the end of
/// the path.
fn split(path: &[u8]) -> Vec<(Box<[u8]>, bool)> {
    let slash = path.last() == Some(&b'/');
    let mut names: Vec<(Box<[u8]>, bool)> = path
        .split(|b| *b == b'/')
        .filter(|c| !c.is_empty())
        .map(|c| (Box::from(c), false))
        .collect();
    if let Some(last) = names.last_mut() {
        last.1 = slash;
    }
    names.reverse();
    names
}

/// Checks that a directory may be searched and its names changed.
///
/// # Errors
/// `EACCES`.
pub(super) fn may_change(attributes: &Attributes, credentials: &Credentials) -> Result<(), Errno> {
    attributes.check(credentials, super::attributes::W_OK | X_OK)
}
