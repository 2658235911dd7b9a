//! From a file to a patch table.

use alloc::vec::Vec;

use bannock_elf::{Elf, ElfFault, ProgramHeader};
use memchr::memmem;

use crate::choose::{Window, choose};
use crate::functions::{Function, FunctionIndex};
use crate::instruction::decode;
use crate::padding;
use crate::site::{Body, Site, far_targets};
use crate::table::{MovedInstruction, Patch, PatchTable};

/// Bytes of `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// Functions longer than this many bytes are left alone.
const MAX_FUNCTION: u64 = 256 * 1024;
/// How many bytes behind a function are decoded, to find padding.
const PADDING: u64 = 16;
/// How rt_sigreturn is called: unwinders and debuggers recognise these bytes.
const SIGNAL_RETURNS: [&[u8]; 2] = [
    &[0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0], // mov rax, 15
    &[0xb8, 0x0f, 0, 0, 0],             // mov eax, 15
];

/// Why the bytes of a `syscall` were left as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftReason {
    /// It returns from a signal handler.
    SignalReturn,
    /// No function is known to contain it; most likely it is data.
    NotInFunction,
    /// The two bytes are part of other instructions.
    NotAnInstruction,
    /// No five bytes next to it hold instructions that can move.
    NoRoom,
    /// Code may jump to the middle of what would be overwritten.
    BranchIntoWindow,
    /// The file made planning take too long.
    BudgetSpent,
}

/// A place that is not rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Offset in the file of the bytes `0f 05`.
    pub site: u64,
    /// Why.
    pub reason: LeftReason,
}

impl Left {
    /// Returns whether a system call may happen there, by a trap.
    pub fn is_system_call(self) -> bool {
        !matches!(
            self.reason,
            LeftReason::NotInFunction | LeftReason::NotAnInstruction
        )
    }
}

/// What was decided about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The sites that are rewritten.
    pub table: PatchTable,
    /// The places that are not, in ascending order within each segment.
    pub left: Vec<Left>,
}

/// Decides how the system-call sites of a file are rewritten.
///
/// Takes time linear in the length of the file. Files without the bytes of a `syscall` in executable
/// segments cost one search.
///
/// # Errors
/// Fails when the file is not a well-formed program.
pub fn plan(file: &[u8]) -> Result<Plan, ElfFault> {
    let elf = Elf::parse_file(file)?;
    let mut planner = Planner {
        functions: FunctionIndex::find(file, &elf),
        is_go: padding::is_go(file, &elf),
        body: Body::default(),
        decoded: None,
        budget: (file.len() as u64)
            .saturating_mul(16)
            .saturating_add(1 << 20),
        patches: Vec::new(),
        left: Vec::new(),
    };
    let segments: Vec<Text<'_>> = elf
        .load_segments()
        .filter(|segment| segment.protection.execute)
        .filter_map(|segment| Text::of(file, segment))
        .collect();
    for segment in &segments {
        planner.plan_segment(segment, &segments);
    }
    let Planner {
        mut patches, left, ..
    } = planner;
    // Segments ascend by address, but a file may hold them in any order, or the same bytes twice.
    patches.sort_unstable_by_key(|patch| patch.extent().start);
    let mut free = 0;
    patches.retain(|patch| {
        let keep = patch.extent().start >= free && patch.check(file.len() as u64).is_ok();
        free = if keep { patch.extent().end } else { free };
        keep
    });
    let table = PatchTable::new(file.len() as u64, patches)
        .map_err(|(index, reason)| ElfFault::ProgramHeader { index, reason })?;
    Ok(Plan { table, left })
}

/// The file's bytes of an executable segment.
struct Text<'a> {
    bytes: &'a [u8],
    address: u64,
    offset: u64,
}

impl<'a> Text<'a> {
    fn of(file: &'a [u8], segment: &ProgramHeader) -> Option<Self> {
        let start = usize::try_from(segment.offset).ok()?;
        let len = usize::try_from(segment.file_len).ok()?;
        let bytes = file.get(start..start.checked_add(len)?)?;
        Some(Self {
            bytes,
            address: segment.vaddr,
            offset: segment.offset,
        })
    }

    fn end(&self) -> u64 {
        self.address.saturating_add(self.bytes.len() as u64)
    }

    fn slice(&self, start: u64, end: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(start.checked_sub(self.address)?).ok()?;
        let end = usize::try_from(end.checked_sub(self.address)?).ok()?;
        self.bytes.get(start..end)
    }

