//! Roots of trust a verifier accepts.

use std::collections::BTreeSet;

use crate::{rejection::Rejection, sgx, verdict::TrustDomain};

/// Text that the subject of every simulated root must contain, in its organization or common name.
///
/// A root can be trusted as simulated only if it says so itself; a look-alike of a vendor's root
/// is refused even where its hash was named by mistake.
pub const SIMULATED_MARKER: &str = "SIMULATED";

/// The roots that evidence may chain up to.
///
/// Intel's SGX root is always among them. A simulated root counts only where its owner named it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustAnchors {
    simulated: BTreeSet<[u8; 32]>,
}

impl TrustAnchors {
    /// The vendors' roots and nothing else.
    #[must_use]
    pub fn vendors() -> Self {
        Self::default()
    }

    /// Also accepts the simulated root whose certificate's DER has this SHA-256.
    #[must_use]
    pub fn with_simulated_root(mut self, sha256: [u8; 32]) -> Self {
        self.simulated.insert(sha256);
        self
    }

    /// The simulated roots that were named, by the SHA-256 of their certificate's DER.
    pub fn simulated_roots(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.simulated.iter()
    }

    /// Decides whose root `root` is, or refuses it.
    ///
    /// # Errors
    /// [`Rejection::UnknownRoot`] and [`Rejection::UnmarkedSimulatedRoot`].
    pub(crate) fn admit(&self, root: &sgx::RootCertificate) -> Result<TrustDomain, Rejection> {
        let sha256 = root.sha256();
        if root.der() == sgx::INTEL_ROOT_CA_DER {
            return Ok(TrustDomain::Intel);
        }
        let simulated = root.says_simulated();
        if !self.simulated.contains(&sha256) {
            return Err(Rejection::UnknownRoot { sha256, simulated });
        }
        if !simulated {
            return Err(Rejection::UnmarkedSimulatedRoot { sha256 });
        }
        Ok(TrustDomain::Simulated { root: sha256 })
    }
}
