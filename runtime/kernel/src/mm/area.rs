//! One area of an address space: a range of pages that are alike.

use alloc::sync::Arc;
use bannock_platform::PAGE;
use bitflags::bitflags;
use core::any::Any;
use core::ops::Range;
use linux_raw_sys::general as raw;

bitflags! {
    /// What the program may do with pages (`PROT_*` of mmap(2)).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Protection: u32 {
        /// `PROT_READ`.
        const READ = raw::PROT_READ;
        /// `PROT_WRITE`.
        const WRITE = raw::PROT_WRITE;
        /// `PROT_EXEC`.
        const EXEC = raw::PROT_EXEC;
    }
}

bitflags! {
    /// Properties of an area besides its protection.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Attributes: u16 {
        /// `MAP_NORESERVE`.
        const NO_RESERVE = 1 << 0;
        /// Locked into memory (mlock(2)); accounting only.
        const LOCKED = 1 << 1;
        /// Not inherited by children (`MADV_DONTFORK`).
        const DONT_FORK = 1 << 2;
        /// Zeroed in children (`MADV_WIPEONFORK`).
        const WIPE_ON_FORK = 1 << 3;
        /// Was asked for with `MAP_GROWSDOWN`; it does not grow.
        const GROWS_DOWN = 1 << 4;
        /// Lies wholly after the end of its file: no access whatever the protection says.
        const PAST_END = 1 << 5;
        /// A private file area that was writable at some time, so its bytes may differ from the
        /// file's.
        const WAS_WRITABLE = 1 << 6;
    }
}

/// The file that an area shows; one object per mmap(2) call.
pub struct FileInfo {
    /// Keeps the content alive for as long as it is mapped.
    pub pin: Option<Arc<dyn Any + Send + Sync>>,
    /// Names the content, where it cannot change unnoticed.
    pub key: Option<u128>,
    /// Path as shown in `/proc/self/maps`.
    pub path: Arc<[u8]>,
    /// Device number (major, minor).
    pub device: (u32, u32),
    /// Inode number.
    pub inode: u64,
    /// Bytes from the start of the file that the page cache can show; `None` for host files, where
    /// the host answers for accesses after the end.
    pub backed: Option<u64>,
}

/// What an area's pages hold.
#[derive(Clone)]
pub enum Content {
    /// Zeroed memory of this process alone.
    Anonymous,
    /// Zeroed memory shared with children.
    SharedMemory {
        /// Tells memory objects apart.
        object: u64,
        /// Offset in bytes of the area in the object.
        offset: u64,
    },
    /// A file.
    File {
        /// The file.
        info: Arc<FileInfo>,
        /// Offset in bytes of the area in the file.
        offset: u64,
        /// `MAP_SHARED`.
        shared: bool,
    },
    /// The runtime's own pages, out of the program's reach.
    Runtime,
}

impl Content {
    /// The same content, `distance` bytes further on.
    fn advanced(&self, distance: usize) -> Self {
        let mut next = self.clone();
        match &mut next {
            Self::SharedMemory { offset, .. } | Self::File { offset, .. } => {
                *offset = offset.saturating_add(distance as u64);
            }
            Self::Anonymous | Self::Runtime => {}
        }
        next
    }

    /// Whether `next` continues this content after `distance` bytes.
    fn continues(&self, distance: usize, next: &Self) -> bool {
        let follows = |a: u64, b: u64| a.checked_add(distance as u64) == Some(b);
        match (self, next) {
            (Self::Anonymous, Self::Anonymous) | (Self::Runtime, Self::Runtime) => true,
            (
                Self::SharedMemory { object: a, offset },
                Self::SharedMemory {
                    object: b,
                    offset: next,
                },
            ) => a == b && follows(*offset, *next),
            (
                Self::File {
                    info: a,
                    offset,
                    shared,
                },
                Self::File {
                    info: b,
                    offset: next,
                    shared: next_shared,
                },
            ) => Arc::ptr_eq(a, b) && shared == next_shared && follows(*offset, *next),
            _ => false,
        }
    }

    /// Whether writes are seen by others (`MAP_SHARED`).
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(
            self,
            Self::SharedMemory { .. } | Self::File { shared: true, .. }
        )
    }
}

/// A range of pages that are alike.
#[derive(Clone)]
pub struct Area {
    /// First address, a multiple of the page size.
    pub start: usize,
    /// First address after the area, a multiple of the page size.
    pub end: usize,
    /// What the program may do now.
    pub protection: Protection,
    /// What mprotect(2) may grant.
    pub limit: Protection,
    /// What the pages hold.
    pub content: Content,
    /// Further properties.
    pub attributes: Attributes,
    /// Name in `/proc/self/maps` of areas without a file; empty where there is none.
    pub name: &'static str,
}

impl Area {
    /// Bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there are no bytes; never true of an area in a map.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// The addresses.
    #[must_use]
    pub const fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Whether the pages belong to the runtime.
    #[must_use]
    pub const fn is_runtime(&self) -> bool {
        matches!(self.content, Content::Runtime)
    }

    /// Whether the area holds private memory that is not a file's.
    #[must_use]
    pub const fn is_private_anonymous(&self) -> bool {
        matches!(self.content, Content::Anonymous)
    }

    /// The part of the area within `range`, or `None` where they do not meet.
    #[must_use]
    pub fn clipped(&self, range: &Range<usize>) -> Option<Self> {
        let (start, end) = (self.start.max(range.start), self.end.min(range.end));
        if start >= end {
            return None;
        }
        let content = self.content.advanced(start - self.start);
        Some(Self {
            start,
            end,
            content,
            ..self.clone()
        })
    }

    /// Whether `next` is adjacent and alike, so that both are one area.
    #[must_use]
    pub fn continues_in(&self, next: &Self) -> bool {
        self.end == next.start
            && self.protection == next.protection
            && self.limit == next.limit
            && self.attributes == next.attributes
            && self.name == next.name
            && self.content.continues(self.len(), &next.content)
    }

    /// Splits the area at `address`, a page boundary strictly inside, and returns the upper part.
    pub(super) fn split_off(&mut self, address: usize) -> Self {
        debug_assert!(address > self.start && address < self.end && address.is_multiple_of(PAGE));
        let content = self.content.advanced(address - self.start);
        let upper = Self {
            start: address,
            content,
            ..self.clone()
        };
        self.end = address;
        upper
    }
}
