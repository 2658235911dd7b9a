//! What the CAS decides.
//!
//! Sans-I/O: requests, a clock and entropy come in through [`Context`], stored records through a
//! [`View`]; a [`Decision`] goes out: the answer, the writes that must be committed before it is
//! given, and the [`Event`] that must be in the audit log before it is given. A write names the
//! version that the decision was made on; on a conflict the caller decides anew.
//!
//! | request | entry |
//! |---|---|
//! | check, create, read, update a session | [`session`] |
//! | ask for a service's configuration with evidence | [`attest`] |
//! | keep a log that cannot be edited unnoticed | [`audit`] |
//!
//! Who is told what: an owner or reader learns everything about its own requests. A requester who
//! may not read a session, or who asks for a service without evidence that the session admits,
//! gets one and the same answer whether or not the session exists; the reason is in the audit
//! record, for the session's creator.

#![forbid(unsafe_code)]

pub mod attest;
pub mod audit;
mod record;
pub mod session;

pub use audit::Event;
pub use record::{BadRecord, creator_of, session_key};

use bannock_crypto::random::Random;
use std::error::Error;
use zeroize::Zeroizing;

/// What a decision may depend on besides request and records.
pub struct Context<'a> {
    /// The host's clock in seconds since the Unix epoch; not trusted to be right, only ever
    /// replaced by later authenticated times.
    pub now: u64,
    /// SHA-256 of the SubjectPublicKeyInfo of this CAS.
    pub own_key: [u8; 32],
    /// Entropy for secrets.
    pub random: &'a dyn Random,
    /// Whether sessions with `mode: none` are served (`--insecure-allow-unattested`).
    pub allow_unattested: bool,
}

/// A record with its version.
pub struct Versioned {
    /// How often it was written; at least 1.
    pub version: u64,
    /// The value.
    pub value: Zeroizing<Vec<u8>>,
}

/// Stored records, as they are at one time.
pub trait View {
    /// The record `key`.
    ///
    /// # Errors
    /// When it cannot be read or is not genuine.
    fn record(&self, key: &str) -> Result<Option<Versioned>, ViewFault>;
}

/// A record cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the store")]
pub struct ViewFault(#[source] pub Box<dyn Error + Send + Sync>);

/// One record to be written.
pub struct Write {
    /// Name of the record.
    pub key: String,
    /// Version that it must have now; 0 when it must not exist.
    pub expected: u64,
    /// The new value.
    pub value: Zeroizing<Vec<u8>>,
}

/// What was decided.
pub struct Decision<T> {
    /// To be given only after [`Self::writes`] are committed and [`Self::event`] is logged.
    pub answer: T,
    /// To be committed together, or not at all.
    pub writes: Vec<Write>,
    /// To be logged; absent for requests that leave no trace (checks).
    pub event: Event,
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum Undecided {
    /// The store failed.
    #[error(transparent)]
    View(#[from] ViewFault),
    /// A record is not what this CAS writes.
    #[error(transparent)]
    Record(#[from] BadRecord),
}

/// `error` and what caused it, on one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
