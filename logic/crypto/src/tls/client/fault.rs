//! Why a connection failed.

use alloc::string::String;

use rustls::AlertDescription;

use crate::random::EntropyFault;
use crate::tls::exporter::ExporterFault;
use crate::tls::spki::SpkiSha256;

/// Why a connection failed; once failed, it stays so and says the same again.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConnectionFault {
    /// Somebody else answered, or the server has a new key.
    #[error(
        "the server is not the pinned one: its key has SPKI SHA-256 {found}, expected {expected}; \
         check the address, or update the pin if the server's key was replaced on purpose"
    )]
    NotPinned {
        /// The pin.
        expected: SpkiSha256,
        /// The key that the server showed.
        found: SpkiSha256,
    },
    /// The certificate or the signature over the handshake is not acceptable.
    #[error("the server's certificate or its handshake signature was refused: {0}")]
    ServerRefused(rustls::CertificateError),
    /// The peer ended the connection with an error.
    #[error("the server refused the connection with the TLS alert {0:?}")]
    Alert(AlertDescription),
    /// The two ends have no version, suite, group or signature scheme in common.
    #[error("the server does not speak a TLS 1.3 that this client accepts: {0}")]
    Incompatible(rustls::Error),
    /// The peer, or somebody on the way, sent what TLS does not allow.
    #[error("the server, or somebody on the way, broke the TLS protocol: {0}")]
    Protocol(rustls::Error),
    /// The stream ended without a close_notify: what came before may not be everything.
    #[error("the connection was cut: it ended without the server saying that it was complete")]
    Truncated,
    /// A handshake message does not fit the buffer.
    #[error("the server sent a TLS message longer than {limit} bytes")]
    MessageTooLong {
        /// The size of the buffer in bytes.
        limit: usize,
    },
    /// Application data, before the server is known to be the right one.
    #[error("no data can be written before the TLS handshake is complete")]
    HandshakeIncomplete,
    /// Application data, after the end of application data.
    #[error("no data can be written after the connection was closed")]
    Closed,
    /// The name in the configuration is no DNS name.
    #[error("`{0}` is not a DNS name, so no server can be asked for by it")]
    ServerName(String),
    /// No randomness for the handshake.
    #[error("cannot start a TLS handshake")]
    Entropy(#[from] EntropyFault),
    /// Nothing can be exported.
    #[error("cannot bind to the TLS connection")]
    Exporter(#[from] ExporterFault),
    /// The configuration, or the library itself, contradicts itself.
    #[error("the TLS client cannot go on: {0}")]
    Internal(rustls::Error),
}

impl From<rustls::Error> for ConnectionFault {
    fn from(error: rustls::Error) -> Self {
        use rustls::Error as E;
        match error {
            E::InvalidCertificate(reason) => Self::ServerRefused(reason),
            E::AlertReceived(alert) => Self::Alert(alert),
            E::FailedToGetRandomBytes => Self::Entropy(EntropyFault),
            E::PeerIncompatible(_) | E::NoApplicationProtocol => Self::Incompatible(error),
            E::InappropriateMessage { .. }
            | E::InappropriateHandshakeMessage { .. }
            | E::InvalidMessage(_)
            | E::NoCertificatesPresented
            | E::UnsupportedNameType
            | E::DecryptError
            | E::PeerMisbehaved(_)
            | E::PeerSentOversizedRecord => Self::Protocol(error),
            _ => Self::Internal(error),
        }
    }
}
