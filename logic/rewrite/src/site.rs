//! A `syscall` instruction and what surrounds it.

use alloc::vec::Vec;

use crate::functions::Function;
use crate::instruction::{Flow, Insn};
use crate::table::{MAX_MOVED, MAX_WINDOW};

/// A `syscall` instruction; addresses are the file's own.
pub(crate) struct Site {
    /// Where the `syscall` is.
    pub(crate) at: u64,
    /// The instructions before it, the nearest last.
    pub(crate) before: Vec<Insn>,
    /// The instructions after it, padding behind the function included.
    pub(crate) after: Vec<Insn>,
    /// End of the function.
    pub(crate) function_end: u64,
    /// Targets near it of the function's direct branches, sorted.
    pub(crate) targets: Vec<u64>,
    /// Whether the function jumps through registers or memory, so that more targets may exist.
    pub(crate) has_hidden_targets: bool,
}

/// A function's instructions, and facts about all of them.
#[derive(Default)]
pub(crate) struct Body {
    pub(crate) code: Vec<Insn>,
    targets: Vec<u64>,
    has_hidden_targets: bool,
}

impl Body {
    /// Takes stock of `code` after it has been filled.
    pub(crate) fn survey(&mut self) {
        self.targets.clear();
        self.targets
            .extend(self.code.iter().filter_map(|insn| insn.target));
        self.targets.sort_unstable();
        self.has_hidden_targets = self.code.iter().any(|insn| insn.flow == Flow::Indirect);
    }

    /// Adds the targets of all that looks like a rel8 branch within reach of the bytes at `position` of
    /// `text`, a segment at `address`, where they are instructions: for a function whose start is a guess,
    /// so that not all of its branches may be known.
    pub(crate) fn add_short_targets(&mut self, text: &[u8], address: u64, position: usize) {
        const REACH: usize = 130 + MAX_WINDOW;
        let first = position.saturating_sub(REACH);
        let last = position.saturating_add(REACH).min(text.len());
        let near = text.get(first..last).unwrap_or_default();
        for (index, pair) in near.windows(2).enumerate() {
            if let [0x70..=0x7f | 0xe0..=0xe3 | 0xeb, distance] = pair {
                let next = address.wrapping_add((first + index + 2) as u64);
                let target = next.wrapping_add_signed(i64::from(*distance as i8));
                if self
                    .code
                    .binary_search_by_key(&target, |insn| insn.at)
                    .is_ok()
                {
                    self.targets.push(target);
                }
            }
        }
        self.targets.sort_unstable();
    }

    /// Returns the site at an address, or `None` when no `syscall` instruction starts there.
    pub(crate) fn site(&self, at: u64, function: &Function) -> Option<Site> {
        let index = self.code.binary_search_by_key(&at, |insn| insn.at).ok()?;
        let (before, rest) = self.code.split_at_checked(index)?;
        let (syscall, after) = rest.split_first()?;
        if syscall.flow != Flow::Syscall {
            return None;
        }
        // Data may follow a function, but then control does not run into it.
        let runs_on = |insn: &Insn| insn.end() < function.described_end || insn.flow == Flow::Next;
        if at >= function.described_end && !before.iter().rev().all(runs_on) {
            return None;
        }
        let reach = MAX_WINDOW as u64;
        let first = self
            .targets
            .partition_point(|target| *target < at.saturating_sub(reach));
        let last = self
            .targets
            .partition_point(|target| *target < at.saturating_add(reach));
        Some(Site {
            at,
            before: before
                .get(before.len().saturating_sub(MAX_MOVED)..)?
                .to_vec(),
            after: after.iter().take(MAX_MOVED * 2).copied().collect(),
            function_end: function.end,
            targets: self.targets.get(first..last)?.to_vec(),
            has_hidden_targets: self.has_hidden_targets,
        })
    }
}

/// Returns the targets near `sites` of all that looks like a direct rel32 branch in `text`, sorted.
///
/// Compilers move unlikely code far away, into functions of its own that jump back into the middle of the
/// first; a scan of all bytes finds every such jump, and the few it only imagines cost at most a patch.
pub(crate) fn far_targets(text: &[u8], address: u64, sites: &[Site]) -> Vec<u64> {
    let reach = MAX_WINDOW as u64;
    let mut found = Vec::new();
    for at in memchr::memchr3_iter(0xe8, 0xe9, 0x0f, text) {
        let displacement_at = match text.get(at..) {
            Some([0x0f, 0x80..=0x8f, ..]) => at.saturating_add(2),
            Some([0x0f, ..]) => continue,
            _ => at.saturating_add(1),
        };
        let bytes = text
            .get(displacement_at..)
            .and_then(|tail| tail.first_chunk::<4>());
        let Some(bytes) = bytes else { break };
        let next = address.wrapping_add(displacement_at as u64).wrapping_add(4);
        let target = next.wrapping_add_signed(i32::from_le_bytes(*bytes).into());
        let index = sites.partition_point(|site| site.at.saturating_add(reach) <= target);
        if sites
            .get(index)
            .is_some_and(|site| site.at.saturating_sub(reach) <= target)
        {
            found.push(target);
        }
    }
    found.sort_unstable();
    found
}
