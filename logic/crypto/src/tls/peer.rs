//! Accepting the other end by its key instead of by a certificate authority.
//!
//! Names, dates and issuers of certificates are ignored: a certificate is the envelope of a key. That the other end
//! holds the private key is verified in every handshake, and only TLS 1.3 is spoken.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use once_cell::race::OnceBox;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};

use super::provider::SIGNATURE_ALGORITHMS;
use super::spki::SpkiSha256;

/// Which keys are accepted.
pub trait Accept: fmt::Debug + Send + Sync {
    /// Whether `key` is.
    fn accept(&self, key: SpkiSha256) -> bool;
}

/// Verifies that the other end holds the key of its certificate, and that `A` accepts that key.
#[derive(Debug)]
pub struct KeyVerifier<A> {
    accepted: A,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Accepts exactly one public key, whatever the certificate around it says.
///
/// Make one verifier per connection: it remembers the key it refused.
pub type PinnedServer = KeyVerifier<Pin>;

/// Accepts any public key of a server, which the caller has to judge afterwards, by evidence that names it.
///
/// The connection ends at whoever holds the key; *who that is* this does not say. Nothing secret may be sent before the
/// evidence was verified against the key and the connection's exporter.
pub type AnyServerKey = KeyVerifier<Any>;

/// Accepts any public key of a client, or none: the server decides by the key, request by request.
pub type AnyClientKey = KeyVerifier<Any>;

/// One key, by its hash.
pub struct Pin {
    expected: SpkiSha256,
    refused: OnceBox<SpkiSha256>,
}

/// Every key.
#[derive(Debug)]
pub struct Any;

impl PinnedServer {
    /// Accepts the key whose SubjectPublicKeyInfo has the hash `expected`.
    pub fn new(expected: SpkiSha256) -> Self {
        Self {
            accepted: Pin {
                expected,
                refused: OnceBox::new(),
            },
            algorithms: SIGNATURE_ALGORITHMS,
        }
    }

    /// The key that is accepted.
    pub fn expected(&self) -> SpkiSha256 {
        self.accepted.expected
    }

    /// The key that the server showed instead, once one was refused.
    pub fn refused(&self) -> Option<SpkiSha256> {
        self.accepted.refused.get().copied()
    }
}

impl Accept for Pin {
    fn accept(&self, key: SpkiSha256) -> bool {
        let accepted = key == self.expected;
        if !accepted {
            let _ = self.refused.set(Box::new(key));
        }
        accepted
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin")
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

impl KeyVerifier<Any> {
    /// Verifies handshakes with this crate's algorithms.
    pub const fn any() -> Self {
        Self::any_with(SIGNATURE_ALGORITHMS)
    }

    /// Verifies handshakes with the `algorithms` of another provider.
    pub const fn any_with(algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self {
            accepted: Any,
            algorithms,
        }
    }
}

impl Accept for Any {
    fn accept(&self, _key: SpkiSha256) -> bool {
        true
    }
}

impl<A: Accept> KeyVerifier<A> {
    fn judge(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let key = SpkiSha256::of_certificate(certificate)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if self.accepted.accept(key) {
            Ok(())
        } else {
            Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }
}

fn tls12_is_not_spoken() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
}

impl<A: Accept> ServerCertVerifier for KeyVerifier<A> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(end_entity)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls12_is_not_spoken()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for AnyClientKey {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(end_entity)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls12_is_not_spoken()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
