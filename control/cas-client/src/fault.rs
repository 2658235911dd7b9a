//! Why the CAS did not do what was asked, or is not to be trusted.

use bannock_cas_api::{ApiError, Hash};
use bannock_evidence::{CollateralFault, Rejection, TcbStatus};
use bannock_wire::{Malformed, frame::Oversize, launch::LaunchIdentity};
use std::io;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientFault {
    /// Nobody answers at the address.
    #[error("cannot reach the CAS at {address}")]
    Unreachable {
        /// The address.
        address: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Somebody else answers.
    #[error(
        "this is not the pinned CAS: the one at {address} has key {found}, pinned is {pinned}; if \
         it was replaced on purpose, attest it again"
    )]
    NotPinned {
        /// The address.
        address: String,
        /// Key that was pinned.
        pinned: Hash,
        /// Key found.
        found: Hash,
    },
    /// TLS cannot be set up or failed.
    #[error("the TLS connection to the CAS at {address} failed")]
    Tls {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The connection broke off.
    #[error("the connection to the CAS at {address} broke off")]
    Broken {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The answer is not one of this protocol.
    #[error("the answer of the CAS cannot be understood: {0}")]
    Answer(String),
    /// The CAS said no, or failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The CAS is not to be trusted.
    #[error("the CAS did not prove what it is")]
    Distrusted(#[from] Distrust),
}

/// Why a CAS is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum Distrust {
    /// It gives no evidence.
    #[error("it gives no evidence: {0}")]
    NoEvidence(String),
    /// The evidence is not well-formed.
    #[error("its answer is malformed")]
    Malformed(#[from] Malformed),
    /// The evidence is over a limit.
    #[error("its answer is too large")]
    Oversize(#[from] Oversize),
    /// The collateral is not well-formed.
    #[error("its collateral cannot be used")]
    Collateral(#[from] CollateralFault),
    /// The evidence does not verify.
    #[error("its evidence does not verify")]
    Rejected(#[from] Rejection),
    /// The evidence was made for another connection.
    #[error(
        "its evidence is not of this connection: somebody passes on the evidence of another CAS"
    )]
    NotBound,
    /// The evidence is of something else than a CAS.
    #[error("its evidence is of {found:?}, not of a CAS")]
    NotACas {
        /// Of what.
        found: LaunchIdentity,
    },
    /// The quote says otherwise than the claims beside it.
    #[error("its claims are not those that were signed")]
    Claims,
    /// Another program than expected.
    #[error("its measurement is {found}, expected is {expected}")]
    Measurement {
        /// Measurement expected.
        expected: Hash,
        /// Measurement found.
        found: Hash,
    },
    /// The host can read it.
    #[error("it runs in debug mode: its host can read it")]
    Debug,
    /// Other processes of its machine may read it.
    #[error("its isolation is incomplete: {missing} is missing")]
    Isolation {
        /// Names of the missing flags.
        missing: String,
    },
    /// Its platform is not in the required state.
    #[error("its platform has TCB status {status}, which is not tolerated")]
    Tcb {
        /// The status.
        status: TcbStatus,
    },
}

impl ClientFault {
    /// Whether policy or attestation said no, as opposed to a failure.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        match self {
            Self::NotPinned { .. } | Self::Distrusted(_) => true,
            Self::Api(error) => error.code.is_denial(),
            _ => false,
        }
    }

    /// Whether nobody answered.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}
