//! SHA-2 (FIPS 180-4), in one call or piecewise.

use core::fmt;

/// Length of a SHA-256 digest in bytes.
pub const SHA256_LEN: usize = 32;
/// Length of a SHA-384 digest in bytes.
pub const SHA384_LEN: usize = 48;
/// Length of a SHA-512 digest in bytes.
pub const SHA512_LEN: usize = 64;

macro_rules! hash {
    ($(#[$doc:meta])* $name:ident, $once:ident, $len:expr, $inner:ty, $digest:path) => {
        $(#[$doc])*
        #[derive(Clone, Default)]
        pub struct $name($inner);

        impl $name {
            /// Starts over an empty message.
            pub fn new() -> Self {
                Self::default()
            }

            /// Appends `data` to the message.
            pub fn update(&mut self, data: &[u8]) {
                use $digest as _;
                self.0.update(data);
            }

            /// The digest of everything appended.
            pub fn finish(self) -> [u8; $len] {
                use $digest as _;
                self.0.finalize().into()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }

        /// The digest of `data` in one call.
        pub fn $once(data: &[u8]) -> [u8; $len] {
            let mut hash = $name::new();
            hash.update(data);
            hash.finish()
        }
    };
}

hash!(
    /// SHA-256; with SHA-NI, in xmm registers only, where the CPU has it.
    Sha256, sha256, SHA256_LEN, sha2_xmm::Sha256, sha2_xmm::Digest
);
hash!(
    /// SHA-384.
    Sha384, sha384, SHA384_LEN, sha2::Sha384, sha2::Digest
);
hash!(
    /// SHA-512.
    Sha512, sha512, SHA512_LEN, sha2::Sha512, sha2::Digest
);

#[cfg(test)]
mod tests {
    use sha2::Digest as _;

    use super::*;

    // FIPS 180-4 examples, as published by NIST for the message "abc".
    const ABC_256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const ABC_384: &str = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                           8086072ba1e7cc2358baeca134c825a7";
    const ABC_512: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                           2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    #[test]
    fn published_examples_hold() {
        assert_eq!(hex::encode(sha256(b"abc")), ABC_256);
        assert_eq!(hex::encode(sha384(b"abc")), ABC_384);
        assert_eq!(hex::encode(sha512(b"abc")), ABC_512);
    }

    #[test]
    fn piecewise_equals_one_call_at_every_split() {
        let data: alloc::vec::Vec<u8> = (0..300u16).map(|i| i as u8).collect();
        for split in 0..=data.len() {
            let (head, tail) = data.split_at(split);
            let mut hash = Sha256::new();
            hash.update(head);
            hash.update(tail);
            assert_eq!(hash.finish(), sha256(&data), "split at {split}");
        }
    }

    // TLS hashes its transcripts with one and keys its HMAC with the other.
    #[test]
    fn both_sha256_implementations_agree() {
        let data: alloc::vec::Vec<u8> = (0..1000u16).map(|i| (i * 7) as u8).collect();
        for len in [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000] {
            assert_eq!(
                sha256(&data[..len]),
                <[u8; 32]>::from(sha2::Sha256::digest(&data[..len])),
                "{len} bytes"
            );
        }
    }
}
