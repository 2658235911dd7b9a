//! Links every part of `bannock-crypto` that the runtime uses into a static PIE without std, libc and start files.
//!
//! `check.sh` builds it, counts wide registers in it, and runs it: it exits with 0 when known answers come out right.
#![no_std]
#![no_main]

extern crate alloc;

mod platform;

use alloc::vec::Vec;

use bannock_crypto::aead::{Aes256Gcm, Nonce};
use bannock_crypto::digest::{sha256, sha512};
use bannock_crypto::random::EntropyFault;
use bannock_crypto::secret::Secret;
use bannock_crypto::tls::client::{ClientConfig, Connection, ConnectionFault, ServerTrust};
use bannock_crypto::tls::identity::{CertificateProfile, KeyPair};
use bannock_crypto::tls::provider::TlsProvider;

/// The digest's first bytes of the message "abc" (FIPS 180-4 examples).
const ABC_SHA256: [u8; 4] = [0xba, 0x78, 0x16, 0xbf];
const ABC_SHA512: [u8; 4] = [0xdd, 0xaf, 0x35, 0xa1];

/// What runs after the entry code; the result is the exit status.
pub(crate) fn check() -> i32 {
    match run() {
        Some(()) => 0,
        None => 1,
    }
}

fn run() -> Option<()> {
    expect(sha256(b"abc").starts_with(&ABC_SHA256))?;
    expect(sha512(b"abc").starts_with(&ABC_SHA512))?;
    aead()?;
    tls()
}

fn aead() -> Option<()> {
    let cipher = Aes256Gcm::new(&Secret::generate(&random).ok()?);
    let nonce = Nonce::generate(&random).ok()?;
    let mut sealed = cipher.seal(&nonce, b"where", b"what").ok()?;
    expect(cipher.open(&nonce, b"where", &sealed).ok()? == b"what")?;
    *sealed.first_mut()? ^= 1;
    expect(cipher.open(&nonce, b"where", &sealed).is_err())
}

/// A ClientHello goes out, and a server that speaks no TLS is refused.
fn tls() -> Option<()> {
    let key = KeyPair::generate(&random).ok()?;
    let profile = CertificateProfile {
        subject: "CN=freestanding",
        not_before: 0,
        not_after: 1,
        extensions: &[],
    };
    let identity = key.self_signed(&profile, &random).ok()?;
    let config = ClientConfig {
        provider: TlsProvider::new(&random),
        trust: ServerTrust::Pinned(identity.spki_sha256()),
        identity: Some(identity),
        server_name: None,
        alpn: Vec::new(),
        now: 0,
    };
    let mut connection = Connection::new(config).ok()?;
    expect(connection.to_send().starts_with(&[22, 3, 1]))?;
    let answer = connection.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    expect(matches!(answer, Err(ConnectionFault::Protocol(_))))
}

fn expect(holds: bool) -> Option<()> {
    holds.then_some(())
}

fn random(buffer: &mut [u8]) -> Result<(), EntropyFault> {
    platform::random(buffer).then_some(()).ok_or(EntropyFault)
}
