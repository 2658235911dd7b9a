//! Ephemeral Diffie-Hellman over X25519 (RFC 7748) and P-256 (RFC 8446 §4.2.8.2).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use p256::elliptic_curve::sec1::ToSec1Point as _;
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};

use crate::random::{EntropyFault, Random};
use crate::secret::{Secret, constant_time_eq};

const INVALID_SHARE: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);

/// The first byte of an uncompressed SEC 1 point, the only form TLS 1.3 allows.
const UNCOMPRESSED: u8 = 4;

/// Tries before the entropy source is called broken: a fair one misses the range of P-256's scalars once in 2^32.
const SCALAR_TRIES: usize = 16;

/// X25519.
pub(super) struct X25519(&'static dyn Random);

impl X25519 {
    pub(super) fn new(random: &'static dyn Random) -> Self {
        Self(random)
    }
}

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let scalar = Secret::<32>::generate(self.0).map_err(|_| GetRandomFailed)?;
        let share = x25519_dalek::x25519(*scalar.expose(), x25519_dalek::X25519_BASEPOINT_BYTES);
        Ok(Box::new(ActiveX25519 { scalar, share }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl fmt::Debug for X25519 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("X25519")
    }
}

struct ActiveX25519 {
    scalar: Secret<32>,
    share: [u8; 32],
}

impl ActiveKeyExchange for ActiveX25519 {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer = peer.try_into().map_err(|_| INVALID_SHARE)?;
        let shared = Secret::new(x25519_dalek::x25519(*self.scalar.expose(), peer));
        // RFC 8446 §7.4.2: an all-zero result means a point of small order.
        if constant_time_eq(shared.expose(), &[0; 32]) {
            return Err(INVALID_SHARE);
        }
        Ok(SharedSecret::from(&shared.expose()[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// P-256, also called secp256r1.
pub(super) struct P256(&'static dyn Random);

impl P256 {
    pub(super) fn new(random: &'static dyn Random) -> Self {
        Self(random)
    }
}

impl SupportedKxGroup for P256 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let scalar = p256_secret(self.0).map_err(|_| GetRandomFailed)?;
        let share = scalar.public_key().to_sec1_point(false).as_bytes().to_vec();
        Ok(Box::new(ActiveP256 { scalar, share }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}

impl fmt::Debug for P256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P256")
    }
}

struct ActiveP256 {
    scalar: p256::SecretKey,
    share: Vec<u8>,
}

impl ActiveKeyExchange for ActiveP256 {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        if peer.first() != Some(&UNCOMPRESSED) {
            return Err(INVALID_SHARE);
        }
        let peer = p256::PublicKey::from_sec1_bytes(peer).map_err(|_| INVALID_SHARE)?;
        let shared = p256::ecdh::diffie_hellman(self.scalar.to_nonzero_scalar(), peer.as_affine());
        Ok(SharedSecret::from(shared.raw_secret_bytes().as_slice()))
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}

/// Draws a scalar of P-256 uniformly, by drawing again whatever is out of range.
pub(crate) fn p256_secret(random: &dyn Random) -> Result<p256::SecretKey, EntropyFault> {
    for _ in 0..SCALAR_TRIES {
        let candidate = Secret::<32>::generate(random)?;
        if let Ok(scalar) = p256::SecretKey::from_slice(candidate.expose()) {
            return Ok(scalar);
        }
    }
    Err(EntropyFault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(buffer: &mut [u8]) -> Result<(), EntropyFault> {
        buffer
            .iter_mut()
            .zip(1..)
            .for_each(|(byte, value)| *byte = value);
        Ok(())
    }

    #[test]
    fn a_stuck_entropy_source_is_a_fault_and_not_a_loop() {
        let zeros = |buffer: &mut [u8]| {
            buffer.fill(0);
            Ok(())
        };
        assert!(p256_secret(&zeros).is_err());
    }

    #[test]
    fn x25519_refuses_points_of_small_order_and_wrong_lengths() {
        for share in [&[0; 32][..], &[0; 31], &[9; 33], &[]] {
            let exchange = X25519::new(&counting).start().unwrap();
            assert_eq!(
                exchange.complete(share).err(),
                Some(INVALID_SHARE),
                "{share:?}"
            );
        }
    }

    #[test]
    fn p256_refuses_what_is_not_an_uncompressed_point_on_the_curve() {
        let good = P256::new(&counting).start().unwrap().pub_key().to_vec();
        let mut off_curve = good.clone();
        off_curve[64] ^= 1;
        let mut compressed = good[..33].to_vec();
        compressed[0] = 2 + (good[64] & 1);
        for share in [&off_curve[..], &compressed, &[0], &[], &good[..64]] {
            let exchange = P256::new(&counting).start().unwrap();
            assert_eq!(
                exchange.complete(share).err(),
                Some(INVALID_SHARE),
                "{share:?}"
            );
        }
        assert!(
            P256::new(&counting)
                .start()
                .unwrap()
                .complete(&good)
                .is_ok()
        );
    }
}
