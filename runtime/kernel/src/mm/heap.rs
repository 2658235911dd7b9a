//! The heap that brk(2) moves.

use super::area::{Area, Attributes, Content, Protection};
use super::space::AddressSpace;
use alloc::vec::Vec;
use bannock_platform::{
    Errno,
    memory::{self, Backing},
    page_ceil,
};

impl AddressSpace {
    /// Starts an empty heap at `start`.
    pub fn set_heap(&self, start: usize) {
        self.lock().heap = start..start;
    }

    /// Moves the end of the heap to `end` if that is possible; returns where it then is, as the
    /// system call brk(2) does.
    pub fn set_break(&self, end: usize) -> usize {
        let mut removed = Vec::new();
        let now = {
            let mut inner = self.lock();
            let old = inner.heap.end;
            let moved = if end < inner.heap.start {
                Err(Errno::EINVAL)
            } else {
                self.move_break(&mut inner, end, &mut removed)
            };
            if moved.is_ok() { end } else { old }
        };
        drop(removed);
        now
    }

    fn move_break(
        &self,
        inner: &mut super::space::Inner,
        end: usize,
        removed: &mut Vec<Area>,
    ) -> Result<(), Errno> {
        let old_top = page_ceil(inner.heap.end).ok_or(Errno::ENOMEM)?;
        let new_top = page_ceil(end).ok_or(Errno::ENOMEM)?;
        if new_top < old_top {
            inner.remove(&(new_top..old_top), removed)?;
        } else if new_top > old_top {
            let growth = old_top..new_top;
            let size = (end - inner.heap.start) as u64;
            if size > inner.limits.data
                || !self.placement.admits(&growth)
                || !inner.map.is_free(growth.clone())
            {
                return Err(Errno::ENOMEM);
            }
            inner.check_growth(&growth)?;
            let protection = Protection::READ | Protection::WRITE;
            let pages = memory::Range::new(growth.start, growth.len())?;
            memory::map(
                pages,
                protection.bits(),
                Backing::Anonymous { shared: false },
                0,
            )?;
            let mut attributes = Attributes::empty();
            if inner.lock_future {
                attributes.insert(Attributes::LOCKED);
                inner.locked = inner.locked.saturating_add(growth.len());
            }
            inner.map.insert(Area {
                start: growth.start,
                end: growth.end,
                protection,
                limit: Protection::all(),
                content: Content::Anonymous,
                attributes,
                name: "[heap]",
            });
        }
        inner.heap.end = end;
        Ok(())
    }
}
