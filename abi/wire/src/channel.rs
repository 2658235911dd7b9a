//! The channel between a started instance and the LAS: an inherited socket pair.
//!
//! Requests are typed. The LAS computes the report data itself, from the launch identity that it
//! fixed and the isolation that it achieved, so an instance cannot ask for somebody else's quote
//! and there is no request that takes raw report data. The instance closes the channel before the
//! first application instruction; whatever runs afterwards has nobody to ask.

use crate::binding::Channel;
use alloc::{string::String, vec::Vec};
use minicbor::{Decode, Encode};

/// Descriptor number on which a started instance finds the channel (a `SOCK_STREAM` socket).
pub const CHANNEL_FD: i32 = 3;

/// Largest request or reply on this channel in bytes (evidence with stapled collateral fits).
pub const MAX_MESSAGE: usize = 256 << 10;

/// Most requests that the LAS answers on one channel: a bound on quote work per instance.
///
/// The channel of a [`crate::launch::LaunchIdentity::Cas`] lives as long as the CAS, which attests
/// itself to every new client: it is bounded by [`MAX_CAS_REQUESTS_PER_MINUTE`] instead.
pub const MAX_REQUESTS: u32 = 64;

/// Most requests per minute that the LAS answers on the channel of a CAS; those above are refused
/// and the channel stays open.
pub const MAX_CAS_REQUESTS_PER_MINUTE: u32 = 120;

/// First message, LAS to instance: what the LAS started.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    /// [`crate::PROTOCOL_VERSION`] of the LAS.
    #[n(0)]
    pub version: u16,
    /// The launch identity that every quote will carry.
    #[n(1)]
    pub launch: crate::launch::LaunchIdentity,
    /// The isolation that was achieved.
    #[n(2)]
    pub isolation: crate::launch::Isolation,
    /// Measurement of the instance's image.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub measurement: [u8; 32],
}

/// Instance to LAS.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Request {
    /// Evidence for an attested TLS connection.
    #[n(0)]
    Evidence {
        /// The connection that the evidence is bound to.
        #[n(0)]
        channel: Channel,
        /// Version the instance names itself.
        #[n(1)]
        version: String,
    },
    /// The sealing key of a CAS: answered only for [`crate::launch::LaunchIdentity::Cas`].
    #[n(1)]
    SealingKey,
    /// The instance gives up before its application ran; for the LAS's audit log.
    #[n(2)]
    Denied {
        /// What was refused and why; holds no secret.
        #[n(0)]
        reason: String,
    },
}

/// LAS to instance.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Reply {
    /// The evidence.
    #[n(0)]
    Evidence {
        /// The evidence with its claims.
        #[n(0)]
        evidence: Evidence,
    },
    /// The sealing key.
    #[n(1)]
    SealingKey {
        /// 32 secret bytes, bound to the measurement.
        #[n(0)]
        key: SealingKey,
    },
    /// The request was refused.
    #[n(2)]
    Refused {
        /// Why, for a person.
        #[n(0)]
        reason: String,
    },
    /// A notice was taken.
    #[n(3)]
    Noted,
}

/// 32 secret bytes that only one measurement on one machine gets; wiped when dropped.
#[derive(Clone, PartialEq, Eq, Encode, Decode, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
#[cbor(transparent)]
pub struct SealingKey(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

/// Evidence in its envelope.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Evidence {
    /// The evidence format.
    #[n(0)]
    pub format: EvidenceFormat,
    /// The quote's bytes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub quote: Vec<u8>,
    /// Collateral that the LAS stapled, as JSON; it is signed by the vendor's chain, so who carries
    /// it does not matter.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub collateral: Vec<u8>,
    /// Canonical [`crate::binding::Claims`] that entered the report data.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub claims: Vec<u8>,
}

/// Evidence formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum EvidenceFormat {
    /// Intel SGX DCAP quote, version 3.
    #[n(0)]
    SgxDcapV3,
}
