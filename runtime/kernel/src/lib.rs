//! The Linux personality of the runtime.
//!
//! One kernel serves all processes of a container: its objects live in memory that they share, so
//! an [`alloc::sync::Arc`] here means the same object in every process. The kernel owns what has
//! Linux semantics (descriptors, paths, files, signals, the address-space map, the process table)
//! and asks the [platform](bannock_platform) for what silicon or the host must do.
//!
//! It knows nothing about attestation, TLS, sessions or enclaves, and contains no `unsafe`.
//!
//! * [`syscall`]: the table of system calls, one file of handlers per family.
//! * [`task`]: threads, processes, exec, wait.
//! * [`signal`]: queues, actions, delivery.
//! * [`mm`]: the address-space map and the program loader.
//! * [`fs`]: mounts, paths, descriptors, files.
//! * [`net`]: sockets, polling.
//! * [`tty`]: pseudo-terminals and job control.
//! * [`readiness`]: waiting for files that the kernel keeps itself.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod fs;
pub mod mm;
pub mod net;
pub mod readiness;
pub mod signal;
pub mod syscall;
pub mod task;
pub mod tty;

pub use task::{Container, Process, Thread};
