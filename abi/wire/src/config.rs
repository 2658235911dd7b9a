//! What the CAS provisions to an attested service.

use alloc::{string::String, vec::Vec};
use minicbor::{Decode, Encode};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Everything a service is given; it exists in the runtime only after attestation.
///
/// It holds secrets: it has no `Debug`, and its memory is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq, Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
pub struct ServiceConfig {
    /// Program and arguments; the first is a path or a name looked up in `PATH`.
    #[n(0)]
    pub argv: Vec<String>,
    /// Environment variables, in the session's order.
    #[n(1)]
    pub environment: Vec<Variable>,
    /// Working directory; absolute.
    #[n(2)]
    pub pwd: String,
    /// Files that exist only inside the runtime.
    #[n(3)]
    pub files: Vec<InjectedFile>,
    /// Measured host trees.
    #[n(4)]
    pub trees: Vec<Tree>,
    /// Further mounts.
    #[n(5)]
    pub mounts: Vec<Mount>,
    /// Names of environment variables whose host values are admitted.
    #[n(6)]
    pub host_environment: Vec<String>,
}

/// One environment variable.
#[derive(Clone, PartialEq, Eq, Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
pub struct Variable {
    /// Name, without `=` and NUL.
    #[n(0)]
    pub name: String,
    /// Value, without NUL.
    #[n(1)]
    pub value: String,
}

/// A file rendered by the CAS.
#[derive(Clone, PartialEq, Eq, Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
pub struct InjectedFile {
    /// Absolute path.
    #[n(0)]
    pub path: String,
    /// Permission bits (0 to 0o7777).
    #[n(1)]
    pub mode: u32,
    /// Content.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub content: Vec<u8>,
}

/// A measured host tree: the host's files, admitted by digest.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Zeroize)]
#[cbor(map)]
pub struct Tree {
    /// Where the tree appears; absolute.
    #[n(0)]
    pub path: String,
    /// Root digest of the manifest.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub digest: [u8; 32],
    /// Where the host keeps the manifest: a hint, verified by the digest.
    #[n(2)]
    pub manifest: Option<String>,
}

/// A further mount.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Zeroize)]
#[cbor(map)]
pub struct Mount {
    /// Where it appears; absolute.
    #[n(0)]
    pub path: String,
    /// What is there.
    #[n(1)]
    pub kind: MountKind,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Zeroize)]
#[cbor(flat)]
pub enum MountKind {
    /// Ephemeral files in the runtime's memory, empty at start.
    #[n(0)]
    Memory,
    /// A directory of the host, passed through: the host reads and changes it at will.
    #[n(1)]
    Host {
        /// Absolute host path.
        #[n(0)]
        source: String,
        /// Refuse every change.
        #[n(1)]
        read_only: bool,
    },
}
