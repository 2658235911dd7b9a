//! From a patch table to the bytes of one mapping and its trampolines.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use thiserror::Error;

use crate::map::TrampolineMap;
use crate::table::{Fixup, JUMP_LEN, MovedInstruction, Patch, PatchKind, PatchTable, SYSCALL_LEN};

/// How far a chunk's and a mapping's bytes may be apart, in bytes: 1.75 GiB.
///
/// A jump reaches 2 GiB; the rest is for RIP-relative operands that lie beyond the mapping.
pub const REACH: u64 = 0x7000_0000;

/// Size in bytes of the address of the entry point and of what aligns the first trampoline.
const HEADER_LEN: u32 = 16;
/// Alignment of trampolines in bytes, that of the processor's instruction fetch.
const ALIGN: u32 = 16;
/// Length in bytes of `lea rcx, [rip + disp32]`.
pub(crate) const LEA_LEN: u64 = 7;
/// Length in bytes of `jmp qword ptr [rip + disp32]`.
pub(crate) const ENTER_LEN: u64 = 6;
/// Bytes of a trampoline that enter the runtime. Where the address to continue at lies in a trampoline, it
/// is right behind them: going back this far makes the system call again.
pub const CALL_LEN: u64 = LEA_LEN + ENTER_LEN;
/// `int3`: what remains of a window is never executed; if that is wrong, it must be noticed.
const FILLER: u8 = 0xcc;

/// Bytes to copy to memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Address of the first byte.
    pub address: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Memory for trampolines, near the mappings that it serves.
#[derive(Debug)]
pub struct Chunk {
    address: u64,
    len: u32,
    used: u32,
}

impl Chunk {
    /// Takes `len` bytes of memory at `address` into use; returns the chunk and the write that makes its
    /// trampolines lead to `entry`.
    ///
    /// # Errors
    /// Fails when the chunk is too small for anything or wraps around the address space.
    pub fn new(address: u64, len: u32, entry: u64) -> Result<(Self, Write), ApplyFault> {
        if len <= HEADER_LEN || address.checked_add(len.into()).is_none() {
            return Err(ApplyFault::UnusableChunk { address, len });
        }
        let write = Write {
            address,
            bytes: entry.to_le_bytes().to_vec(),
        };
        Ok((
            Self {
                address,
                len,
                used: HEADER_LEN,
            },
            write,
        ))
    }

    /// Returns the address of the chunk.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Returns the length of the chunk in bytes.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Returns whether the chunk holds no trampoline yet.
    pub fn is_empty(&self) -> bool {
        self.used == HEADER_LEN
    }

    /// Returns how many bytes are left.
    pub fn remaining(&self) -> u32 {
        self.len.saturating_sub(self.used)
    }
}

/// Returns the addresses at which a chunk of `chunk_len` bytes may start to serve a mapping of `len` bytes
/// at `address`; `None` when there are none. Those that overlap the mapping are among them.
pub fn chunk_addresses(address: u64, len: u64, chunk_len: u32) -> Option<RangeInclusive<u64>> {
    let end = address.checked_add(len)?;
    let lowest = end.saturating_sub(REACH);
    let highest = address
        .saturating_add(REACH)
        .checked_sub(chunk_len.into())?;
    (lowest <= highest).then_some(lowest..=highest)
}

/// A mapping of a part of the file that a table is for.
#[derive(Clone, Copy, Debug)]
pub struct Mapping<'a> {
    /// Address of the first byte.
    pub address: u64,
    /// Offset in the file of the first byte.
    pub offset: u64,
    /// The mapping's bytes as they are now.
    pub text: &'a [u8],
}

impl<'a> Mapping<'a> {
    fn bytes(&self, offset: u64, len: usize) -> Option<&'a [u8]> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        self.text.get(start..start.checked_add(len)?)
    }
}

/// Why a mapping cannot be patched at all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ApplyFault {
    /// The chunk cannot hold a trampoline.
    #[error(
        "trampoline chunk of {len} bytes at {address:#x} is too small or beyond the address space"
    )]
    UnusableChunk {
        /// Its address.
        address: u64,
        /// Its length in bytes.
        len: u32,
    },
    /// The mapping wraps around the address space.
    #[error("mapping of {len} bytes at {address:#x} is beyond the address space")]
    UnusableMapping {
        /// Its address.
        address: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// The chunk is too far away.
    #[error(
        "trampoline chunk at {chunk:#x} is too far from the mapping at {mapping:#x}; place it where \
         `chunk_addresses` says"
    )]
    ChunkTooFar {
        /// Address of the chunk.
        chunk: u64,
        /// Address of the mapping.
        mapping: u64,
    },
}

/// Why one site of a mapping was left to traps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// The mapping does not hold the window and the site as a whole.
    NotMapped,
    /// The mapping's bytes are not those that were planned for.
    TextDiffers,
    /// An operand or a target of a moved instruction is out of reach from the chunk.
    OutOfReach,
    /// The address range wraps around the address space.
    Unaddressable,
}

