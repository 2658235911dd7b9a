//! The cipher suites and their record protection (RFC 8446 §5.2).

use alloc::boxed::Box;
use core::marker::PhantomData;

use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::{AeadCore, AeadInPlace, Aes128Gcm, Aes256Gcm, KeyInit, KeySizeUser, Tag};
use chacha20poly1305::ChaCha20Poly1305;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter,
    Nonce, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm,
    UnsupportedOperationError, make_tls13_aad,
};
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::{
    CipherSuite, CipherSuiteCommon, ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion,
    SupportedCipherSuite, Tls13CipherSuite,
};

use super::hash::{HMAC_SHA256, HMAC_SHA384, SHA256, SHA384};

/// Length of every suite's tag in bytes.
const TAG_LEN: usize = 16;

/// Records under one AES-GCM key before a key update: RFC 8446 §5.5 allows 2^24.5 full-sized ones.
const AES_GCM_RECORD_LIMIT: u64 = 1 << 24;

/// TLS_AES_256_GCM_SHA384.
pub static AES_256_GCM_SHA384: SupportedCipherSuite =
    SupportedCipherSuite::Tls13(&Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS13_AES_256_GCM_SHA384,
            hash_provider: &SHA384,
            confidentiality_limit: AES_GCM_RECORD_LIMIT,
        },
        hkdf_provider: &HkdfUsingHmac(&HMAC_SHA384),
        aead_alg: &RecordAead::<Aes256Gcm>(PhantomData),
        quic: None,
    });

/// TLS_AES_128_GCM_SHA256.
pub static AES_128_GCM_SHA256: SupportedCipherSuite =
    SupportedCipherSuite::Tls13(&Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
            hash_provider: &SHA256,
            confidentiality_limit: AES_GCM_RECORD_LIMIT,
        },
        hkdf_provider: &HkdfUsingHmac(&HMAC_SHA256),
        aead_alg: &RecordAead::<Aes128Gcm>(PhantomData),
        quic: None,
    });

/// TLS_CHACHA20_POLY1305_SHA256.
pub static CHACHA20_POLY1305_SHA256: SupportedCipherSuite =
    SupportedCipherSuite::Tls13(&Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            hash_provider: &SHA256,
            // The sequence number would wrap before any limit is reached (RFC 8446 §5.5).
            confidentiality_limit: u64::MAX,
        },
        hkdf_provider: &HkdfUsingHmac(&HMAC_SHA256),
        aead_alg: &RecordAead::<ChaCha20Poly1305>(PhantomData),
        quic: None,
    });

/// What the three AEADs have in common.
trait Aead:
    AeadInPlace + AeadCore<NonceSize = U12, TagSize = U16> + KeyInit + Send + Sync + 'static
{
}

impl Aead for Aes256Gcm {}
impl Aead for Aes128Gcm {}
impl Aead for ChaCha20Poly1305 {}

struct RecordAead<A>(PhantomData<fn() -> A>);

impl<A: Aead> Tls13AeadAlgorithm for RecordAead<A> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(RecordCipher::<A>::new(&key, iv))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(RecordCipher::<A>::new(&key, iv))
    }

    fn key_len(&self) -> usize {
        <A as KeySizeUser>::key_size()
    }

    /// Traffic secrets never leave the connection.
    fn extract_keys(
        &self,
        _: AeadKey,
        _: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

struct RecordCipher<A> {
    /// Absent if rustls passed a key of another length than `key_len`: then every record is refused.
    aead: Option<A>,
    iv: Iv,
}

impl<A: Aead> RecordCipher<A> {
    fn new(key: &AeadKey, iv: Iv) -> Self {
        Self {
            aead: A::new_from_slice(key.as_ref()).ok(),
            iv,
        }
    }
}

impl<A: Aead> MessageEncrypter for RecordCipher<A> {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let aead = self.aead.as_ref().ok_or(Error::EncryptError)?;
        let total = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(total);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&message.typ.to_array());
        let nonce = Nonce::new(&self.iv, sequence).0;
        let tag = aead
            .encrypt_in_place_detached(&nonce.into(), &make_tls13_aad(total), payload.as_mut())
            .map_err(|_| Error::EncryptError)?;
        payload.extend_from_slice(&tag);
        // RFC 8446 §5.2: protected records say application data and TLS 1.2, whatever they hold.
        let version = ProtocolVersion::TLSv1_2;
        Ok(OutboundOpaqueMessage::new(
            ContentType::ApplicationData,
            version,
            payload,
        ))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        payload_len.saturating_add(1 + TAG_LEN)
    }
}

impl<A: Aead> MessageDecrypter for RecordCipher<A> {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let aead = self.aead.as_ref().ok_or(Error::DecryptError)?;
        let additional = make_tls13_aad(message.payload.len());
        let nonce = Nonce::new(&self.iv, sequence).0;
        let (body, tag) = message
            .payload
            .split_last_chunk_mut::<TAG_LEN>()
            .ok_or(Error::DecryptError)?;
        let body_len = body.len();
        aead.decrypt_in_place_detached(&nonce.into(), &additional, body, Tag::from_slice(tag))
            .map_err(|_| Error::DecryptError)?;
        message.payload.truncate(body_len);
        message.into_tls13_unpadded_message()
    }
}
