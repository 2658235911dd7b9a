//! What memory management asks of files.

use alloc::sync::Arc;
use bannock_platform::{Errno, FileBytes, memory::Backing};
use core::any::Any;

/// A file that can be mapped.
pub trait Mappable: FileBytes {
    /// What backs `len` bytes at `offset` (both multiples of the page size).
    ///
    /// # Errors
    /// `EACCES` when the file was not opened for what the mapping needs (reading always; writing
    /// where `shared` and `writable`), `ENODEV` when files of this kind cannot be mapped.
    fn backing(&self, offset: u64, len: usize, shared: bool, writable: bool) -> Result<Backing, Errno>;

    /// Whether the file was opened for reading and writing, so that a shared mapping may be made
    /// writable later.
    fn is_writable(&self) -> bool;

    /// Bytes from the start of the file that the page cache can show, a multiple of the page size;
    /// `None` for host files, where the host answers for accesses after the end.
    fn backed(&self) -> Option<u64>;

    /// Name of the content for as long as it does not change; `None` where it may.
    fn key(&self) -> Option<u128>;

    /// What keeps the content alive for as long as it is mapped.
    fn pin(&self) -> Option<Arc<dyn Any + Send + Sync>>;

    /// Path as shown in `/proc/self/maps`.
    fn shown_path(&self) -> Arc<[u8]>;

    /// Device number (major, minor).
    fn device(&self) -> (u32, u32);

    /// Inode number.
    fn inode(&self) -> u64;
}
