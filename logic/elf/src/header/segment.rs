//! Entries of the program header table.

use crate::bytes::{u32_at, u64_at};
use crate::fault::ElfFault;

use super::{FileRange, INTERPRETER_MAX, PAGE_SIZE, USER_ADDRESS_LIMIT, within};

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
    pub(super) fn parse(entry: &[u8], index: usize, file_len: u64) -> Result<Self, ElfFault> {
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
