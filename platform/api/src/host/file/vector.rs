//! Lists of places in the program's memory.

use crate::{Errno, user::UserSlice};
use alloc::vec::Vec;
use linux_raw_sys::general as raw;

/// A scatter/gather list over the program's memory, checked range by range.
pub struct UserVector {
    entries: Vec<raw::iovec>,
    total: usize,
}

impl UserVector {
    /// Most entries of a list (Linux `UIO_MAXIOV`).
    pub const MAX: usize = 1024;

    /// Copies in and checks the list of `count` entries at `address`.
    ///
    /// # Errors
    /// `EINVAL` for too many entries or a total over `isize::MAX`, `EFAULT` for ranges that are not
    /// the program's.
    pub fn read(address: usize, count: usize) -> Result<Self, Errno> {
        let entries: Vec<raw::iovec> = crate::user::get_many(address, count, Self::MAX)?;
        let mut total = 0usize;
        for entry in &entries {
            let len = entry.iov_len as usize;
            UserSlice::new(entry.iov_base as usize, len)?;
            total = total
                .checked_add(len)
                .filter(|t| isize::try_from(*t).is_ok())
                .ok_or(Errno::EINVAL)?;
        }
        Ok(Self { entries, total })
    }

    /// Bytes of all ranges together.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.total
    }

    /// The ranges in order.
    pub fn slices(&self) -> impl Iterator<Item = UserSlice> + '_ {
        self.entries
            .iter()
            .filter_map(|e| UserSlice::new(e.iov_base as usize, e.iov_len as usize).ok())
    }

    pub(crate) fn address(&self) -> usize {
        self.entries.as_ptr() as usize
    }

    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }
}
