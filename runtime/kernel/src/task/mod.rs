//! Threads, processes and the container that they form.

mod container;
mod process;
mod thread;

pub use container::Container;
pub use process::Process;
pub use thread::Thread;
