//! What a CAS says about itself. Nothing here is proof: that is what attestation is for.

use crate::Hash;
use serde::{Deserialize, Serialize};

/// What a CAS says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Version of the CAS.
    pub version: String,
    /// Version of the attestation protocol that it speaks.
    pub protocol_version: u16,
    /// SHA-256 of the SubjectPublicKeyInfo of its identity key: what clients pin.
    pub key: Hash,
    /// What it runs on.
    pub platform: Platform,
    /// What keeps its host from presenting an older copy of the whole store; `none` for nothing.
    pub anchor: String,
    /// Version of the store's format.
    pub store_format: u16,
    /// Commits to the store so far.
    pub store_commits: u64,
    /// Whether sessions with `mode: none` are served.
    pub allows_unattested: bool,
}

/// What a CAS runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Platform {
    /// Started by a LAS, which vouches for it.
    Attested {
        /// Measurement of the CAS as the LAS told it.
        measurement: Hash,
        /// Names of the isolation flags that the LAS did not achieve; empty for full isolation.
        missing_isolation: Vec<String>,
    },
    /// Started with `--insecure-no-platform`: it can prove nothing, and its keys are in a file.
    Insecure {},
}
