//! HMAC (RFC 2104) over SHA-256.

use hmac::{EagerHash, Hmac, Mac as _};
use sha2::Digest;
use sha2::digest::{Key, KeyInit};
use zeroize::Zeroize as _;

use crate::digest::SHA256_LEN;

/// Prepares `key`, of any length, as RFC 2104 §2 does: hashed when longer than a block, then padded with zeros.
///
/// The crate's own constructor for keys of any length returns a `Result` that is never an error; this one needs none.
pub(crate) fn keyed<D>(key: &[u8]) -> Hmac<D>
where
    D: Digest + EagerHash,
    Hmac<D>: KeyInit,
{
    let mut block = Key::<Hmac<D>>::default();
    if key.len() > block.len() {
        let mut hashed = D::digest(key);
        block
            .iter_mut()
            .zip(hashed.iter())
            .for_each(|(to, from)| *to = *from);
        hashed.as_mut_slice().zeroize();
    } else {
        block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    }
    let mac = Hmac::<D>::new(&block);
    block.as_mut_slice().zeroize();
    mac
}

/// The MAC of the concatenation of `parts`; whoever has several fields delimits them.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; SHA256_LEN] {
    let mut mac = keyed::<sha2::Sha256>(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Checks a MAC of the concatenation of `parts` in constant time.
pub fn verify_hmac_sha256(key: &[u8], parts: &[&[u8]], mac: &[u8; SHA256_LEN]) -> bool {
    crate::secret::constant_time_eq(&hmac_sha256(key, parts), mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 4231: test cases 2 (short key), 6 (key of 131 bytes, longer than a block).
    #[test]
    fn published_examples_hold() {
        let mac = hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex::encode(mac), expected);

        let message = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let mac = hmac_sha256(&[0xaa; 131], &[message]);
        let expected = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        assert_eq!(hex::encode(mac), expected);
    }

    #[test]
    fn a_mac_holds_for_its_key_and_message_only() {
        let mut mac = hmac_sha256(b"key", &[b"message"]);
        assert!(verify_hmac_sha256(b"key", &[b"mess", b"age"], &mac));
        assert!(!verify_hmac_sha256(b"kez", &[b"message"], &mac));
        assert!(!verify_hmac_sha256(b"key", &[b"massage"], &mac));
        mac[31] ^= 1;
        assert!(!verify_hmac_sha256(b"key", &[b"message"], &mac));
    }
}
