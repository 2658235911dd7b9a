//! The checked session.
//!
//! Values of these types come out of [`Session::parse`](crate::Session::parse) or
//! [`Session::from_cbor`](crate::Session::from_cbor) only, both of which check everything. Field
//! numbers are the storage format: never reuse one.

mod access;
mod image;
mod secret;
mod security;
mod service;

pub use access::{AccessPolicy, AccessRule};
pub use image::{Image, InjectionFile, Mount, MountKind, Tree};
pub use secret::{CertificateRules, Endpoint, Secret, SecretKind};
pub use security::{AttestationMode, IgnoredAdvisories, Security, Tolerance};
pub use service::{IsolationRule, Service, Signer, Variable, Variant};

use core::fmt;

use minicbor::{Decode, Encode};

use crate::values::{Digest, SessionName};

/// A policy: services, their secrets and images, and who may do what.
///
/// Its `Debug` shows the name only, since authors write secrets into policies.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Session {
    /// Minor number of the language: 0 for "0.3", n for "0.3.n".
    #[n(0)]
    pub(crate) language: u8,
    #[n(1)]
    pub(crate) name: SessionName,
    #[n(2)]
    pub(crate) predecessor: Option<Digest>,
    #[n(3)]
    pub(crate) services: Vec<Service>,
    #[n(4)]
    pub(crate) secrets: Vec<Secret>,
    #[n(5)]
    pub(crate) images: Vec<Image>,
    #[n(6)]
    pub(crate) access: AccessPolicy,
    #[n(7)]
    pub(crate) security: Security,
}

impl Session {
    /// The session's name.
    #[must_use]
    pub fn name(&self) -> &SessionName {
        &self.name
    }

    /// The hash of the session that this one replaces; absent for the first of its name.
    #[must_use]
    pub fn predecessor(&self) -> Option<&Digest> {
        self.predecessor.as_ref()
    }

    /// What may run.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The service of this name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services
            .iter()
            .find(|service| service.name.as_str() == name)
    }

    /// The secrets' descriptions.
    #[must_use]
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// The description of the secret of this name.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets
            .iter()
            .find(|secret| secret.name.as_str() == name)
    }

    /// The images.
    #[must_use]
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// Who may do what.
    #[must_use]
    pub fn access(&self) -> &AccessPolicy {
        &self.access
    }

    /// How strictly evidence is appraised.
    #[must_use]
    pub fn security(&self) -> &Security {
        &self.security
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
