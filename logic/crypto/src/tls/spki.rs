//! Public keys as certificates carry them, and their hashes.

use alloc::vec::Vec;
use core::fmt;

use rustls::pki_types::CertificateDer;

use crate::digest::{SHA256_LEN, sha256};
use crate::secret::WrongLength;

/// SHA-256 of a DER-encoded SubjectPublicKeyInfo (RFC 5280 §4.1.2.7): the name of a public key.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SpkiSha256([u8; SHA256_LEN]);

impl SpkiSha256 {
    /// Takes a hash that was computed or configured elsewhere.
    pub const fn new(hash: [u8; SHA256_LEN]) -> Self {
        Self(hash)
    }

    /// Hashes a DER-encoded SubjectPublicKeyInfo.
    pub fn of_spki(spki_der: &[u8]) -> Self {
        Self(sha256(spki_der))
    }

    /// Hashes the key of a DER-encoded certificate, whose signature it does not check.
    pub fn of_certificate(certificate_der: &[u8]) -> Result<Self, NotACertificate> {
        spki_of_certificate(certificate_der).map(|spki| Self::of_spki(&spki))
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; SHA256_LEN] {
        &self.0
    }
}

impl TryFrom<&[u8]> for SpkiSha256 {
    type Error = WrongLength;

    fn try_from(bytes: &[u8]) -> Result<Self, WrongLength> {
        let wrong = WrongLength {
            expected: SHA256_LEN,
            found: bytes.len(),
        };
        bytes.try_into().map(Self).map_err(|_| wrong)
    }
}

impl fmt::Display for SpkiSha256 {
    /// Writes lower-case hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SpkiSha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpkiSha256({self})")
    }
}

/// The bytes are not an X.509 v3 certificate in DER.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an X.509 v3 certificate in DER")]
pub struct NotACertificate;

/// Extracts the DER-encoded SubjectPublicKeyInfo from a DER-encoded certificate, whose signature it does not check.
pub fn spki_of_certificate(certificate_der: &[u8]) -> Result<Vec<u8>, NotACertificate> {
    let certificate = CertificateDer::from(certificate_der);
    let parsed = webpki::EndEntityCert::try_from(&certificate).map_err(|_| NotACertificate)?;
    Ok(parsed.subject_public_key_info().to_vec())
}
