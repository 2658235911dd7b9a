//! AES-256-GCM (NIST SP 800-38D) with a type each for key, nonce and tag.

use alloc::vec::Vec;
use core::fmt;

use aes_gcm::{AeadInPlace as _, KeyInit as _};

use crate::random::{EntropyFault, Random};
use crate::secret::{Secret, WrongLength};

/// Length of a key in bytes.
pub const KEY_LEN: usize = 32;
/// Length of a nonce in bytes.
pub const NONCE_LEN: usize = 12;
/// Length of a tag in bytes.
pub const TAG_LEN: usize = 16;

/// A number used once: sealing twice under one key with the same nonce reveals both plaintexts and the key's hash subkey.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Nonce([u8; NONCE_LEN]);

impl Nonce {
    /// Takes the nonce as it is; that it is fresh is the caller's promise.
    pub const fn new(bytes: [u8; NONCE_LEN]) -> Self {
        Self(bytes)
    }

    /// Puts `counter` behind `scope`, both big-endian (the deterministic construction of SP 800-38D §8.2.1).
    pub fn from_counter(scope: u32, counter: u64) -> Self {
        let mut bytes = [0; NONCE_LEN];
        let (head, tail) = bytes.split_at_mut(4);
        head.copy_from_slice(&scope.to_be_bytes());
        tail.copy_from_slice(&counter.to_be_bytes());
        Self(bytes)
    }

