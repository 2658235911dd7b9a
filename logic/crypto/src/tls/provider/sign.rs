//! Signing handshakes with a P-256 key, deterministically (RFC 6979), so that signing needs no randomness.

use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use signature::Signer as _;

/// A P-256 private key as rustls uses it; clones share the one copy of the key, which is wiped with the last.
#[derive(Clone)]
pub struct P256SigningKey(Arc<p256::ecdsa::SigningKey>);

impl P256SigningKey {
    pub(crate) fn new(key: Arc<p256::ecdsa::SigningKey>) -> Self {
        Self(key)
    }
}

impl SigningKey for P256SigningKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let offered = offered.contains(&SignatureScheme::ECDSA_NISTP256_SHA256);
        offered.then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P256SigningKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature: p256::ecdsa::DerSignature = self
            .0
            .try_sign(message)
            .map_err(|_| Error::General("cannot sign with the P-256 key".to_string()))?;
        Ok(signature.as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

impl fmt::Debug for P256SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P256SigningKey(redacted)")
    }
}
