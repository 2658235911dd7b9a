//! Between `bannock run` (the caller) and the LAS, over the LAS's Unix socket.
//!
//! Descriptors travel beside [`Start`] as `SCM_RIGHTS`, in the order that [`Start::descriptors`]
//! gives. The caller's death ends the instance; the LAS's does not.

use crate::launch::LaunchIdentity;
use alloc::{string::String, vec::Vec};
use minicbor::{Decode, Encode};

/// Largest message in bytes, apart from the runtime image that travels as a descriptor.
pub const MAX_MESSAGE: usize = 1 << 20;

/// A descriptor that the caller passes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Descriptor {
    /// The image to run: read by the LAS, never executed from here.
    #[n(0)]
    Image,
    /// Standard input of the instance.
    #[n(1)]
    Stdin,
    /// Standard output of the instance.
    #[n(2)]
    Stdout,
    /// Standard error of the instance.
    #[n(3)]
    Stderr,
    /// Mount namespace to join.
    #[n(4)]
    MountNamespace,
    /// Network namespace to join.
    #[n(5)]
    NetworkNamespace,
    /// IPC namespace to join.
    #[n(6)]
    IpcNamespace,
    /// UTS namespace to join.
    #[n(7)]
    UtsNamespace,
    /// Cgroup directory to start in.
    #[n(8)]
    Cgroup,
}

/// Caller to LAS, first message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Request {
    /// Start an instance.
    #[n(0)]
    Start {
        /// What to start.
        #[n(0)]
        start: Start,
    },
    /// Say what you are.
    #[n(1)]
    Status,
}

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Start {
    /// [`crate::PROTOCOL_VERSION`] of the caller.
    #[n(0)]
    pub version: u16,
    /// The launch identity to fix.
    #[n(1)]
    pub launch: LaunchIdentity,
    /// Arguments after the image's name: addresses and paths, never secrets.
    #[n(2)]
    pub arguments: Vec<String>,
    /// Environment as `NAME=value`; visible to the host.
    #[n(3)]
    pub environment: Vec<String>,
    /// Meaning of each descriptor sent along.
    #[n(4)]
    pub descriptors: Vec<Descriptor>,
}

/// Caller to LAS while the instance runs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Control {
    /// Send a signal to the instance's first process.
    #[n(0)]
    Signal {
        /// Signal number (1 to 64).
        #[n(0)]
        number: u8,
    },
}

/// LAS to caller.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Reply {
    /// The instance runs.
    #[n(0)]
    Started {
        /// Its process id in the LAS's PID namespace.
        #[n(0)]
        pid: i32,
        /// Measurement of the image that was started.
        #[cbor(n(1), with = "minicbor::bytes")]
        measurement: [u8; 32],
    },
    /// The instance ended with an exit code.
    #[n(1)]
    Exited {
        /// Exit code.
        #[n(0)]
        code: u8,
    },
    /// The instance was ended by a signal.
    #[n(2)]
    Killed {
        /// Signal number.
        #[n(0)]
        signal: u8,
    },
    /// The LAS refused or failed to start the instance.
    #[n(3)]
    Refused {
        /// Why, for a person.
        #[n(0)]
        reason: String,
    },
    /// Answer to [`Request::Status`].
    #[n(4)]
    Status {
        /// [`crate::PROTOCOL_VERSION`] of the LAS.
        #[n(0)]
        version: u16,
        /// SHA-256 of the platform's root certificate.
        #[cbor(n(1), with = "minicbor::bytes")]
        root: [u8; 32],
        /// Whether the platform is simulated.
        #[n(2)]
        simulated: bool,
        /// Instances that run now.
        #[n(3)]
        instances: u32,
    },
}
