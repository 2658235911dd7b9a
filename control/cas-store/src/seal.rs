//! Sealing: from the platform's sealing key to sealed records.

use crate::{RecordId, StoreFault};
use bannock_crypto::{
    aead::{Aes256Gcm, NONCE_LEN, Nonce},
    hkdf::Hkdf,
    hmac::hmac_sha256,
    random::EntropyFault,
    secret::Secret,
};
use zeroize::Zeroizing;

/// Bytes of a store identifier.
pub(crate) const STORE_ID: usize = 16;

/// The platform's sealing key: only this CAS's measurement on this platform gets it.
pub struct SealingKey(Secret<32>);

impl SealingKey {
    /// Takes the key.
    #[must_use]
    pub fn new(key: Secret<32>) -> Self {
        Self(key)
    }

    /// The AEAD key that seals the store key.
    pub(crate) fn wrapping_key(&self) -> Result<AeadKey, StoreFault> {
        AeadKey::derive(&self.0, b"bannock cas-store v1 store key")
    }
}

/// Keys of one store, derived from its random store key.
pub(crate) struct StoreKeys {
    /// Seals records.
    pub(crate) records: AeadKey,
    /// Seals the head.
    pub(crate) head: AeadKey,
    /// Hides record names.
    names: Secret<32>,
}

impl StoreKeys {
    pub(crate) fn derive(store_key: &Secret<32>) -> Result<Self, StoreFault> {
        Ok(Self {
            records: AeadKey::derive(store_key, b"bannock cas-store v1 records")?,
            head: AeadKey::derive(store_key, b"bannock cas-store v1 head")?,
            names: expand(store_key, b"bannock cas-store v1 names")?,
        })
    }

    /// Where the record `name` is kept.
    pub(crate) fn record_id(&self, name: &str) -> RecordId {
        hmac_sha256(self.names.expose(), &[name.as_bytes()])
    }
}

/// An AES-256-GCM key; random nonces, so one key seals at most 2^32 messages (SP 800-38D §8.3),
/// far above the commits that a CAS makes.
pub(crate) struct AeadKey(Aes256Gcm);

impl AeadKey {
    fn derive(secret: &Secret<32>, label: &[u8]) -> Result<Self, StoreFault> {
        Ok(Self(Aes256Gcm::new(&expand(secret, label)?)))
    }

    /// nonce ‖ ciphertext ‖ tag.
    pub(crate) fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreFault> {
        let nonce = Nonce::generate(&system_random)?;
        let sealed = self
            .0
            .seal(&nonce, context, plain)
            .map_err(|_| StoreFault::Oversize {
                what: "a record",
                length: plain.len(),
                limit: crate::MAX_VALUE,
            })?;
        Ok([nonce.as_bytes().as_slice(), &sealed].concat())
    }

    /// The plain bytes, or nothing when `sealed` was not sealed by this key for `context`.
    pub(crate) fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let plain = self.0.open(&Nonce::new(*nonce), context, rest).ok()?;
        Some(Zeroizing::new(plain))
    }
}

fn expand(secret: &Secret<32>, label: &[u8]) -> Result<Secret<32>, StoreFault> {
    // HKDF-SHA-256 gives up to 8160 bytes, so the error cannot occur with 32.
    Hkdf::extract(b"", secret.expose())
        .expand(&[label])
        .map_err(|_| StoreFault::Poisoned)
}

/// Random bytes of the operating system.
pub(crate) fn system_random(out: &mut [u8]) -> Result<(), EntropyFault> {
    getrandom::fill(out).map_err(|_| EntropyFault)
}
