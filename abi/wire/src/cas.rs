//! Between an attesting runtime and the CAS, inside TLS 1.3 (ALPN [`ALPN`]).
//!
//! The runtime has pinned the CAS's key from its launch identity; the CAS has seen the runtime's
//! ephemeral key in the handshake. The evidence ties both, and the connection, together.

use crate::{channel::Evidence, config::ServiceConfig};
use alloc::string::String;
use minicbor::{Decode, Encode};

/// ALPN protocol name of attestation connections.
pub const ALPN: &[u8] = b"bannock-attest/1";

/// Largest request in bytes.
pub const MAX_REQUEST: usize = 256 << 10;

/// Runtime to CAS.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Request {
    /// Ask for the configuration of a service.
    #[n(0)]
    Configure {
        /// [`crate::PROTOCOL_VERSION`] of the runtime.
        #[n(0)]
        version: u16,
        /// `SESSION/SERVICE`: selects the comparison, proves nothing.
        #[n(1)]
        config_id: String,
        /// The evidence; one with an empty quote where there is no platform, which only a session
        /// that demands none accepts, in a CAS that was started to allow that.
        #[n(2)]
        evidence: Evidence,
    },
    /// For the audit log: the instance refused something after it was configured.
    #[n(1)]
    Report {
        /// What was refused and why; holds no secret.
        #[n(0)]
        reason: String,
    },
    /// Ask the CAS to attest itself on this connection (sent by clients, not by runtimes).
    #[n(2)]
    AttestYourself,
}

/// CAS to runtime.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Reply {
    /// The evidence satisfied the session.
    #[n(0)]
    Configuration {
        /// What the service is given.
        #[n(0)]
        config: ServiceConfig,
    },
    /// The session said no.
    #[n(1)]
    Denied {
        /// Which rule, which claim: for the one entitled to know.
        #[n(0)]
        reason: String,
    },
    /// The CAS failed to decide.
    #[n(2)]
    Failed {
        /// Why, for a person.
        #[n(0)]
        reason: String,
    },
    /// A report was logged.
    #[n(3)]
    Noted,
    /// Evidence of the CAS itself, bound to this connection with the CAS as server.
    #[n(4)]
    Evidence {
        /// The evidence.
        #[n(0)]
        evidence: Evidence,
    },
}
