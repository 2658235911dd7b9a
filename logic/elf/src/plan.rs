//! What a loader has to do, independent of how it does it.

use alloc::vec::Vec;
use core::ops::Range;

use crate::fault::ElfFault;
use crate::header::{Elf, FileKind, PAGE_SIZE, Protection, SegmentKind};

/// The bytes of the file that a segment maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMapping {
    /// Offset in the file, a multiple of the page size.
    pub offset: u64,
    /// Number of bytes up to the end of the segment's bytes; a mapping rounds it up to whole pages, so
    /// that the last page also shows what follows in the file unless [`LoadSegment::zero_tail`] says
    /// otherwise.
    pub len: u64,
}

/// One segment to map; all addresses are in the file's own terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadSegment {
    /// The segment's pages: first address and address after the last, multiples of the page size.
    pub pages: Range<u64>,
    /// How the pages may be used once they are filled.
    pub protection: Protection,
    /// The bytes of the file that go to the start of `pages`, privately.
    pub file: Option<FileMapping>,
    /// What to overwrite with zeroes in the last page that came from the file (start of `.bss`),
    /// before `protection` applies.
    pub zero_tail: Range<u64>,
    /// Whole pages of zeroes that follow, multiples of the page size.
    pub zero_pages: Range<u64>,
}

/// What to map where, so that the program can be entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadPlan {
    /// Whether addresses are absolute; if not, the base is added to each.
    pub kind: FileKind,
    /// Alignment in bytes of the base, at least the page size.
    pub alignment: u64,
    /// Everything that is mapped, as one range of pages; reserve all of it before mapping a segment, so
    /// that the gaps belong to the program too.
    pub span: Range<u64>,
    /// The entry point.
    pub entry: u64,
    /// Where the program header table is in memory (`AT_PHDR`), if a segment loads it.
    pub program_headers: Option<u64>,
    /// Number of program headers (`AT_PHNUM`).
    pub program_header_count: u16,
    /// The segments, in ascending order of address, no page twice.
    pub segments: Vec<LoadSegment>,
}

impl Elf {
    /// Plans how to load the program.
    ///
    /// # Errors
    /// Fails when there is nothing to load or the entry point is not in executable bytes of the file.
    pub fn load_plan(&self) -> Result<LoadPlan, ElfFault> {
        let mut segments = Vec::new();
        let mut alignment = PAGE_SIZE;
        for segment in self.load_segments() {
            alignment = alignment.max(segment.align);
            let first = segment.vaddr - segment.vaddr % PAGE_SIZE;
            let end = segment.end().next_multiple_of(PAGE_SIZE);
            let file_end = segment.vaddr.saturating_add(segment.file_len);
            let (file, zero_from) = if segment.file_len == 0 {
                (None, first)
            } else {
                let lead = segment.vaddr - first;
                let offset = segment.offset.saturating_sub(lead);
                let mapping = FileMapping {
                    offset,
                    len: lead.saturating_add(segment.file_len),
                };
                (Some(mapping), file_end.next_multiple_of(PAGE_SIZE))
            };
            let zero_tail = if file.is_some() && segment.mem_len > segment.file_len {
                file_end..zero_from
            } else {
                zero_from..zero_from
            };
            segments.push(LoadSegment {
                pages: first..end,
                protection: segment.protection,
                file,
                zero_tail,
                zero_pages: zero_from..end,
            });
        }
        let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
            return Err(ElfFault::NothingToLoad);
        };
        let span = first.pages.start..last.pages.end;
        Ok(LoadPlan {
            kind: self.kind(),
            alignment,
            span,
            entry: self.checked_entry()?,
            program_headers: self.program_headers_in_memory(),
            program_header_count: u16::try_from(self.program_headers().len()).unwrap_or(u16::MAX),
            segments,
        })
    }

    fn checked_entry(&self) -> Result<u64, ElfFault> {
        let entry = self.entry();
        let in_text = self.load_segments().any(|segment| {
            segment.protection.execute
                && entry
                    .checked_sub(segment.vaddr)
                    .is_some_and(|distance| distance < segment.file_len)
        });
        if in_text {
            Ok(entry)
        } else {
            Err(ElfFault::EntryOutsideText { entry })
        }
    }

    fn program_headers_in_memory(&self) -> Option<u64> {
        let table = self.table();
        let by_offset = self.load_segments().find_map(|segment| {
            let distance = table.offset.checked_sub(segment.offset)?;
            let end = distance.checked_add(table.len)?;
            (end <= segment.file_len).then(|| segment.vaddr.saturating_add(distance))
        });
        // As Linux does, believe PT_PHDR first; but only where the table really is.
        self.find(SegmentKind::ProgramHeaders)
            .filter(|header| self.file_range(header.vaddr, table.len) == Some(table))
            .map(|header| header.vaddr)
            .or(by_offset)
    }
}
