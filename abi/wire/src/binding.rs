//! The one formula that ties evidence to a connection.
//!
//! Report data = SHA-512 over length-prefixed fields: label and version, role of the attester, TLS
//! exporter, SHA-256 of both SubjectPublicKeyInfos, SHA-256 of the canonical [`Claims`]. The
//! exporter (RFC 8446 §7.5) is what defeats a relay: it differs on every connection.

use crate::launch::{Isolation, LaunchIdentity};
use alloc::string::String;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256, Sha512};

/// Label of the TLS exporter that enters the binding; its context is empty.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-Bannock-Attestation-v1";

/// Label and version of the formula.
pub const LABEL: &[u8] = b"bannock attestation binding v1";

/// Which end of the TLS connection attests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// The attester is the TLS client.
    #[n(1)]
    Client,
    /// The attester is the TLS server.
    #[n(2)]
    Server,
}

/// What the platform says about the instance, beyond the evidence format's own fields.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Claims {
    /// What the instance was started as.
    #[n(0)]
    pub launch: LaunchIdentity,
    /// The isolation that the LAS achieved.
    #[n(1)]
    pub isolation: Isolation,
    /// Version of the runtime or CAS as it names itself; informative, never trusted.
    #[n(2)]
    pub version: String,
}

impl Claims {
    /// SHA-256 of the canonical claims.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(crate::encode(self)).into()
    }
}

/// The inputs of the formula that belong to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Channel {
    /// Which end attests.
    #[n(0)]
    pub role: Role,
    /// TLS exporter for [`EXPORTER_LABEL`] with an empty context.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub exporter: [u8; 32],
    /// SHA-256 of the attester's SubjectPublicKeyInfo.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub attester_key: [u8; 32],
    /// SHA-256 of the other end's SubjectPublicKeyInfo; zeros where it has none.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub peer_key: [u8; 32],
}

/// The 64 bytes of report data that evidence for `claims` on `channel` must carry.
#[must_use]
pub fn report_data(channel: &Channel, claims: &Claims) -> [u8; 64] {
    let mut hash = Sha512::new();
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    field(LABEL);
    field(match channel.role {
        Role::Client => b"client",
        Role::Server => b"server",
    });
    field(&channel.exporter);
    field(&channel.attester_key);
    field(&channel.peer_key);
    field(&claims.digest());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_changes_the_report_data() {
        let claims = |launch, isolation| Claims {
            launch,
            isolation,
            version: String::new(),
        };
        let base = claims(LaunchIdentity::Cas, Isolation::FULL);
        let channel = Channel {
            role: Role::Client,
            exporter: [1; 32],
            attester_key: [2; 32],
            peer_key: [3; 32],
        };
        let all = [
            report_data(&channel, &base),
            report_data(
                &Channel {
                    role: Role::Server,
                    ..channel
                },
                &base,
            ),
            report_data(
                &Channel {
                    exporter: [9; 32],
                    ..channel
                },
                &base,
            ),
            report_data(
                &Channel {
                    attester_key: [9; 32],
                    ..channel
                },
                &base,
            ),
            report_data(
                &Channel {
                    peer_key: [9; 32],
                    ..channel
                },
                &base,
            ),
            // Swapping the two keys must not cancel out.
            report_data(
                &Channel {
                    attester_key: [3; 32],
                    peer_key: [2; 32],
                    ..channel
                },
                &base,
            ),
            report_data(
                &channel,
                &claims(LaunchIdentity::Standalone, Isolation::FULL),
            ),
            report_data(&channel, &claims(LaunchIdentity::Cas, Isolation::NONE)),
        ];
        for (i, a) in all.iter().enumerate() {
            for b in &all[i + 1..] {
                assert_ne!(a, b);
            }
        }
    }
}
