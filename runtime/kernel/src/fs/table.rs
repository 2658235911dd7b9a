//! Descriptors of a process.

use super::{Handle, OpenFile};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use bannock_platform::{Errno, sync::Mutex};
use core::ops::Range;
use once_cell::race::OnceBox;

/// Largest number of descriptors whatever the limits say (Linux `fs.nr_open`).
pub(super) const MAX_DESCRIPTORS: usize = 1 << 20;

#[derive(Clone)]
struct Slot {
    handle: Arc<Handle>,
    close_on_exec: bool,
}

/// The place of one descriptor, in a cache line of its own: threads that use different descriptors
/// do not wait for each other, nor do their processors.
#[repr(align(64))]
struct Place(Mutex<Option<Slot>>);

/// Places of a first segment; each further one doubles their number.
const FIRST: usize = 64;
/// Segments until [`MAX_DESCRIPTORS`].
const SEGMENTS: usize = (MAX_DESCRIPTORS / FIRST).ilog2() as usize + 1;

/// All places. Segments are made when they are first needed, and stay where they are.
struct Places([OnceBox<Vec<Place>>; SEGMENTS]);

impl Places {
    const fn new() -> Self {
        Self([const { OnceBox::new() }; SEGMENTS])
    }

    /// Segment of place `number`, its first number, and how many there are.
    const fn segment(number: usize) -> (usize, usize, usize) {
        match (number / FIRST).checked_ilog2() {
            None => (0, 0, FIRST),
            Some(power) => (power as usize + 1, FIRST << power, FIRST << power),
        }
    }

    /// Place `number`, where its segment has been made.
    fn get(&self, number: usize) -> Option<&Place> {
        let (segment, first, _) = Self::segment(number);
        self.0.get(segment)?.get()?.get(number - first)
    }

    /// Place `number`; `EMFILE` where there is none.
    fn make(&self, number: usize) -> Result<&Place, Errno> {
        let (segment, first, len) = Self::segment(number);
        let segment = self.0.get(segment).ok_or(Errno::EMFILE)?;
        let new = || Box::new((0..len).map(|_| Place(Mutex::new(None))).collect());
        segment
            .get_or_init(new)
            .get(number - first)
            .ok_or(Errno::EMFILE)
    }
}

/// Which numbers are in use, as bits.
#[derive(Clone, Default)]
struct Used(Vec<u64>);

