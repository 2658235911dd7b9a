//! HKDF (RFC 5869) over SHA-256: keys for many purposes from one secret.

use core::fmt;

use zeroize::Zeroize;

use crate::secret::Secret;

/// The longest output of one expansion in bytes (RFC 5869 §2.3: 255 digests).
pub const MAX_OUTPUT_LEN: usize = 255 * 32;

/// More output was asked for than one expansion can give.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("HKDF-SHA-256 yields at most {MAX_OUTPUT_LEN} bytes at once, not {asked}")]
pub struct OutputTooLong {
    /// The number of bytes asked for.
    pub asked: usize,
}

/// A pseudorandom key, ready to be expanded once per purpose.
pub struct Hkdf(hkdf::Hkdf<sha2::Sha256>);

impl Hkdf {
    /// Extracts from `material`, which need not be uniform; `salt` may be empty.
    pub fn extract(salt: &[u8], material: &[u8]) -> Self {
        Self(hkdf::Hkdf::new(Some(salt), material))
    }

    /// Derives `N` bytes for the purpose that `info` names; its parts are concatenated as they are.
    pub fn expand<const N: usize>(&self, info: &[&[u8]]) -> Result<Secret<N>, OutputTooLong> {
        Secret::fill_with(|out| {
            self.0.expand_multi_info(info, out).map_err(|_| {
                out.zeroize();
                OutputTooLong { asked: N }
            })
        })
    }
}

impl fmt::Debug for Hkdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hkdf(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 5869, appendix A.1 and A.3.
    #[test]
    fn published_examples_hold() {
        let material = [0x0b; 22];
        let salt = hex::decode("000102030405060708090a0b0c").unwrap();
        let info = hex::decode("f0f1f2f3f4f5f6f7f8f9").unwrap();
        let key = Hkdf::extract(&salt, &material)
            .expand::<42>(&[&info[..3], &info[3..]])
            .unwrap();
        let expected =
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
        assert_eq!(hex::encode(key.expose()), expected);

        let key = Hkdf::extract(b"", &material).expand::<42>(&[]).unwrap();
        let expected =
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
        assert_eq!(hex::encode(key.expose()), expected);
    }

    #[test]
    fn more_than_255_digests_are_refused() {
        let key = Hkdf::extract(b"", b"material");
        assert!(key.expand::<MAX_OUTPUT_LEN>(&[]).is_ok());
        assert_eq!(key.expand::<8161>(&[]), Err(OutputTooLong { asked: 8161 }));
    }
}
