//! The client's end of a TLS 1.3 connection, without I/O.
//!
//! [`Connection`] turns received bytes into plaintext and plaintext into bytes to send; the caller moves both. All
//! buffers are bounded, whatever the peer sends. Sessions are never resumed and no data is sent early, so every
//! connection is a fresh handshake with fresh keys, which evidence can be bound to.

mod connection;
mod fault;

pub use connection::{Connection, INCOMING_LIMIT, OUTGOING_LIMIT, PLAINTEXT_LIMIT};
pub use fault::ConnectionFault;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

use super::identity::Identity;
use super::provider::TlsProvider;
use super::spki::SpkiSha256;

/// Which server a client accepts.
#[derive(Clone, Debug)]
pub enum ServerTrust {
    /// The holder of exactly this key.
    Pinned(SpkiSha256),
    /// The holder of any key, which the caller judges by evidence before it sends a secret.
    JudgedByEvidence,
    /// Whom the verifier accepts, for instance by a certificate authority.
    Verifier(Arc<dyn ServerCertVerifier>),
}

/// What a connection needs to know before it starts.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The algorithms and the randomness behind them.
    pub provider: TlsProvider,
    /// Which server is accepted.
    pub trust: ServerTrust,
    /// The key and certificate to show when the server asks for them.
    pub identity: Option<Identity>,
    /// The DNS name to ask for (RFC 6066 §3) and to verify, unless the server is known by its key only.
    pub server_name: Option<alloc::string::String>,
    /// Application protocols in order of preference (RFC 7301).
    pub alpn: Vec<Vec<u8>>,
    /// The time at which certificates have to be valid, in seconds since the Unix epoch; pins ignore it.
    pub now: u64,
}

/// The time that the caller gave: this crate reads no clock.
#[derive(Debug)]
struct Given(u64);

impl TimeProvider for Given {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}
