//! The dynamic section: what a program asks the dynamic linker for.

use alloc::vec::Vec;

use crate::bytes::{slice_at, u64_at};
use crate::fault::ElfFault;
use crate::header::{Elf, FileRange, SegmentKind};

/// Size in bytes of an entry of the dynamic section (`Elf64_Dyn`).
pub(crate) const ENTRY_LEN: u64 = 16;
/// Largest number of entries of a dynamic section that is accepted.
const MAX_ENTRIES: u64 = 65_536;

pub(crate) mod tag {
    //! Dynamic section tags (gABI chapter 5, "Dynamic Section").
    pub(crate) const NULL: u64 = 0;
    pub(crate) const NEEDED: u64 = 1;
    pub(crate) const PLT_REL_SIZE: u64 = 2;
    pub(crate) const STRTAB: u64 = 5;
    pub(crate) const RELA: u64 = 7;
    pub(crate) const RELA_SIZE: u64 = 8;
    pub(crate) const RELA_ENTRY: u64 = 9;
    pub(crate) const STR_SIZE: u64 = 10;
    pub(crate) const SONAME: u64 = 14;
    pub(crate) const RPATH: u64 = 15;
    pub(crate) const REL: u64 = 17;
    pub(crate) const JMP_REL: u64 = 23;
    pub(crate) const RUNPATH: u64 = 29;
    pub(crate) const RELR_SIZE: u64 = 35;
    pub(crate) const RELR: u64 = 36;
    pub(crate) const RELR_ENTRY: u64 = 37;
    pub(crate) const RELA_COUNT: u64 = 0x6fff_fff9;
    pub(crate) const FLAGS_1: u64 = 0x6fff_fffb;
}

/// `DF_1_NODEFLIB`: the default library directories are not searched.
const FLAG_NO_DEFAULT_LIBRARIES: u64 = 0x800;

/// One entry of the dynamic section and where it is.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) offset: u64,
    pub(crate) tag: u64,
    pub(crate) value: u64,
}

/// Returns the entries of the dynamic section up to `DT_NULL`; none when there is no such section.
pub(crate) fn entries(file: &[u8], elf: &Elf) -> Result<Vec<Entry>, ElfFault> {
    let Some(header) = elf.find(SegmentKind::Dynamic) else {
        return Ok(Vec::new());
    };
    let fault = |reason| ElfFault::Dynamic { reason };
    // Loaders read it from memory, so believe the address; the two must not disagree.
    let range = FileRange {
        offset: header.offset,
        len: header.file_len,
    };
    if elf.file_range(header.vaddr, header.file_len) != Some(range) {
        return Err(fault("its address and its offset are not the same bytes"));
    }
    let bytes = range
        .of(file)
        .ok_or(fault("it lies beyond the end of the file"))?;
    if range.len / ENTRY_LEN > MAX_ENTRIES {
        return Err(fault("it has more than 65536 entries"));
    }
    let mut found = Vec::new();
    for index in 0..range.len / ENTRY_LEN {
        let at = index * ENTRY_LEN;
        let (Some(tag), Some(value)) = (u64_at(bytes, at), u64_at(bytes, at + 8)) else {
            break;
        };
        if tag == tag::NULL {
            return Ok(found);
        }
        found.push(Entry {
            offset: range.offset.saturating_add(at),
            tag,
            value,
        });
    }
    Err(fault("it does not end in `DT_NULL`"))
}

/// What a file asks the dynamic linker for; strings are bytes, as the file has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dynamic<'a> {
    /// Names of the libraries it needs (`DT_NEEDED`), in order.
    pub needed: Vec<&'a [u8]>,
    /// The name that other files know it by (`DT_SONAME`).
    pub soname: Option<&'a [u8]>,
    /// Directories to search first, also for the libraries' own needs (`DT_RPATH`); ld.so ignores them
    /// where there is a `DT_RUNPATH`.
    pub rpath: Vec<&'a [u8]>,
    /// Directories to search for this file's own needs (`DT_RUNPATH`), `None` where the tag is absent.
    pub runpath: Option<Vec<&'a [u8]>>,
    /// Whether the default directories are searched (no `DF_1_NODEFLIB`).
    pub default_directories: bool,
}

