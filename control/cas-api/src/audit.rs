//! Audit records.

use serde::{Deserialize, Serialize};

/// Most records in one [`AuditPage`].
pub const MAX_AUDIT_RECORDS: usize = 1000;

/// The newest audit records of the requester's own sessions, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditPage {
    /// The records as they are in the audit log: one line of JSON each, so that hash chain and
    /// signature can be checked.
    pub records: Vec<String>,
    /// Whether older records were left off.
    pub more: bool,
}