/// A site of a mapping that was left to traps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Offset in the file of the `syscall`.
    pub site: u64,
    /// Why.
    pub reason: SkipReason,
}

/// What to write, in this order: the trampolines, then the windows that lead to them. No thread may run
/// the mapping's code before all is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The trampolines, in one piece; may be empty.
    pub trampolines: Write,
    /// The windows, each a jump to its trampoline.
    pub windows: Vec<Write>,
    /// What addresses in the trampolines stand for.
    pub map: TrampolineMap,
    /// The sites that were left.
    pub skipped: Vec<Skipped>,
    /// Where to continue with another chunk, when this one is full.
    pub next: Option<usize>,
}

/// Places the trampolines of a mapping in a chunk, starting with patch number `from` of the table (0, or
/// [`Applied::next`] of the chunk before).
///
/// # Errors
/// Fails when mapping or chunk are unusable together; single sites are skipped instead. A chunk that has
/// no room left is no error: then [`Applied::next`] is `from`.
pub fn apply(
    table: &PatchTable,
    mapping: &Mapping<'_>,
    chunk: &mut Chunk,
    from: usize,
) -> Result<Applied, ApplyFault> {
    check_distance(mapping, chunk)?;
    let shift = mapping.address.wrapping_sub(mapping.offset);
    let start = chunk.address.saturating_add(chunk.used.into());
    let mut applied = Applied {
        trampolines: Write {
            address: start,
            bytes: Vec::new(),
        },
        windows: Vec::new(),
        map: TrampolineMap::new(chunk.address, shift),
        skipped: Vec::new(),
        next: None,
    };
    for (index, patch) in table.patches().iter().enumerate().skip(from) {
        let at = chunk.address.saturating_add(chunk.used.into());
        let placed = place(patch, mapping, chunk.address, at);
        let (trampoline, window) = match placed {
            Ok(placed) => placed,
            Err(reason) => {
                applied.skipped.push(Skipped {
                    site: patch.site,
                    reason,
                });
                continue;
            }
        };
        let Some(used) = room_for(chunk, &trampoline) else {
            applied.next = Some(index);
            break;
        };
        applied.map.push(chunk.used, index);
        applied.trampolines.bytes.extend_from_slice(&trampoline);
        let padded = u64::from(used)
            .saturating_add(chunk.address)
            .saturating_sub(start);
        applied
            .trampolines
            .bytes
            .resize(usize::try_from(padded).unwrap_or(usize::MAX), FILLER);
        applied.windows.push(window);
        chunk.used = used;
    }
    Ok(applied)
}

fn check_distance(mapping: &Mapping<'_>, chunk: &Chunk) -> Result<(), ApplyFault> {
    let (address, len) = (mapping.address, mapping.text.len() as u64);
    if address.checked_add(len).is_none() {
        return Err(ApplyFault::UnusableMapping { address, len });
    }
    match chunk_addresses(address, len, chunk.len) {
        Some(addresses) if addresses.contains(&chunk.address) => Ok(()),
        _ => Err(ApplyFault::ChunkTooFar {
            chunk: chunk.address,
            mapping: address,
        }),
    }
}

/// Returns how much of the chunk is used with this trampoline, `None` when it does not fit.
fn room_for(chunk: &Chunk, trampoline: &[u8]) -> Option<u32> {
    let end = chunk
        .used
        .checked_add(u32::try_from(trampoline.len()).ok()?)?;
    let aligned = end.checked_next_multiple_of(ALIGN)?;
    (aligned <= chunk.len).then_some(aligned)
}

/// Returns a patch's trampoline, to be put at address `at`, and its window.
fn place(
    patch: &Patch,
    mapping: &Mapping<'_>,
    chunk: u64,
    at: u64,
) -> Result<(Vec<u8>, Write), SkipReason> {
    let window = patch.window();
    let extent = patch.extent();
    let extent_len = usize::try_from(extent.end.saturating_sub(extent.start)).unwrap_or(usize::MAX);
    let text = mapping
        .bytes(extent.start, extent_len)
        .ok_or(SkipReason::NotMapped)?;
    let (found, rest) = text
        .split_at_checked(patch.window.len())
        .ok_or(SkipReason::NotMapped)?;
    if found != &*patch.window || (!rest.is_empty() && rest != [0x0f, 0x05]) {
        return Err(SkipReason::TextDiffers);
    }
    let runtime = |offset: u64| {
        let distance = offset.checked_sub(mapping.offset)?;
        mapping.address.checked_add(distance)
    };
    let address = runtime(window.start).ok_or(SkipReason::Unaddressable)?;
    let end = runtime(window.end).ok_or(SkipReason::Unaddressable)?;
    let after_site =
        runtime(patch.site.saturating_add(SYSCALL_LEN)).ok_or(SkipReason::Unaddressable)?;

    let mut code = Emitter {
        at,
        bytes: Vec::with_capacity(64),
    };
    match patch.kind {
        PatchKind::MovEax | PatchKind::Before => {
            code.moved(patch, address)?;
            code.enter(after_site, chunk)?;
        }
        PatchKind::After => {
            let continuation = at.checked_add(LEA_LEN + ENTER_LEN);
            code.enter(continuation.ok_or(SkipReason::Unaddressable)?, chunk)?;
            code.moved(patch, after_site)?;
            if patch.falls_through {
                code.jump(end)?;
            }
        }
    }

    let mut jump = Emitter {
        at: address,
        bytes: Vec::with_capacity(patch.window.len()),
    };
    jump.jump(at)?;
    let mut bytes = jump.bytes;
    bytes.resize(patch.window.len().max(JUMP_LEN), FILLER);
    Ok((code.bytes, Write { address, bytes }))
}

