//! What is rewritten, independent of where the file is mapped.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

/// Length in bytes of `syscall` (`0f 05`).
pub(crate) const SYSCALL_LEN: u64 = 2;
/// Length in bytes of `jmp rel32`, the least that a window must hold.
pub(crate) const JUMP_LEN: usize = 5;
/// Longest window in bytes.
pub(crate) const MAX_WINDOW: usize = 64;
/// Largest number of instructions that move.
pub(crate) const MAX_MOVED: usize = 8;

/// Which bytes give way to the jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// The `mov eax, imm32` before the site; `syscall` stays.
    MovEax,
    /// Other instructions before the site; `syscall` stays.
    Before,
    /// `syscall` itself and the instructions after it.
    After,
}

/// What changes in an instruction when it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fixup {
    /// Nothing.
    None,
    /// The 32-bit displacement of its RIP-relative operand.
    RipRelative {
        /// Position of the displacement in the instruction, in bytes.
        displacement: u8,
    },
    /// The target of a conditional jump; the instruction becomes its rel32 form.
    ConditionalJump,
    /// The target of an unconditional jump; the instruction becomes its rel32 form.
    Jump,
}

/// An instruction that moves into the trampoline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovedInstruction {
    /// Its length in the file, in bytes.
    pub len: u8,
    /// What changes in it.
    pub fixup: Fixup,
}

impl MovedInstruction {
    /// Returns its length in the trampoline, in bytes.
    pub(crate) fn moved_len(self) -> u64 {
        match self.fixup {
            Fixup::None | Fixup::RipRelative { .. } => self.len.into(),
            Fixup::ConditionalJump => 6,
            Fixup::Jump => 5,
        }
    }
}

/// How one site is rewritten; positions are offsets in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    pub(crate) site: u64,
    pub(crate) kind: PatchKind,
    pub(crate) window: Box<[u8]>,
    pub(crate) moved: Box<[MovedInstruction]>,
    pub(crate) falls_through: bool,
}

impl Patch {
    /// Returns where the `syscall` is.
    pub fn site(&self) -> u64 {
        self.site
    }

    /// Returns which bytes give way.
    pub fn kind(&self) -> PatchKind {
        self.kind
    }

    /// Returns the range of bytes that are overwritten.
    pub fn window(&self) -> Range<u64> {
        let start = match self.kind {
            PatchKind::MovEax | PatchKind::Before => {
                self.site.saturating_sub(self.window.len() as u64)
            }
            PatchKind::After => self.site,
        };
        start..start.saturating_add(self.window.len() as u64)
    }

    /// Returns the bytes that are overwritten, as the file has them.
    pub fn original(&self) -> &[u8] {
        &self.window
    }

    /// Returns the instructions that move, in order.
    pub fn moved(&self) -> &[MovedInstruction] {
        &self.moved
    }

    /// Returns whether control can reach the end of the instructions that move.
    pub fn falls_through(&self) -> bool {
        self.falls_through
    }

    /// Returns where in the window the instructions that move start.
    pub(crate) fn moved_start(&self) -> u64 {
        match self.kind {
            PatchKind::MovEax | PatchKind::Before => 0,
            PatchKind::After => SYSCALL_LEN,
        }
    }

    /// Returns where everything is that must be mapped for the patch to apply.
    pub(crate) fn extent(&self) -> Range<u64> {
        let window = self.window();
        window.start..window.end.max(self.site.saturating_add(SYSCALL_LEN))
    }

