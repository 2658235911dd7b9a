//! Requests and answers of the CAS's REST API, shared by server and client.
//!
//! The API travels in TLS 1.3 with ALPN `http/1.1`; the requester is whoever holds the key of the
//! client certificate ([`Identity`] = SHA-256 of its SubjectPublicKeyInfo). Sessions travel as
//! their YAML text; everything else is JSON. `docs/reference/cas-openapi.json` describes the same
//! and is checked against these types.
//!
//! This crate does no I/O and decides nothing.

#![forbid(unsafe_code)]

mod audit;
mod error;
mod hash;
#[cfg(feature = "openapi")]
pub mod openapi;
mod session;
mod status;

pub use audit::{AuditPage, MAX_AUDIT_RECORDS};
pub use error::{ApiError, ErrorCode, Problem};
pub use hash::{Hash, NotAHash};
pub use session::{Checked, Created, SessionView, Updated};
pub use status::{Platform, Status};

/// Identity of a requester: SHA-256 of the SubjectPublicKeyInfo of its client certificate.
pub type Identity = Hash;

/// ALPN protocol name of the REST API.
pub const ALPN: &[u8] = b"http/1.1";

/// Media type of a session's text.
pub const SESSION_MEDIA_TYPE: &str = "application/yaml";

/// Longest session text in bytes (1 MiB).
pub const MAX_SESSION_TEXT: usize = 1 << 20;

/// Paths of the API.
pub mod paths {
    /// Session: GET, POST, PUT. The name follows, its `/` as they are.
    pub const SESSIONS: &str = "/v1/sessions/";
    /// Check a session without storing it: POST.
    pub const CHECK: &str = "/v1/check";
    /// What this CAS is: GET.
    pub const STATUS: &str = "/v1/status";
    /// Audit records of the requester's own sessions: GET.
    pub const AUDIT: &str = "/v1/audit";
}
