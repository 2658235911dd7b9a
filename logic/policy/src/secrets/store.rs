//! Secret values as CBOR, without copies left behind in memory.

use core::convert::Infallible;

use minicbor::Encode;
use zeroize::Zeroizing;

use super::{SecretValue, SecretValues, certificate, key};

/// Why bytes are not stored secret values.
#[derive(Debug, thiserror::Error)]
pub enum ValuesError {
    /// Not CBOR of the expected shape.
    #[error(
        "stored secrets cannot be decoded; they are damaged or were not written by this software"
    )]
    Malformed(#[source] minicbor::decode::Error),
    /// Decodes, but is not the one encoding of what it means.
    #[error("stored secrets are not in their deterministic encoding")]
    NotDeterministic,
    /// A value that no secret has.
    #[error("stored secret `{name}` has an impossible value")]
    Value {
        /// Which secret.
        name: String,
    },
}

impl SecretValues {
    /// Deterministic CBOR, in memory that is wiped. The caller seals it.
    #[must_use]
    pub fn to_cbor(&self) -> Zeroizing<Vec<u8>> {
        encode(self)
    }

    /// Decodes what [`SecretValues::to_cbor`] wrote.
    ///
    /// # Errors
    /// [`ValuesError`] for anything else; it never contains a secret.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, ValuesError> {
        let values: Self = minicbor::decode(bytes).map_err(ValuesError::Malformed)?;
        for entry in &values.entries {
            let good = match &entry.value {
                SecretValue::Ascii(text) => {
                    core::str::from_utf8(text.as_slice()).is_ok_and(|text| !text.contains('\0'))
                }
                SecretValue::Binary(_) => true,
                SecretValue::PrivateKey(scalar) => key::is_scalar(scalar.as_slice()),
                SecretValue::Certificate { key, chain } => {
                    key::is_scalar(key.as_slice())
                        && !chain.is_empty()
                        && chain.iter().all(|der| certificate::is_certificate(der))
                }
            };
            if !good {
                return Err(ValuesError::Value {
                    name: entry.name.to_string(),
                });
            }
        }
        let ascending = values.entries.windows(2).all(|pair| match pair {
            [a, b] => a.name < b.name,
            _ => true,
        });
        if !ascending || values.to_cbor().as_slice() != bytes {
            return Err(ValuesError::NotDeterministic);
        }
        Ok(values)
    }
}

/// Encodes into memory that is wiped, also when it has to grow.
pub(crate) fn encode<T: Encode<()>>(value: &T) -> Zeroizing<Vec<u8>> {
    let mut out = Wiped(Zeroizing::new(Vec::new()));
    match minicbor::encode(value, &mut out) {
        Ok(()) => out.0,
        // The writer cannot fail, and no type of this crate fails to encode. Nothing decodes from
        // no bytes, so that even then nothing wrong is ever read back.
        Err(_) => Zeroizing::new(Vec::new()),
    }
}

struct Wiped(Zeroizing<Vec<u8>>);

impl minicbor::encode::Write for Wiped {
    type Error = Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        let needed = self.0.len().saturating_add(bytes.len());
        if needed > self.0.capacity() {
            // Growing in place would leave the old allocation unwiped.
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.saturating_mul(2).max(1024)));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
