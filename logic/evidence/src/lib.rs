//! Attestation evidence in, typed verdict out.
//!
//! [`verify`] takes [`Evidence`] (a quote and the collateral that endorses its platform), the
//! [`TrustAnchors`] of the caller and a point in time, and answers with a [`Verdict`] or with the
//! [`Rejection`] that names the step that failed. Terms are those of RFC 9334: this crate is the
//! part of the verifier that checks evidence against endorsements. Whether the verdict is good
//! enough (which measurement, which TCB status, debug or not) is appraisal policy and is not
//! decided here.
//!
//! There is no I/O and no clock: collateral travels with the evidence, and time is an argument.
//!
//! One module per TEE. All of them produce the same [`Verdict`].

pub mod sgx;

mod anchors;
mod collateral;
mod reader;
mod rejection;
mod verdict;
mod verify;

pub use anchors::{SIMULATED_MARKER, TrustAnchors};
pub use collateral::{Collateral, CollateralFault, CollateralParts, MAX_COLLATERAL_LEN};
pub use rejection::{Cause, CertificateRole, CrlRole, Dated, Rejection, SignedObject};
pub use verdict::{PlatformId, Tcb, TcbStatus, Tee, TrustDomain, Verdict};
pub use verify::{Evidence, verify};
