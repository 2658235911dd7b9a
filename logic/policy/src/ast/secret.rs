//! Descriptions of secrets.

use minicbor::{Decode, Encode};

use crate::values::{CommonName, SecretBytes, SecretName, SubjectAltName};

/// A description of a secret; its value is a [`SecretValue`](crate::SecretValue).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Secret {
    /// Unique in the session.
    #[n(0)]
    pub name: SecretName,
    /// What it is.
    #[n(1)]
    pub kind: SecretKind,
}

/// The kinds of secrets with their parameters.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum SecretKind {
    /// Text.
    #[n(0)]
    Ascii {
        /// Characters.
        #[n(0)]
        size: u32,
        /// Given by the author.
        #[n(1)]
        value: Option<SecretBytes>,
    },
    /// Bytes.
    #[n(1)]
    Binary {
        /// Bytes.
        #[n(0)]
        size: u32,
        /// Given by the author.
        #[n(1)]
        value: Option<SecretBytes>,
    },
    /// A P-256 private key.
    #[n(2)]
    PrivateKey {
        /// Whether an update of the session keeps it.
        #[n(0)]
        migrate: bool,
        /// Given by the author: the scalar, 32 bytes, big-endian.
        #[n(1)]
        value: Option<SecretBytes>,
    },
    /// An end-entity certificate.
    #[n(3)]
    X509(#[n(0)] CertificateRules),
    /// A certificate of a certification authority.
    #[n(4)]
    X509Ca(#[n(0)] CertificateRules),
}

impl SecretKind {
    /// The kind's name in the session language.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ascii { .. } => "ascii",
            Self::Binary { .. } => "binary",
            Self::PrivateKey { .. } => "private-key",
            Self::X509(_) => "x509",
            Self::X509Ca(_) => "x509-ca",
        }
    }

    pub(crate) const fn certificate(&self) -> Option<&CertificateRules> {
        match self {
            Self::X509(rules) | Self::X509Ca(rules) => Some(rules),
            _ => None,
        }
    }
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CertificateRules {
    /// The secret that holds its key; absent: a key of its own.
    #[n(0)]
    pub private_key: Option<SecretName>,
    /// The `x509-ca` secret that signs it; absent: it signs itself.
    #[n(1)]
    pub issuer: Option<SecretName>,
    /// The subject's common name.
    #[n(2)]
    pub common_name: CommonName,
    /// What it may be used for.
    #[n(3)]
    pub endpoint: Endpoint,
    /// Whom it is for.
    #[n(4)]
    pub san: Vec<SubjectAltName>,
    /// Validity in seconds from its generation on.
    #[n(5)]
    pub valid_for: u64,
}

/// The extended key usage of a certificate (RFC 5280, section 4.2.1.12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Endpoint {
    /// serverAuth and clientAuth.
    #[default]
    #[n(0)]
    Both,
    /// serverAuth.
    #[n(1)]
    Server,
    /// clientAuth.
    #[n(2)]
    Client,
}
