//! What memory management asks of files.

use crate::fs::{Handle, Mapped, attributes::device_parts};
use alloc::sync::Arc;
use bannock_platform::{Errno, FileBytes};

/// A file that can be mapped.
pub trait Mappable: FileBytes {
    /// How to show `len` bytes at `offset` (both multiples of the page size).
    ///
    /// # Errors
    /// `EACCES` when the file was not opened for what the mapping needs (reading always; writing
    /// where `shared` and `writable`), `ENODEV` when files of this kind cannot be mapped.
    fn mapped(
        &self,
        offset: u64,
        len: usize,
        shared: bool,
        writable: bool,
    ) -> Result<Mapped, Errno>;

    /// Whether a shared mapping may be made writable later.
    fn is_writable(&self) -> bool;

    /// Name of the content for as long as it does not change; `None` where it may.
    fn key(&self) -> Option<u128>;

    /// Path as shown in `/proc/self/maps`.
    fn shown_path(&self) -> Arc<[u8]>;

    /// Device number (major, minor) and inode number.
    fn identity(&self) -> ((u32, u32), u64);
}

impl Mappable for Handle {
    fn mapped(
        &self,
        offset: u64,
        len: usize,
        shared: bool,
        writable: bool,
    ) -> Result<Mapped, Errno> {
        self.mapping(offset, len as u64, shared, writable)
    }

    fn is_writable(&self) -> bool {
        self.file().is_writable()
    }

    fn key(&self) -> Option<u128> {
        self.content_key()
    }

    fn shown_path(&self) -> Arc<[u8]> {
        Arc::from(self.file().name())
    }

    fn identity(&self) -> ((u32, u32), u64) {
        // Shown only: a file that cannot say what it is can be mapped all the same.
        self.attributes()
            .map_or(((0, 0), 0), |a| (device_parts(a.device), a.inode))
    }
}
