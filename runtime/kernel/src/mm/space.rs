//! The address space of a process.

use super::area::{Area, Attributes, Content, FileInfo, Protection};
use super::file::Mappable;
use super::map::AreaMap;
use super::placement::Placement;
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{
    CodeMapping, Errno, FileBytes, PAGE,
    memory::{self, Backing},
    page_ceil, platform,
    sync::{Mutex, MutexGuard},
};
use core::ops::Range;
use linux_raw_sys::general as raw;

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
    next_object: u64,
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
            let range = self.place(&mut inner, request.place, len)?;
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

    /// Picks the addresses of a mapping.
    pub(super) fn place(
        &self,
        inner: &mut Inner,
        place: Place,
        len: usize,
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

    /// Reserves `len` bytes within `near` for the runtime, out of the program's reach.
    ///
    /// Nothing is mapped there yet; the caller, a platform that places trampolines, does that.
    pub fn reserve_near(&self, near: Range<usize>, len: usize) -> Option<Range<usize>> {
        let len = page_ceil(len)?;
        let window =
            near.start.max(self.placement.window.start)..near.end.min(self.placement.window.end);
        let mut inner = self.lock();
        let start = inner.map.find_up(len, window, &self.placement.barred)?;
        let range = start..start.checked_add(len)?;
        inner.map.insert(Area {
            start: range.start,
            end: range.end,
            protection: Protection::READ | Protection::EXEC,
            limit: Protection::READ | Protection::EXEC,
            content: Content::Runtime,
            attributes: Attributes::empty(),
            name: "[trampolines]",
        });
        Some(range)
    }

    /// Gives back a range from [`Self::reserve_near`] in which nothing is mapped.
    pub fn release(&self, range: Range<usize>) {
        let mut inner = self.lock();
        if inner.map.parts(range.clone()).iter().all(Area::is_runtime) {
            let _ = inner.map.take(range);
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

    /// Has system calls redirected in a file that was just mapped executable.
    fn redirect_new(&self, range: &Range<usize>, request: &Request<'_>) {
        let Source::File(file, offset) = request.source else {
            return;
        };
        let Some(key) = file.key() else { return };
        let within = file.len().saturating_sub(offset);
        let len = range
            .len()
            .min(usize::try_from(within).unwrap_or(usize::MAX));
        if len > 0 {
            self.redirect(
                range.start,
                len,
                offset,
                request.protection.bits(),
                key,
                file,
            );
        }
    }

    /// Has system calls redirected in a part of a file area that just became executable.
    ///
    /// The file may be closed by now, so it is read where it is mapped.
    fn redirect_mapped(&self, part: &Area) {
        let Content::File {
            info,
            offset,
            shared: false,
        } = &part.content
        else {
            return;
        };
        let Some(key) = info.key else { return };
        let file = MappedBytes { space: self, key };
        self.redirect(
            part.start,
            part.len(),
            *offset,
            part.protection.bits(),
            key,
            &file,
        );
    }

    /// Has the platform redirect the system calls of one mapping.
    fn redirect(
        &self,
        address: usize,
        len: usize,
        file_offset: u64,
        protection: u32,
        key: u128,
        file: &dyn FileBytes,
    ) {
        let reserve =
            |near: Range<usize>, len| self.reserve_near(near, len).map(|range| range.start);
        let reserve = &reserve;
        platform().code_mapped(&CodeMapping {
            address,
            len,
            file_offset,
            protection,
            key,
            file,
            reserve,
        });
    }
}

/// A file, read where a program has it mapped and never had the chance to change it.
struct MappedBytes<'a> {
    space: &'a AddressSpace,
    key: u128,
}

impl MappedBytes<'_> {
    /// Calls `visit` with each trustworthy area of the file: its offset in the file, address, length.
    fn areas(&self) -> Vec<(u64, usize, usize)> {
        let inner = self.space.lock();
        let pristine = |area: &&Area| {
            let changed = Attributes::PAST_END | Attributes::WAS_WRITABLE;
            !area.attributes.intersects(changed) && area.protection.contains(Protection::READ)
        };
        let place = |area: &Area| match &area.content {
            Content::File {
                info,
                offset,
                shared: false,
            } if info.key == Some(self.key) => Some((*offset, area.start, area.len())),
            _ => None,
        };
        inner
            .map
            .iter()
            .filter(pristine)
            .filter_map(place)
            .collect()
    }
}

