//! The address space of a process.

use super::area::{Area, Attributes, Protection};
use super::file::Mappable;
use super::install::{WORTH_HUGE_PAGES, pieces};
use super::map::AreaMap;
use super::placement::{HUGE_PAGE, Placement};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{
    Errno, PAGE, page_ceil,
    sync::{Mutex, MutexGuard},
};
use core::ops::Range;

/// Resource limits on memory in bytes (getrlimit(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// `RLIMIT_AS`.
    pub address_space: u64,
    /// `RLIMIT_DATA`, as it applies to the heap.
    pub data: u64,
    /// `RLIMIT_MEMLOCK`.
    pub locked: u64,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            address_space: u64::MAX,
            data: u64::MAX,
            locked: u64::MAX,
        }
    }
}

/// Where a mapping is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Wherever there is room, at the address where that is possible (0: no preference).
    Hint(usize),
    /// There, replacing what is there (`MAP_FIXED`).
    Fixed(usize),
    /// There, if nothing is there (`MAP_FIXED_NOREPLACE`).
    Free(usize),
    /// In the first 2 GiB (`MAP_32BIT`).
    Low,
}

/// What a mapping is to hold.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// Zeroed memory.
    Anonymous,
    /// A file from an offset on, a multiple of the page size.
    File(&'a dyn Mappable, u64),
}

/// A mapping to be made.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Where.
    pub place: Place,
    /// Bytes; rounded up to pages.
    pub len: usize,
    /// What the program may do.
    pub protection: Protection,
    /// `MAP_SHARED`.
    pub shared: bool,
    /// What it holds.
    pub source: Source<'a>,
    /// Further properties.
    pub attributes: Attributes,
    /// Name in `/proc/self/maps`.
    pub name: &'static str,
}

impl Request<'_> {
    /// Private zeroed memory, readable and writable.
    #[must_use]
    pub const fn anonymous(place: Place, len: usize) -> Self {
        Self {
            place,
            len,
            protection: Protection::READ.union(Protection::WRITE),
            shared: false,
            source: Source::Anonymous,
            attributes: Attributes::empty(),
            name: "",
        }
    }
}

/// Addresses for `len` bytes that lie within huge pages as `offset` does, so that huge pages can be
/// mapped there (Linux `thp_get_unmapped_area`).
fn find_congruent(
    map: &mut AreaMap,
    len: usize,
    offset: u64,
    window: Range<usize>,
    placement: &Placement,
) -> Option<usize> {
    let padded = len.checked_add(HUGE_PAGE - PAGE)?;
    let found = map.find_down(padded, window, &placement.barred)?;
    let distance = (offset as usize).wrapping_sub(found) % HUGE_PAGE;
    found.checked_add(distance)
}

/// The address space of a process, or of several that share it until they execute (vfork(2)).
///
/// The host's mappings follow the map: a change is made on the host first, and a change that the
/// host refuses is not recorded.
pub struct AddressSpace {
    pub(super) placement: Placement,
    inner: Mutex<Inner>,
    /// Held while code is being made ready, so that two threads do not patch the same pages.
    code: Mutex<()>,
}

#[derive(Clone)]
pub(super) struct Inner {
    pub(super) map: AreaMap,
    pub(super) heap: Range<usize>,
    pub(super) limits: MemoryLimits,
    pub(super) locked: usize,
    pub(super) lock_future: bool,
    /// Tells shared memory objects apart; 0 is never used.
    pub(super) next_object: u64,
}

impl AddressSpace {
    /// An empty address space.
    #[must_use]
    pub fn new(placement: Placement) -> Arc<Self> {
        let inner = Inner {
            map: AreaMap::new(),
            heap: 0..0,
            limits: MemoryLimits::default(),
            locked: 0,
            lock_future: false,
            next_object: 1,
        };
        Self::with(placement, inner)
    }