impl Used {
    fn set(&mut self, number: usize) {
        let word = number / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << (number % 64);
        }
    }

    fn clear(&mut self, number: usize) {
        if let Some(word) = self.0.get_mut(number / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    /// The lowest number from `least` on that is not in use.
    fn lowest_free(&self, least: usize) -> usize {
        let mut number = least;
        while let Some(word) = self.0.get(number / 64) {
            // Bits below are not asked for.
            let free = !word & u64::MAX << (number % 64);
            if free != 0 {
                return number / 64 * 64 + free.trailing_zeros() as usize;
            }
            number = (number / 64 + 1) * 64;
        }
        number
    }

    /// Numbers in use within `range`, ascending.
    fn within(&self, range: Range<usize>) -> Vec<usize> {
        let mut numbers = Vec::new();
        let end = range.end.min(self.0.len() * 64);
        for number in range.start..end {
            let word = self.0.get(number / 64).copied().unwrap_or(0);
            if word >> (number % 64) & 1 != 0 {
                numbers.push(number);
            }
        }
        numbers
    }

    fn all(&self) -> Vec<usize> {
        self.within(0..MAX_DESCRIPTORS)
    }
}

/// The descriptors of one process.
///
/// Handles are dropped while the table is locked, so that a fork on another thread never copies a
/// host descriptor that is about to be closed and would have no owner in the child.
pub struct FileTable {
    owner: i32,
    /// Held by whoever changes the table; locks of places are taken within.
    used: Mutex<Used>,
    places: Places,
}

impl FileTable {
    /// An empty table for the process `owner`.
    #[must_use]
    pub const fn new(owner: i32) -> Self {
        Self {
            owner,
            used: Mutex::new(Used(Vec::new())),
            places: Places::new(),
        }
    }

    /// What `look` finds behind `fd`.
    fn look<R>(&self, fd: i32, look: impl FnOnce(&mut Slot) -> R) -> Result<R, Errno> {
        let place = self.places.get(index(fd)?).ok_or(Errno::EBADF)?;
        place.0.lock().as_mut().map(look).ok_or(Errno::EBADF)
    }

    /// The handle behind `fd`.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn get(&self, fd: i32) -> Result<Arc<Handle>, Errno> {
        self.look(fd, |slot| Arc::clone(&slot.handle))
    }

    /// The open file behind `fd`, for other processes to look at: none but the table's own ever holds a
    /// handle, since whoever lets go of it last has to close the host's descriptor.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn file(&self, fd: i32) -> Result<Arc<OpenFile>, Errno> {
        self.look(fd, |slot| Arc::clone(slot.handle.file()))
    }

    /// Like [`Self::get`], for all uses but as a place.
    ///
    /// # Errors
    /// `EBADF`, also for `O_PATH`.
    pub fn usable(&self, fd: i32) -> Result<Arc<Handle>, Errno> {
        let handle = self.get(fd)?;
        handle.usable()?;
        Ok(handle)
    }

    /// Gives `handle` the lowest free number of at least `least` and below `limit`.
    ///
    /// # Errors
    /// `EMFILE`, or `EINVAL` when `least` is not below the limit.
    pub fn insert(
        &self,
        handle: Arc<Handle>,
        least: i32,
        close_on_exec: bool,
        limit: usize,
    ) -> Result<i32, Errno> {
        let least = usize::try_from(least).map_err(|_| Errno::EINVAL)?;
        let limit = limit.min(MAX_DESCRIPTORS);
        if least >= limit {
            return Err(if least == 0 {
                Errno::EMFILE
            } else {
                Errno::EINVAL
            });
        }
        let mut used = self.used.lock();
        let number = used.lowest_free(least);
        if number >= limit {
            return Err(Errno::EMFILE);
        }
        *self.places.make(number)?.0.lock() = Some(Slot {
            handle,
            close_on_exec,
        });
        used.set(number);
        i32::try_from(number).map_err(|_| Errno::EMFILE)
    }

    /// Inserts two handles, or none.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn insert_pair(
        &self,
        pair: [Arc<Handle>; 2],
        close_on_exec: bool,
        limit: usize,
    ) -> Result<[i32; 2], Errno> {
        let [first, second] = pair;
        let a = self.insert(first, 0, close_on_exec, limit)?;
        match self.insert(second, 0, close_on_exec, limit) {
            Ok(b) => Ok([a, b]),
            Err(e) => {
                let _ = self.remove(a);
                Err(e)
            }
        }
    }

    /// Makes `fd` stand for `handle`, closing what it stood for (dup2(2)).
    ///
    /// # Errors
    /// `EBADF` when `fd` is out of range.
    pub fn replace(
        &self,
        fd: i32,
        handle: Arc<Handle>,
        close_on_exec: bool,
        limit: usize,
    ) -> Result<(), Errno> {
        let number = index(fd)?;
        if number >= limit.min(MAX_DESCRIPTORS) {
            return Err(Errno::EBADF);
        }
        let mut used = self.used.lock();
        let old = self.places.make(number)?.0.lock().replace(Slot {
            handle,
            close_on_exec,
        });
        used.set(number);
        self.close(old);
        Ok(())
    }

    /// Closes `fd`.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn remove(&self, fd: i32) -> Result<(), Errno> {
        let mut used = self.used.lock();
        let number = index(fd)?;
        let place = self.places.get(number).ok_or(Errno::EBADF)?;
        let old = place.0.lock().take();
        if old.is_none() {
            return Err(Errno::EBADF);
        }
        used.clear(number);
        self.close(old);
        Ok(())
    }

    /// Closes all descriptors in `range`.
    pub fn remove_range(&self, range: Range<usize>) {
        self.remove_if(range, |_| true);
    }

    /// Marks all descriptors in `range` to be closed on exec.
    pub fn mark_range(&self, range: Range<usize>) {
        let used = self.used.lock();
        for place in self.places_of(used.within(range)) {
            if let Some(slot) = &mut *place.0.lock() {
                slot.close_on_exec = true;
            }
        }
    }

    fn places_of(&self, numbers: Vec<usize>) -> impl Iterator<Item = &Place> {
        numbers
            .into_iter()
            .filter_map(|number| self.places.get(number))
    }

    /// Closes what is marked to be closed on exec.
    pub fn close_on_exec(&self) {
        self.remove_if(0..MAX_DESCRIPTORS, |slot| slot.close_on_exec);
    }

    fn remove_if(&self, range: Range<usize>, condition: impl Fn(&Slot) -> bool) {
        let mut used = self.used.lock();
        for number in used.within(range) {
            let Some(place) = self.places.get(number) else {
                continue;
            };
            let old = place.0.lock().take_if(|slot| condition(slot));
            if old.is_some() {
                used.clear(number);
                self.close(old);
            }
        }
    }

    fn close(&self, slot: Option<Slot>) {
        if let Some(Slot { handle, .. }) = slot {
            // POSIX record locks end with any descriptor of the file (fcntl(2)).
            handle.ops().closed(&handle, self.owner);
        }
    }

    /// `FD_CLOEXEC` of `fd`.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn is_close_on_exec(&self, fd: i32) -> Result<bool, Errno> {
        self.look(fd, |slot| slot.close_on_exec)
    }

    /// Sets `FD_CLOEXEC` of `fd`.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn set_close_on_exec(&self, fd: i32, value: bool) -> Result<(), Errno> {
        self.look(fd, |slot| slot.close_on_exec = value)
    }

    /// Makes the table of a child process `owner` and passes it to `act` while this table stays as
    /// it is, so that the host's copy of the descriptors and the child's table agree.
    pub fn fork_with<R>(&self, owner: i32, act: impl FnOnce(Self) -> R) -> R {
        let used = self.used.lock();
        // Duplicates share a handle in the child as they do here.
        let mut made: alloc::collections::BTreeMap<*const Handle, Arc<Handle>> =
            alloc::collections::BTreeMap::new();
        let copy = Self::new(owner);
        *copy.used.lock() = used.clone();
        for number in used.all() {
            let slot = self.places.get(number).and_then(|p| p.0.lock().clone());
            let (Some(slot), Ok(place)) = (slot, copy.places.make(number)) else {
                continue;
            };
            let handle = made
                .entry(Arc::as_ptr(&slot.handle))
                .or_insert_with(|| slot.handle.inherited(owner));
            *place.0.lock() = Some(Slot {
                handle: Arc::clone(handle),
                ..slot
            });
        }
        // The child may close a descriptor before this returns; only the last holder of a handle
        // closes it, and here that would be the wrong process.
        drop(made);
        act(copy)
    }

    /// Host descriptors that the table stands for, ascending.
    #[must_use]
    pub fn host_numbers(&self) -> Vec<i32> {
        let used = self.used.lock();
        let host = |place: &Place| {
            let slot = place.0.lock();
            slot.as_ref()
                .and_then(|slot| slot.handle.host_fd())
                .map(|fd| fd.number())
        };
        let mut numbers: Vec<i32> = self.places_of(used.all()).filter_map(host).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Descriptors in use, ascending.
    #[must_use]
    pub fn numbers(&self) -> Vec<i32> {
        let used = self.used.lock().all();
        used.into_iter()
            .filter_map(|number| i32::try_from(number).ok())
            .collect()
    }

    /// Closes everything, as the end of a process does.
    pub fn clear(&self) {
        self.remove_range(0..MAX_DESCRIPTORS);
    }
}