impl FileBytes for MappedBytes<'_> {
    fn len(&self) -> u64 {
        self.areas()
            .iter()
            .map(|(offset, _, len)| offset.saturating_add(*len as u64))
            .max()
            .unwrap_or(0)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Errno> {
        let wanted = into.len() as u64;
        for (from, address, len) in self.areas() {
            let Some(skip) = offset.checked_sub(from) else {
                continue;
            };
            if skip
                .checked_add(wanted)
                .is_some_and(|end| end <= len as u64)
            {
                let at = address + skip as usize;
                let slice = bannock_platform::user::UserSlice::new(at, into.len())?;
                return slice.read(into).map_err(|_| Errno::EIO);
            }
        }
        Err(Errno::EIO)
    }
}

/// A part of a mapping with a backing of its own.
struct Piece {
    area: Area,
    backing: Option<Backing>,
}

/// How the host is to map `range` for `request`: one piece, or two where the file ends in between.
fn pieces(
    range: &Range<usize>,
    request: &Request<'_>,
    next_object: &mut u64,
) -> Result<Vec<Piece>, Errno> {
    let area = |range: Range<usize>, limit, content, attributes| Area {
        start: range.start,
        end: range.end,
        protection: request.protection,
        limit,
        content,
        attributes: request.attributes | attributes,
        name: request.name,
    };
    let (file, offset) = match request.source {
        Source::Anonymous => {
            let content = if request.shared {
                let object = *next_object;
                *next_object = object.saturating_add(1);
                Content::SharedMemory { object, offset: 0 }
            } else {
                Content::Anonymous
            };
            let backing = Some(Backing::Anonymous {
                shared: request.shared,
            });
            let area = area(
                range.clone(),
                Protection::all(),
                content,
                Attributes::empty(),
            );
            return Ok(alloc::vec![Piece { area, backing }]);
        }
        Source::File(file, offset) => (file, offset),
    };
    let writable = request.protection.contains(Protection::WRITE);
    // Asked even where no byte is shown: it is the file that knows whether it may be mapped.
    let mapped = file.mapped(offset, range.len(), request.shared, writable)?;
    let backed = mapped.backed.map(|end| end & !(PAGE as u64 - 1));
    let within = backed.map_or(u64::MAX, |end| end.saturating_sub(offset));
    let first = range
        .len()
        .min(usize::try_from(within).unwrap_or(usize::MAX));
    let mut limit = Protection::all();
    if request.shared && !file.is_writable() {
        limit.remove(Protection::WRITE);
    }
    let (device, inode) = file.identity();
    let info = Arc::new(FileInfo {
        pin: mapped.pin,
        key: file.key(),
        path: file.shown_path(),
        device,
        inode,
        backed,
    });
    let content = |offset| Content::File {
        info: Arc::clone(&info),
        offset,
        shared: request.shared,
    };
    let history = if writable && !request.shared {
        Attributes::WAS_WRITABLE
    } else {
        Attributes::empty()
    };
    let middle = range.start + first;
    let mut pieces = Vec::new();
    if first > 0 {
        let area = area(range.start..middle, limit, content(offset), history);
        pieces.push(Piece {
            area,
            backing: Some(mapped.backing),
        });
    }
    if middle < range.end {
        let area = area(
            middle..range.end,
            limit,
            content(offset + first as u64),
            history | Attributes::PAST_END,
        );
        pieces.push(Piece {
            area,
            backing: None,
        });
    }
    Ok(pieces)
}

impl Inner {
    /// Checks the limits for `range` being mapped additionally to what is outside of it.
    pub(super) fn check_growth(&self, range: &Range<usize>) -> Result<(), Errno> {
        let replaced: usize = self.map.parts(range.clone()).iter().map(Area::len).sum();
        let total = (self.map.total() - replaced).saturating_add(range.len());
        if total as u64 > self.limits.address_space {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        }
    }