    fn with(placement: Placement, inner: Inner) -> Arc<Self> {
        Arc::new(Self {
            placement,
            inner: Mutex::new(inner),
            code: Mutex::new(()),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Sets the resource limits.
    pub fn set_limits(&self, limits: MemoryLimits) {
        self.lock().limits = limits;
    }

    /// Gives `make` the address space of a child while this one cannot change, so that the map and
    /// the host's copy of the pages agree: the host process is to be made within.
    pub fn fork_with<R>(&self, make: impl FnOnce(Arc<Self>) -> R) -> R {
        let inner = self.lock();
        let mut child = Inner {
            locked: 0,
            lock_future: false,
            ..inner.clone()
        };
        let everything = self.placement.window.clone();
        let gone: Vec<Range<usize>> = child
            .map
            .iter()
            .filter(|area| area.attributes.contains(Attributes::DONT_FORK))
            .map(Area::range)
            .collect();
        let mut dropped = Vec::new();
        for range in gone {
            dropped.append(&mut child.map.take(range));
        }
        // Locks are not inherited (mlock(2)).
        child.map.change(everything, |area| {
            area.attributes.remove(Attributes::LOCKED)
        });
        let result = make(Self::with(self.placement.clone(), child));
        drop(inner);
        drop(dropped);
        result
    }

    /// A copy of the map for a child; for callers that know that nobody else changes this one.
    #[must_use]
    pub fn fork(&self) -> Arc<Self> {
        self.fork_with(|child| child)
    }

    /// Maps as `request` says and returns the address.
    ///
    /// # Errors
    /// As mmap(2): `EINVAL` for addresses or lengths that are not possible, `ENOMEM` where there is
    /// no room or a limit is reached, `EEXIST` for a [`Place::Free`] that is not, `EPERM` below the
    /// lowest address, and what the file says.
    pub fn map(&self, request: &Request<'_>) -> Result<usize, Errno> {
        if request.len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = page_ceil(request.len).ok_or(Errno::ENOMEM)?;
        if let Source::File(_, offset) = request.source {
            let end = offset.checked_add(len as u64).ok_or(Errno::EOVERFLOW)?;
            i64::try_from(end).map_err(|_| Errno::EOVERFLOW)?;
        }
        let ready = self.code.lock();
        let (range, replaced) = {
            let mut inner = self.lock();
            let offset = match request.source {
                Source::File(_, offset) if len >= HUGE_PAGE => Some(offset),
                Source::Anonymous if len >= WORTH_HUGE_PAGES => Some(0),
                _ => None,
            };
            let range = self.place(&mut inner, request.place, len, offset)?;
            inner.check_growth(&range)?;
            let pieces = pieces(&range, request, &mut inner.next_object)?;
            let replaced = inner.install(&range, request, pieces)?;
            (range, replaced)
        };
        drop(replaced);
        if request.protection.contains(Protection::EXEC) && !request.shared {
            self.redirect_new(&range, request);
        }
        drop(ready);
        Ok(range.start)
    }

    /// Picks the addresses of a mapping of `len` bytes: where it may have huge pages, they lie as
    /// `offset` does within them.
    pub(super) fn place(
        &self,
        inner: &mut Inner,
        place: Place,
        len: usize,
        offset: Option<u64>,
    ) -> Result<Range<usize>, Errno> {
        let at = |start: usize| Ok(start..start.checked_add(len).ok_or(Errno::ENOMEM)?);
        match place {
            Place::Fixed(start) | Place::Free(start) => {
                if !start.is_multiple_of(PAGE) {
                    return Err(Errno::EINVAL);
                }
                let range = at(start)?;
                if start < self.placement.window.start {
                    return Err(Errno::EPERM);
                }
                if !self.placement.admits(&range) {
                    return Err(Errno::ENOMEM);
                }
                if matches!(place, Place::Free(_)) && !inner.map.is_free(range.clone()) {
                    return Err(Errno::EEXIST);
                }
                if inner.map.overlapping(range.clone()).any(Area::is_runtime) {
                    return Err(Errno::ENOMEM);
                }
                Ok(range)
            }
            Place::Hint(hint) => {
                let hint = page_ceil(hint).unwrap_or(0);
                if hint >= self.placement.window.start
                    && let Ok(range) = at(hint)
                    && self.placement.admits(&range)
                    && inner.map.is_free(range.clone())
                {
                    return Ok(range);
                }
                let window = &self.placement.window;
                let below = window.start..self.placement.mapping_top;
                if let Some(offset) = offset
                    && let Some(start) =
                        find_congruent(&mut inner.map, len, offset, below.clone(), &self.placement)
                {
                    return at(start);
                }
                let start = inner.map.find_down(len, below, &self.placement.barred);
                // Bottom-up above the usual window, as Linux does when it is full.
                let start = start.or_else(|| {
                    let above = self.placement.mapping_top..self.placement.stack_top;
                    inner.map.find_up(len, above, &self.placement.barred)
                });
                at(start.ok_or(Errno::ENOMEM)?)
            }
            Place::Low => {
                let low = 0x4000_0000.max(self.placement.window.start)..0x8000_0000;
                let start = inner.map.find_up(len, low, &self.placement.barred);
                at(start.ok_or(Errno::ENOMEM)?)
            }
        }
    }

    /// Removes the mappings in `len` bytes from `start`; the runtime's own pages stay.
    ///
    /// # Errors
    /// `EINVAL` as munmap(2), and what the host said.
    pub fn unmap(&self, start: usize, len: usize) -> Result<(), Errno> {
        let range = self.checked(start, len).map_err(|_| Errno::EINVAL)?;
        if range.is_empty() {
            return Err(Errno::EINVAL);
        }
        let mut removed = Vec::new();
        let outcome = self.lock().remove(&range, &mut removed);
        drop(removed);
        outcome
    }

    /// Changes the protection of `len` bytes from `start`, area by area up to the first that
    /// cannot be changed.
    ///
    /// # Errors
    /// As mprotect(2): `EINVAL` for an unaligned address, `ENOMEM` at the first hole, `EACCES` at
    /// the first area that may not have this protection.
    pub fn protect(&self, start: usize, len: usize, protection: Protection) -> Result<(), Errno> {
        if !start.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let range = self.checked(start, len).map_err(|_| Errno::ENOMEM)?;
        let ready = self.code.lock();
        let mut code = Vec::new();
        let outcome = self.lock().protect(&range, protection, &mut code);
        for part in code {
            self.redirect_mapped(&part);
        }
        drop(ready);
        outcome
    }

    /// The pages from `start` (aligned) to `start + len` (rounded up), where they are the program's.
    pub(super) fn checked(&self, start: usize, len: usize) -> Result<Range<usize>, Errno> {
        if !start.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let len = page_ceil(len).ok_or(Errno::ENOMEM)?;
        let range = start..start.checked_add(len).ok_or(Errno::ENOMEM)?;
        if self.placement.admits(&range) {
            Ok(range)
        } else {
            Err(Errno::ENOMEM)
        }
    }

    /// Whether an access to `address` fails because it is after the end of the file that is mapped
    /// there: such a fault is `SIGBUS`, although the host reports `SIGSEGV`.
    #[must_use]
    pub fn is_past_end(&self, address: usize) -> bool {
        self.lock()
            .map
            .at(address)
            .is_some_and(|area| area.attributes.contains(Attributes::PAST_END))
    }

    /// Whether something of the program's is mapped at `address`; tells `SEGV_ACCERR` from
    /// `SEGV_MAPERR`.
    #[must_use]
    pub fn is_mapped(&self, address: usize) -> bool {
        self.lock()
            .map
            .at(address)
            .is_some_and(|area| !area.is_runtime())
    }
}
