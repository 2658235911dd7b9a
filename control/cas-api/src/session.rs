//! Sessions.

use crate::{Hash, Identity};
use serde::{Deserialize, Serialize};

/// Answer to a check: the session is valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Checked {
    /// The session's name.
    pub name: String,
    /// Its hash: what a successor names as `predecessor`.
    pub hash: Hash,
}

/// Answer to a creation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Created {
    /// The session's name.
    pub name: String,
    /// Its hash: what a successor names as `predecessor`.
    pub hash: Hash,
}

/// Answer to an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Updated {
    /// The session's name.
    pub name: String,
    /// Hash of the session that was replaced.
    pub old_hash: Hash,
    /// Hash of the session that replaced it.
    pub hash: Hash,
}

/// A stored session as its readers see it: what was uploaded, never a generated secret.
///
/// The text may hold secrets that its author wrote into it: `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionView {
    /// The session's name.
    pub name: String,
    /// Its hash: what a successor names as `predecessor`.
    pub hash: Hash,
    /// Who created the first session of this name.
    pub creator: Identity,
    /// When this one was stored, in seconds since the Unix epoch by the CAS's clock.
    pub stored_at: u64,
    /// The YAML text as it was uploaded.
    pub session: String,
}

impl core::fmt::Debug for SessionView {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SessionView")
            .field("name", &self.name)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}
