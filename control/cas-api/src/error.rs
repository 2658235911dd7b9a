//! Errors of the REST API.

use crate::Hash;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApiError {
    /// What kind of error it is.
    pub code: ErrorCode,
    /// What was tried, on what, and why not; for a person.
    pub message: String,
    /// What to do next, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Single problems, in the order of the text; empty unless the session is invalid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Problem>,
    /// For `stale_predecessor`: the hash that the stored session has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_hash: Option<Box<Hash>>,
    /// Number of the audit record of this decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_record: Option<u64>,
}

/// One problem of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Line in the text, counted from 1; 0 where the problem has no place.
    pub line: u64,
    /// Column in the line, counted from 1; 0 where the problem has no place.
    pub column: u64,
    /// Which value, as in `services[0].command`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Kinds of errors. Clients decide by these; messages may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The HTTP request cannot be understood (400).
    BadRequest,
    /// The session's text is invalid (422).
    InvalidSession,
    /// The name in the path is not the session's name (422).
    NameMismatch,
    /// The request needs a client certificate (401).
    NoIdentity,
    /// The requester may not do this, or there is no such session: which of the two is not told
    /// (403).
    NotFoundOrDenied,
    /// The session's policy forbids this (403).
    Denied,
    /// A session of this name exists (409).
    Exists,
    /// The session changed since the predecessor that the update names (409).
    StalePredecessor,
    /// There is no such path (404).
    NoSuchPath,
    /// The path does not know this method (405).
    MethodNotAllowed,
    /// The request is over a size limit (413).
    TooLarge,
    /// The CAS failed to decide (500).
    Internal,
    /// The CAS refuses all work, as its audit log or store failed (503).
    Unavailable,
}

impl ErrorCode {
    /// The HTTP status of the answer (RFC 9110 §15).
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::NoIdentity => 401,
            Self::NotFoundOrDenied | Self::Denied => 403,
            Self::NoSuchPath => 404,
            Self::MethodNotAllowed => 405,
            Self::Exists | Self::StalePredecessor => 409,
            Self::TooLarge => 413,
            Self::InvalidSession | Self::NameMismatch => 422,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }

    /// Whether policy said no, as opposed to a failure.
    #[must_use]
    pub const fn is_denial(self) -> bool {
        matches!(
            self,
            Self::NoIdentity
                | Self::NotFoundOrDenied
                | Self::Denied
                | Self::Exists
                | Self::StalePredecessor
        )
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for problem in &self.details {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl core::error::Error for ApiError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: ", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, "\n    help: {help}")?;
        }
        Ok(())
    }
}
