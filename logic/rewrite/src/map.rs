//! What addresses in trampolines stand for.

use alloc::vec::Vec;

use crate::emit::{ENTER_LEN, LEA_LEN};
use crate::table::{JUMP_LEN, Patch, PatchKind, PatchTable};

/// Where a trampoline is in relation to its system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The system call has not been made.
    BeforeEntry,
    /// The system call has been made.
    AfterEntry,
}

/// An address of the program that an address in a trampoline stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The instruction of the program that is executed next, as it was before rewriting. It may lie in a
    /// window: [`TrampolineMap::resume`] leads back.
    pub original: u64,
    /// Whether the system call has been made.
    pub phase: Phase,
}

/// The trampolines of one mapping in one chunk; keep it with the table that it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrampolineMap {
    chunk: u64,
    /// Added to an offset in the file, it gives an address (modulo 2^64).
    shift: u64,
    /// Position in the chunk and number of the patch, both ascending.
    trampolines: Vec<(u32, u32)>,
}

impl TrampolineMap {
    pub(crate) fn new(chunk: u64, shift: u64) -> Self {
        Self {
            chunk,
            shift,
            trampolines: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, position: u32, patch: usize) {
        // Tables hold fewer than 2^32 patches: their encoding counts them in 32 bits, and files that
        // could exceed it do not fit in memory.
        self.trampolines
            .push((position, u32::try_from(patch).unwrap_or(u32::MAX)));
    }

    /// Returns the number of trampolines.
    pub fn len(&self) -> usize {
        self.trampolines.len()
    }

    /// Returns whether there are no trampolines.
    pub fn is_empty(&self) -> bool {
        self.trampolines.is_empty()
    }

    /// Returns what `rip`, an address in a trampoline, stands for; `None` when it is in none of these.
    pub fn locate(&self, table: &PatchTable, rip: u64) -> Option<Position> {
        let position = rip.checked_sub(self.chunk)?;
        let after = self
            .trampolines
            .partition_point(|(start, _)| u64::from(*start) <= position);
        let (start, index) = *self.trampolines.get(after.checked_sub(1)?)?;
        let patch = table.patches().get(index as usize)?;
        steps(patch)
            .find(|step| step.contains(position.saturating_sub(start.into())))
            .map(|step| Position {
                original: self.shift.wrapping_add(step.original),
                phase: step.phase,
            })
    }

    /// Returns where in a trampoline the instruction continues that was at `original` before its window was
    /// overwritten; `None` when the program's own bytes at that address can be executed.
    pub fn resume(&self, table: &PatchTable, original: u64) -> Option<u64> {
        let offset = original.wrapping_sub(self.shift);
        let number = |(_, index): &(u32, u32)| *index as usize;
        let at = self.trampolines.partition_point(|entry| {
            table
                .patches()
                .get(number(entry))
                .is_some_and(|patch| patch.window().end <= offset)
        });
        let entry = self.trampolines.get(at)?;
        let patch = table.patches().get(number(entry))?;
        let window = patch.window();
        if offset <= window.start || offset >= window.end {
            return None;
        }
        let step = steps(patch).find(|step| step.original == offset)?;
        self.chunk
            .checked_add(entry.0.into())?
            .checked_add(step.start)
    }
}

/// An instruction of a trampoline, its position counted from the trampoline's start.
struct Step {
    start: u64,
    len: u64,
    /// Offset in the file of the instruction that it stands for.
    original: u64,
    phase: Phase,
}

impl Step {
    fn contains(&self, position: u64) -> bool {
        position
            .checked_sub(self.start)
            .is_some_and(|distance| distance < self.len)
    }
}

/// Returns the instructions of a patch's trampoline, in order; entering the runtime counts as one.
fn steps(patch: &Patch) -> impl Iterator<Item = Step> {
    let window = patch.window();
    let is_after = patch.kind == PatchKind::After;
    let enter = |start| Step {
        start,
        len: LEA_LEN + ENTER_LEN,
        original: patch.site,
        phase: Phase::BeforeEntry,
    };
    let phase = if is_after {
        Phase::AfterEntry
    } else {
        Phase::BeforeEntry
    };
    let first = if is_after { LEA_LEN + ENTER_LEN } else { 0 };
    let moved_from = window.start.saturating_add(patch.moved_start());
    let moved = patch
        .moved
        .iter()
        .scan((first, moved_from), move |(start, original), moved| {
            let step = Step {
                start: *start,
                len: moved.moved_len(),
                original: *original,
                phase,
            };
            *start = start.saturating_add(step.len);
            *original = original.saturating_add(moved.len.into());
            Some(step)
        });
    let moved_len: u64 = patch.moved.iter().map(|moved| moved.moved_len()).sum();
    let back = (is_after && patch.falls_through).then_some(Step {
        start: first.saturating_add(moved_len),
        len: JUMP_LEN as u64,
        original: window.end,
        phase: Phase::AfterEntry,
    });
    let (before, after) = if is_after {
        (Some(enter(0)), None)
    } else {
        (None, Some(enter(moved_len)))
    };
    before.into_iter().chain(moved).chain(after).chain(back)
}
