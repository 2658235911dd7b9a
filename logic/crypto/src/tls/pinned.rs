//! Accepting a server by its key instead of by a certificate authority.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use once_cell::race::OnceBox;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};

use super::provider::SIGNATURE_ALGORITHMS;
use super::spki::SpkiSha256;

/// Accepts exactly one public key, whatever the certificate around it says.
///
/// Names, dates and issuers are ignored: the pin is the trust. The handshake's signature is verified, so the server has
/// to hold the private key. Make one verifier per connection: it remembers the key it refused.
pub struct PinnedServer {
    expected: SpkiSha256,
    refused: OnceBox<SpkiSha256>,
}

impl PinnedServer {
    /// Accepts the key whose SubjectPublicKeyInfo has the hash `expected`.
    pub fn new(expected: SpkiSha256) -> Self {
        Self {
            expected,
            refused: OnceBox::new(),
        }
    }

    /// The key that is accepted.
    pub fn expected(&self) -> SpkiSha256 {
        self.expected
    }

    /// The key that the server showed instead, once one was refused.
    pub fn refused(&self) -> Option<SpkiSha256> {
        self.refused.get().copied()
    }
}

impl ServerCertVerifier for PinnedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = spki_hash(end_entity)?;
        if found == self.expected {
            return Ok(ServerCertVerified::assertion());
        }
        let _ = self.refused.set(Box::new(found));
        Err(Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_handshake(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SIGNATURE_ALGORITHMS.supported_schemes()
    }
}

impl fmt::Debug for PinnedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedServer")
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

/// Accepts any public key, which the caller has to judge afterwards, by evidence that names it.
///
/// The handshake's signature is verified, so the connection ends at whoever holds the key; *who that is* this does not
/// say. Nothing secret may be sent before the evidence was verified against the key and the connection's exporter.
#[derive(Debug)]
pub struct AnyServerKey;

impl ServerCertVerifier for AnyServerKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        spki_hash(end_entity).map(|_| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_handshake(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SIGNATURE_ALGORITHMS.supported_schemes()
    }
}

fn spki_hash(certificate: &CertificateDer<'_>) -> Result<SpkiSha256, Error> {
    SpkiSha256::of_certificate(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
}

fn verify_handshake(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    rustls::crypto::verify_tls13_signature(message, certificate, signature, &SIGNATURE_ALGORITHMS)
}
