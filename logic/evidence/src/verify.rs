//! The one way from evidence to verdict.

use crate::{Collateral, Rejection, TrustAnchors, Verdict, sgx};

/// A quote together with the collateral that endorses its platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The quote as the platform issued it.
    pub quote: Vec<u8>,
    /// Certificates, revocation lists and TCB statements for the quote's platform.
    pub collateral: Collateral,
}

/// Verifies `evidence` at the time `now` (Unix seconds).
///
/// All signatures, both certificate chains, both revocation lists, the identity of the quoting
/// enclave and the platform's TCB level are checked; the chains must end in one of `anchors`.
/// Debug enclaves pass and are marked as such in the verdict: to refuse them is policy.
///
/// # Errors
/// The [`Rejection`] names the first step that failed. There is no partial success.
pub fn verify(evidence: &Evidence, anchors: &TrustAnchors, now: u64) -> Result<Verdict, Rejection> {
    // Every format starts with a version and a TEE type of its own; only SGX quotes exist so far,
    // and the parser refuses all others by name.
    sgx::verify(&evidence.quote, &evidence.collateral, anchors, now)
}
