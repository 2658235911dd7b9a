//! Starts measured images in isolation, and says what isolation was achieved.
//!
//! The launcher copies an image into a sealed memory file and hashes exactly the bytes that it
//! wrote ([`Image`], kept for further starts by [`Images`]), then starts it from there ([`launch`]):
//! first process of a PID namespace, unprivileged in a user namespace, without capabilities, not
//! dumpable from its first instruction.
//! What the new process really has is read back from the kernel ([`inspect`]); a kernel that refuses
//! something makes the flags smaller, and it is for policies to say whether that is enough.
//!
//! Order matters. Namespaces of the caller are joined first, while the new process is still
//! privileged: joining needs capabilities over the namespace's owner. The user namespace comes after
//! that, so that it owns none of them. Between the two the new process opens no path, because paths
//! mean what the caller's mount namespace says.
//!
//! The launcher knows nothing about evidence, sockets or policies.

mod child;
mod fault;
mod image;
mod images;
pub mod inspect;
mod instance;
mod plan;
mod spawn;
mod sys;

pub use fault::LaunchFault;
pub use image::{Image, MAX_IMAGE};
pub use images::Images;
pub use instance::{Ended, Instance};
pub use plan::{Caller, Launch, Namespaces};
pub use spawn::launch;

/// User and group id that an instance sees as its own.
///
/// It maps to the caller's ids, so the instance may open the host files that the caller may (by its
/// user and primary group; supplementary groups are dropped). The number is the same everywhere and
/// not that of root, so a program sees a plain unprivileged user and nothing about its caller.
pub const INNER_ID: u32 = 1000;

/// Hides the memory of this process from other processes of its user, and from core dumps.
///
/// A process that holds keys and starts instances calls it at its start when it runs as root.
/// (Without privileges the kernel would then refuse to let it map the ids of what it starts.)
///
/// # Errors
/// The kernel's error.
pub fn hide_memory() -> std::io::Result<()> {
    Ok(rustix::process::set_dumpable_behavior(
        rustix::process::DumpableBehavior::NotDumpable,
    )?)
}
