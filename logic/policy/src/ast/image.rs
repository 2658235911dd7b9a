//! The files of services.

use minicbor::{Decode, Encode};

use crate::template::Template;
use crate::values::{AbsolutePath, Digest, Name};

/// The files of services.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Image {
    /// Unique in the session.
    #[n(0)]
    pub name: Name,
    /// Rendered by the CAS.
    #[n(1)]
    pub injection_files: Vec<InjectionFile>,
    /// Measured trees of the host.
    #[n(2)]
    pub trees: Vec<Tree>,
    /// Further mounts.
    #[n(3)]
    pub mounts: Vec<Mount>,
}

/// A file that exists only inside the runtime.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct InjectionFile {
    /// Where.
    #[n(0)]
    pub path: AbsolutePath,
    /// What.
    #[n(1)]
    pub content: Template,
    /// Permission bits, 0 to 0o777.
    #[n(2)]
    pub permission: u16,
}

/// A measured tree of the host.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Tree {
    /// Where it appears.
    #[n(0)]
    pub path: AbsolutePath,
    /// The root digest of its manifest.
    #[n(1)]
    pub digest: Digest,
    /// Where the host keeps the manifest: a hint.
    #[n(2)]
    pub manifest: Option<AbsolutePath>,
}

/// A further mount.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Mount {
    /// Where it appears.
    #[n(0)]
    pub path: AbsolutePath,
    /// What is there.
    #[n(1)]
    pub kind: MountKind,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum MountKind {
    /// Ephemeral memory, empty at start.
    #[n(0)]
    Memory,
    /// A directory of the host, which the host reads and changes at will.
    #[n(1)]
    Host {
        /// Where on the host.
        #[n(0)]
        source: AbsolutePath,
        /// Whether changes are refused.
        #[n(1)]
        read_only: bool,
    },
}
