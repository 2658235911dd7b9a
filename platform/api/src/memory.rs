//! Changes of the program's address space.
//!
//! The kernel keeps the map and picks the addresses; these functions carry its decisions out.
//! A [`Range`] is page-aligned and known to lie in the program's part, so nothing here can touch
//! the kernel's own mappings.

use crate::{Errno, PAGE, host, host::HostFd, platform, user::UserSlice};
use linux_raw_sys::general as raw;

/// A page-aligned, non-empty range in the program's part of the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    start: usize,
    len: usize,
}

impl Range {
    /// The range of `len` bytes from `start`.
    ///
    /// # Errors
    /// `EINVAL` when it is not page-aligned or empty, `ENOMEM` when it is not the program's.
    pub fn new(start: usize, len: usize) -> Result<Self, Errno> {
        if !start.is_multiple_of(PAGE) || !len.is_multiple_of(PAGE) || len == 0 {
            return Err(Errno::EINVAL);
        }
        UserSlice::new(start, len).map_err(|_| Errno::ENOMEM)?;
        Ok(Self { start, len })
    }

    /// First address.
    #[must_use]
    pub const fn start(self) -> usize {
        self.start
    }

    /// Bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.len
    }

    /// A range is never empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }

    /// First address after the range.
    #[must_use]
    pub const fn end(self) -> usize {
        self.start + self.len
    }
}

/// What backs a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Zeroed memory; shared with children of fork where `shared`.
    Anonymous {
        /// `MAP_SHARED`.
        shared: bool,
    },
    /// The page cache at an offset; private mappings copy on write.
    Cache {
        /// Offset in the cache's memory file, page-aligned.
        offset: u64,
        /// `MAP_SHARED`.
        shared: bool,
    },
    /// A host file at an offset.
    Host {
        /// The file.
        fd: HostFd,
        /// Offset in bytes, page-aligned.
        offset: u64,
        /// `MAP_SHARED`.
        shared: bool,
    },
}

/// Maps `range` anew, replacing whatever was there. `protection` is a set of `PROT_*`; `flags`
/// may hold `MAP_NORESERVE`, `MAP_POPULATE`, `MAP_LOCKED`, `MAP_STACK`, `MAP_HUGETLB` bits.
///
/// # Errors
/// What the host said.
pub fn map(range: Range, protection: u32, backing: Backing, flags: u32) -> Result<(), Errno> {
    let sharing = |shared| {
        if shared {
            raw::MAP_SHARED
        } else {
            raw::MAP_PRIVATE
        }
    };
    let (kind, fd, offset) = match backing {
        Backing::Anonymous { shared } => (sharing(shared) | raw::MAP_ANONYMOUS, usize::MAX, 0),
        Backing::Cache { offset, shared } => {
            (sharing(shared), platform().layout().cache_fd.arg(), offset)
        }
        Backing::Host { fd, offset, shared } => (sharing(shared), fd.arg(), offset),
    };
    let flags = kind | raw::MAP_FIXED | flags;
    let args = [
        range.start,
        range.len,
        protection as usize,
        flags as usize,
        fd,
        offset as usize,
    ];
    // SAFETY: the range is the program's, where no Rust object lives.
    let at = unsafe { host::call(raw::__NR_mmap, args) }?;
    if at == range.start {
        Ok(())
    } else {
        Err(Errno::EIO)
    }
}

/// Removes the mappings of `range`.
///
/// # Errors
/// What the host said.
pub fn unmap(range: Range) -> Result<(), Errno> {
    // SAFETY: the range is the program's, where no Rust object lives.
    unsafe { host::call(raw::__NR_munmap, [range.start, range.len, 0, 0, 0, 0]) }.map(drop)
}

/// Changes the protection of `range`.
///
/// # Errors
/// What the host said.
pub fn protect(range: Range, protection: u32) -> Result<(), Errno> {
    let args = [range.start, range.len, protection as usize, 0, 0, 0];
    // SAFETY: the range is the program's, where no Rust object lives.
    unsafe { host::call(raw::__NR_mprotect, args) }.map(drop)
}

/// Moves the pages of `from` to `to`, which may be longer or shorter and must not overlap; with
/// `keep`, the old range stays mapped (`MREMAP_DONTUNMAP`).
///
/// # Errors
/// What the host said.
pub fn move_pages(from: Range, to: Range, keep: bool) -> Result<(), Errno> {
    let mut flags = raw::MREMAP_MAYMOVE | raw::MREMAP_FIXED;
    if keep {
        flags |= raw::MREMAP_DONTUNMAP;
    }
    let args = [from.start, from.len, to.len, flags as usize, to.start, 0];
    // SAFETY: both ranges are the program's, where no Rust object lives.
    let at = unsafe { host::call(raw::__NR_mremap, args) }?;
    if at == to.start {
        Ok(())
    } else {
        Err(Errno::EIO)
    }
}

/// Maps at `to` what the shared mapping that holds the page at `from` shows from there on.
///
/// # Errors
/// What the host said.
pub fn duplicate(from: usize, to: Range) -> Result<(), Errno> {
    let page = Range::new(from, PAGE)?;
    let flags = raw::MREMAP_MAYMOVE | raw::MREMAP_FIXED;
    // SAFETY: both ranges are the program's, where no Rust object lives.
    let at = unsafe {
        host::call(
            raw::__NR_mremap,
            [page.start, 0, to.len, flags as usize, to.start, 0],
        )
    }?;
    if at == to.start {
        Ok(())
    } else {
        Err(Errno::EIO)
    }
}

/// membarrier(2) on behalf of the program's threads; `command` and `flags` as there, without
/// restartable sequences.
///
/// # Errors
/// What the host said.
pub fn barrier(command: u32, flags: u32) -> Result<usize, Errno> {
    // SAFETY: no pointers.
    unsafe {
        host::call(
            raw::__NR_membarrier,
            [command as usize, flags as usize, 0, 0, 0, 0],
        )
    }
}

/// Grows or shrinks the mapping `from` in place to `len` bytes.
///
/// # Errors
/// What the host said.
pub fn resize(from: Range, to: Range) -> Result<(), Errno> {
    if from.start != to.start {
        return Err(Errno::EINVAL);
    }
    // SAFETY: both ranges are the program's, where no Rust object lives.
    unsafe { host::call(raw::__NR_mremap, [from.start, from.len, to.len, 0, 0, 0]) }.map(drop)
}

/// madvise(2).
///
/// # Errors
/// What the host said.
pub fn advise(range: Range, advice: u32) -> Result<(), Errno> {
    // SAFETY: the range is the program's; discarding its pages affects the program alone.
    unsafe {
        host::call(
            raw::__NR_madvise,
            [range.start, range.len, advice as usize, 0, 0, 0],
        )
    }
    .map(drop)
}

/// msync(2).
///
/// # Errors
/// What the host said.
pub fn sync(range: Range, flags: u32) -> Result<(), Errno> {
    // SAFETY: the range is the program's.
    unsafe {
        host::blocking(
            raw::__NR_msync,
            [range.start, range.len, flags as usize, 0, 0, 0],
        )
    }
    .map(drop)
}

/// mincore(2): one byte per page.
///
/// # Errors
/// What the host said.
pub fn resident(range: Range, into: &mut [u8]) -> Result<(), Errno> {
    if into.len() < range.len / PAGE {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the vector has a byte for each page.
    unsafe {
        host::call(
            raw::__NR_mincore,
            [range.start, range.len, into.as_mut_ptr() as usize, 0, 0, 0],
        )
    }
    .map(drop)
}