    /// Draws a random nonce; good for at most 2^32 messages under one key (SP 800-38D §8.3).
    pub fn generate(random: &dyn Random) -> Result<Self, EntropyFault> {
        let mut bytes = [0; NONCE_LEN];
        random.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes, to be stored beside the ciphertext.
    pub const fn as_bytes(&self) -> &[u8; NONCE_LEN] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Nonce {
    type Error = WrongLength;

    fn try_from(bytes: &[u8]) -> Result<Self, WrongLength> {
        let wrong = WrongLength {
            expected: NONCE_LEN,
            found: bytes.len(),
        };
        bytes.try_into().map(Self).map_err(|_| wrong)
    }
}

/// What proves that ciphertext and associated data are the ones that were sealed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tag([u8; TAG_LEN]);

impl Tag {
    /// Takes a tag that was stored or received; opening decides whether it is right.
    pub const fn new(bytes: [u8; TAG_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be stored beside the ciphertext.
    pub const fn as_bytes(&self) -> &[u8; TAG_LEN] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Tag {
    type Error = WrongLength;

    fn try_from(bytes: &[u8]) -> Result<Self, WrongLength> {
        let wrong = WrongLength {
            expected: TAG_LEN,
            found: bytes.len(),
        };
        bytes.try_into().map(Self).map_err(|_| wrong)
    }
}

/// Why nothing was sealed or opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AeadFault {
    /// More than SP 800-38D §5.2.1.1 allows in one message: 2^36 - 32 bytes.
    #[error("the message is longer than AES-GCM allows for one nonce (64 GiB)")]
    TooLong,
    /// Key, nonce, associated data, ciphertext and tag do not belong together.
    #[error("authentication failed: the data was changed, moved, or sealed under another key")]
    Forged,
}

/// AES-256-GCM under one key, expanded once and wiped when dropped.
#[derive(Clone)]
pub struct Aes256Gcm(aes_gcm::Aes256Gcm);

impl Aes256Gcm {
    /// Expands `key`.
    pub fn new(key: &Secret<KEY_LEN>) -> Self {
        Self(aes_gcm::Aes256Gcm::new(key.expose().into()))
    }

    /// Encrypts `buffer` in place and returns the tag over it and `associated`.
    pub fn seal_in_place(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        buffer: &mut [u8],
    ) -> Result<Tag, AeadFault> {
        let tag = self
            .0
            .encrypt_in_place_detached(&nonce.0.into(), associated, buffer);
        tag.map(|tag| Tag(tag.into()))
            .map_err(|_| AeadFault::TooLong)
    }

    /// Decrypts `buffer` in place, after checking `tag`; on failure `buffer` is still the ciphertext.
    pub fn open_in_place(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), AeadFault> {
        self.0
            .decrypt_in_place_detached(&nonce.0.into(), associated, buffer, &tag.0.into())
            .map_err(|_| AeadFault::Forged)
    }

    /// Encrypts a copy of `plaintext`; the result ends with the tag.
    pub fn seal(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, AeadFault> {
        let mut sealed = Vec::with_capacity(plaintext.len().saturating_add(TAG_LEN));
        sealed.extend_from_slice(plaintext);
        let tag = self.seal_in_place(nonce, associated, &mut sealed)?;
        sealed.extend_from_slice(&tag.0);
        Ok(sealed)
    }

    /// Decrypts what [`seal`](Self::seal) made.
    pub fn open(
        &self,
        nonce: &Nonce,
        associated: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, AeadFault> {
        let (ciphertext, tag) = sealed.split_last_chunk().ok_or(AeadFault::Forged)?;
        let mut plaintext = ciphertext.to_vec();
        self.open_in_place(nonce, associated, &mut plaintext, &Tag(*tag))?;
        Ok(plaintext)
    }
}

impl fmt::Debug for Aes256Gcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aes256Gcm(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Test case 16 of McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B.
    const KEY: &str = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    const NONCE: &str = "cafebabefacedbaddecaf888";
    const AAD: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
    const PLAIN: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                         1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
    const CIPHER: &str = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
                          8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662";
    const TAG: &str = "76fc6ece0f4e1768cddf8853bb2d551b";

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    fn cipher() -> (Aes256Gcm, Nonce) {
        let key = Secret::try_from(&bytes(KEY)[..]).unwrap();
        (
            Aes256Gcm::new(&key),
            Nonce::try_from(&bytes(NONCE)[..]).unwrap(),
        )
    }

    #[test]
    fn the_published_example_holds_both_ways() {
        let (cipher, nonce) = cipher();
        let sealed = cipher.seal(&nonce, &bytes(AAD), &bytes(PLAIN)).unwrap();
        assert_eq!(sealed, [bytes(CIPHER), bytes(TAG)].concat());
        assert_eq!(
            cipher.open(&nonce, &bytes(AAD), &sealed).unwrap(),
            bytes(PLAIN)
        );
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (cipher, nonce) = cipher();
        let sealed = cipher.seal(&nonce, b"where", b"what").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut forged = sealed.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                cipher.open(&nonce, b"where", &forged),
                Err(AeadFault::Forged)
            );
        }
        assert_eq!(
            cipher.open(&nonce, b"elsewhere", &sealed),
            Err(AeadFault::Forged)
        );
        assert_eq!(
            cipher.open(&Nonce::new([0; 12]), b"where", &sealed),
            Err(AeadFault::Forged)
        );
        assert_eq!(
            cipher.open(&nonce, b"where", &sealed[..15]),
            Err(AeadFault::Forged)
        );
    }

    #[test]
    fn a_forgery_never_becomes_plaintext_in_the_buffer() {
        let (cipher, nonce) = cipher();
        let mut buffer = *b"sixteen bytes...";
        let Tag(mut tag) = cipher.seal_in_place(&nonce, b"", &mut buffer).unwrap();
        let ciphertext = buffer;
        tag[0] ^= 1;
        assert!(
            cipher
                .open_in_place(&nonce, b"", &mut buffer, &Tag(tag))
                .is_err()
        );
        assert_eq!(buffer, ciphertext);
    }

    #[test]
    fn a_counter_nonce_is_scope_then_counter() {
        let nonce = Nonce::from_counter(0x0102_0304, 0x0506_0708_090a_0b0c);
        assert_eq!(nonce.as_bytes(), &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    }
}
