//! Open directories.

use super::attributes::{Attributes, Changes};
use super::filesystem::{DirectoryEntry, Opened};
use super::ops::{FileOps, Kind};
use super::{Handle, Location, Mounts, locks::LockTable};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{Errno, sync::Mutex, user::UserSlice};
use core::any::Any;
use linux_raw_sys::general as raw;

/// An open directory.
///
/// Its names are read once, when they are first asked for, and again after a rewind; so a position
/// stays good while names come and go (readdir(3)).
pub(super) struct Directory {
    mounts: Arc<Mounts>,
    at: Location,
    listing: Mutex<Listing>,
    locks: Arc<LockTable>,
}

#[derive(Default)]
struct Listing {
    names: Option<Arc<Vec<DirectoryEntry>>>,
    position: usize,
}

/// Which structure a program wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// `struct linux_dirent` (getdents(2)): the type is the last byte.
    Old,
    /// `struct linux_dirent64`.
    New,
}

impl Directory {
    pub(super) fn open(mounts: &Arc<Mounts>, at: &Location) -> Opened {
        Opened::new(Self {
            mounts: Arc::clone(mounts),
            at: at.clone(),
            listing: Mutex::new(Listing::default()),
            locks: Arc::new(LockTable::new()),
        })
    }

    fn names(&self) -> Result<(Arc<Vec<DirectoryEntry>>, usize), Errno> {
        {
            let listing = self.listing.lock();
            if let Some(names) = &listing.names {
                return Ok((Arc::clone(names), listing.position));
            }
        }
        // Not under the lock: a host may take its time.
        let fresh = Arc::new(self.mounts.entries(&self.at)?);
        let mut listing = self.listing.lock();
        let names = listing.names.get_or_insert(fresh);
        Ok((Arc::clone(names), listing.position))
    }

    /// Writes as many records as fit to the program; returns their bytes, 0 at the end.
    pub(super) fn list(&self, into: UserSlice, format: RecordFormat) -> Result<usize, Errno> {
        let (names, start) = self.names()?;
        let mut out = Vec::new();
        let mut position = start;
        for entry in names.iter().skip(start) {
            let len = record_length(entry, format);
            if out.len() + len > into.len() {
                break;
            }
            position += 1;
            push_record(&mut out, entry, position as u64, len, format);
        }
        if out.is_empty() {
            return if start >= names.len() {
                Ok(0)
            } else {
                Err(Errno::EINVAL)
            };
        }
        into.take(out.len()).write(&out)?;
        self.listing.lock().position = position;
        Ok(out.len())
    }
}

fn record_length(entry: &DirectoryEntry, format: RecordFormat) -> usize {
    let fixed = match format {
        // d_ino, d_off, d_reclen, name, NUL, type
        RecordFormat::Old => 18 + entry.name.len() + 2,
        // d_ino, d_off, d_reclen, d_type, name, NUL
        RecordFormat::New => 19 + entry.name.len() + 1,
    };
    fixed.next_multiple_of(8)
}

fn push_record(
    out: &mut Vec<u8>,
    entry: &DirectoryEntry,
    next: u64,
    len: usize,
    format: RecordFormat,
) {
    const DT_UNKNOWN: u8 = 0;
    let kind = entry.kind.map_or(DT_UNKNOWN, super::FileType::entry_type);
    let end = out.len() + len;
    out.extend_from_slice(&entry.inode.to_le_bytes());
    out.extend_from_slice(&next.to_le_bytes());
    out.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes());
    if format == RecordFormat::New {
        out.push(kind);
    }
    out.extend_from_slice(&entry.name);
    out.resize(end, 0);
    if format == RecordFormat::Old
        && let Some(last) = out.last_mut()
    {
        *last = kind;
    }
}

impl FileOps for Directory {
    fn kind(&self) -> Kind {
        Kind::Directory
    }

    fn read(
        &self,
        _: &Handle,
        _: bannock_platform::host::Into<'_>,
        _: Option<u64>,
    ) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn seek(&self, _: &Handle, offset: i64, whence: u32) -> Result<u64, Errno> {
        let mut listing = self.listing.lock();
        let base = match whence {
            raw::SEEK_SET => 0,
            raw::SEEK_CUR => listing.position as i64,
            raw::SEEK_END => listing.names.as_ref().map_or(0, |n| n.len() as i64),
            _ => return Err(Errno::EINVAL),
        };
        let target = base
            .checked_add(offset)
            .and_then(|t| usize::try_from(t).ok())
            .ok_or(Errno::EINVAL)?;
        listing.position = target;
        if target == 0 {
            listing.names = None;
        }
        Ok(target as u64)
    }

    fn attributes(&self, _: &Handle) -> Result<Attributes, Errno> {
        self.at.attributes()
    }

    fn change(&self, _: &Handle, changes: &Changes) -> Result<(), Errno> {
        self.at.mount.writable()?;
        if changes.size.is_some() {
            return Err(Errno::EINVAL);
        }
        self.at.fs().change(self.at.id(), changes)
    }

    fn sync(&self, _: &Handle, _: bool) -> Result<(), Errno> {
        self.at.fs().sync_directory(self.at.id())
    }

    fn locks(&self) -> Option<Arc<LockTable>> {
        Some(Arc::clone(&self.locks))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A place only (`O_PATH`).
pub(super) struct Place {
    pub(super) at: Location,
}

impl FileOps for Place {
    fn kind(&self) -> Kind {
        Kind::Path
    }

    fn attributes(&self, _: &Handle) -> Result<Attributes, Errno> {
        self.at.attributes()
    }

    fn change(&self, _: &Handle, _: &Changes) -> Result<(), Errno> {
        Err(Errno::EBADF)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
