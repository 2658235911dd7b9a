//! The owner's identity: a P-256 key with a self-signed certificate as its envelope.

use bannock_cas_api::Hash;
use bannock_crypto::tls::spki::SpkiSha256;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer,
    pem::{self, PemObject as _},
};
use zeroize::Zeroizing;

/// A key and its certificate.
pub struct OwnerIdentity {
    pkcs8: Zeroizing<Vec<u8>>,
    certificate: CertificateDer<'static>,
    hash: Hash,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityFault {
    /// None can be generated.
    #[error("cannot generate a key and certificate")]
    Generate(#[source] rcgen::Error),
    /// The text is not a key and a certificate.
    #[error("expected a PKCS #8 private key and a certificate in PEM")]
    Pem(#[source] pem::Error),
    /// The certificate cannot be parsed.
    #[error("the certificate cannot be parsed")]
    Certificate,
}

impl OwnerIdentity {
    /// Generates an identity; the text to keep, in PEM, and the identity.
    ///
    /// # Errors
    /// [`IdentityFault::Generate`].
    pub fn generate() -> Result<(Zeroizing<String>, Self), IdentityFault> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .map_err(IdentityFault::Generate)?;
        let certificate = rcgen::CertificateParams::new(vec!["bannock-owner".to_owned()])
            .and_then(|parameters| parameters.self_signed(&key))
            .map_err(IdentityFault::Generate)?;
        let private = Zeroizing::new(key.serialize_pem());
        let text = Zeroizing::new(format!("{}{}", *private, certificate.pem()));
        let identity = Self::from_pem(text.as_bytes())?;
        Ok((text, identity))
    }

    /// Reads a private key (PKCS #8) and its certificate from PEM.
    ///
    /// # Errors
    /// [`IdentityFault`] unless both are there.
    pub fn from_pem(text: &[u8]) -> Result<Self, IdentityFault> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(IdentityFault::Pem)?;
        let certificate = CertificateDer::from_pem_slice(text).map_err(IdentityFault::Pem)?;
        let hash =
            SpkiSha256::of_certificate(&certificate).map_err(|_| IdentityFault::Certificate)?;
        Ok(Self {
            pkcs8: Zeroizing::new(key.secret_pkcs8_der().to_vec()),
            certificate: certificate.into_owned(),
            hash: Hash(*hash.as_bytes()),
        })
    }

    /// SHA-256 of the key's SubjectPublicKeyInfo: by this policies name the owner.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pkcs8.to_vec()))
    }
}
