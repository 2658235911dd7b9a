//! Rewriting of `syscall` instructions into jumps to the runtime, without its unsafe part.
//!
//! A trapped system call costs about two microseconds, a rewritten one a few nanoseconds. Rewriting is an
//! optimisation only: what it leaves alone is caught by Syscall User Dispatch. So a site is rewritten only
//! where that provably keeps the program's meaning, and left otherwise.
//!
//! 1. [`plan`] reads a file and decides how each site is rewritten. Its result, a [`PatchTable`], does not
//!    depend on where the file is mapped and can be kept, by the file's digest, with
//!    [`PatchTable::encode`]. It can run ahead of time in tools: in a process that plans, the decoder's
//!    tables cost about 0.6 ms and 920 KB of heap once, which nothing frees.
//! 2. [`apply`] turns the table into [`Write`]s for one mapping of the file. It touches no memory itself.
//! 3. [`TrampolineMap`] says which instruction of the program an address in a trampoline stands for, so
//!    that a signal frame shows an address that the program knows.
//!
//! # What is overwritten
//!
//! A jump takes five bytes and `syscall` two, so neighbouring instructions move into a trampoline. Best are
//! those *before* the site, since `syscall` then stays where it is: code that jumps straight to it still
//! works, by a trap. `mov eax, imm32`, which most sites have, is exactly five bytes long. Otherwise the
//! `syscall` and the instructions after it move.
//!
//! # Contract with the entry point
//!
//! A chunk of trampolines starts with the address of the entry point (8 bytes, little-endian). The entry
//! point is reached by a jump, with all registers and flags as `syscall` would have found them, except that
//! `rcx` holds the address to continue at. Like the instruction, it may change `rax`, `rcx` and `r11` only.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod choose;
mod codec;
mod emit;
mod functions;
mod instruction;
mod map;
mod padding;
mod planner;
mod site;
mod table;

pub use codec::{TableFault, VERSION};
pub use emit::{
    Applied, ApplyFault, CALL_LEN, Chunk, Mapping, REACH, SkipReason, Skipped, Write, apply,
    chunk_addresses,
};
pub use map::{Phase, Position, TrampolineMap};
pub use planner::{Left, LeftReason, Plan, plan};
pub use table::{Fixup, MovedInstruction, Patch, PatchKind, PatchTable, Stats};
