//! The cryptography under rustls: TLS 1.3 (RFC 8446) only, without std, from RustCrypto.
//!
//! One parent, [`TlsProvider`], hands every part the platform's [`Random`]; nothing is kept in a global. Private keys
//! are made or imported by [`identity`](super::identity), never loaded from files, and no traffic secret can be
//! taken out of a connection.

mod cipher;
mod hash;
mod key_exchange;
mod sign;
mod verify;

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use core::fmt;

use rustls::crypto::{CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;

use crate::random::Random;

pub use cipher::{AES_128_GCM_SHA256, AES_256_GCM_SHA384, CHACHA20_POLY1305_SHA256};
pub use sign::P256SigningKey;
pub use verify::SIGNATURE_ALGORITHMS;

pub(crate) use key_exchange::p256_secret;

/// The algorithms of TLS 1.3 with the platform's randomness behind them; cheap to clone.
///
/// In order of preference: AES-256-GCM, AES-128-GCM, ChaCha20-Poly1305; X25519, P-256.
#[derive(Clone)]
pub struct TlsProvider {
    random: &'static dyn Random,
    rustls: Arc<CryptoProvider>,
}

impl TlsProvider {
    /// Builds the provider; make one per program, as rustls wants parts that live for ever and these (three pointers'
    /// worth of memory each) are never freed.
    pub fn new(random: &'static dyn Random) -> Self {
        let source: &'static Source = Box::leak(Box::new(Source(random)));
        let rustls = CryptoProvider {
            cipher_suites: vec![
                AES_256_GCM_SHA384,
                AES_128_GCM_SHA256,
                CHACHA20_POLY1305_SHA256,
            ],
            kx_groups: vec![
                Box::leak(Box::new(key_exchange::X25519::new(random))),
                Box::leak(Box::new(key_exchange::P256::new(random))),
            ],
            signature_verification_algorithms: SIGNATURE_ALGORITHMS,
            secure_random: source,
            key_provider: source,
        };
        Self {
            random,
            rustls: Arc::new(rustls),
        }
    }

    /// Narrows the provider to what `choose` leaves in, for peers that must not negotiate anything else.
    pub fn restricted(&self, choose: impl FnOnce(&mut CryptoProvider)) -> Self {
        let mut rustls = CryptoProvider::clone(&self.rustls);
        choose(&mut rustls);
        Self {
            random: self.random,
            rustls: Arc::new(rustls),
        }
    }

    /// The randomness that the provider was built over.
    pub fn random(&self) -> &'static dyn Random {
        self.random
    }

    /// What rustls configurations take, on the client's side and on the server's.
    pub fn rustls(&self) -> Arc<CryptoProvider> {
        self.rustls.clone()
    }
}

impl fmt::Debug for TlsProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsProvider")
    }
}

/// Randomness as rustls asks for it, and the refusal to load private keys.
struct Source(&'static dyn Random);

impl SecureRandom for Source {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        self.0.fill(buffer).map_err(|_| GetRandomFailed)
    }
}

impl KeyProvider for Source {
    fn load_private_key(
        &self,
        _: PrivateKeyDer<'static>,
    ) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        let reason = "private keys are made by `KeyPair`, never loaded from DER";
        Err(rustls::Error::General(reason.to_string()))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}
