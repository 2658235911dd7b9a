//! The process platform: an ordinary Linux process as what the kernel stands on.
//!
//! It is what runs in a confidential VM, where the guest kernel is inside the TEE, and in
//! simulation. The pieces:
//!
//! * [`start`]: from the first instruction of the published static PIE to a process at a base
//!   address of the container's own; every exec starts there again.
//! * [`regions`]: memory that all processes of the container share: the kernel's heap and the page
//!   cache.
//! * [`entry`]: the one entry of system calls, and the ways back to the program.
//! * [`interrupts`]: host signals: traps of Syscall User Dispatch, faults, interrupts.
//! * [`block`]: what each thread has: kernel stack, saved state, flags; found through GS.
//! * [`spawn`]: new threads and processes.
//! * [`code`]: redirection of system-call sites in a program's code.
//! * [`filter`]: the seccomp filter that proves that nothing else reaches the host.
//! * [`supervise`]: the container's first process.
//!
//! # Where the processor's state lives
//!
//! FS belongs to the program; GS points to the thread's [`block::Block`]. A program runs on its
//! own stack, the kernel on the block's, which is always empty while the program runs: nothing
//! nests, so a `siglongjmp` out of a handler leaves nothing behind.

#![no_std]

extern crate alloc;

pub mod block;
pub mod code;
pub mod entry;
pub mod filter;
pub mod heap;
pub mod interrupts;
mod mem;
mod process;
mod publish;
pub mod raw;
pub mod regions;
pub mod report;
pub mod spawn;
pub mod start;
pub mod supervise;
mod vdso;

pub use process::{PROCESS, set_kernel};
