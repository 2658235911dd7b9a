//! Who may do what.

use minicbor::{Decode, Encode};

use crate::values::Digest;

/// Who may do what with a session; by default its creator may do everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct AccessPolicy {
    /// May read it.
    #[n(0)]
    pub read: AccessRule,
    /// May replace it.
    #[n(1)]
    pub update: AccessRule,
    /// May create sessions below its name.
    #[n(2)]
    pub create_sessions: AccessRule,
}

/// Who passes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum AccessRule {
    /// Nobody.
    #[n(0)]
    None,
    /// Everybody.
    #[n(1)]
    Any,
    /// Those listed.
    #[n(2)]
    Listed {
        /// The session's creator.
        #[n(0)]
        creator: bool,
        /// Those whose client key (SHA-256 of SubjectPublicKeyInfo) is among these; sorted.
        #[n(1)]
        keys: Vec<Digest>,
    },
}

impl Default for AccessRule {
    fn default() -> Self {
        Self::Listed {
            creator: true,
            keys: Vec::new(),
        }
    }
}