    /// Maps the pieces on the host and records them; returns what they replaced.
    fn install(
        &mut self,
        range: &Range<usize>,
        request: &Request<'_>,
        pieces: Vec<Piece>,
    ) -> Result<Vec<Area>, Errno> {
        let mut flags = 0;
        if request.attributes.contains(Attributes::NO_RESERVE) {
            flags |= raw::MAP_NORESERVE;
        }
        for (index, piece) in pieces.iter().enumerate() {
            let pages = memory::Range::new(piece.area.start, piece.area.len())?;
            let mapped = match piece.backing {
                Some(backing) => memory::map(pages, request.protection.bits(), backing, flags),
                None => no_access(pages),
            };
            if let Err(error) = mapped {
                if index > 0 {
                    // What was there is gone, so the map must not show it any longer.
                    memory::unmap(memory::Range::new(range.start, range.len())?)?;
                    drop(self.map.take(range.clone()));
                }
                return Err(error);
            }
        }
        let replaced = self.map.take(range.clone());
        self.forget_locked(&replaced);
        for mut piece in pieces {
            if self.lock_future || piece.area.attributes.contains(Attributes::LOCKED) {
                piece.area.attributes.insert(Attributes::LOCKED);
                self.locked += piece.area.len();
            }
            self.map.insert(piece.area);
        }
        Ok(replaced)
    }

    /// Unmaps the program's pages in `range` and appends what they were to `removed`.
    pub(super) fn remove(
        &mut self,
        range: &Range<usize>,
        removed: &mut Vec<Area>,
    ) -> Result<(), Errno> {
        let kept = self.map.parts(range.clone());
        let mut kept = kept
            .iter()
            .filter(|area| area.is_runtime())
            .map(Area::range);
        let mut start = range.start;
        loop {
            let hole = kept.next();
            let end = hole.as_ref().map_or(range.end, |hole| hole.start);
            if start < end {
                if !self.map.is_free(start..end) {
                    memory::unmap(memory::Range::new(start, end - start)?)?;
                }
                let mut areas = self.map.take(start..end);
                self.forget_locked(&areas);
                removed.append(&mut areas);
            }
            match hole {
                Some(hole) => start = hole.end,
                None => return Ok(()),
            }
        }
    }

    pub(super) fn forget_locked(&mut self, areas: &[Area]) {
        let locked = areas
            .iter()
            .filter(|a| a.attributes.contains(Attributes::LOCKED))
            .map(Area::len);
        self.locked = self.locked.saturating_sub(locked.sum());
    }

    /// Applies `protection` to `range`; `code` gets the parts of files that became executable.
    fn protect(
        &mut self,
        range: &Range<usize>,
        protection: Protection,
        code: &mut Vec<Area>,
    ) -> Result<(), Errno> {
        let hole = self.map.first_hole(range.clone()).unwrap_or(range.end);
        for part in self.map.parts(range.start..hole) {
            if part.is_runtime() {
                return Err(Errno::ENOMEM);
            }
            if !part.limit.contains(protection) {
                return Err(Errno::EACCES);
            }
            if part.protection == protection {
                continue;
            }
            // Pages after the end of a file stay out of reach.
            if !part.attributes.contains(Attributes::PAST_END) {
                memory::protect(
                    memory::Range::new(part.start, part.len())?,
                    protection.bits(),
                )?;
            }
            let private_file = matches!(part.content, Content::File { shared: false, .. });
            self.map.change(part.range(), |area| {
                area.protection = protection;
                if private_file && protection.contains(Protection::WRITE) {
                    area.attributes.insert(Attributes::WAS_WRITABLE);
                }
            });
            let pristine = !part
                .attributes
                .intersects(Attributes::WAS_WRITABLE | Attributes::PAST_END);
            let readable = Protection::READ | Protection::EXEC;
            if private_file
                && pristine
                && protection == readable
                && !part.protection.contains(Protection::EXEC)
            {
                code.push(Area { protection, ..part });
            }
        }
        if hole < range.end {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        }
    }
}

/// Maps pages that nobody can access.
pub(super) fn no_access(pages: memory::Range) -> Result<(), Errno> {
    memory::map(
        pages,
        raw::PROT_NONE,
        Backing::Anonymous { shared: false },
        raw::MAP_NORESERVE,
    )
}
