//! Terminals: pseudo-terminals, their line discipline, and job control.
//!
//! A pseudo-terminal is the kernel's own from end to end: what is typed and shown on it never reaches
//! the host. Standard streams that are a terminal of the host take part in job control only.

mod control;
mod discipline;
mod files;
mod pts;
mod pty;
mod termios;

pub use control::{JobControl, Sessions};
pub(crate) use control::{after_end, groups_around, is_orphaned};
pub(crate) use files::open_slave;
pub use pts::pseudo_terminal_mount;
pub use termios::Termios;

#[cfg(test)]
mod tests;
