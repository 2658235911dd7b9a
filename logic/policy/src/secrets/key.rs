//! P-256 private keys.

use bannock_crypto::random::{EntropyFault, Random};
use p256::SecretKey;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use zeroize::Zeroizing;

use crate::problem::Problem;
use crate::values::SecretBytes;

/// Reads PKCS #8 in PEM into a scalar of 32 bytes.
pub(crate) fn from_pem(pem: &str) -> Result<SecretBytes, Problem> {
    let key = SecretKey::from_pkcs8_pem(pem.trim()).map_err(|_| Problem::NotPrivateKey)?;
    Ok(scalar(&key))
}

/// Whether these bytes are a scalar of the group: 32 bytes, neither zero nor too large.
pub(crate) fn is_scalar(bytes: &[u8]) -> bool {
    bytes.len() == 32 && SecretKey::from_slice(bytes).is_ok()
}

pub(crate) fn parse(scalar: &SecretBytes) -> Option<SecretKey> {
    SecretKey::from_slice(scalar.as_slice()).ok()
}

fn scalar(key: &SecretKey) -> SecretBytes {
    let bytes = Zeroizing::new(key.to_bytes());
    SecretBytes::new(bytes.to_vec())
}

/// Draws a key by rejection sampling (FIPS 186-5, A.2.2).
pub(crate) fn generate(random: &dyn Random) -> Result<SecretBytes, EntropyFault> {
    // A good source is rejected with probability 2^-32: many rejections are a broken source.
    for _ in 0..64 {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(bytes.as_mut_slice())?;
        if is_scalar(bytes.as_slice()) {
            return Ok(SecretBytes::new(bytes.to_vec()));
        }
    }
    Err(EntropyFault)
}

/// PKCS #8 in PEM.
pub(super) fn to_pem(scalar: &SecretBytes) -> Option<Zeroizing<Vec<u8>>> {
    let pem = parse(scalar)?.to_pkcs8_pem(LineEnding::LF).ok()?;
    Some(Zeroizing::new(pem.as_bytes().to_vec()))
}

/// PKCS #8 in DER.
pub(super) fn to_der(scalar: &SecretBytes) -> Option<Zeroizing<Vec<u8>>> {
    let der = parse(scalar)?.to_pkcs8_der().ok()?;
    Some(Zeroizing::new(der.as_bytes().to_vec()))
}
