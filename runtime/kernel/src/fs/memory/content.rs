//! Bytes of a file in memory.

use super::super::locks::LockTable;
use alloc::sync::Arc;
use bannock_platform::cache::{Extent, Pool};
use bannock_platform::{Errno, PAGE, host, sync::Mutex};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Address space that a file takes at first; it is not memory until it is written.
const FIRST_CAPACITY: u64 = 64 << 10;
/// A mapped file cannot move, so it is given room to grow before it is mapped: at least this, and
/// [`MAPPED_FACTOR`] times its size.
const MAPPED_CAPACITY: u64 = 64 << 20;
const MAPPED_FACTOR: u64 = 16;
/// Bytes that are moved at a time.
const CHUNK: usize = 64 << 10;

/// Bytes of a regular file in the page cache, with its locks.
pub(in super::super) struct Content {
    pool: Arc<Pool>,
    data: Mutex<Data>,
    /// Mappings that rely on the place of the bytes.
    pins: AtomicUsize,
    pub(in super::super) locks: Arc<LockTable>,
}

struct Data {
    extent: Option<Extent>,
    size: u64,
    seals: u32,
}

/// `F_SEAL_*` (fcntl(2)).
pub(in super::super) const SEAL_SEAL: u32 = 1;
pub(in super::super) const SEAL_SHRINK: u32 = 2;
pub(in super::super) const SEAL_GROW: u32 = 4;
pub(in super::super) const SEAL_WRITE: u32 = 8;
pub(in super::super) const SEAL_FUTURE_WRITE: u32 = 16;

/// All seals that there are.
pub(in super::super) const SEALS: u32 =
    SEAL_SEAL | SEAL_SHRINK | SEAL_GROW | SEAL_WRITE | SEAL_FUTURE_WRITE;

/// Keeps the bytes in their place.
pub(in super::super) struct Pin(Arc<Content>);

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.pins.fetch_sub(1, Ordering::Release);
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        if let Some(extent) = self.data.lock().extent.take() {
            self.pool.release(extent);
        }
    }
}

impl Content {
    pub(in super::super) fn new(pool: Arc<Pool>, seals: u32) -> Arc<Self> {
        Arc::new(Self {
            pool,
            data: Mutex::new(Data {
                extent: None,
                size: 0,
                seals,
            }),
            pins: AtomicUsize::new(0),
            locks: Arc::new(LockTable::new()),
        })
    }

    pub(in super::super) fn size(&self) -> u64 {
        self.data.lock().size
    }

    pub(in super::super) fn seals(&self) -> u32 {
        self.data.lock().seals
    }

    /// Adds seals (`F_ADD_SEALS`).
    pub(in super::super) fn seal(&self, seals: u32) -> Result<(), Errno> {
        let mut data = self.data.lock();
        if data.seals & SEAL_SEAL != 0 {
            return Err(Errno::EPERM);
        }
        if seals & SEAL_WRITE != 0 && self.pins.load(Ordering::Acquire) != 0 {
            return Err(Errno::EBUSY);
        }
        data.seals |= seals;
        Ok(())
    }

    pub(in super::super) fn read(&self, into: host::Into<'_>, at: u64) -> Result<usize, Errno> {
        let data = self.data.lock();
        let left = usize::try_from(data.size.saturating_sub(at)).unwrap_or(usize::MAX);
        match into {
            host::Into::Kernel(bytes) => {
                let count = bytes.len().min(left);
                let Some(part) = bytes.get_mut(..count).filter(|p| !p.is_empty()) else {
                    return Ok(0);
                };
                match &data.extent {
                    Some(extent) => extent.read(at, part)?,
                    None => part.fill(0),
                }
                Ok(count)
            }
            host::Into::User(slice) => {
                let part = slice.take(left);
                match &data.extent {
                    _ if part.is_empty() => Ok(0),
                    Some(extent) => extent.read_to_user(at, part),
                    // Only a file that was never written and only grown has no extent.
                    None => zero_user(part),
                }
            }
        }
    }

    /// Writes at `at`, or at the end; returns the bytes written.
    pub(in super::super) fn write(
        &self,
        from: host::From<'_>,
        at: Option<u64>,
    ) -> Result<usize, Errno> {
        let mut data = self.data.lock();
        let at = at.unwrap_or(data.size);
        self.write_locked(&mut data, from, at)
    }

    /// Writes several ranges in one step.
    pub(in super::super) fn write_vectored(
        &self,
        from: &host::file::UserVector,
        at: Option<u64>,
    ) -> Result<usize, Errno> {
        let mut data = self.data.lock();
        let at = at.unwrap_or(data.size);
        super::super::ops::gather(from, Some(at), |slice, at| {
            self.write_locked(&mut data, host::From::User(slice), at.unwrap_or(0))
        })
    }

    fn write_locked(&self, data: &mut Data, from: host::From<'_>, at: u64) -> Result<usize, Errno> {
        let len = match &from {
            host::From::Kernel(bytes) => bytes.len(),
            host::From::User(slice) => slice.len(),
        };
        if len == 0 {
            return Ok(0);
        }
        if data.seals & (SEAL_WRITE | SEAL_FUTURE_WRITE) != 0 {
            return Err(Errno::EPERM);
        }
        let end = at
            .checked_add(len as u64)
            .filter(|e| *e <= i64::MAX as u64)
            .ok_or(Errno::EFBIG)?;
        if end > data.size && data.seals & SEAL_GROW != 0 {
            return Err(Errno::EPERM);
        }
        self.reserve(data, end)?;
        if at > data.size {
            self.clear_tail(data)?;
        }
        let extent = data.extent.as_ref().ok_or(Errno::ENOSPC)?;
        let count = match from {
            host::From::Kernel(bytes) => {
                extent.write(at, bytes)?;
                len
            }
            host::From::User(slice) => extent.write_from_user(at, slice)?,
        };
        data.size = data.size.max(at + count as u64);
        Ok(count)
    }

