//! Transcript hashes and the HMAC under TLS 1.3's key schedule (RFC 8446 §7.1).

use alloc::boxed::Box;
use core::marker::PhantomData;

use hmac::Mac;
use rustls::crypto::hash::{self, HashAlgorithm};
use rustls::crypto::hmac as tls_hmac;
use sha2::Digest;
use sha2::digest::KeyInit;

use crate::digest::{SHA256_LEN, SHA384_LEN, Sha256, Sha384};
use crate::hmac::keyed;

/// SHA-256, in hardware where the CPU has it.
pub(super) static SHA256: Transcript<Sha256> = Transcript::new(HashAlgorithm::SHA256, SHA256_LEN);
/// SHA-384.
pub(super) static SHA384: Transcript<Sha384> = Transcript::new(HashAlgorithm::SHA384, SHA384_LEN);
/// HMAC over SHA-256.
pub(super) static HMAC_SHA256: TlsHmac<sha2::Sha256> = TlsHmac::new(SHA256_LEN);
/// HMAC over SHA-384.
pub(super) static HMAC_SHA384: TlsHmac<sha2::Sha384> = TlsHmac::new(SHA384_LEN);

/// A hash for handshake transcripts.
pub(super) struct Transcript<H> {
    algorithm: HashAlgorithm,
    output_len: usize,
    hash: PhantomData<fn() -> H>,
}

impl<H> Transcript<H> {
    const fn new(algorithm: HashAlgorithm, output_len: usize) -> Self {
        Self {
            algorithm,
            output_len,
            hash: PhantomData,
        }
    }
}

/// The streaming interface that the façade's hashes share.
trait Streaming: Clone + Default + Send + Sync + 'static {
    fn absorb(&mut self, data: &[u8]);
    fn output(self) -> hash::Output;
}

macro_rules! streaming {
    ($($hash:ty),*) => {$(
        impl Streaming for $hash {
            fn absorb(&mut self, data: &[u8]) {
                self.update(data);
            }

            fn output(self) -> hash::Output {
                hash::Output::new(&self.finish())
            }
        }
    )*};
}

streaming!(Sha256, Sha384);

impl<H: Streaming> hash::Hash for Transcript<H> {
    fn start(&self) -> Box<dyn hash::Context> {
        Box::new(Context(H::default()))
    }

    fn hash(&self, data: &[u8]) -> hash::Output {
        let mut hash = H::default();
        hash.absorb(data);
        hash.output()
    }

    fn output_len(&self) -> usize {
        self.output_len
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }
}

struct Context<H>(H);

impl<H: Streaming> hash::Context for Context<H> {
    fn fork_finish(&self) -> hash::Output {
        self.0.clone().output()
    }

    fn fork(&self) -> Box<dyn hash::Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> hash::Output {
        self.0.output()
    }

    fn update(&mut self, data: &[u8]) {
        self.0.absorb(data);
    }
}

/// HMAC over the hash `D`.
pub(super) struct TlsHmac<D> {
    output_len: usize,
    hash: PhantomData<fn() -> D>,
}

impl<D> TlsHmac<D> {
    const fn new(output_len: usize) -> Self {
        Self {
            output_len,
            hash: PhantomData,
        }
    }
}

impl<D> tls_hmac::Hmac for TlsHmac<D>
where
    D: Digest + hmac::EagerHash,
    hmac::Hmac<D>: Mac + KeyInit + Clone + Send + Sync + 'static,
{
    fn with_key(&self, key: &[u8]) -> Box<dyn tls_hmac::Key> {
        Box::new(TlsHmacKey {
            mac: keyed::<D>(key),
            output_len: self.output_len,
        })
    }

    fn hash_output_len(&self) -> usize {
        self.output_len
    }
}

struct TlsHmacKey<M> {
    mac: M,
    output_len: usize,
}

impl<M: Mac + Clone + Send + Sync> tls_hmac::Key for TlsHmacKey<M> {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> tls_hmac::Tag {
        let mut mac = self.mac.clone();
        mac.update(first);
        for part in middle {
            mac.update(part);
        }
        mac.update(last);
        tls_hmac::Tag::new(&mac.finalize().into_bytes())
    }

    fn tag_len(&self) -> usize {
        self.output_len
    }
}
