//! The ELF header and the program header table, checked.

use alloc::vec::Vec;

use crate::bytes::{array_at, slice_at, u16_at, u32_at, u64_at};
use crate::fault::ElfFault;

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

/// What the addresses in a file mean (`e_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// `ET_EXEC`: addresses are absolute.
    Fixed,
    /// `ET_DYN`: addresses are relative to a base chosen when the file is loaded.
    PositionIndependent,
}

/// The ELF header (`Elf64_Ehdr`): enough to know where the program header table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// What the addresses in the file mean.
    pub kind: FileKind,
    /// Entry point, 0 where the file has none.
    pub entry: u64,
    /// Where the program header table is.
    pub table: FileRange,
}

impl FileHeader {
    /// Size in bytes of an ELF header.
    pub const LEN: usize = 64;

    /// Parses the first bytes of a file of `file_len` bytes.
    ///
    /// # Errors
    /// Fails when the file is not an x86-64 ELF executable or shared object, or when its program
    /// header table does not lie within the file.
    pub fn parse(head: &[u8], file_len: u64) -> Result<Self, ElfFault> {
        if head.get(..4) != Some(b"\x7fELF") {
            return Err(ElfFault::BadMagic);
        }
        let header: [u8; Self::LEN] = array_at(head, 0).ok_or(ElfFault::Truncated {
            what: "ELF header",
            offset: 0,
            len: Self::LEN as u64,
        })?;
        // All fields lie within the 64 bytes.
        let half = |offset| u64::from(u16_at(&header, offset).unwrap_or_default());
        let word = |offset| u32_at(&header, offset).unwrap_or_default();
        let quad = |offset| u64_at(&header, offset).unwrap_or_default();

        let [_, _, _, _, class, data, ident_version, ..] = header;
        require("class", class.into(), &[2], "64-bit files")?;
        require("byte order", data.into(), &[1], "little-endian files")?;
        require(
            "identification version",
            ident_version.into(),
            &[1],
            "version 1",
        )?;
        require("machine", half(18), &[62], "x86-64 (62)")?;
        require("version", word(20).into(), &[1], "version 1")?;
        require("header size", half(52), &[Self::LEN as u64], "64 bytes")?;
        require(
            "file type",
            half(16),
            &[2, 3],
            "an executable (2) or a shared object (3)",
        )?;
        let kind = if half(16) == 2 {
            FileKind::Fixed
        } else {
            FileKind::PositionIndependent
        };

        let count = u16_at(&header, 56).unwrap_or_default();
        if count == 0 || count > MAX_PROGRAM_HEADERS {
            return Err(ElfFault::ProgramHeaderCount {
                found: count,
                max: MAX_PROGRAM_HEADERS,
            });
        }
        require(
            "program header size",
            half(54),
            &[PROGRAM_HEADER_LEN],
            "56 bytes",
        )?;
        let table = FileRange {
            offset: quad(32),
            len: u64::from(count) * PROGRAM_HEADER_LEN,
        };
        within(table.offset, table.len, file_len).ok_or(ElfFault::Truncated {
            what: "program header table",
            offset: table.offset,
            len: table.len,
        })?;
        Ok(Self {
            kind,
            entry: quad(24),
            table,
        })
    }
}

fn require(
    field: &'static str,
    found: u64,
    accepted: &[u64],
    supported: &'static str,
) -> Result<(), ElfFault> {
    if accepted.contains(&found) {
        Ok(())
    } else {
        Err(ElfFault::Unsupported {
            field,
            found,
            supported,
        })
    }
}

fn within(offset: u64, len: u64, file_len: u64) -> Option<()> {
    (offset.checked_add(len)? <= file_len).then_some(())
}

/// What a program header describes (`p_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// `PT_LOAD`: a part of the program to map.
    Load,
    /// `PT_DYNAMIC`: the dynamic section.
    Dynamic,
    /// `PT_INTERP`: the path of the dynamic linker.
    Interpreter,
    /// `PT_NOTE`: auxiliary information.
    Note,
    /// `PT_PHDR`: the program header table itself.
    ProgramHeaders,
    /// `PT_TLS`: the initial image of thread-local storage.
    ThreadLocal,
    /// `PT_GNU_EH_FRAME`: the index of the unwind information (`.eh_frame_hdr`).
    EhFrameHeader,
    /// `PT_GNU_STACK`: the permissions of the stack.
    Stack,
    /// `PT_GNU_RELRO`: what becomes read-only after relocation.
    ReadOnlyAfterRelocation,
    /// `PT_GNU_PROPERTY`: what the program is compatible with (CET among it).
    Property,
    /// Any other type, which a loader ignores.
    Other(u32),
}

