//! Descriptors of a process.

use super::{Handle, OpenFile};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{Errno, sync::Mutex};
use core::ops::Range;

/// Largest number of descriptors whatever the limits say (Linux `fs.nr_open`).
pub(super) const MAX_DESCRIPTORS: usize = 1 << 20;

#[derive(Clone)]
struct Slot {
    handle: Arc<Handle>,
    close_on_exec: bool,
}

/// The descriptors of one process.
///
/// Handles are dropped under the table's lock, so that a fork on another thread never copies a
/// host descriptor that is about to be closed and would have no owner in the child.
pub struct FileTable {
    owner: i32,
    slots: Mutex<Vec<Option<Slot>>>,
}

impl FileTable {
    /// An empty table for the process `owner`.
    #[must_use]
    pub const fn new(owner: i32) -> Self {
        Self {
            owner,
            slots: Mutex::new(Vec::new()),
        }
    }

    /// The handle behind `fd`.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn get(&self, fd: i32) -> Result<Arc<Handle>, Errno> {
        let slots = self.slots.lock();
        slots
            .get(index(fd)?)
            .and_then(Option::as_ref)
            .map(|s| Arc::clone(&s.handle))
            .ok_or(Errno::EBADF)
    }

    /// The open file behind `fd`, for other processes to look at: none but the table's own ever holds a
    /// handle, since whoever lets go of it last has to close the host's descriptor.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn file(&self, fd: i32) -> Result<Arc<OpenFile>, Errno> {
        let slots = self.slots.lock();
        slots
            .get(index(fd)?)
            .and_then(Option::as_ref)
            .map(|s| Arc::clone(s.handle.file()))
            .ok_or(Errno::EBADF)
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
        let mut slots = self.slots.lock();
        let free = (least..slots.len()).find(|&i| slots.get(i).is_some_and(Option::is_none));
        let number = free.unwrap_or(slots.len().max(least));
        if number >= limit {
            return Err(Errno::EMFILE);
        }
        if number >= slots.len() {
            slots.resize(number + 1, None);
        }
        if let Some(slot) = slots.get_mut(number) {
            *slot = Some(Slot {
                handle,
                close_on_exec,
            });
        }
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
        let mut slots = self.slots.lock();
        if number >= slots.len() {
            slots.resize(number + 1, None);
        }
        if let Some(slot) = slots.get_mut(number) {
            let old = slot.replace(Slot {
                handle,
                close_on_exec,
            });
            self.close(old);
        }
        Ok(())
    }

    /// Closes `fd`.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn remove(&self, fd: i32) -> Result<(), Errno> {
        let mut slots = self.slots.lock();
        let old = slots.get_mut(index(fd)?).and_then(Option::take);
        if old.is_none() {
            return Err(Errno::EBADF);
        }
        self.close(old);
        Ok(())
    }

    /// Closes all descriptors in `range`.
    pub fn remove_range(&self, range: Range<usize>) {
        self.remove_if(range, |_| true);
    }

    /// Marks all descriptors in `range` to be closed on exec.
    pub fn mark_range(&self, range: Range<usize>) {
        for slot in self
            .slots
            .lock()
            .iter_mut()
            .skip(range.start)
            .take(range.len())
            .flatten()
        {
            slot.close_on_exec = true;
        }
    }

    /// Closes what is marked to be closed on exec.
    pub fn close_on_exec(&self) {
        self.remove_if(0..MAX_DESCRIPTORS, |slot| slot.close_on_exec);
    }

    fn remove_if(&self, range: Range<usize>, condition: impl Fn(&Slot) -> bool) {
        for slot in self
            .slots
            .lock()
            .iter_mut()
            .skip(range.start)
            .take(range.len())
        {
            if slot.as_ref().is_some_and(&condition) {
                self.close(slot.take());
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
        let slots = self.slots.lock();
        slots
            .get(index(fd)?)
            .and_then(Option::as_ref)
            .map(|s| s.close_on_exec)
            .ok_or(Errno::EBADF)
    }

    /// Sets `FD_CLOEXEC` of `fd`.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn set_close_on_exec(&self, fd: i32, value: bool) -> Result<(), Errno> {
        let mut slots = self.slots.lock();
        let slot = slots
            .get_mut(index(fd)?)
            .and_then(Option::as_mut)
            .ok_or(Errno::EBADF)?;
        slot.close_on_exec = value;
        Ok(())
    }

    /// Makes the table of a child process `owner` and passes it to `act` while this table stays as
    /// it is, so that the host's copy of the descriptors and the child's table agree.
    pub fn fork_with<R>(&self, owner: i32, act: impl FnOnce(Self) -> R) -> R {
        let slots = self.slots.lock();
        // Duplicates share a handle in the child as they do here.
        let mut made: alloc::collections::BTreeMap<*const Handle, Arc<Handle>> =
            alloc::collections::BTreeMap::new();
        let copy = slots
            .iter()
            .map(|slot| {
                slot.as_ref().map(|s| Slot {
                    handle: Arc::clone(
                        made.entry(Arc::as_ptr(&s.handle))
                            .or_insert_with(|| s.handle.inherited(owner)),
                    ),
                    close_on_exec: s.close_on_exec,
                })
            })
            .collect();
        // The child may close a descriptor before this returns; only the last holder of a handle
        // closes it, and here that would be the wrong process.
        drop(made);
        act(Self {
            owner,
            slots: Mutex::new(copy),
        })
    }

    /// Host descriptors that the table stands for, ascending.
    #[must_use]
    pub fn host_numbers(&self) -> Vec<i32> {
        let slots = self.slots.lock();
        let mut numbers: Vec<i32> = slots
            .iter()
            .flatten()
            .filter_map(|s| s.handle.host_fd())
            .map(|fd| fd.number())
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Descriptors in use, ascending.
    #[must_use]
    pub fn numbers(&self) -> Vec<i32> {
        let slots = self.slots.lock();
        (0i32..)
            .zip(slots.iter())
            .filter(|(_, slot)| slot.is_some())
            .map(|(i, _)| i)
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
