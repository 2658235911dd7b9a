//! The launch identity: what an instance was started *as*, fixed before its first instruction.
//!
//! The launcher fixes it, the platform signs it, and the CAS rebuilds it from the service that is
//! asked for and its own key. What a requester says about itself only selects the comparison.

use alloc::string::String;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256, Sha512};

/// Domain separation of [`LaunchIdentity::config_id`].
pub const CONFIG_ID_LABEL: &[u8] = b"bannock launch identity v1\0";

/// What an instance was started as.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum LaunchIdentity {
    /// A stand-alone instance: it gets nothing from any CAS.
    #[n(0)]
    Standalone,
    /// An instance of a service of a session.
    #[n(1)]
    Service {
        /// `SESSION/SERVICE`: the last `/` separates the two.
        #[n(0)]
        config_id: String,
        /// SHA-256 of the SubjectPublicKeyInfo of the only CAS this instance talks to.
        #[cbor(n(1), with = "minicbor::bytes")]
        cas_key: [u8; 32],
    },
    /// A CAS.
    #[n(2)]
    Cas,
}

impl LaunchIdentity {
    /// The 64 bytes that a platform signs: SHA-512(label ‖ canonical launch identity).
    ///
    /// On SGX this is CONFIGID (Intel SDM vol. 3D, REPORT structure, offset 192), fixed at EINIT.
    #[must_use]
    pub fn config_id(&self) -> [u8; 64] {
        let mut hash = Sha512::new();
        hash.update(CONFIG_ID_LABEL);
        hash.update(crate::encode(self));
        hash.finalize().into()
    }
}

/// How far an instance is shielded from other processes of its machine, as achieved and signed by
/// the LAS. On simulated platforms the flags travel in CONFIGSVN.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Isolation(#[n(0)] pub u16);

impl Isolation {
    /// Runs in a user namespace of its own, as an unprivileged user without capabilities.
    pub const USER_NAMESPACE: Self = Self(1 << 0);
    /// Runs as the first process of a PID namespace of its own.
    pub const PID_NAMESPACE: Self = Self(1 << 1);
    /// Was started from a sealed memory file that the LAS had hashed.
    pub const SEALED_IMAGE: Self = Self(1 << 2);
    /// Is non-dumpable and untraceable from its first instruction (image not readable by it).
    pub const NOT_DUMPABLE: Self = Self(1 << 3);
    /// Cannot gain privileges: `no_new_privs` is set.
    pub const NO_NEW_PRIVILEGES: Self = Self(1 << 4);
    /// Everything above: what policies require unless they say otherwise.
    pub const FULL: Self = Self(0b1_1111);
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Whether every flag of `other` is set in `self`.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of flags together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Names of the flags of `self` that `other` lacks, for messages.
    pub fn missing_in(self, other: Self) -> impl Iterator<Item = &'static str> {
        const NAMES: [&str; 5] = [
            "user-namespace",
            "pid-namespace",
            "sealed-image",
            "not-dumpable",
            "no-new-privileges",
        ];
        NAMES
            .iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 & !other.0 & (1 << bit) != 0)
            .map(|(_, name)| *name)
    }
}

impl core::fmt::Debug for Isolation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.missing_in(Self::NONE)).finish()
    }
}

/// SHA-256 of a published runtime file: MRENCLAVE on process platforms.
#[must_use]
pub fn runtime_measurement(file: &[u8]) -> [u8; 32] {
    Sha256::digest(file).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn identities_of_different_services_and_kinds_differ() {
        let service = |id: &str, key| LaunchIdentity::Service {
            config_id: id.to_string(),
            cas_key: [key; 32],
        };
        let all = [
            LaunchIdentity::Standalone,
            LaunchIdentity::Cas,
            service("a/b", 1),
            service("a/b", 2),
            service("a/c", 1),
        ];
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(a.config_id() == b.config_id(), i == j, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn the_canonical_form_is_pinned() {
        let identity = LaunchIdentity::Service {
            config_id: "s/x".to_string(),
            cas_key: [7; 32],
        };
        let bytes = crate::encode(&identity);
        assert_eq!(bytes[..6], [0x83, 0x01, 0x63, b's', b'/', b'x']);
        assert_eq!(
            crate::decode::<LaunchIdentity>("launch identity", &bytes).unwrap(),
            identity
        );
        assert!(crate::decode::<LaunchIdentity>("launch identity", &bytes[..20]).is_err());
    }

    #[test]
    fn missing_flags_are_named() {
        let have = Isolation::USER_NAMESPACE.union(Isolation::SEALED_IMAGE);
        let missing: alloc::vec::Vec<_> = Isolation::FULL.missing_in(have).collect();
        assert_eq!(
            missing,
            ["pid-namespace", "not-dumpable", "no-new-privileges"]
        );
        assert!(!have.contains(Isolation::FULL));
    }
}
