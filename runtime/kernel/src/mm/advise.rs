//! Advice, synchronisation and locking of ranges.

use super::area::{Area, Attributes, Content, Protection};
use super::space::AddressSpace;
use alloc::vec::Vec;
use bannock_platform::{Errno, PAGE, memory};
use core::ops::Range;
use linux_raw_sys::general as raw;

impl AddressSpace {
    /// madvise(2). Holes do not stop it, but are reported.
    ///
    /// # Errors
    /// `EINVAL` for advice that is not supported, `ENOMEM` where something in the range is not
    /// mapped, and what the host says of a part.
    pub fn advise(&self, start: usize, len: usize, advice: u32) -> Result<(), Errno> {
        let known = matches!(
            advice,
            raw::MADV_NORMAL
                | raw::MADV_RANDOM
                | raw::MADV_SEQUENTIAL
                | raw::MADV_WILLNEED
                | raw::MADV_DONTNEED
                | raw::MADV_FREE
                | raw::MADV_REMOVE
                | raw::MADV_DONTFORK
                | raw::MADV_DOFORK
                | raw::MADV_HUGEPAGE
                | raw::MADV_NOHUGEPAGE
                | raw::MADV_DONTDUMP
                | raw::MADV_DODUMP
                | raw::MADV_WIPEONFORK
                | raw::MADV_KEEPONFORK
                | raw::MADV_COLD
                | raw::MADV_PAGEOUT
                | raw::MADV_POPULATE_READ
                | raw::MADV_POPULATE_WRITE
        );
        if !known || !start.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let range = self.checked(start, len).map_err(|_| Errno::ENOMEM)?;
        if matches!(
            advice,
            raw::MADV_POPULATE_READ | raw::MADV_POPULATE_WRITE | raw::MADV_WILLNEED
        ) {
            return self.populate(&range, advice);
        }
        let mut inner = self.lock();
        let mut outcome = match inner.map.first_hole(range.clone()) {
            Some(_) => Err(Errno::ENOMEM),
            None => Ok(()),
        };
        for part in inner.map.parts(range) {
            if part.is_runtime() {
                outcome = Err(Errno::ENOMEM);
                continue;
            }
            check_advice(&part, advice)?;
            if !part.attributes.contains(Attributes::PAST_END) {
                memory::advise(memory::Range::new(part.start, part.len())?, advice)?;
            }
            let (set, cleared) = match advice {
                raw::MADV_DONTFORK => (Attributes::DONT_FORK, Attributes::empty()),
                raw::MADV_DOFORK => (Attributes::empty(), Attributes::DONT_FORK),
                raw::MADV_WIPEONFORK => (Attributes::WIPE_ON_FORK, Attributes::empty()),
                raw::MADV_KEEPONFORK => (Attributes::empty(), Attributes::WIPE_ON_FORK),
                _ => continue,
            };
            inner.map.change(part.range(), |area| {
                area.attributes.remove(cleared);
                area.attributes.insert(set);
            });
        }
        outcome
    }

