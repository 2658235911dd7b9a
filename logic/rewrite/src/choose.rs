//! Which bytes around a site give way.

use crate::instruction::{Flow, Insn};
use crate::planner::LeftReason;
use crate::site::Site;
use crate::table::{JUMP_LEN, MAX_MOVED, MAX_WINDOW, PatchKind, SYSCALL_LEN};

/// A window that may be overwritten; addresses are the file's own.
pub(crate) struct Window<'a> {
    pub(crate) kind: PatchKind,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) moved: &'a [Insn],
    pub(crate) falls_through: bool,
}

/// Chooses the window of a site: nothing before `free` may be overwritten, and no address of `far`
/// (sorted) may come to lie inside.
pub(crate) fn choose<'a>(site: &'a Site, free: u64, far: &[u64]) -> Result<Window<'a>, LeftReason> {
    let entries = Entries {
        targets: &site.targets,
        far,
        has_hidden_targets: site.has_hidden_targets,
    };
    before(site, free, &entries)
        .or_else(|| after(site, free, &entries))
        .ok_or_else(|| {
            let nothing = Entries {
                targets: &[],
                far: &[],
                has_hidden_targets: false,
            };
            if before(site, free, &nothing).is_some() || after(site, free, &nothing).is_some() {
                LeftReason::BranchIntoWindow
            } else {
                LeftReason::NoRoom
            }
        })
}

/// Where control may enter other than from the instruction before.
struct Entries<'a> {
    targets: &'a [u64],
    far: &'a [u64],
    has_hidden_targets: bool,
}

impl Entries<'_> {
    /// Whether control may enter strictly between two addresses; `boundary` says whether an instruction
    /// starts there, so that a jump table could lead to it.
    fn inside(&self, start: u64, end: u64, boundary: bool) -> bool {
        let within = |targets: &[u64]| {
            let first = targets.partition_point(|target| *target <= start);
            targets.get(first).is_some_and(|target| *target < end)
        };
        within(self.targets) || within(self.far) || (boundary && self.has_hidden_targets)
    }
}

fn before<'a>(site: &'a Site, free: u64, entries: &Entries<'_>) -> Option<Window<'a>> {
    let last = site.before.last()?;
    let window = |kind, moved: &'a [Insn]| {
        let start = moved.first()?.at;
        Some(Window {
            kind,
            start,
            end: site.at,
            moved,
            falls_through: true,
        })
    };
    if last.is_mov_eax && last.at >= free && !entries.inside(last.at, site.at, false) {
        let first = site.before.len().checked_sub(1)?;
        return window(PatchKind::MovEax, site.before.get(first..)?);
    }
    for (index, insn) in site.before.iter().enumerate().rev() {
        let moved = site.before.get(index..)?;
        let len = site.at.checked_sub(insn.at)?;
        if insn.flow != Flow::Next || insn.at < free || len > MAX_WINDOW as u64 {
            return None;
        }
        if len >= JUMP_LEN as u64 {
            let open = entries.inside(insn.at, site.at, moved.len() > 1);
            return if open {
                None
            } else {
                window(PatchKind::Before, moved)
            };
        }
    }
    None
}

fn after<'a>(site: &'a Site, free: u64, entries: &Entries<'_>) -> Option<Window<'a>> {
    if site.at < free {
        return None;
    }
    let mut end = site.at.checked_add(SYSCALL_LEN)?;
    let mut moved = 0;
    let mut falls_through = true;
    for insn in &site.after {
        if end.checked_sub(site.at)? >= JUMP_LEN as u64 {
            break;
        }
        if falls_through {
            if insn.at >= site.function_end {
                return None;
            }
            match insn.flow {
                Flow::Next | Flow::Conditional => {}
                Flow::Jump | Flow::Away => falls_through = false,
                Flow::Syscall | Flow::Indirect | Flow::Fixed => return None,
            }
            moved += 1;
        } else if !insn.is_padding {
            return None;
        }
        end = insn.end();
    }
    let len = end.checked_sub(site.at)?;
    let fits = (JUMP_LEN as u64..=MAX_WINDOW as u64).contains(&len) && moved <= MAX_MOVED;
    if !fits || entries.inside(site.at, end, true) {
        return None;
    }
    let moved = site.after.get(..moved)?;
    Some(Window {
        kind: PatchKind::After,
        start: site.at,
        end,
        moved,
        falls_through,
    })
}
