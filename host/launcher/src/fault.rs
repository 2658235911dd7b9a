//! Why an instance was not started.

use rustix::io::Errno;
use std::io;

/// Why an instance was not started; nothing of it runs.
#[derive(Debug, thiserror::Error)]
pub enum LaunchFault {
    /// The image could not be read from the descriptor that was given.
    #[error("cannot read the image from its descriptor")]
    ImageUnreadable(#[source] io::Error),
    /// The image is empty.
    #[error("the image is empty; it must be a static ELF program")]
    ImageEmpty,
    /// The image is too large.
    #[error("the image is over the limit of {limit} bytes")]
    ImageTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A sealed memory file for the image could not be made.
    #[error("cannot make a sealed memory file for the image")]
    Seal(#[source] io::Error),
    /// An argument or a variable cannot be passed to a program.
    #[error("{what} holds a NUL byte or, for a variable, no name; correct it")]
    Text {
        /// Which one.
        what: String,
    },
    /// The cgroup is not the caller's to use.
    #[error(
        "user {uid} may not start processes in the cgroup that was passed; pass one that is \
         delegated to this user, or none"
    )]
    Cgroup {
        /// The caller's user id.
        uid: u32,
    },
    /// A launcher without privileges was to join another namespace.
    #[error(
        "the caller lives in other namespaces than the launcher, which without privileges cannot \
         join them; run the launcher as root or in the caller's namespaces"
    )]
    ForeignNamespace,
    /// A resource for the start could not be had.
    #[error("cannot {what}")]
    Prepare {
        /// What was tried.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The new process failed on the way to its first instruction.
    #[error("the new process could not {step}")]
    Child {
        /// What it tried.
        step: &'static str,
        /// Why not.
        #[source]
        source: Errno,
    },
    /// The new process was gone before its first instruction.
    #[error("the new process ended before it could execute its image")]
    Died,
    /// What the kernel says about the new process could not be read.
    #[error("cannot read back how process {pid} is isolated; is /proc mounted?")]
    Inspect {
        /// The process.
        pid: i32,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl LaunchFault {
    /// For `map_err`: names what could not be prepared.
    pub(crate) fn prepare<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Prepare {
            what,
            source: source.into(),
        }
    }
}