impl<'a> Dynamic<'a> {
    /// Parses the dynamic section of a whole file; `None` where it has none (a static program).
    ///
    /// # Errors
    /// Fails when the section or its strings are malformed.
    pub fn parse(file: &'a [u8], elf: &Elf) -> Result<Option<Self>, ElfFault> {
        if elf.find(SegmentKind::Dynamic).is_none() {
            return Ok(None);
        }
        let entries = entries(file, elf)?;
        let strings = Strings::find(file, elf, &entries)?;
        let mut dynamic = Self {
            default_directories: true,
            ..Self::default()
        };
        for entry in &entries {
            match entry.tag {
                tag::NEEDED => dynamic.needed.push(strings.get(entry.value)?),
                tag::SONAME => dynamic.soname = Some(strings.get(entry.value)?),
                tag::RPATH => dynamic.rpath.extend(directories(strings.get(entry.value)?)),
                tag::RUNPATH => dynamic
                    .runpath
                    .get_or_insert_default()
                    .extend(directories(strings.get(entry.value)?)),
                tag::FLAGS_1 => {
                    dynamic.default_directories = entry.value & FLAG_NO_DEFAULT_LIBRARIES == 0;
                }
                _ => {}
            }
        }
        Ok(Some(dynamic))
    }
}

fn directories(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    // An empty element would mean the working directory, which only the caller of the program knows.
    list.split(|byte| *byte == b':')
        .filter(|directory| !directory.is_empty())
}

/// The string table of the dynamic section; absent until a string is asked for.
struct Strings<'a>(Option<&'a [u8]>);

impl<'a> Strings<'a> {
    fn find(file: &'a [u8], elf: &Elf, entries: &[Entry]) -> Result<Self, ElfFault> {
        let value = |tag| {
            entries
                .iter()
                .find(|entry| entry.tag == tag)
                .map(|entry| entry.value)
        };
        let (Some(address), Some(len)) = (value(tag::STRTAB), value(tag::STR_SIZE)) else {
            return Ok(Self(None));
        };
        let reason = "its string table (`DT_STRTAB`) is not in the file";
        let range = elf
            .file_range(address, len)
            .ok_or(ElfFault::Dynamic { reason })?;
        let table = slice_at(file, range.offset, range.len).ok_or(ElfFault::Dynamic { reason })?;
        Ok(Self(Some(table)))
    }

    fn get(&self, offset: u64) -> Result<&'a [u8], ElfFault> {
        let fault = |reason| ElfFault::Dynamic { reason };
        let table = self
            .0
            .ok_or(fault("it uses strings without a string table"))?;
        let tail = usize::try_from(offset)
            .ok()
            .and_then(|offset| table.get(offset..))
            .ok_or(fault("a string lies beyond the string table"))?;
        let len = tail
            .iter()
            .position(|byte| *byte == 0)
            .ok_or(fault("a string does not end within the string table"))?;
        Ok(tail.get(..len).unwrap_or_default())
    }
}

/// What ld.so puts in place of `$ORIGIN`, `$LIB` and `$PLATFORM` (ld.so(8), "Dynamic string tokens").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynamicStrings<'a> {
    /// Directory of the file that has the path, without a trailing slash.
    pub origin: &'a [u8],
    /// The system's library directory relative to `/` and `/usr`, such as `lib/x86_64-linux-gnu`.
    pub lib: &'a [u8],
    /// The processor type of `AT_PLATFORM`, `x86_64` on Linux.
    pub platform: &'a [u8],
}

impl DynamicStrings<'_> {
    /// Returns `path` with the tokens replaced, written with or without braces; other text stays.
    pub fn expand(&self, path: &[u8]) -> Vec<u8> {
        let tokens: [(&[u8], &[u8]); 3] = [
            (b"ORIGIN", self.origin),
            (b"LIB", self.lib),
            (b"PLATFORM", self.platform),
        ];
        let mut expanded = Vec::with_capacity(path.len());
        let mut rest = path;
        while let Some((first, after)) = rest.split_first() {
            let replaced = (*first == b'$')
                .then(|| {
                    tokens
                        .iter()
                        .find_map(|(name, value)| Some((*value, after_token(after, name)?)))
                })
                .flatten();
            match replaced {
                Some((value, tail)) => {
                    expanded.extend_from_slice(value);
                    rest = tail;
                }
                None => {
                    expanded.push(*first);
                    rest = after;
                }
            }
        }
        expanded
    }
}

/// Returns what follows `name` or `{name}` at the start of `text`.
fn after_token<'t>(text: &'t [u8], name: &[u8]) -> Option<&'t [u8]> {
    if let Some(braced) = text.strip_prefix(b"{") {
        return braced.strip_prefix(name)?.strip_prefix(b"}");
    }
    let tail = text.strip_prefix(name)?;
    let longer = tail
        .first()
        .is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_');
    (!longer).then_some(tail)
}