    /// Checks everything that [`crate::apply`] relies on.
    pub(crate) fn check(&self, file_len: u64) -> Result<(), &'static str> {
        if !(JUMP_LEN..=MAX_WINDOW).contains(&self.window.len()) {
            return Err("its window is shorter than a jump or longer than 64 bytes");
        }
        if self.moved.len() > MAX_MOVED {
            return Err("it moves more than 8 instructions");
        }
        match self.site.checked_add(MAX_WINDOW as u64) {
            Some(_) if self.extent().end <= file_len => {}
            _ => return Err("it lies beyond the end of the file"),
        }
        let mut rest = self
            .window
            .get(self.moved_start() as usize..)
            .unwrap_or_default();
        for moved in &self.moved {
            let len = usize::from(moved.len);
            let bytes = rest
                .get(..len)
                .ok_or("its instructions are longer than its window")?;
            check_instruction(bytes, moved.fixup)?;
            rest = rest.get(len..).unwrap_or_default();
        }
        match self.kind {
            PatchKind::MovEax | PatchKind::Before => self.check_before(rest),
            PatchKind::After => self.check_after(rest),
        }
    }

    fn check_before(&self, rest: &[u8]) -> Result<(), &'static str> {
        if (self.window.len() as u64) > self.site {
            return Err("its window starts before the file");
        }
        if !rest.is_empty() || !self.falls_through {
            return Err("its instructions do not reach the site");
        }
        if self
            .moved
            .iter()
            .any(|m| matches!(m.fixup, Fixup::ConditionalJump | Fixup::Jump))
        {
            return Err("a jump would move to before the site");
        }
        let is_mov = self.window.first() == Some(&0xb8)
            && *self.moved
                == [MovedInstruction {
                    len: JUMP_LEN as u8,
                    fixup: Fixup::None,
                }];
        if is_mov == (self.kind == PatchKind::MovEax) {
            Ok(())
        } else {
            Err("its kind does not match its instructions")
        }
    }

    fn check_after(&self, rest: &[u8]) -> Result<(), &'static str> {
        if self.window.get(..SYSCALL_LEN as usize) != Some(&[0x0f, 0x05]) {
            return Err("there is no `syscall` at the site");
        }
        let jumps_away = |m: &MovedInstruction| m.fixup == Fixup::Jump;
        if let Some((last, others)) = self.moved.split_last()
            && (others.iter().any(jumps_away) || (jumps_away(last) && self.falls_through))
        {
            return Err("instructions follow a jump");
        }
        if self.falls_through && !rest.is_empty() {
            return Err("its instructions do not reach the end of its window");
        }
        Ok(())
    }
}

fn check_instruction(bytes: &[u8], fixup: Fixup) -> Result<(), &'static str> {
    if bytes.is_empty() || bytes.len() > 15 {
        return Err("an instruction is shorter than 1 or longer than 15 bytes");
    }
    let fits = match fixup {
        Fixup::None => true,
        Fixup::RipRelative { displacement } => {
            displacement > 0 && usize::from(displacement) + 4 <= bytes.len()
        }
        Fixup::ConditionalJump => {
            matches!(bytes, [0x70..=0x7f, _] | [0x0f, 0x80..=0x8f, _, _, _, _])
        }
        Fixup::Jump => matches!(bytes, [0xeb, _] | [0xe9, _, _, _, _]),
    };
    if fits {
        Ok(())
    } else {
        Err("an instruction does not match what changes in it")
    }
}

/// How many sites are rewritten in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Patches of kind [`PatchKind::MovEax`].
    pub mov_eax: usize,
    /// Patches of kind [`PatchKind::Before`].
    pub before: usize,
    /// Patches of kind [`PatchKind::After`].
    pub after: usize,
}

/// How the sites of one file are rewritten.
///
/// Whoever supplies a table decides what code runs: take it only from where the program itself could come
/// from, never from the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchTable {
    file_len: u64,
    patches: Vec<Patch>,
}

impl PatchTable {
    /// Puts patches together whose windows are in ascending order and apart from each other.
    pub(crate) fn new(file_len: u64, patches: Vec<Patch>) -> Result<Self, (usize, &'static str)> {
        let mut free = 0;
        for (index, patch) in patches.iter().enumerate() {
            patch.check(file_len).map_err(|reason| (index, reason))?;
            if patch.extent().start < free {
                return Err((index, "it is out of order or overlaps the one before"));
            }
            free = patch.extent().end;
        }
        Ok(Self { file_len, patches })
    }

    /// Returns the length in bytes of the file that the table is for.
    pub fn file_len(&self) -> u64 {
        self.file_len
    }

    /// Returns the patches, in ascending order of site.
    pub fn patches(&self) -> &[Patch] {
        &self.patches
    }

    /// Counts the patches by kind.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for patch in &self.patches {
            match patch.kind {
                PatchKind::MovEax => stats.mov_eax += 1,
                PatchKind::Before => stats.before += 1,
                PatchKind::After => stats.after += 1,
            }
        }
        stats
    }
}
