//! Relocation of a static PIE to a fixed address, ahead of execution.

use alloc::vec::Vec;

use crate::bytes::{put, u64_at};
use crate::dynamic::{self, Entry, tag};
use crate::fault::ElfFault;
use crate::header::{
    Elf, FileKind, FileRange, PAGE_SIZE, PROGRAM_HEADER_LEN, SegmentKind, USER_ADDRESS_LIMIT,
};

/// `R_X86_64_NONE`, psABI table 4.10.
const NONE: u64 = 0;
/// `R_X86_64_RELATIVE`, psABI table 4.10.
const RELATIVE: u64 = 8;
/// Size in bytes of an `Elf64_Rela`.
const RELA_LEN: u64 = 24;
/// Size in bytes of an `Elf64_Relr`.
const RELR_LEN: u64 = 8;

/// Returns `file`, a static PIE, as the file of a program linked at `base` (`ET_EXEC`).
///
/// The result needs no relocation code: all relocations are applied, and the dynamic section says that
/// there are none left, so that code which would apply them again finds nothing to do. It has no
/// section headers, since nothing that runs it reads them; debug it with the original's symbols plus
/// `base`.
///
/// # Errors
/// Fails when the file is not a static PIE, when it does not fit at `base` (a multiple of the
/// segments' alignment, all pages in user space), when it has relocations other than `R_X86_64_NONE`,
/// `R_X86_64_RELATIVE` and `DT_RELR` ones, when one of them is outside the bytes that the file
/// holds for a writable segment, or when the result is not a well-formed program.
pub fn relocate_static_pie(file: &[u8], base: u64) -> Result<Vec<u8>, ElfFault> {
    let elf = Elf::parse_file(file)?;
    check_kind(&elf)?;
    check_base(&elf, base)?;
    let entries = dynamic::entries(file, &elf)?;
    if entries.iter().any(|entry| entry.tag == tag::NEEDED) {
        return Err(ElfFault::NotStaticPie {
            reason: "it needs shared libraries (`DT_NEEDED`)",
        });
    }

    let mut image = Image {
        elf: &elf,
        original: file,
        bytes: file.to_vec(),
        base,
    };
    image.apply_rela(&entries)?;
    image.apply_relr(&entries)?;
    image.settle_dynamic(&entries)?;
    image.settle_headers()?;
    // Headers that were in order at address zero need not be so at `base`, nor after relocations
    // that fell into them.
    Elf::parse_file(&image.bytes)?;
    Ok(image.bytes)
}

fn check_kind(elf: &Elf) -> Result<(), ElfFault> {
    if elf.kind() != FileKind::PositionIndependent {
        return Err(ElfFault::NotStaticPie {
            reason: "its addresses are fixed (`ET_EXEC`)",
        });
    }
    if elf.interpreter().is_some() {
        return Err(ElfFault::NotStaticPie {
            reason: "it asks for an interpreter (`PT_INTERP`)",
        });
    }
    Ok(())
}

fn check_base(elf: &Elf, base: u64) -> Result<(), ElfFault> {
    let plan = elf.load_plan()?;
    if !base.is_multiple_of(plan.alignment) {
        let reason = "it is not a multiple of the segments' alignment";
        return Err(ElfFault::Base { base, reason });
    }
    match base.checked_add(plan.span.end) {
        Some(end) if end <= USER_ADDRESS_LIMIT && base >= PAGE_SIZE => Ok(()),
        _ => Err(ElfFault::Base {
            base,
            reason: "the program would lie outside user space",
        }),
    }
}

struct Image<'a> {
    elf: &'a Elf,
    /// The bytes before any change: tables are read here, so that a relocation cannot rewrite them.
    original: &'a [u8],
    bytes: Vec<u8>,
    base: u64,
}

