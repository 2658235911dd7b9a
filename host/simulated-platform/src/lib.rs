//! A platform that issues genuinely formatted SGX evidence without SGX.
//!
//! [`Platform`] is a root of trust made per installation: root CA, PCK CA, PCK certificate, TCB
//! signer, revocation lists, TCB info and QE identity, and a quoting enclave that turns a
//! [`ReportRequest`] into a DCAP quote. Verifiers handle its evidence by the same path as Intel's;
//! they only have to be told the root's hash. [`pcs`] serves its collateral as Intel's
//! provisioning certification service would.
//!
//! **It protects nothing.** Its keys are files; whoever reads them can forge any evidence under
//! its root. Every certificate says `SIMULATED - NOT INTEL`.

pub mod pcs;

mod fault;
mod keys;
mod options;
mod pki;
mod platform;
mod state;
mod statements;
mod store;

pub use fault::{Cause, PlatformFault};
pub use options::{Options, TcbState};
pub use pki::FMSPC;
pub use platform::{Platform, ReportRequest};
