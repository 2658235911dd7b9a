//! The headers together.

use alloc::vec::Vec;

use crate::fault::ElfFault;

use super::{
    FileHeader, FileKind, FileRange, INTERPRETER_MAX, MAX_PROGRAM_HEADERS, PAGE_SIZE,
    PROGRAM_HEADER_LEN, ProgramHeader, SegmentKind, StackPermission, TlsTemplate,
};

/// The headers of an ELF file, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    header: FileHeader,
    segments: Vec<ProgramHeader>,
}

impl Elf {
    /// Parses the first bytes of a file of `file_len` bytes, program header table included.
    ///
    /// # Errors
    /// Fails when the file is not a well-formed program, and with [`ElfFault::Truncated`] when `head`
    /// does not reach the end of the program header table: then read [`FileHeader::table`] and use
    /// [`Elf::from_table`].
    pub fn parse(head: &[u8], file_len: u64) -> Result<Self, ElfFault> {
        let header = FileHeader::parse(head, file_len)?;
        let table = header.table.of(head).ok_or(ElfFault::Truncated {
            what: "program header table",
            offset: header.table.offset,
            len: header.table.len,
        })?;
        Self::from_table(header, table, file_len)
    }

    /// Parses the bytes of the program header table that `header` announces.
    ///
    /// # Errors
    /// Fails when an entry is malformed, or when the segments to load are not in ascending order or
    /// share a page.
    pub fn from_table(header: FileHeader, table: &[u8], file_len: u64) -> Result<Self, ElfFault> {
        if table.len() as u64 != header.table.len {
            return Err(ElfFault::Truncated {
                what: "program header table",
                offset: header.table.offset,
                len: header.table.len,
            });
        }
        let mut segments = Vec::with_capacity(usize::from(MAX_PROGRAM_HEADERS));
        // First address that the next segment to load may use.
        let mut free = 0;
        for (index, entry) in table.chunks_exact(PROGRAM_HEADER_LEN as usize).enumerate() {
            let segment = ProgramHeader::parse(entry, index, file_len)?;
            if segment.kind == SegmentKind::Load && segment.mem_len > 0 {
                // Mapping such a segment would replace pages of another one.
                if segment.vaddr - segment.vaddr % PAGE_SIZE < free {
                    let reason = "it is out of order or shares a page with the previous segment";
                    return Err(ElfFault::ProgramHeader { index, reason });
                }
                free = segment.end().next_multiple_of(PAGE_SIZE);
            }
            let once = matches!(
                segment.kind,
                SegmentKind::Dynamic
                    | SegmentKind::Interpreter
                    | SegmentKind::ProgramHeaders
                    | SegmentKind::ThreadLocal
                    | SegmentKind::Stack
            );
            if once
                && segments
                    .iter()
                    .any(|other: &ProgramHeader| other.kind == segment.kind)
            {
                return Err(ElfFault::ProgramHeader {
                    index,
                    reason: "its type occurs twice",
                });
            }
            segments.push(segment);
        }
        Ok(Self { header, segments })
    }

    /// Parses a whole file that is at hand.
    ///
    /// # Errors
    /// As [`Elf::parse`].
    pub fn parse_file(file: &[u8]) -> Result<Self, ElfFault> {
        Self::parse(file, file.len() as u64)
    }

    /// Returns what the addresses in the file mean.
    pub fn kind(&self) -> FileKind {
        self.header.kind
    }

    /// Returns the entry point in the file's own terms, 0 where there is none.
    pub fn entry(&self) -> u64 {
        self.header.entry
    }

    /// Returns where the program header table is.
    pub fn table(&self) -> FileRange {
        self.header.table
    }

    /// Returns all program headers, in the file's order.
    pub fn program_headers(&self) -> &[ProgramHeader] {
        &self.segments
    }

    /// Returns the segments to load, in ascending order of address.
    pub fn load_segments(&self) -> impl Iterator<Item = &ProgramHeader> {
        self.segments
            .iter()
            .filter(|s| s.kind == SegmentKind::Load && s.mem_len > 0)
    }

    /// Returns the first program header of a kind.
    pub fn find(&self, kind: SegmentKind) -> Option<&ProgramHeader> {
        self.segments.iter().find(|segment| segment.kind == kind)
    }

    /// Returns where the interpreter's path is; [`parse_interpreter`] reads those bytes.
    pub fn interpreter(&self) -> Option<FileRange> {
        self.file_range_of(SegmentKind::Interpreter)
    }

    /// Returns where the `PT_GNU_PROPERTY` notes are.
    pub fn property(&self) -> Option<FileRange> {
        self.file_range_of(SegmentKind::Property)
    }

    /// Returns what the file says about the stack.
    pub fn stack(&self) -> StackPermission {
        match self.find(SegmentKind::Stack) {
            None => StackPermission::Unspecified,
            Some(stack) if stack.protection.execute => StackPermission::Executable,
            Some(_) => StackPermission::NonExecutable,
        }
    }

    /// Returns the initial image of thread-local storage.
    pub fn tls(&self) -> Option<TlsTemplate> {
        self.find(SegmentKind::ThreadLocal).map(|tls| TlsTemplate {
            vaddr: tls.vaddr,
            file: FileRange {
                offset: tls.offset,
                len: tls.file_len,
            },
            mem_len: tls.mem_len,
            align: tls.align,
        })
    }

    /// Returns where the file holds the `len` bytes that are loaded at `vaddr`.
    pub fn file_range(&self, vaddr: u64, len: u64) -> Option<FileRange> {
        self.load_segments().find_map(|segment| {
            let distance = vaddr.checked_sub(segment.vaddr)?;
            let end = distance.checked_add(len)?;
            (end <= segment.file_len).then(|| FileRange {
                offset: segment.offset.saturating_add(distance),
                len,
            })
        })
    }

    fn file_range_of(&self, kind: SegmentKind) -> Option<FileRange> {
        self.find(kind).map(|segment| FileRange {
            offset: segment.offset,
            len: segment.file_len,
        })
    }
}

/// Reads the interpreter's path from the bytes of `PT_INTERP`, without its NUL.
///
/// # Errors
/// Fails when the path is empty, not absolute, or does not end in its only NUL. Linux looks a relative
/// path up from the working directory, which would let the caller choose the program's loader.
pub fn parse_interpreter(bytes: &[u8]) -> Result<&[u8], ElfFault> {
    let fault = |reason| ElfFault::Interpreter { reason };
    let (last, path) = bytes.split_last().ok_or(fault("it is empty"))?;
    if *last != 0 {
        return Err(fault("it does not end in NUL"));
    }
    if path.contains(&0) {
        return Err(fault("it contains NUL"));
    }
    if bytes.len() as u64 > INTERPRETER_MAX {
        return Err(fault("it is longer than 4096 bytes"));
    }
    if path.first() != Some(&b'/') {
        return Err(fault("it is not absolute"));
    }
    Ok(path)
}
