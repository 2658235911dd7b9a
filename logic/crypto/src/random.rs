//! The one thing that cryptography asks of the platform: random bytes.

/// A source of bytes that an attacker can neither predict nor influence.
///
/// Every platform brings its own; this crate has no source and keeps none in a global. Any
/// `Fn(&mut [u8]) -> Result<(), EntropyFault>` is one.
pub trait Random: Send + Sync {
    /// Fills all of `buffer`, or fails; after a failure the contents are unspecified.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyFault>;
}

impl<F> Random for F
where
    F: Fn(&mut [u8]) -> Result<(), EntropyFault> + Send + Sync,
{
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyFault> {
        self(buffer)
    }
}

/// The platform could not deliver random bytes; nothing may be generated without them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the platform's entropy source failed, so no key or nonce can be made")]
pub struct EntropyFault;
