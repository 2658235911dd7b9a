//! Program files laid out as their segments lie in memory.

use alloc::vec::Vec;

use crate::bytes::put;
use crate::fault::ElfFault;
use crate::header::{Elf, FileRange, PAGE_SIZE, PROGRAM_HEADER_LEN};

/// A part of a file, and where it belongs in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The part.
    pub from: FileRange,
    /// Its offset in the other file.
    pub to: u64,
}

/// How to write a file in which the segments lie as in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedLayout {
    /// Its parts; what is in none is zero.
    pub pieces: Vec<Piece>,
    /// Its length in bytes.
    pub len: u64,
}

/// Changes the headers of `file` to those of a file in which each segment's offset is its distance
/// in memory from the first, and says where the parts go in that.
///
/// Such a file in huge pages of `huge` bytes (a power of two) can be mapped by huge pages: executable
/// segments that begin at a multiple of it are made longer, by zeros up to the next multiple, as
/// far as no other segment is there.
///
/// # Errors
/// Fails when the file is not a well-formed program, or does not begin with its first segment.
pub fn lay_out_as_mapped(file: &mut [u8], huge: u64) -> Result<MappedLayout, ElfFault> {
    let elf = Elf::parse_file(file)?;
    let fault = |index, reason| ElfFault::ProgramHeader { index, reason };
    let overflow = "its end is beyond the address space";
    let start = match elf.load_segments().next() {
        Some(first) if first.offset == 0 && first.vaddr.is_multiple_of(PAGE_SIZE) => first.vaddr,
        Some(_) => return Err(fault(0, "the file does not begin with its first segment")),
        None => return Err(ElfFault::NothingToLoad),
    };
    let loads: Vec<_> = elf.load_segments().copied().collect();
    let next = |after: u64| loads.iter().map(|s| s.vaddr).find(|vaddr| *vaddr > after);
    let mut layout = MappedLayout {
        pieces: Vec::with_capacity(loads.len()),
        len: 0,
    };
    for segment in &loads {
        let to = segment.vaddr - start;
        layout.pieces.push(Piece {
            from: FileRange {
                offset: segment.offset,
                len: segment.file_len,
            },
            to,
        });
        layout.len = to + segment.file_len;
    }
    let table = elf.table();
    for (index, header) in elf.program_headers().iter().enumerate() {
        if header.file_len == 0 {
            continue;
        }
        let offset = header
            .vaddr
            .checked_sub(start)
            .ok_or(fault(index, "it lies before the first segment"))?;
        let mut set = |field, value: u64| {
            let at = table.offset + index as u64 * PROGRAM_HEADER_LEN + field;
            put(file, at, &value.to_le_bytes()).ok_or(fault(index, "it is not in the file"))
        };
        set(8, offset)?; // p_offset
        let is_text = header.protection.execute && loads.contains(header);
        if is_text && header.vaddr.is_multiple_of(huge) && header.file_len == header.mem_len {
            let filled = header
                .mem_len
                .checked_next_multiple_of(huge)
                .ok_or(fault(index, overflow))?;
            let end = header
                .vaddr
                .checked_add(filled)
                .ok_or(fault(index, overflow))?;
            if next(header.vaddr).is_none_or(|next| end <= next) {
                set(32, filled)?; // p_filesz
                set(40, filled)?; // p_memsz
                layout.len = layout.len.max(offset + filled);
            }
        }
    }
    // What was in order in one layout has to be so in the other.
    Elf::parse(file, layout.len)?;
    Ok(layout)
}
