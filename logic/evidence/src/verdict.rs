//! What verified evidence says.

use core::fmt;

/// Who vouches for the TEE that produced the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TrustDomain {
    /// Intel, by its SGX root CA.
    Intel,
    /// Nobody but the owner of a simulated platform. It protects nothing from that platform's host.
    Simulated {
        /// SHA-256 of the DER of the simulated platform's root certificate.
        root: [u8; 32],
    },
}

impl TrustDomain {
    /// Whether the domain is a simulated one.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        matches!(self, Self::Simulated { .. })
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intel => f.write_str("Intel"),
            Self::Simulated { root } => write!(f, "simulated (root {})", hex::encode(root)),
        }
    }
}

/// The kind of TEE that produced the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Tee {
    /// An Intel SGX enclave.
    Sgx,
}

impl fmt::Display for Tee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sgx => f.write_str("SGX"),
        }
    }
}

/// State of the platform's trusted computing base, as Intel's TCB info calls it.
///
/// `Revoked` is missing on purpose: evidence of a revoked platform is a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcbStatus {
    /// All security updates are in place.
    UpToDate,
    /// The enclave must mitigate known issues in software.
    SwHardeningNeeded,
    /// The platform may need a different configuration (firmware settings).
    ConfigurationNeeded,
    /// Both of the above.
    ConfigurationAndSwHardeningNeeded,
    /// Security updates are missing.
    OutOfDate,
    /// Security updates are missing, and the configuration may need a change.
    OutOfDateConfigurationNeeded,
}

impl TcbStatus {
    /// The name as Intel's TCB info spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "UpToDate",
            Self::SwHardeningNeeded => "SWHardeningNeeded",
            Self::ConfigurationNeeded => "ConfigurationNeeded",
            Self::ConfigurationAndSwHardeningNeeded => "ConfigurationAndSWHardeningNeeded",
            Self::OutOfDate => "OutOfDate",
            Self::OutOfDateConfigurationNeeded => "OutOfDateConfigurationNeeded",
        }
    }
}

impl fmt::Display for TcbStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The TCB level that the platform reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tcb {
    /// Status of platform and quoting enclave taken together (Intel QVL's rule).
    pub status: TcbStatus,
    /// Date of the matched platform level, in Unix seconds: all issues known then are fixed.
    pub date: u64,
    /// Advisories that still apply, of platform and quoting enclave, for example `INTEL-SA-00615`.
    pub advisories: Vec<String>,
    /// The lower `tcbEvaluationDataNumber` of TCB info and QE identity.
    ///
    /// It grows with every TCB recovery. A verifier that keeps state must not let it shrink, or an
    /// attacker can answer with older collateral that is not yet expired.
    pub evaluation_data_number: u32,
}

/// Which machine produced the evidence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct PlatformId {
    /// Family, model, stepping, platform type and custom SKU of the package.
    pub fmspc: [u8; 6],
    /// Platform provisioning id: unique to one processor package.
    pub ppid: Vec<u8>,
}

/// What verified evidence says about its attester.
///
/// Only [`crate::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// Who vouches for the platform.
    pub trust_domain: TrustDomain,
    /// The kind of TEE.
    pub tee: Tee,
    /// Measurement of the software: MRENCLAVE.
    pub measurement: [u8; 32],
    /// SHA-256 of the signer's public key, MRSIGNER; all zero on platforms without signers.
    pub signer: [u8; 32],
    /// Product number that the signer gave the software, ISVPRODID.
    pub isv_prod_id: u16,
    /// Security version that the signer gave the software, ISVSVN.
    pub isv_svn: u16,
    /// CONFIGID, fixed before the software's first instruction; zero without [`Self::kss`].
    pub config_id: [u8; 64],
    /// CONFIGSVN, fixed together with [`Self::config_id`].
    pub config_svn: u16,
    /// The 64 bytes that the attester asked to have signed.
    pub report_data: [u8; 64],
    /// Whether the host may read and change the TEE's memory with debugger instructions.
    pub debug: bool,
    /// Whether key separation and sharing is on, without which CONFIGID cannot be set.
    pub kss: bool,
    /// The platform's TCB level.
    pub tcb: Tcb,
    /// Which machine this is.
    pub platform_id: PlatformId,
    /// Unix time at which the first piece of the collateral or of the certificates expires.
    pub collateral_expiry: u64,
    /// Unix time of the newest issue date in the collateral: the present is not before it.
    pub collateral_issued: u64,
    /// Version of the quote's format.
    pub quote_version: u16,
}