    /// Brings pages in. That may wait for a disk, so it happens outside of the lock: a mapping that
    /// another thread changes meanwhile is populated as it then is.
    fn populate(&self, range: &Range<usize>, advice: u32) -> Result<(), Errno> {
        let (parts, hole) = self.look(range);
        for part in parts {
            if !part.is_runtime() && !part.attributes.contains(Attributes::PAST_END) {
                memory::advise(memory::Range::new(part.start, part.len())?, advice)?;
            }
        }
        if hole { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// The parts of areas within `range`, and whether there is a hole.
    fn look(&self, range: &Range<usize>) -> (Vec<Area>, bool) {
        let inner = self.lock();
        (
            inner.map.parts(range.clone()),
            inner.map.first_hole(range.clone()).is_some(),
        )
    }

    /// msync(2).
    ///
    /// # Errors
    /// `EINVAL` for contradicting flags, `EBUSY` for invalidating locked pages, `ENOMEM` at holes,
    /// and what the host says.
    pub fn sync(&self, start: usize, len: usize, flags: u32) -> Result<(), Errno> {
        let all = raw::MS_ASYNC | raw::MS_INVALIDATE | raw::MS_SYNC;
        let both = raw::MS_ASYNC | raw::MS_SYNC;
        if flags & !all != 0 || flags & both == both || !start.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let range = self.checked(start, len).map_err(|_| Errno::ENOMEM)?;
        if range.is_empty() {
            return Ok(());
        }
        let (parts, hole) = self.look(&range);
        for part in parts {
            if flags & raw::MS_INVALIDATE != 0 && part.attributes.contains(Attributes::LOCKED) {
                return Err(Errno::EBUSY);
            }
            // The page cache is the file: only the host's files have anything to write back.
            if let Content::File {
                info, shared: true, ..
            } = &part.content
                && info.backed.is_none()
            {
                memory::sync(memory::Range::new(part.start, part.len())?, flags)?;
            }
        }
        if hole { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// mincore(2): appends one byte per page of the range to `into`.
    ///
    /// # Errors
    /// `EINVAL` for an unaligned address, `ENOMEM` at holes, and what the host says.
    pub fn resident(&self, start: usize, len: usize, into: &mut [u8]) -> Result<(), Errno> {
        let range = self.checked(start, len)?;
        let (parts, hole) = self.look(&range);
        if hole || parts.iter().any(Area::is_runtime) {
            return Err(Errno::ENOMEM);
        }
        let mut rest = into;
        for part in parts {
            let pages = (part.len() / PAGE).min(rest.len());
            let (bytes, after) = rest.split_at_mut(pages);
            memory::resident(memory::Range::new(part.start, part.len())?, bytes)?;
            rest = after;
        }
        Ok(())
    }

    /// Locks (or unlocks) pages, in the books only: swapping is the platform's business.
    ///
    /// # Errors
    /// `ENOMEM` at holes or over the limit.
    pub fn set_locked(&self, start: usize, len: usize, locked: bool) -> Result<(), Errno> {
        let offset = start % PAGE;
        let len = len.checked_add(offset).ok_or(Errno::EINVAL)?;
        let range = self
            .checked(start - offset, len)
            .map_err(|_| Errno::ENOMEM)?;
        let mut inner = self.lock();
        let mut delta = 0;
        for part in inner.map.parts(range.clone()) {
            if part.attributes.contains(Attributes::LOCKED) != locked {
                delta += part.len();
            }
        }
        if locked && inner.locked.saturating_add(delta) as u64 > inner.limits.locked {
            return Err(Errno::ENOMEM);
        }
        let hole = inner.map.first_hole(range.clone()).is_some();
        inner.map.change(range, |area| {
            area.attributes.set(Attributes::LOCKED, locked)
        });
        inner.locked = if locked {
            inner.locked.saturating_add(delta)
        } else {
            inner.locked.saturating_sub(delta)
        };
        if hole { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// mlockall(2) and munlockall(2): all areas now, and those to come.
    ///
    /// # Errors
    /// `ENOMEM` over the limit.
    pub fn set_all_locked(&self, current: Option<bool>, future: bool) -> Result<(), Errno> {
        let mut inner = self.lock();
        let total = inner.map.total();
        if current == Some(true) && total as u64 > inner.limits.locked {
            return Err(Errno::ENOMEM);
        }
        inner.lock_future = future;
        if let Some(locked) = current {
            let everything = self.placement.window.clone();
            inner.map.change(everything, |area| {
                area.attributes.set(Attributes::LOCKED, locked)
            });
            inner.locked = if locked { total } else { 0 };
        }
        Ok(())
    }
}

/// Whether advice that changes content is possible for an area (madvise(2)).
fn check_advice(area: &Area, advice: u32) -> Result<(), Errno> {
    let locked = area.attributes.contains(Attributes::LOCKED);
    match advice {
        raw::MADV_DONTNEED | raw::MADV_FREE | raw::MADV_PAGEOUT | raw::MADV_COLD if locked => {
            Err(Errno::EINVAL)
        }
        raw::MADV_FREE | raw::MADV_WIPEONFORK if !area.is_private_anonymous() => Err(Errno::EINVAL),
        raw::MADV_REMOVE if locked || !area.content.is_shared() => Err(Errno::EINVAL),
        // On the host the page cache is writable to the runtime whatever the program may do.
        raw::MADV_REMOVE if !area.limit.contains(Protection::WRITE) => Err(Errno::EACCES),
        _ => Ok(()),
    }
}