impl SegmentKind {
    fn from_raw(raw: u32) -> Self {
        match raw {
            1 => Self::Load,
            2 => Self::Dynamic,
            3 => Self::Interpreter,
            4 => Self::Note,
            6 => Self::ProgramHeaders,
            7 => Self::ThreadLocal,
            0x6474_e550 => Self::EhFrameHeader,
            0x6474_e551 => Self::Stack,
            0x6474_e552 => Self::ReadOnlyAfterRelocation,
            0x6474_e553 => Self::Property,
            other => Self::Other(other),
        }
    }
}

/// How the pages of a segment may be used (`p_flags`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Whether the pages can be read.
    pub read: bool,
    /// Whether the pages can be written.
    pub write: bool,
    /// Whether the pages can be executed.
    pub execute: bool,
}

impl Protection {
    fn from_raw(flags: u32) -> Self {
        Self {
            read: flags & 4 != 0,
            write: flags & 2 != 0,
            execute: flags & 1 != 0,
        }
    }
}

/// An entry of the program header table (`Elf64_Phdr`).
///
/// Of a [`SegmentKind::Load`] these hold: the bytes lie within the file, the pages within user
/// space, `file_len <= mem_len`, and `offset` and `vaddr` agree within a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramHeader {
    /// What it describes.
    pub kind: SegmentKind,
    /// How its pages may be used.
    pub protection: Protection,
    /// Offset in the file of its first byte.
    pub offset: u64,
    /// Address of its first byte, in the file's own terms.
    pub vaddr: u64,
    /// Number of bytes that the file holds.
    pub file_len: u64,
    /// Number of bytes in memory; those that the file does not hold are zero.
    pub mem_len: u64,
    /// Alignment in bytes, a power of two.
    pub align: u64,
}

impl ProgramHeader {
    fn parse(entry: &[u8], index: usize, file_len: u64) -> Result<Self, ElfFault> {
        let fault = |reason| ElfFault::ProgramHeader { index, reason };
        let word = |offset| u32_at(entry, offset).ok_or(fault("it is truncated"));
        let quad = |offset| u64_at(entry, offset).ok_or(fault("it is truncated"));
        let header = Self {
            kind: SegmentKind::from_raw(word(0)?),
            protection: Protection::from_raw(word(4)?),
            offset: quad(8)?,
            vaddr: quad(16)?,
            file_len: quad(32)?,
            mem_len: quad(40)?,
            // gABI: both 0 and 1 mean that no alignment is required.
            align: quad(48)?.max(1),
        };
        if matches!(header.kind, SegmentKind::Other(_)) {
            return Ok(header);
        }
        if !header.align.is_power_of_two() {
            return Err(fault("its alignment is not a power of two"));
        }
        within(header.offset, header.file_len, file_len)
            .ok_or(fault("its bytes lie beyond the end of the file"))?;
        match header.vaddr.checked_add(header.mem_len) {
            Some(end) if end <= USER_ADDRESS_LIMIT => {}
            _ => return Err(fault("its addresses lie beyond user space (2^47)")),
        }
        match header.kind {
            SegmentKind::Load => header.check_load().map_err(fault)?,
            SegmentKind::ThreadLocal if header.file_len > header.mem_len => {
                return Err(fault("it holds more bytes in the file than in memory"));
            }
            SegmentKind::Interpreter if !(2..=INTERPRETER_MAX).contains(&header.file_len) => {
                return Err(fault(
                    "its path is shorter than 2 or longer than 4096 bytes",
                ));
            }
            _ => {}
        }
        Ok(header)
    }

    fn check_load(&self) -> Result<(), &'static str> {
        if self.file_len > self.mem_len {
            return Err("it holds more bytes in the file than in memory");
        }
        if self.align > 1 << 30 {
            return Err("its alignment is more than 1 GiB");
        }
        if self.file_len > 0 && self.offset % PAGE_SIZE != self.vaddr % PAGE_SIZE {
            return Err("its offset and its address differ within a page");
        }
        Ok(())
    }

    /// Address after the last byte in memory.
    pub fn end(&self) -> u64 {
        // Checked to be within user space for all kinds that anybody computes with.
        self.vaddr.saturating_add(self.mem_len)
    }
}

/// What `PT_GNU_STACK` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackPermission {
    /// There is no such header; Linux takes that for a program that needs no executable stack on
    /// x86-64 (`EXSTACK_DEFAULT`).
    Unspecified,
    /// The stack is not executable.
    NonExecutable,
    /// The program asks for an executable stack.
    Executable,
}

/// The initial image of thread-local storage (`PT_TLS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsTemplate {
    /// Address of the image, in the file's own terms.
    pub vaddr: u64,
    /// The initialised part.
    pub file: FileRange,
    /// Size in bytes including the part that starts as zero.
    pub mem_len: u64,
    /// Alignment in bytes, a power of two.
    pub align: u64,
}

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
