//! Growing, shrinking and moving mappings (mremap(2)).

use super::area::{Area, Attributes, Content, Protection};
use super::space::{AddressSpace, Inner, Place};
use alloc::vec::Vec;
use bannock_platform::{Errno, PAGE, memory, page_ceil};
use bitflags::bitflags;
use core::ops::Range;
use linux_raw_sys::general as raw;

bitflags! {
    /// `MREMAP_*`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RemapFlags: u32 {
        /// The mapping may move.
        const MAY_MOVE = raw::MREMAP_MAYMOVE;
        /// The mapping moves to the address given.
        const FIXED = raw::MREMAP_FIXED;
        /// The old range stays mapped, without its content.
        const KEEP_OLD = raw::MREMAP_DONTUNMAP;
    }
}

impl AddressSpace {
    /// Changes the length or the place of a mapping, and returns where it then is.
    ///
    /// # Errors
    /// As mremap(2). Beyond Linux's reasons, `EINVAL` for moving a file's executable pages, whose
    /// redirected system calls only work where they are, and `ENOMEM` for growing a mapping of a
    /// file in the page cache over the space that the file has there.
    pub fn remap(
        &self,
        old: usize,
        old_len: usize,
        new_len: usize,
        flags: RemapFlags,
        new: usize,
    ) -> Result<usize, Errno> {
        let moves = RemapFlags::FIXED | RemapFlags::KEEP_OLD;
        if flags.intersects(moves) && !flags.contains(RemapFlags::MAY_MOVE) {
            return Err(Errno::EINVAL);
        }
        let old_len = page_ceil(old_len).ok_or(Errno::EINVAL)?;
        let new_len = page_ceil(new_len)
            .filter(|len| *len > 0)
            .ok_or(Errno::EINVAL)?;
        if !old.is_multiple_of(PAGE) || (flags.contains(RemapFlags::KEEP_OLD) && old_len != new_len)
        {
            return Err(Errno::EINVAL);
        }
        let from = self.checked(old, old_len).map_err(|_| Errno::EFAULT)?;
        let mut removed = Vec::new();
        let outcome = {
            let mut inner = self.lock();
            if flags.intersects(moves) || old_len == 0 {
                self.relocate(&mut inner, &from, new_len, flags, new, &mut removed)
            } else {
                self.resize(&mut inner, &from, new_len, flags, &mut removed)
            }
        };
        drop(removed);
        outcome
    }

    /// Changes the length, in place where possible.
    fn resize(
        &self,
        inner: &mut Inner,
        from: &Range<usize>,
        new_len: usize,
        flags: RemapFlags,
        removed: &mut Vec<Area>,
    ) -> Result<usize, Errno> {
        if inner.map.first_hole(from.clone()).is_some() {
            return Err(Errno::EFAULT);
        }
        if new_len <= from.len() {
            let tail = from.start + new_len..from.end;
            if !tail.is_empty() {
                inner.remove(&tail, removed)?;
            }
            return Ok(from.start);
        }
        let area = movable(inner, from)?;
        let growth = from.end..from.start.checked_add(new_len).ok_or(Errno::ENOMEM)?;
        let in_place = self.placement.admits(&growth) && inner.map.is_free(growth.clone());
        if in_place {
            inner.check_growth(&growth)?;
            check_backed(&area, new_len)?;
            let (pages, grown) = (pages(from)?, memory::Range::new(from.start, new_len)?);
            if memory::resize(pages, grown).is_ok() {
                let tail = Area {
                    start: from.start,
                    end: growth.end,
                    ..area
                };
                inner.account(&tail, growth.len());
                inner.map.insert(tail.clipped(&growth).ok_or(Errno::EIO)?);
                return Ok(from.start);
            }
        }
        if !flags.contains(RemapFlags::MAY_MOVE) {
            return Err(Errno::ENOMEM);
        }
        self.relocate(inner, from, new_len, flags, 0, removed)
    }

    /// Moves (or duplicates) the mapping to another place.
    fn relocate(
        &self,
        inner: &mut Inner,
        from: &Range<usize>,
        new_len: usize,
        flags: RemapFlags,
        new: usize,
        removed: &mut Vec<Area>,
    ) -> Result<usize, Errno> {
        let first = from.start..from.end.max(from.start + PAGE);
        let area = movable(inner, &first)?;
        let duplicate = from.is_empty();
        if duplicate && (!area.content.is_shared() || !flags.contains(RemapFlags::MAY_MOVE)) {
            return Err(Errno::EINVAL);
        }
        let executable_file = area.limit.contains(Protection::EXEC)
            && area.protection.contains(Protection::EXEC)
            && matches!(area.content, Content::File { shared: false, .. });
        if executable_file {
            return Err(Errno::EINVAL);
        }
        check_backed(&area, new_len)?;
        let place = if flags.contains(RemapFlags::FIXED) {
            let end = new.checked_add(new_len).ok_or(Errno::EINVAL)?;
            if !new.is_multiple_of(PAGE) || (new < from.end && end > from.start) {
                return Err(Errno::EINVAL);
            }
            Place::Fixed(new)
        } else {
            Place::Hint(new)
        };
        let to = self
            .place(inner, place, new_len, None)
            .map_err(|e| match (e, place) {
                (Errno::ENOMEM | Errno::EPERM, Place::Fixed(_)) => Errno::EINVAL,
                (other, _) => other,
            })?;
        let keep = duplicate || flags.contains(RemapFlags::KEEP_OLD);
        if keep || new_len > from.len() {
            inner.check_growth(&to)?;
        }
        if !inner.map.is_free(to.clone()) {
            inner.remove(&to, removed)?;
        }
        let target = pages(&to)?;
        if duplicate {
            memory::duplicate(from.start, target)?;
        } else if area.attributes.contains(Attributes::PAST_END) {
            super::install::no_access(target)?;
        } else {
            // A mapping that shrinks loses its tail here or on the host: it is the same.
            memory::move_pages(pages(from)?, target, flags.contains(RemapFlags::KEEP_OLD))?;
        }
        let moved = Area {
            start: to.start,
            end: to.end,
            ..area.clone()
        };
        if !keep {
            let mut old = inner.map.take(from.clone());
            inner.forget_locked(&old);
            removed.append(&mut old);
        }
        inner.account(&moved, new_len);
        inner.map.insert(moved);
        Ok(to.start)
    }
}

impl Inner {
    /// Counts `len` more bytes of `area` as locked where it is.
    fn account(&mut self, area: &Area, len: usize) {
        if area.attributes.contains(Attributes::LOCKED) {
            self.locked = self.locked.saturating_add(len);
        }
    }
}

/// The part of one area that `range` is; what spans several areas does not move (mremap(2)).
fn movable(inner: &Inner, range: &Range<usize>) -> Result<Area, Errno> {
    let area = inner
        .map
        .at(range.start)
        .filter(|a| a.end >= range.end && !a.is_runtime());
    area.and_then(|a| a.clipped(range)).ok_or(Errno::EFAULT)
}

/// Checks that a file's mapping of `len` bytes stays within what the page cache has of it.
fn check_backed(area: &Area, len: usize) -> Result<(), Errno> {
    let Content::File { info, offset, .. } = &area.content else {
        return Ok(());
    };
    let past_end = area.attributes.contains(Attributes::PAST_END);
    match info.backed {
        Some(backed) if !past_end && offset.saturating_add(len as u64) > backed => {
            Err(Errno::ENOMEM)
        }
        _ => Ok(()),
    }
}

fn pages(range: &Range<usize>) -> Result<memory::Range, Errno> {
    memory::Range::new(range.start, range.len())
}
