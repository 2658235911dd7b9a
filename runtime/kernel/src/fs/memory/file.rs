//! Open regular files in memory.

use super::super::attributes::{Attributes, Changes};
use super::super::locks::{LockOwner, LockTable};
use super::super::ops::{FileOps, Kind, Mapped};
use super::super::{Handle, NodeId};
use super::content::Content;
use super::tree::Shared;
use alloc::sync::Arc;
use bannock_platform::host::{self, file::UserVector};
use bannock_platform::{Errno, memory::Backing};
use core::any::Any;
use linux_raw_sys::general as raw;

/// An open regular file in memory.
pub(in super::super) struct MemoryFile {
    pub(super) shared: Arc<Shared>,
    pub(super) node: NodeId,
    pub(super) content: Arc<Content>,
}

impl MemoryFile {
    /// The bytes.
    pub(in super::super) fn content(&self) -> &Arc<Content> {
        &self.content
    }
}

impl FileOps for MemoryFile {
    fn kind(&self) -> Kind {
        Kind::Regular
    }

    fn has_kernel_offset(&self) -> bool {
        true
    }

    fn read(&self, _: &Handle, into: host::Into<'_>, at: Option<u64>) -> Result<usize, Errno> {
        self.content.read(into, at.unwrap_or(0))
    }

    fn write(&self, _: &Handle, from: host::From<'_>, at: Option<u64>) -> Result<usize, Errno> {
        let count = self.content.write(from, at)?;
        self.shared.touch(self.node);
        Ok(count)
    }

    fn write_vectored(
        &self,
        _: &Handle,
        from: &UserVector,
        at: Option<u64>,
        _: u32,
    ) -> Result<usize, Errno> {
        let count = self.content.write_vectored(from, at)?;
        self.shared.touch(self.node);
        Ok(count)
    }

    fn size(&self, _: &Handle) -> Result<u64, Errno> {
        Ok(self.content.size())
    }

    fn seek(&self, _: &Handle, offset: i64, whence: u32) -> Result<u64, Errno> {
        // Holes are not told apart: everything up to the end is data (lseek(2) allows that).
        let size = self.content.size();
        let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
        if offset >= size {
            return Err(Errno::ENXIO);
        }
        Ok(if whence == raw::SEEK_HOLE {
            size
        } else {
            offset
        })
    }

    fn attributes(&self, _: &Handle) -> Result<Attributes, Errno> {
        self.shared.attributes(self.node)
    }

    fn change(&self, _: &Handle, changes: &Changes) -> Result<(), Errno> {
        self.shared.change(self.node, changes)
    }

    fn allocate(&self, _: &Handle, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        let keep = mode & raw::FALLOC_FL_KEEP_SIZE != 0;
        match mode & !raw::FALLOC_FL_KEEP_SIZE {
            0 => self.content.allocate(offset, len, keep, false, false)?,
            raw::FALLOC_FL_PUNCH_HOLE if keep => {
                self.content.allocate(offset, len, true, true, false)?
            }
            raw::FALLOC_FL_ZERO_RANGE => self.content.allocate(offset, len, keep, false, true)?,
            _ => return Err(Errno::EOPNOTSUPP),
        }
        self.shared.touch(self.node);
        Ok(())
    }

    fn sync(&self, _: &Handle, _: bool) -> Result<(), Errno> {
        Ok(())
    }

    fn map(
        &self,
        _: &Handle,
        offset: u64,
        len: u64,
        shared: bool,
        writable: bool,
    ) -> Result<Mapped, Errno> {
        let (start, capacity, pin) = self.content.pin(shared && writable)?;
        // A mapping never reaches into the next file's extent.
        if offset.checked_add(len).is_none_or(|end| end > capacity) && offset >= capacity {
            return Err(Errno::EOVERFLOW);
        }
        let backed = bannock_platform::cache::pages(self.content.size())?;
        let backing = Backing::Cache {
            offset: start + offset,
            shared,
        };
        Ok(Mapped {
            backing,
            pin: Some(Arc::new(pin)),
            backed: Some(backed),
        })
    }

    fn locks(&self) -> Option<Arc<LockTable>> {
        Some(Arc::clone(&self.content.locks))
    }

    fn closed(&self, _: &Handle, process: i32) {
        self.content.locks.release(LockOwner::Process(process));
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
