//! Values of secrets: how they are made, kept over an update, stored and written out.

pub(crate) mod certificate;
mod generate;
pub(crate) mod key;
mod render;
mod store;

use core::fmt;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

pub use bannock_crypto::random::{EntropyFault, Random};
pub use generate::GenerateError;
pub use render::RenderError;
pub use store::ValuesError;
pub(crate) use store::encode;

use crate::values::{SecretBytes, SecretName};

/// The values of a session's secrets. Memory is wiped on drop; `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct SecretValues {
    /// Sorted by name.
    #[n(0)]
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Eq, Encode, Decode)]
struct Entry {
    #[n(0)]
    name: SecretName,
    #[n(1)]
    value: SecretValue,
}

/// The value of one secret.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum SecretValue {
    /// Text.
    #[n(0)]
    Ascii(#[n(0)] SecretBytes),
    /// Bytes.
    #[n(1)]
    Binary(#[n(0)] SecretBytes),
    /// A P-256 private key: the scalar, 32 bytes, big-endian.
    #[n(2)]
    PrivateKey(#[n(0)] SecretBytes),
    /// A certificate, its key and its issuers.
    #[n(3)]
    Certificate {
        /// The scalar of its P-256 key.
        #[n(0)]
        key: SecretBytes,
        /// Certificates in DER: its own, its issuer's and so on up to the root.
        #[n(1)]
        chain: Vec<ByteVec>,
    },
}

impl SecretValues {
    /// The value of a secret.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&SecretValue> {
        let at = self
            .entries
            .binary_search_by(|entry| entry.name.as_str().cmp(name))
            .ok()?;
        self.entries.get(at).map(|entry| &entry.value)
    }

    /// The names of the secrets, sorted.
    pub fn names(&self) -> impl Iterator<Item = &SecretName> {
        self.entries.iter().map(|entry| &entry.name)
    }
}

impl SecretValue {
    /// The certificate and its issuers in DER, leaf first; empty for other kinds.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        let chain = match self {
            Self::Certificate { chain, .. } => chain.as_slice(),
            _ => &[],
        };
        chain.iter().map(|der| der.as_slice())
    }
}

impl fmt::Debug for SecretValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self
            .entries
            .iter()
            .map(|entry| (entry.name.as_str(), &entry.value));
        f.debug_map().entries(names).finish()
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