    fn offset_of(&self, address: u64) -> u64 {
        address.wrapping_sub(self.address).wrapping_add(self.offset)
    }
}

struct Planner<'a> {
    functions: Option<FunctionIndex<'a>>,
    is_go: bool,
    body: Body,
    /// The function that `body` holds.
    decoded: Option<Function>,
    /// Number of bytes that may still be decoded; functions may overlap in a hostile file.
    budget: u64,
    patches: Vec<Patch>,
    left: Vec<Left>,
}

impl Planner<'_> {
    fn plan_segment(&mut self, text: &Text<'_>, segments: &[Text<'_>]) {
        let mut sites = Vec::new();
        for position in memmem::find_iter(text.bytes, &SYSCALL) {
            match self.examine(text, position) {
                Ok(site) => sites.push(site),
                Err(reason) => {
                    let site = text.offset.saturating_add(position as u64);
                    self.left.push(Left { site, reason });
                }
            }
        }
        if sites.is_empty() {
            return;
        }
        let mut far = Vec::new();
        for segment in segments {
            far.extend(far_targets(segment.bytes, segment.address, &sites));
        }
        far.sort_unstable();

        let mut free = text.address;
        for site in &sites {
            let chosen = choose(site, free, &far).and_then(|window| {
                let patch = patch_of(text, site, &window).ok_or(LeftReason::NoRoom)?;
                Ok((patch, window.end))
            });
            match chosen {
                Ok((patch, end)) => {
                    free = end;
                    self.patches.push(patch);
                }
                Err(reason) => self.left.push(Left {
                    site: text.offset_of(site.at),
                    reason,
                }),
            }
            // The instruction stays whole even where it is not rewritten.
            free = free.max(site.at.saturating_add(SYSCALL.len() as u64));
        }
        self.left.sort_unstable_by_key(|left| left.site);
    }

    fn examine(&mut self, text: &Text<'_>, position: usize) -> Result<Site, LeftReason> {
        let head = text.bytes.get(..position).unwrap_or_default();
        if SIGNAL_RETURNS.iter().any(|bytes| head.ends_with(bytes)) {
            return Err(LeftReason::SignalReturn);
        }
        let at = text.address.saturating_add(position as u64);
        let function = self.function_around(text, position, at)?;
        if function.is_signal_frame {
            return Err(LeftReason::SignalReturn);
        }
        if self.decoded != Some(function) {
            self.decoded = None;
            let start = function.start.max(text.address);
            let behind = function
                .end
                .saturating_add(PADDING)
                .min(function.next)
                .min(text.end());
            let code = text.slice(start, behind).ok_or(LeftReason::NotInFunction)?;
            self.spend(code.len() as u64)?;
            decode(code, start, &mut self.body.code);
            self.body.survey();
            if function.is_guess {
                // The guessed start may lie inside the function.
                self.body
                    .add_short_targets(text.bytes, text.address, position);
            }
            self.decoded = Some(function);
        }
        self.body
            .site(at, &function)
            .ok_or(LeftReason::NotAnInstruction)
    }

    fn function_around(
        &mut self,
        text: &Text<'_>,
        position: usize,
        at: u64,
    ) -> Result<Function, LeftReason> {
        let described = self
            .functions
            .as_ref()
            .and_then(|index| index.containing(at));
        // Beside functions with unwind information there may be data, which must not be guessed at.
        let may_guess = self.functions.is_none() || self.is_go;
        let function = described.or_else(|| {
            if !may_guess {
                return None;
            }
            self.decoded = None;
            let code = &mut self.body.code;
            padding::guess(text.bytes, text.address, position, &mut self.budget, code)
        });
        let function = function.ok_or(LeftReason::NotInFunction)?;
        if function.end.saturating_sub(function.start) > MAX_FUNCTION {
            return Err(LeftReason::BudgetSpent);
        }
        Ok(function)
    }

    fn spend(&mut self, bytes: u64) -> Result<(), LeftReason> {
        self.budget = self
            .budget
            .checked_sub(bytes)
            .ok_or(LeftReason::BudgetSpent)?;
        Ok(())
    }
}

fn patch_of(text: &Text<'_>, site: &Site, window: &Window<'_>) -> Option<Patch> {
    let moved = window.moved.iter();
    Some(Patch {
        site: text.offset_of(site.at),
        kind: window.kind,
        window: text.slice(window.start, window.end)?.into(),
        moved: moved
            .map(|insn| MovedInstruction {
                len: insn.len,
                fixup: insn.fixup,
            })
            .collect(),
        falls_through: window.falls_through,
    })
}
