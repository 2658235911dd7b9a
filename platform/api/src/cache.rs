//! The page cache: file content that belongs to the runtime, at one place in every process.
//!
//! It is one sparse memory file, mapped at [`Layout::cache_start`](crate::Layout::cache_start) by
//! every process of the container. A program's mapping of a file is a host mapping of the same
//! memory file ([`crate::memory::Backing::Cache`]), so read, write and mappings see the same bytes.
//! Programs write through their mappings at any time, so bytes are copied and never borrowed.

use crate::{Errno, PAGE, host, page_ceil, platform, sync::Mutex, user::UserSlice};
use alloc::{collections::BTreeMap, vec::Vec};

/// An extent of the cache, page-aligned, given back when dropped.
///
/// Extents are address space first: memory is used only for pages that were written.
pub struct Extent {
    offset: u64,
    len: u64,
}

/// Free extents by length class; the rest of the cache beyond `used` was never handed out.
pub struct Pool {
    inner: Mutex<PoolInner>,
}

struct PoolInner {
    used: u64,
    free: BTreeMap<u64, Vec<u64>>,
}

impl Pool {
    /// An unused cache.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            inner: Mutex::new(PoolInner {
                used: 0,
                free: BTreeMap::new(),
            }),
        }
    }

    /// An extent of at least `len` bytes, zeroed; lengths are rounded up to a power of two of pages
    /// so that extents can be reused.
    ///
    /// # Errors
    /// `ENOSPC` when the cache's address space is used up.
    pub fn allocate(&self, len: u64) -> Result<Extent, Errno> {
        let len = len
            .max(PAGE as u64)
            .checked_next_power_of_two()
            .ok_or(Errno::ENOSPC)?;
        let mut inner = self.inner.lock();
        if let Some(offset) = inner.free.get_mut(&len).and_then(Vec::pop) {
            return Ok(Extent { offset, len });
        }
        let offset = inner.used;
        let end = offset.checked_add(len).ok_or(Errno::ENOSPC)?;
        if end > platform().layout().cache_len as u64 {
            return Err(Errno::ENOSPC);
        }
        inner.used = end;
        Ok(Extent { offset, len })
    }

    /// Gives `extent` back; its memory is returned to the host.
    pub fn release(&self, extent: Extent) {
        let _ = extent.discard(0, extent.len);
        self.inner
            .lock()
            .free
            .entry(extent.len)
            .or_default()
            .push(extent.offset);
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new()
    }
}

