//! Threads, processes and the container that they form.
//!
//! Process 1 is the runtime's supervisor: an entry without threads that adopts orphans. The main
//! program is its first child, and the container ends with it.

mod children;
pub mod clone;
mod container;
mod credentials;
mod descriptor;
pub mod exec;
pub mod exit;
mod launch;
mod limits;
mod linux;
mod process;
mod script;
mod status;
mod thread;
mod timers;
mod view;

pub use children::{Change, Select, notify_parent, wait};
pub use container::{Config, Container, Ending, MAIN, SUPERVISOR};
pub use credentials::Ids;
pub use descriptor::ProcessFile;
pub use launch::{LaunchSpec, host_process_gone, host_signal, launch};
pub use limits::Limits;
pub use linux::Linux;
pub use process::{Process, Program};
pub use script::Script;
pub use status::{ExitStatus, Usage};
pub use thread::Thread;
pub(crate) use timers::expire;
pub use timers::{Notify, Setting, Timers, host_clock};

#[cfg(test)]
mod tests;