    /// Sets the length.
    pub(in super::super) fn resize(&self, size: u64) -> Result<(), Errno> {
        let mut data = self.data.lock();
        if size > i64::MAX as u64 {
            return Err(Errno::EFBIG);
        }
        if size < data.size {
            if data.seals & SEAL_SHRINK != 0 {
                return Err(Errno::EPERM);
            }
            if let Some(extent) = &data.extent {
                extent.discard(size, extent.capacity().saturating_sub(size))?;
            }
        } else if size > data.size {
            if data.seals & SEAL_GROW != 0 {
                return Err(Errno::EPERM);
            }
            self.reserve(&mut data, size)?;
            self.clear_tail(&data)?;
        }
        data.size = size;
        Ok(())
    }

    /// fallocate(2): `keep` leaves the length, `punch` makes a hole, `zero` zeroes.
    pub(in super::super) fn allocate(
        &self,
        offset: u64,
        len: u64,
        keep: bool,
        punch: bool,
        zero: bool,
    ) -> Result<(), Errno> {
        let mut data = self.data.lock();
        let end = offset
            .checked_add(len)
            .filter(|e| *e <= i64::MAX as u64)
            .ok_or(Errno::EFBIG)?;
        if punch || zero {
            if data.seals & (SEAL_WRITE | SEAL_FUTURE_WRITE) != 0 {
                return Err(Errno::EPERM);
            }
            if let Some(extent) = &data.extent {
                let end = end.min(extent.capacity());
                extent.discard(offset, end.saturating_sub(offset))?;
            }
        }
        if !punch && !keep && end > data.size {
            if data.seals & SEAL_GROW != 0 {
                return Err(Errno::EPERM);
            }
            self.reserve(&mut data, end)?;
            self.clear_tail(&data)?;
            data.size = end;
        }
        Ok(())
    }

    /// Programs may have written after the end through a mapping of the last page; those bytes
    /// are zeros once they belong to the file.
    fn clear_tail(&self, data: &Data) -> Result<(), Errno> {
        if self.pins.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        match &data.extent {
            Some(extent) => {
                let page = PAGE as u64;
                extent.discard(data.size, (page - data.size % page) % page)
            }
            None => Ok(()),
        }
    }

    /// Makes room for `len` bytes, moving the bytes where nothing relies on their place.
    fn reserve(&self, data: &mut Data, len: u64) -> Result<(), Errno> {
        let capacity = data.extent.as_ref().map_or(0, Extent::capacity);
        if len <= capacity {
            return Ok(());
        }
        if self.pins.load(Ordering::Acquire) != 0 {
            return Err(Errno::EFBIG);
        }
        let generous = len.max(FIRST_CAPACITY).max(capacity.saturating_mul(4));
        self.relocate(data, generous)
            .or_else(|_| self.relocate(data, len))
    }

    fn relocate(&self, data: &mut Data, capacity: u64) -> Result<(), Errno> {
        let fresh = self.pool.allocate(capacity)?;
        if let Some(old) = &data.extent
            && let Err(e) = copy(old, &fresh, data.size)
        {
            self.pool.release(fresh);
            return Err(e);
        }
        if let Some(old) = data.extent.replace(fresh) {
            self.pool.release(old);
        }
        Ok(())
    }

    /// Fixes the place of the bytes and returns it: offset in the cache of the file's start, the
    /// bytes that mappings may show, and what keeps it so.
    pub(in super::super) fn pin(
        self: &Arc<Self>,
        shared_writable: bool,
    ) -> Result<(u64, u64, Pin), Errno> {
        let mut data = self.data.lock();
        if shared_writable && data.seals & (SEAL_WRITE | SEAL_FUTURE_WRITE) != 0 {
            return Err(Errno::EPERM);
        }
        let capacity = data.extent.as_ref().map_or(0, Extent::capacity);
        let wanted = data.size.saturating_mul(MAPPED_FACTOR).max(MAPPED_CAPACITY);
        if self.pins.load(Ordering::Acquire) == 0 && capacity < wanted {
            // Less room is no failure: only growth while mapped needs it.
            let moved = self.relocate(&mut data, wanted);
            if data.extent.is_none() {
                moved.or_else(|_| self.relocate(&mut data, FIRST_CAPACITY))?;
            }
        }
        let extent = data.extent.as_ref().ok_or(Errno::ENOMEM)?;
        self.pins.fetch_add(1, Ordering::AcqRel);
        Ok((extent.offset(), extent.capacity(), Pin(Arc::clone(self))))
    }
}

fn zero_user(slice: bannock_platform::user::UserSlice) -> Result<usize, Errno> {
    let zeros = [0u8; PAGE];
    let mut done = 0;
    while done < slice.len() {
        let part = slice.skip(done).take(PAGE);
        part.write(zeros.get(..part.len()).unwrap_or_default())?;
        done += part.len();
    }
    Ok(done)
}

/// Copies the first `len` bytes, leaving out what is zero so that holes stay holes.
fn copy(from: &Extent, to: &Extent, len: u64) -> Result<(), Errno> {
    let mut buffer = alloc::vec![0u8; CHUNK];
    let mut at = 0u64;
    while at < len {
        let count = usize::try_from(len - at).unwrap_or(CHUNK).min(CHUNK);
        let part = buffer.get_mut(..count).ok_or(Errno::EIO)?;
        from.read(at, part)?;
        if part.iter().any(|b| *b != 0) {
            to.write(at, part)?;
        }
        at += count as u64;
    }
    Ok(())
}
