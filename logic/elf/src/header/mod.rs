//! The ELF header and the program header table, checked.

mod elf;
mod file;
mod segment;

pub use elf::{Elf, parse_interpreter};
pub use file::{FileHeader, FileKind};
pub use segment::{ProgramHeader, Protection, SegmentKind, StackPermission, TlsTemplate};

use crate::bytes::slice_at;

/// Size in bytes of a page, the unit of mapping.
pub const PAGE_SIZE: u64 = 4096;
/// First address that user space does not have (2^47, four-level paging).
pub const USER_ADDRESS_LIMIT: u64 = 1 << 47;
/// Largest number of program headers that is accepted; linkers make fewer than twenty.
pub const MAX_PROGRAM_HEADERS: u16 = 128;

/// Size in bytes of an entry of the program header table (`Elf64_Phdr`).
pub(crate) const PROGRAM_HEADER_LEN: u64 = 56;
/// Longest interpreter path, with its NUL (Linux `PATH_MAX`).
const INTERPRETER_MAX: u64 = 4096;

/// A range of bytes of the file, known to lie within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// Offset of the first byte.
    pub offset: u64,
    /// Number of bytes.
    pub len: u64,
}

impl FileRange {
    /// Returns these bytes of `file`, or `None` when `file` is not the whole file.
    pub fn of(self, file: &[u8]) -> Option<&[u8]> {
        slice_at(file, self.offset, self.len)
    }
}

fn within(offset: u64, len: u64, file_len: u64) -> Option<()> {
    (offset.checked_add(len)? <= file_len).then_some(())
}
