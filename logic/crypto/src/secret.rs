//! Owned secrets: wiped when dropped, never printed, compared in constant time.

use alloc::vec::Vec;
use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::random::{EntropyFault, Random};

/// A secret of exactly `N` bytes.
///
/// Moving a value may leave a copy behind on the stack; keep secrets where they are made, or box them.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes over `bytes`; the caller wipes its own copy, if it kept one.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// Draws a fresh secret.
    pub fn generate(random: &dyn Random) -> Result<Self, EntropyFault> {
        let mut secret = Self([0; N]);
        random.fill(&mut secret.0)?;
        Ok(secret)
    }

    /// Fills a new secret in place, so that no copy passes over the stack.
    pub fn fill_with<E>(fill: impl FnOnce(&mut [u8; N]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = Self([0; N]);
        fill(&mut secret.0)?;
        Ok(secret)
    }

    /// Lends the bytes; what is copied from them is the caller's to wipe.
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> TryFrom<&[u8]> for Secret<N> {
    type Error = WrongLength;

    fn try_from(bytes: &[u8]) -> Result<Self, WrongLength> {
        let wrong = WrongLength {
            expected: N,
            found: bytes.len(),
        };
        bytes.try_into().map(Self).map_err(|_| wrong)
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>(redacted)")
    }
}

/// A secret whose length is known at run time only.
///
/// It cannot grow: growing would move it and leave the old copy unwiped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Takes over `bytes` without copying them.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Lends the bytes; what is copied from them is the caller's to wipe.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&[u8]> for SecretBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl PartialEq for SecretBytes {
    /// Takes the same time for all contents of one length; the length itself is not secret.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretBytes {}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes, redacted)", self.0.len())
    }
}

/// A key or hash did not have the length that its type has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected {expected} bytes, found {found}")]
pub struct WrongLength {
    /// The length of the type, in bytes.
    pub expected: usize,
    /// The length that was given, in bytes.
    pub found: usize,
}

/// Compares two byte strings in constant time; strings of different length differ at once.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn debug_shows_no_byte_of_a_secret() {
        let fixed = format!("{:?}", Secret::new([0xa5; 4]));
        let sized = format!("{:?}", SecretBytes::new(alloc::vec![0xa5; 4]));
        assert_eq!(fixed, "Secret<4>(redacted)");
        assert_eq!(sized, "SecretBytes(4 bytes, redacted)");
    }

    #[test]
    fn equality_is_that_of_the_bytes() {
        assert_eq!(Secret::new([1, 2]), Secret::new([1, 2]));
        assert_ne!(Secret::new([1, 2]), Secret::new([1, 3]));
        assert_ne!(
            SecretBytes::from(&[1u8][..]),
            SecretBytes::from(&[1u8, 0][..])
        );
        assert!(constant_time_eq(b"a", b"a"));
        assert!(!constant_time_eq(b"a", b"ab"));
    }

    #[test]
    fn zeroize_wipes_the_bytes() {
        let mut secret = Secret::new([7; 16]);
        secret.zeroize();
        assert_eq!(secret.expose(), &[0; 16]);
    }

    #[test]
    fn a_slice_of_another_length_is_refused() {
        let refused = Secret::<32>::try_from(&[0u8; 31][..]).unwrap_err();
        assert_eq!(
            refused,
            WrongLength {
                expected: 32,
                found: 31
            }
        );
    }

    #[test]
    fn a_fault_of_the_entropy_source_yields_no_secret() {
        let broken = |_: &mut [u8]| Err(EntropyFault);
        assert_eq!(Secret::<32>::generate(&broken), Err(EntropyFault));
    }
}
