//! What the kernel stands on.
//!
//! A platform owns what silicon or host must do: pages, threads, futex wait and wake, entropy, and
//! the calls to the host. The kernel above owns everything that has Linux semantics. The contract
//! is one trait, [`Platform`], of few and raw operations; everything else in this crate is safe
//! code's view of it:
//!
//! * [`user`]: the program's memory. It is never borrowed: it is copied, once, and only then
//!   looked at, because other threads of the program change it at any time.
//! * [`host`]: typed calls to the host. The host is not trusted where there is a TEE, so results
//!   are checked against what was asked for before they become values.
//! * [`cache`]: the shared file pages that mappings show to the program.
//! * [`memory`]: changes of the program's address space, by ranges that are known to lie in it.
//! * [`sync`] and [`wait`]: locks and wait queues that work between processes.
//!
//! The crate knows nothing about files, processes or signals as programs see them.

#![no_std]

extern crate alloc;

pub mod cache;
pub mod context;
pub mod current;
pub mod errno;
pub mod host;
#[cfg(feature = "hosted")]
pub mod hosted;
pub mod memory;
mod platform;
pub mod sync;
pub mod upcall;
pub mod user;
pub mod wait;

pub use context::Registers;
pub use errno::Errno;
pub use platform::{CodeMapping, FileBytes, Layout, Platform, Spawn, SpawnKind, install, platform};

/// Bytes in a page.
pub const PAGE: usize = 4096;

/// `value` rounded down to a page boundary.
#[must_use]
pub const fn page_floor(value: usize) -> usize {
    value & !(PAGE - 1)
}

/// `value` rounded up to a page boundary; `None` when that overflows.
#[must_use]
pub const fn page_ceil(value: usize) -> Option<usize> {
    match value.checked_add(PAGE - 1) {
        Some(v) => Some(v & !(PAGE - 1)),
        None => None,
    }
}
