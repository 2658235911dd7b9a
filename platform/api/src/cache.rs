//! The page cache: file content that belongs to the runtime, at one place in every process.
//!
//! It is one sparse memory file, mapped at [`Layout::cache_start`](crate::Layout::cache_start) by
//! every process of the container. A program's mapping of a file is a host mapping of the same
//! memory file ([`crate::memory::Backing::Cache`]), so read, write and mappings see the same bytes.
//! Programs write through their mappings at any time, so bytes are copied and never borrowed.

use crate::{Errno, PAGE, host, page_ceil, platform, sync::Mutex, user::UserSlice};
use alloc::{collections::BTreeMap, vec::Vec};

/// Bytes of a huge page (2 MiB).
pub const HUGE_PAGE: u64 = 2 << 20;

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
        // Aligned as its size, so that huge pages fit.
        let offset = inner.used.next_multiple_of(len.min(HUGE_PAGE));
        let end = offset.checked_add(len).ok_or(Errno::ENOSPC)?;
        if end > platform().layout().cache_len as u64 {
            return Err(Errno::ENOSPC);
        }
        inner.used = end;
        Ok(Extent { offset, len })
    }

    /// An extent whose first `len` bytes `fill` provides and nobody changes from then on; huge pages
    /// are under most of it where the host has some.
    ///
    /// `fill` hands the bytes to the host to be written to, which tells when it has no memory for
    /// them; where there was none, writing to them directly would end the container.
    ///
    /// # Errors
    /// Those of [`Self::allocate`], `EFBIG` for a length that no memory has, and those of `fill`.
    pub fn fixed<E: From<Errno>>(
        &self,
        len: u64,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Fixed, E> {
        let bytes = usize::try_from(len).map_err(|_| Errno::EFBIG)?;
        let extent = self.allocate(len)?;
        extent.prefer_huge_pages(len);
        let start = platform().layout().cache_start + extent.offset as usize;
        // SAFETY: the range lies in the extent and so in the cache window, mapped for good. The
        // extent was just allocated: nothing else refers to it, no program has it mapped, and the
        // reference ends with `fill`, before anybody learns of the extent.
        match fill(unsafe { core::slice::from_raw_parts_mut(start as *mut u8, bytes) }) {
            Ok(()) => Ok(Fixed { extent, len: bytes }),
            Err(error) => {
                self.release(extent);
                Err(error)
            }
        }
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

    /// Asks for huge pages under the first `len` bytes: copying, mapping and freeing them is
    /// cheaper, and so is running a program from them.
    fn prefer_huge_pages(&self, len: u64) {
        let mut at = 0;
        // A page that would stay half empty is not worth its memory.
        while len.saturating_sub(at) >= HUGE_PAGE / 2 && at + HUGE_PAGE <= self.len {
            // Without, there are small pages.
            if host::cache_huge_page(self.offset + at).is_err() {
                return;
            }
            at += HUGE_PAGE;
        }
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
        // SAFETY: the range lies in the extent (`Pool::fixed`), which lies in the cache window:
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
