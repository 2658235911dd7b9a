//! Bounds of functions without unwind information, such as Go's.
//!
//! Functions start at multiples of 16 after padding or a return. That is a guess, so a site found this way
//! must also look like a system call: its neighbours load or look at `rax`.

use alloc::vec::Vec;

use bannock_elf::{Elf, FileRange, SegmentKind};
use memchr::memmem;

use crate::functions::Function;
use crate::instruction::{Flow, Insn, decode};

/// How far back a function's start is searched, in bytes.
const SEARCH: usize = 4096;
/// How far behind a site the function's end is searched, in bytes.
const TAIL: usize = 512;
/// How many instructions around a site are looked at.
const NEIGHBOURS: usize = 8;

/// Returns whether a file was linked from Go code, which has no unwind information but may be linked with C
/// code that has. Go's linker leaves a note with its build identity (type 4, name `Go`), and keeps data out
/// of the text.
pub(crate) fn is_go(file: &[u8], elf: &Elf) -> bool {
    elf.program_headers()
        .iter()
        .filter(|header| header.kind == SegmentKind::Note)
        .filter_map(|header| {
            FileRange {
                offset: header.offset,
                len: header.file_len,
            }
            .of(file)
        })
        .any(|notes| memmem::find(notes, b"\x04\0\0\0Go\0\0").is_some())
}

/// Guesses the function around the `syscall` at position `site` of `text`, a segment at `address`.
///
/// `budget` is the number of bytes that may still be decoded and is reduced.
pub(crate) fn guess(
    text: &[u8],
    address: u64,
    site: usize,
    budget: &mut u64,
    scratch: &mut Vec<Insn>,
) -> Option<Function> {
    let misalignment = usize::try_from(address % 16).ok()?;
    let mut start = site.checked_sub((misalignment + site) % 16)?;
    let end = end_of(text, site);
    let lowest = site.saturating_sub(SEARCH);
    while start > lowest {
        if matches!(text.get(start - 1), Some(0xcc | 0x90 | 0xc3 | 0x00)) {
            let code = text.get(start..end)?;
            *budget = budget.checked_sub(code.len() as u64)?;
            let at = address.checked_add(start as u64)?;
            decode(code, at, scratch);
            if is_system_call(scratch, address.checked_add(site as u64)?) {
                let end = address.checked_add(end as u64)?;
                return Some(Function {
                    start: at,
                    described_end: end,
                    end,
                    next: end,
                    is_signal_frame: false,
                    is_guess: true,
                });
            }
        }
        start = start.checked_sub(16)?;
    }
    None
}

fn end_of(text: &[u8], site: usize) -> usize {
    let limit = site.saturating_add(TAIL).min(text.len());
    let behind = site.saturating_add(2).min(limit);
    let tail = text.get(behind..limit).unwrap_or_default();
    let len = tail
        .windows(2)
        .position(|pair| pair == [0xcc, 0xcc])
        .unwrap_or(tail.len());
    behind.saturating_add(len)
}

fn is_system_call(code: &[Insn], site: u64) -> bool {
    let Ok(index) = code.binary_search_by_key(&site, |insn| insn.at) else {
        return false;
    };
    let (before, rest) = code.split_at(index);
    let Some((found, after)) = rest.split_first() else {
        return false;
    };
    let near = before.iter().rev().take(NEIGHBOURS);
    found.flow == Flow::Syscall
        && !before.iter().any(|insn| insn.is_invalid)
        && (near.into_iter().any(|insn| insn.sets_rax)
            || after.iter().take(NEIGHBOURS).any(|insn| insn.uses_rax))
}
