//! Signals: queues, actions, delivery.
//!
//! The kernel owns every signal of a program. Sending one queues it and wakes a thread that does
//! not block it; the thread delivers it to itself on its way back to the program ([`deliver`]), by
//! building the frame that Linux builds (`frame`).

mod action;
pub mod deliver;
mod descriptor;
mod frame;
mod info;
mod mask;
mod number;
mod queue;
mod send;
mod state;

pub use action::{Action, Actions, Disposition};
pub use deliver::{Restart, take};
pub use descriptor::SignalFile;
pub use frame::{AltStack, sigreturn};
pub use info::{ChildChange, Info};
pub use mask::{deliverable, interrupted, set_mask, set_mask_until_delivery, sleep, with_mask};
pub use number::{DefaultAction, Signal, SignalSet};
pub use queue::Queue;
pub(crate) use send::send_timer;
pub use send::{
    absorb, broken_pipe, file_too_large, force, leave_to_others, resume, send_to_process,
    send_to_thread, wake,
};
pub use state::{FaultContext, ProcessSignals, ThreadSignals};

#[cfg(test)]
mod tests;
