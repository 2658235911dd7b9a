//! The session language: from text to decisions.
//!
//! A *session* is a policy written in YAML (language 0.3): which services may run, with which
//! arguments, environment and files; which secrets exist; who may read or change it. The stages
//! are separate, and every later stage accepts only what the earlier one produced:
//!
//! | stage | from → to | entry |
//! |---|---|---|
//! | parse and check | text → [`Session`], or every [`Diagnostic`] at once | [`Session::parse`] |
//! | identify | [`Session`] → [`SessionHash`] over deterministic CBOR | [`Session::hash`] |
//! | generate | [`Session`] → [`SecretValues`] | [`SecretValues::generate`] |
//! | expand | [`Session`] + [`SecretValues`] → what one service is given | [`provision()`] |
//! | decide | [`Session`] + claims → permit or deny, with reasons | [`appraise()`], [`may_read`], … |
//!
//! The crate does no I/O, has no clock and no source of randomness: time and randomness are
//! arguments. Which keys the language knows is data, see [`table`].

pub mod access;
pub mod appraise;
pub mod ast;
mod check;
mod codec;
pub mod diagnostic;
mod format;
mod lower;
mod problem;
mod provision;
pub mod reference;
pub mod secrets;
mod syntax;
pub mod table;
pub mod template;
mod values;
mod words;

pub use access::{Access, Requester, Rule, RuleGround, may_create, may_read, may_update};
pub use appraise::{
    Appraisal, Claims, Ground, Mismatch, Reason, TcbStatus, TrustDomain, Unattested, appraise,
};
pub use ast::Session;
pub use codec::{DecodeError, HASH_LABEL, SessionHash};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use format::Format;
pub use problem::Problem;
pub use provision::{ProvisionError, provision};
pub use secrets::{GenerateError, Random, RenderError, SecretValue, SecretValues, ValuesError};
pub use template::Template;
pub use values::{
    AbsolutePath, AdvisoryId, CommonName, Digest, EnvironmentName, Name, SecretBytes, SecretName,
    SessionName, SubjectAltName,
};