/// Machine code at an address.
struct Emitter {
    at: u64,
    bytes: Vec<u8>,
}

impl Emitter {
    /// Appends an opcode and the distance from its end to a target.
    fn relative(&mut self, opcode: &[u8], target: u64) -> Result<(), SkipReason> {
        self.bytes.extend_from_slice(opcode);
        let next = self
            .here()?
            .checked_add(4)
            .ok_or(SkipReason::Unaddressable)?;
        self.bytes
            .extend_from_slice(&distance(next, target)?.to_le_bytes());
        Ok(())
    }

    fn here(&self) -> Result<u64, SkipReason> {
        self.at
            .checked_add(self.bytes.len() as u64)
            .ok_or(SkipReason::Unaddressable)
    }

    fn jump(&mut self, target: u64) -> Result<(), SkipReason> {
        self.relative(&[0xe9], target)
    }

    /// Enters the runtime, to continue at `return_to`; changes no flag.
    fn enter(&mut self, return_to: u64, chunk: u64) -> Result<(), SkipReason> {
        self.relative(&[0x48, 0x8d, 0x0d], return_to)?; // lea rcx, [rip + …]
        self.relative(&[0xff, 0x25], chunk) // jmp qword ptr [rip + …]
    }

    /// Appends the instructions of a patch that move; the first is at address `from`.
    fn moved(&mut self, patch: &Patch, from: u64) -> Result<(), SkipReason> {
        let mut from = from;
        let mut rest = patch
            .window
            .get(patch.moved_start() as usize..)
            .unwrap_or_default();
        for moved in &patch.moved {
            // `Patch::check` has made sure of the lengths.
            let (bytes, tail) = rest
                .split_at_checked(moved.len.into())
                .ok_or(SkipReason::TextDiffers)?;
            self.instruction(*moved, bytes, from)?;
            from = from
                .checked_add(moved.len.into())
                .ok_or(SkipReason::Unaddressable)?;
            rest = tail;
        }
        Ok(())
    }

    fn instruction(
        &mut self,
        moved: MovedInstruction,
        bytes: &[u8],
        from: u64,
    ) -> Result<(), SkipReason> {
        let old_next = from
            .checked_add(moved.len.into())
            .ok_or(SkipReason::Unaddressable)?;
        match moved.fixup {
            Fixup::None => self.bytes.extend_from_slice(bytes),
            Fixup::RipRelative { displacement } => {
                let field = bytes
                    .get(displacement.into()..)
                    .and_then(|tail| tail.first_chunk());
                let old = i32::from_le_bytes(*field.ok_or(SkipReason::TextDiffers)?);
                let target = old_next
                    .checked_add_signed(old.into())
                    .ok_or(SkipReason::Unaddressable)?;
                let start = self.bytes.len();
                self.bytes.extend_from_slice(bytes);
                let new = distance(self.here()?, target)?.to_le_bytes();
                let position = start.saturating_add(displacement.into());
                let field = self
                    .bytes
                    .get_mut(position..)
                    .and_then(|tail| tail.first_chunk_mut());
                *field.ok_or(SkipReason::TextDiffers)? = new;
            }
            Fixup::ConditionalJump | Fixup::Jump => {
                let (condition, old) = match *bytes {
                    [opcode @ 0x70..=0x7f, rel] => (Some(opcode & 0x0f), i32::from(rel as i8)),
                    [0x0f, opcode, a, b, c, d] => {
                        (Some(opcode & 0x0f), i32::from_le_bytes([a, b, c, d]))
                    }
                    [0xeb, rel] => (None, i32::from(rel as i8)),
                    [0xe9, a, b, c, d] => (None, i32::from_le_bytes([a, b, c, d])),
                    _ => return Err(SkipReason::TextDiffers),
                };
                let target = old_next
                    .checked_add_signed(old.into())
                    .ok_or(SkipReason::Unaddressable)?;
                match condition {
                    Some(condition) => self.relative(&[0x0f, 0x80 | condition], target)?,
                    None => self.jump(target)?,
                }
            }
        }
        Ok(())
    }
}

/// Returns the displacement that leads from `next`, the end of an instruction, to `target`.
fn distance(next: u64, target: u64) -> Result<i32, SkipReason> {
    i32::try_from(target.wrapping_sub(next) as i64).map_err(|_| SkipReason::OutOfReach)
}