impl Extent {
    /// Offset of the extent in the cache's memory file.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Capacity in bytes.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.len
    }

    /// The address of `len` bytes at `at`.
    fn address(&self, at: u64, len: usize) -> Result<usize, Errno> {
        let end = at.checked_add(len as u64).ok_or(Errno::EFBIG)?;
        if end > self.len {
            return Err(Errno::EFBIG);
        }
        Ok(platform().layout().cache_start + (self.offset + at) as usize)
    }

    /// Copies from the cache.
    ///
    /// # Errors
    /// `EFBIG` beyond the extent.
    pub fn read(&self, at: u64, into: &mut [u8]) -> Result<(), Errno> {
        let address = self.address(at, into.len())?;
        // SAFETY: the source lies in the cache window, which is always mapped; `into` is ours.
        let left = unsafe { platform().copy(into.as_mut_ptr(), address as *const u8, into.len()) };
        if left == 0 { Ok(()) } else { Err(Errno::EIO) }
    }

    /// Copies into the cache.
    ///
    /// # Errors
    /// `EFBIG` beyond the extent, `ENOSPC` when the host has no memory for it.
    pub fn write(&self, at: u64, from: &[u8]) -> Result<(), Errno> {
        let address = self.address(at, from.len())?;
        // SAFETY: the destination lies in the cache window, which no Rust reference points into.
        let left = unsafe { platform().copy(address as *mut u8, from.as_ptr(), from.len()) };
        if left == 0 {
            Ok(())
        } else {
            Err(Errno::ENOSPC)
        }
    }

    /// Copies from the cache to the program; returns how many bytes were copied before a fault.
    ///
    /// # Errors
    /// `EFBIG` beyond the extent, `EFAULT` when nothing could be copied.
    pub fn read_to_user(&self, at: u64, into: UserSlice) -> Result<usize, Errno> {
        let address = self.address(at, into.len())?;
        // SAFETY: source in the cache window, destination in the program's part.
        let left =
            unsafe { platform().copy(into.start() as *mut u8, address as *const u8, into.len()) };
        partial(into.len(), left)
    }

    /// Copies from the program into the cache; returns how many bytes were copied before a fault.
    ///
    /// # Errors
    /// `EFBIG` beyond the extent, `EFAULT` when nothing could be copied.
    pub fn write_from_user(&self, at: u64, from: UserSlice) -> Result<usize, Errno> {
        let address = self.address(at, from.len())?;
        // SAFETY: destination in the cache window, source in the program's part.
        let left =
            unsafe { platform().copy(address as *mut u8, from.start() as *const u8, from.len()) };
        partial(from.len(), left)
    }

    /// Makes `len` bytes at `at` read as zeros and gives whole pages back to the host.
    ///
    /// # Errors
    /// `EFBIG` beyond the extent, or what the host said.
    pub fn discard(&self, at: u64, len: u64) -> Result<(), Errno> {
        if len == 0 {
            return Ok(());
        }
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(Errno::EFBIG);
        }
        host::cache_discard(self.offset + at, len)
    }

    /// Copies into pages that the cache does not have yet. The host writes them: a page that is
    /// written whole needs neither a fault nor zeroing first.
    ///
    /// # Errors
    /// `EFBIG` beyond the extent, `ENOSPC` when the host has no memory for it.
    pub fn fill(&self, at: u64, from: &[u8]) -> Result<(), Errno> {
        self.address(at, from.len())?;
        let mut done = 0;
        while let Some(rest) = from.get(done..).filter(|rest| !rest.is_empty()) {
            match host::cache_write(self.offset + at + done as u64, rest)? {
                0 => return Err(Errno::ENOSPC),
                count => done += count,
            }
        }
        Ok(())
    }
}

/// An extent whose content stays as it is, so that it can be borrowed.
///
/// The program may be shown it, but the kernel never maps it for it shared and writable.
pub struct Fixed {
    extent: Extent,
    len: usize,
}

impl Fixed {
    /// Fixes the first `len` bytes of `extent`, which nobody can write to from now on.
    ///
    /// # Errors
    /// `EFBIG` beyond the extent.
    pub fn new(extent: Extent, len: u64) -> Result<Self, Errno> {
        let len = usize::try_from(len).map_err(|_| Errno::EFBIG)?;
        extent.address(0, len)?;
        Ok(Self { extent, len })
    }

    /// Offset of the content in the cache's memory file.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.extent.offset
    }

    /// Capacity of the extent in bytes.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.extent.len
    }

    /// The extent, to be used otherwise.
    #[must_use]
    pub fn into_extent(self) -> Extent {
        self.extent
    }

    /// Copies to the program; returns how many bytes were copied before a fault.
    ///
    /// # Errors
    /// As [`Extent::read_to_user`].
    pub fn read_to_user(&self, at: u64, into: UserSlice) -> Result<usize, Errno> {
        self.extent.read_to_user(at, into)
    }

    /// The content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let start = platform().layout().cache_start + self.extent.offset as usize;
        // SAFETY: `new` checked that the range lies in the extent, which lies in the cache window:
        // mapped and readable in every process for as long as it lives. Nobody writes to it: the
        // extent's writers need it, and it is in here, never lent out; programs have it read-only or
        // private, see above.
        unsafe { core::slice::from_raw_parts(start as *const u8, self.len) }
    }
}

fn partial(len: usize, left: usize) -> Result<usize, Errno> {
    match len.checked_sub(left) {
        Some(0) if len != 0 => Err(Errno::EFAULT),
        Some(done) => Ok(done),
        None => Err(Errno::EFAULT),
    }
}

/// Bytes of the pages that hold `len` bytes.
///
/// # Errors
/// `EFBIG` when that overflows.
pub fn pages(len: u64) -> Result<u64, Errno> {
    usize::try_from(len)
        .ok()
        .and_then(page_ceil)
        .map(|v| v as u64)
        .ok_or(Errno::EFBIG)
}