impl Image<'_> {
    fn apply_rela(&mut self, entries: &[Entry]) -> Result<(), ElfFault> {
        let lazy = value(entries, tag::JMP_REL).is_some()
            && value(entries, tag::PLT_REL_SIZE).is_none_or(|size| size != 0);
        if lazy || value(entries, tag::REL).is_some() {
            let reason = "it has relocations in `DT_REL` or `DT_JMPREL`, only `DT_RELA` and \
                          `DT_RELR` are supported";
            return Err(ElfFault::NotStaticPie { reason });
        }
        let tags = [tag::RELA, tag::RELA_SIZE, tag::RELA_ENTRY];
        let Some(table) = self.table(entries, tags, RELA_LEN)? else {
            return Ok(());
        };
        for index in 0..table.len / RELA_LEN {
            let at = table.offset.saturating_add(index * RELA_LEN);
            let quad = |distance| {
                u64_at(self.original, at.saturating_add(distance)).ok_or(ElfFault::Dynamic {
                    reason: "its relocations are truncated",
                })
            };
            let (address, info, addend) = (quad(0)?, quad(8)?, quad(16)?);
            match info {
                NONE => {}
                RELATIVE => self.write(address, |_, base| base.wrapping_add(addend))?,
                _ => {
                    let reason = "its type is not `R_X86_64_RELATIVE`, or it names a symbol";
                    return Err(ElfFault::Relocation { address, reason });
                }
            }
        }
        Ok(())
    }

    /// Applies the compact relative relocations (gABI, "Relative Relocation Table"): an even entry is an
    /// address, an odd one a bitmap of the 63 words that follow the last.
    fn apply_relr(&mut self, entries: &[Entry]) -> Result<(), ElfFault> {
        let tags = [tag::RELR, tag::RELR_SIZE, tag::RELR_ENTRY];
        let Some(table) = self.table(entries, tags, RELR_LEN)? else {
            return Ok(());
        };
        let add = |word: u64, base: u64| word.wrapping_add(base);
        let mut next = None;
        for index in 0..table.len / RELR_LEN {
            let entry = u64_at(self.original, table.offset.saturating_add(index * RELR_LEN))
                .ok_or(ElfFault::Dynamic {
                    reason: "its relocations are truncated",
                })?;
            if entry & 1 == 0 {
                self.write(entry, add)?;
                next = entry.checked_add(8);
                continue;
            }
            let reason = "a `DT_RELR` bitmap without an address before it";
            let first = next.ok_or(ElfFault::Relocation {
                address: entry,
                reason,
            })?;
            for bit in 0..63 {
                if entry >> (bit + 1) & 1 == 1 {
                    self.write(first.saturating_add(bit * 8), add)?;
                }
            }
            next = first.checked_add(63 * 8);
        }
        Ok(())
    }

    /// Returns where a relocation table is, given the tags of its address, size and entry size.
    fn table(
        &self,
        entries: &[Entry],
        [address, size, entry_size]: [u64; 3],
        entry_len: u64,
    ) -> Result<Option<FileRange>, ElfFault> {
        let fault = |reason| ElfFault::Dynamic { reason };
        let Some(address) = value(entries, address) else {
            return Ok(None);
        };
        let len = value(entries, size).ok_or(fault("it has relocations without their size"))?;
        if value(entries, entry_size) != Some(entry_len) {
            return Err(fault("its relocations have an unknown entry size"));
        }
        if !len.is_multiple_of(entry_len) {
            return Err(fault(
                "the size of its relocations is not a multiple of their entry size",
            ));
        }
        if len == 0 {
            return Ok(None);
        }
        let range = self.elf.file_range(address, len);
        range
            .ok_or(fault("its relocations are not in the file"))
            .map(Some)
    }

    /// Replaces the word at an address by what `new` makes of it and the base.
    fn write(&mut self, address: u64, new: impl Fn(u64, u64) -> u64) -> Result<(), ElfFault> {
        let fault = |reason| ElfFault::Relocation { address, reason };
        let range = self
            .elf
            .file_range(address, 8)
            .ok_or(fault("it is not within bytes that the file holds"))?;
        let writable = self.elf.load_segments().any(|segment| {
            segment.protection.write
                && segment.vaddr <= address
                && address.saturating_add(8) <= segment.end()
        });
        if !writable {
            return Err(fault("it is in a segment that is not writable"));
        }
        let word = u64_at(&self.bytes, range.offset)
            .ok_or(fault("it is not within bytes that the file holds"))?;
        put(
            &mut self.bytes,
            range.offset,
            &new(word, self.base).to_le_bytes(),
        )
        .ok_or(fault("it is not within bytes that the file holds"))
    }

    /// Makes the dynamic section say what is true of the result: absolute addresses, no relocations.
    fn settle_dynamic(&mut self, entries: &[Entry]) -> Result<(), ElfFault> {
        for entry in entries {
            let settled = match entry.tag {
                tag::RELA_SIZE | tag::RELA_COUNT | tag::RELR_SIZE => 0,
                tag if is_address(tag) && entry.value != 0 => entry.value.wrapping_add(self.base),
                _ => continue,
            };
            put(
                &mut self.bytes,
                entry.offset.saturating_add(8),
                &settled.to_le_bytes(),
            )
            .ok_or(ElfFault::Dynamic {
                reason: "it lies beyond the end of the file",
            })?;
        }
        Ok(())
    }

    fn settle_headers(&mut self) -> Result<(), ElfFault> {
        let table = self.elf.table();
        let truncated = ElfFault::Truncated {
            what: "ELF header and program header table",
            offset: table.offset,
            len: table.len,
        };
        let bytes = &mut self.bytes;
        let base = self.base;
        let mut patch = |offset: u64, new: &[u8]| put(bytes, offset, new).ok_or(truncated.clone());

        // A relocation may have aimed at the headers; what was checked is what is written.
        let original = |range: FileRange| range.of(self.original).unwrap_or_default();
        patch(0, original(FileRange { offset: 0, len: 64 }))?;
        patch(table.offset, original(table))?;

        patch(16, &2u16.to_le_bytes())?; // e_type = ET_EXEC
        patch(24, &self.elf.entry().wrapping_add(base).to_le_bytes())?;
        patch(40, &[0; 8])?; // e_shoff
        patch(58, &[0; 6])?; // e_shentsize, e_shnum, e_shstrndx
        for (index, header) in self.elf.program_headers().iter().enumerate() {
            if header.mem_len == 0 || matches!(header.kind, SegmentKind::Stack) {
                continue;
            }
            let at = table
                .offset
                .saturating_add(index as u64 * PROGRAM_HEADER_LEN);
            let address = header.vaddr.wrapping_add(base).to_le_bytes();
            patch(at.saturating_add(16), &address)?; // p_vaddr
            patch(at.saturating_add(24), &address)?; // p_paddr
        }
        Ok(())
    }
}

fn value(entries: &[Entry], tag: u64) -> Option<u64> {
    entries
        .iter()
        .find(|entry| entry.tag == tag)
        .map(|entry| entry.value)
}

/// Whether a tag's value is an address (`d_ptr` in gABI figure 5-10, and the GNU hash table).
fn is_address(tag: u64) -> bool {
    const GNU_HASH: u64 = 0x6fff_fef5;
    matches!(
        tag,
        3..=7 | 12 | 13 | 17 | 23 | 25 | 26 | 32 | 36 | GNU_HASH
    )
}
