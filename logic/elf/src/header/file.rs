//! The ELF header.

use crate::bytes::{array_at, u16_at, u32_at, u64_at};
use crate::fault::ElfFault;

use super::{FileRange, MAX_PROGRAM_HEADERS, PROGRAM_HEADER_LEN, within};

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