impl Drop for FileTable {
    fn drop(&mut self) {
        self.clear();
    }
}

fn index(fd: i32) -> Result<usize, Errno> {
    usize::try_from(fd).map_err(|_| Errno::EBADF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Kind;
    use std::vec;

    fn handle() -> Arc<Handle> {
        bannock_platform::hosted::install();
        Handle::new(OpenFile::host(Kind::Device, 0), None, 0)
    }

    #[test]
    fn segments_follow_each_other_without_gap() {
        let mut next = 0;
        for segment in 0..SEGMENTS {
            let (found, first, len) = Places::segment(next);
            assert_eq!((found, first), (segment, next));
            assert_eq!(Places::segment(next + len - 1), (segment, first, len));
            next += len;
        }
        assert_eq!(next, MAX_DESCRIPTORS);
        assert!(Places::new().make(MAX_DESCRIPTORS).is_err());
    }

    #[test]
    fn the_lowest_free_number_is_given() {
        let table = FileTable::new(0);
        let insert = |least| table.insert(handle(), least, false, 5000);
        for number in 0..200 {
            assert_eq!(insert(0), Ok(number));
        }
        table.remove(64).unwrap();
        table.remove(3).unwrap();
        assert_eq!(insert(4), Ok(64), "at least");
        assert_eq!(insert(0), Ok(3));
        assert_eq!(insert(4000), Ok(4000));
        assert_eq!(insert(4000), Ok(4001));
        assert_eq!(insert(4999), Ok(4999));
        assert_eq!(insert(4999), Err(Errno::EMFILE));
        assert_eq!(insert(5000), Err(Errno::EINVAL));
        assert_eq!(table.numbers().len(), 203);
        assert_eq!(table.get(200).err(), Some(Errno::EBADF));
        assert_eq!(table.get(-1).err(), Some(Errno::EBADF));
        assert_eq!(table.get(i32::MAX).err(), Some(Errno::EBADF));
        assert_eq!(table.remove(300).err(), Some(Errno::EBADF));
    }

    #[test]
    fn a_child_has_what_its_parent_has_and_keeps_it() {
        let table = FileTable::new(0);
        let shared = handle();
        table.insert(Arc::clone(&shared), 0, true, 10).unwrap();
        table.insert(shared, 5, false, 10).unwrap();
        let child = table.fork_with(7, |child| child);
        table.clear();
        assert!(table.numbers().is_empty());
        assert_eq!(child.numbers(), [0, 5]);
        let [one, other] = [0, 5].map(|fd| child.get(fd).unwrap());
        assert!(Arc::ptr_eq(&one, &other), "duplicates stay duplicates");
        assert_eq!(child.is_close_on_exec(0), Ok(true));
        child.close_on_exec();
        assert_eq!(child.numbers(), [5]);
        child.mark_range(0..6);
        assert_eq!(child.is_close_on_exec(5), Ok(true));
        child.remove_range(6..usize::MAX);
        assert_eq!(child.numbers(), [5]);
    }

    #[test]
    fn threads_look_up_while_others_change_the_table() {
        let table = FileTable::new(0);
        table.insert(handle(), 0, false, 1 << 12).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        assert!(table.get(0).is_ok());
                        let fd = table.insert(handle(), 60, false, 1 << 12).unwrap();
                        assert!(table.get(fd).is_ok());
                        table.remove(fd).unwrap();
                    }
                });
            }
        });
        assert_eq!(table.numbers(), vec![0]);
    }
}
