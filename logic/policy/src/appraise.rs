//! Does this evidence satisfy the policy of this service?
//!
//! The evidence has been verified before: signatures, certificate chains, freshness. Here its
//! claims meet the reference values of the session.

use core::fmt;

use bannock_evidence::Verdict;
pub use bannock_evidence::{TcbStatus, TrustDomain};
use bannock_wire::launch::Isolation;

use crate::ast::{
    AttestationMode, IgnoredAdvisories, IsolationRule, Security, Session, Tolerance, Variant,
};
use crate::values::Digest;

/// What verified evidence claims, as far as policies look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who vouches for the platform.
    pub trust_domain: TrustDomain,
    /// MRENCLAVE.
    pub measurement: [u8; 32],
    /// MRSIGNER.
    pub signer: [u8; 32],
    /// ISVPRODID.
    pub isv_prod_id: u16,
    /// ISVSVN.
    pub isv_svn: u16,
    /// CONFIGID: the launch identity.
    pub config_id: [u8; 64],
    /// CONFIGSVN: on simulated platforms, the isolation that the LAS achieved.
    pub config_svn: u16,
    /// Whether the host can read the enclave's memory.
    pub debug: bool,
    /// State of the platform's TCB.
    pub tcb_status: TcbStatus,
    /// Advisories that still apply.
    pub advisories: Vec<String>,
}

impl From<&Verdict> for Claims {
    fn from(verdict: &Verdict) -> Self {
        Self {
            trust_domain: verdict.trust_domain,
            measurement: verdict.measurement,
            signer: verdict.signer,
            isv_prod_id: verdict.isv_prod_id,
            isv_svn: verdict.isv_svn,
            config_id: verdict.config_id,
            config_svn: verdict.config_svn,
            debug: verdict.debug,
            tcb_status: verdict.tcb.status,
            advisories: verdict.tcb.advisories.clone(),
        }
    }
}

/// Whether a session's `mode: none` is honoured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unattested {
    /// It is refused.
    #[default]
    Refuse,
    /// It is honoured: whoever asks is given the service's secrets.
    AllowInsecurely,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appraisal {
    /// The service may have its configuration.
    Permit(Ground),
    /// It may not, for every one of these reasons.
    Deny(Vec<Reason>),
}

/// Why a service may have its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// The evidence satisfies this variant of the service's attestation, counted from 0.
    Variant(usize),
    /// The session asks for no evidence, and the CAS was started to allow that.
    Unattested,
}

/// One claim that a policy does not accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{mismatch}", Prefix(*.variant))]
pub struct Reason {
    /// The variant that fails, counted from 0; absent if the reason holds for all of them.
    pub variant: Option<usize>,
    /// What differs.
    pub mismatch: Mismatch,
}

struct Prefix(Option<usize>);

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(variant) => write!(f, "attestation[{variant}]: "),
            None => Ok(()),
        }
    }
}

/// What a policy wants and what the evidence claims.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's message is its documentation")]
pub enum Mismatch {
    #[error("session `{session}` has no service `{}`", .service.escape_debug())]
    NoService { session: String, service: String },
    #[error(
        "the session demands no attestation, which this CAS refuses; start it with `--insecure-allow-unattested`, or remove `mode: none`"
    )]
    UnattestedRefused,
    #[error("no evidence was presented")]
    NoEvidence,
    #[error("the service has no attestation variant")]
    NoVariant,
    #[error(
        "launch identity differs: the instance was started as another service, or for another CAS"
    )]
    LaunchIdentity,
    #[error("debug enclaves are not tolerated; add `debug-mode` to `tolerate` for tests")]
    Debug,
    #[error(
        "TCB status {status} is not tolerated; update the platform, or add to `tolerate`: {missing}"
    )]
    TcbStatus {
        status: TcbStatus,
        missing: &'static str,
    },
    #[error("advisory {} applies to the platform and is not in `ignore_advisories`", .advisory.escape_debug())]
    Advisory { advisory: String },
    #[error("mrenclave differs: wanted {}, found {found}", Any(.wanted))]
    Measurement { wanted: Vec<Digest>, found: Digest },
    #[error("mrsigner differs: wanted {wanted}, found {found}")]
    Signer { wanted: Digest, found: Digest },
    #[error("isvprodid differs: wanted {wanted}, found {found}")]
    ProductId { wanted: u16, found: u16 },
    #[error("isvsvn differs: wanted {min} to {max}, found {found}")]
    Svn { min: u16, max: u16, found: u16 },
    #[error(
        "the evidence comes from a simulated platform, which the variant does not name; wanted Intel's root, found simulated root {found}"
    )]
    SimulatedNotNamed { found: Digest },
    #[error("simulated root differs: wanted {wanted}, found {found}")]
    SimulatedRoot { wanted: Digest, found: Digest },
    #[error("the variant is for simulated root {wanted} only, found {found}")]
    NotSimulated { wanted: Digest, found: &'static str },
    #[error("the evidence comes from a kind of platform that this version does not appraise")]
    UnknownTrustDomain,
    #[error(
        "isolation is incomplete: missing {missing}; use a LAS that isolates fully, or set `isolation: none`"
    )]
    Isolation { missing: String },
}

struct Any<'a>(&'a [Digest]);

impl fmt::Display for Any<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, digest) in self.0.iter().enumerate() {
            let or = if at == 0 { "" } else { " or " };
            write!(f, "{or}{digest}")?;
        }
        Ok(())
    }
}

/// Appraises `evidence` for `service`.
///
/// `expected_config_id` is the launch identity that the caller rebuilt from the requested service
/// and *its own* key; what the requester says about itself only selected the service.
#[must_use]
pub fn appraise(
    session: &Session,
    service: &str,
    evidence: Option<&Claims>,
    expected_config_id: &[u8; 64],
    unattested: Unattested,
) -> Appraisal {
    let deny = |mismatch| {
        Appraisal::Deny(vec![Reason {
            variant: None,
            mismatch,
        }])
    };
    let Some(found) = session.service(service) else {
        let session = session.name().to_string();
        return deny(Mismatch::NoService {
            session,
            service: service.to_owned(),
        });
    };
    if session.security.mode == AttestationMode::None {
        return match unattested {
            Unattested::AllowInsecurely => Appraisal::Permit(Ground::Unattested),
            Unattested::Refuse => deny(Mismatch::UnattestedRefused),
        };
    }
    let Some(claims) = evidence else {
        return deny(Mismatch::NoEvidence);
    };
    let mut reasons = Vec::new();
    for mismatch in common(&session.security, claims, expected_config_id) {
        reasons.push(Reason {
            variant: None,
            mismatch,
        });
    }
    if found.attestation.is_empty() {
        reasons.push(Reason {
            variant: None,
            mismatch: Mismatch::NoVariant,
        });
    }
    let acceptable = reasons.is_empty();
    for (index, rules) in found.attestation.iter().enumerate() {
        let mismatches = variant(rules, claims);
        if acceptable && mismatches.is_empty() {
            return Appraisal::Permit(Ground::Variant(index));
        }
        let reason = |mismatch| Reason {
            variant: Some(index),
            mismatch,
        };
        reasons.extend(mismatches.into_iter().map(reason));
    }
    Appraisal::Deny(reasons)
}

/// What must hold whatever the variant.
fn common(security: &Security, claims: &Claims, expected_config_id: &[u8; 64]) -> Vec<Mismatch> {
    let tolerates = |tolerance| security.tolerate.contains(&tolerance);
    let mut found = Vec::new();
    if claims.config_id != *expected_config_id {
        found.push(Mismatch::LaunchIdentity);
    }
    if claims.debug && !tolerates(Tolerance::DebugMode) {
        found.push(Mismatch::Debug);
    }
    if let Some(missing) = missing_tolerance(claims.tcb_status, tolerates) {
        found.push(Mismatch::TcbStatus {
            status: claims.tcb_status,
            missing,
        });
    }
    for advisory in &claims.advisories {
        let ignored = match &security.ignore_advisories {
            IgnoredAdvisories::All => true,
            IgnoredAdvisories::Listed(list) => list.iter().any(|id| id.as_str() == advisory),
        };
        let aepic = tolerates(Tolerance::AepicLeak) && advisory == "INTEL-SA-00657";
        if !ignored && !aepic {
            found.push(Mismatch::Advisory {
                advisory: advisory.clone(),
            });
        }
    }
    found
}

/// The names to add to `tolerate` for this status, if any are missing.
///
/// The status does not say which setting of the platform is insecure, so each of the three
/// tolerances that SCONE has for settings accepts ConfigurationNeeded.
fn missing_tolerance(
    status: TcbStatus,
    tolerates: impl Fn(Tolerance) -> bool,
) -> Option<&'static str> {
    let (outdated, hardening, configuration) = match status {
        TcbStatus::UpToDate => (false, false, false),
        TcbStatus::SwHardeningNeeded => (false, true, false),
        TcbStatus::ConfigurationNeeded => (false, false, true),
        TcbStatus::ConfigurationAndSwHardeningNeeded => (false, true, true),
        TcbStatus::OutOfDate => (true, false, false),
        TcbStatus::OutOfDateConfigurationNeeded => (true, false, true),
    };
    let outdated = outdated && !tolerates(Tolerance::OutdatedTcb);
    let hardening = hardening && !tolerates(Tolerance::SoftwareHardeningNeeded);
    let configuration = configuration
        && !tolerates(Tolerance::InsecureConfiguration)
        && !tolerates(Tolerance::Hyperthreading)
        && !tolerates(Tolerance::InsecureIgpu);
    match (outdated, hardening, configuration) {
        (false, false, false) => None,
        (true, false, false) => Some("`outdated-tcb`"),
        (false, true, false) => Some("`software-hardening-needed`"),
        (false, false, true) => Some("`insecure-configuration`"),
        (true, true, false) => Some("`outdated-tcb` and `software-hardening-needed`"),
        (true, false, true) => Some("`outdated-tcb` and `insecure-configuration`"),
        (false, true, true) => Some("`software-hardening-needed` and `insecure-configuration`"),
        (true, true, true) => {
            Some("`outdated-tcb`, `software-hardening-needed` and `insecure-configuration`")
        }
    }
}

/// What this variant does not accept.
fn variant(rules: &Variant, claims: &Claims) -> Vec<Mismatch> {
    let mut found = Vec::new();
    match (claims.trust_domain, rules.simulated) {
        (TrustDomain::Intel, None) => {}
        (TrustDomain::Intel, Some(wanted)) => {
            found.push(Mismatch::NotSimulated {
                wanted,
                found: "Intel's root",
            });
        }
        (TrustDomain::Simulated { root }, None) => {
            found.push(Mismatch::SimulatedNotNamed {
                found: Digest(root),
            });
        }
        (TrustDomain::Simulated { root }, Some(wanted)) => {
            if root != wanted.0 {
                found.push(Mismatch::SimulatedRoot {
                    wanted,
                    found: Digest(root),
                });
            }
        }
        _ => found.push(Mismatch::UnknownTrustDomain),
    }
    // On hardware the TEE itself isolates, and CONFIGSVN carries no flags.
    if claims.trust_domain.is_simulated() && rules.isolation == IsolationRule::Full {
        let achieved = Isolation(claims.config_svn);
        if !achieved.contains(Isolation::FULL) {
            let missing: Vec<_> = Isolation::FULL.missing_in(achieved).collect();
            found.push(Mismatch::Isolation {
                missing: missing.join(", "),
            });
        }
    }
    let measurement = Digest(claims.measurement);
    if !rules.measurements.is_empty() && !rules.measurements.contains(&measurement) {
        let wanted = rules.measurements.clone();
        found.push(Mismatch::Measurement {
            wanted,
            found: measurement,
        });
    }
    if let Some(signer) = &rules.signer {
        if signer.mrsigner.0 != claims.signer {
            let found_signer = Digest(claims.signer);
            found.push(Mismatch::Signer {
                wanted: signer.mrsigner,
                found: found_signer,
            });
        }
        if signer.isv_prod_id != claims.isv_prod_id {
            let (wanted, id) = (signer.isv_prod_id, claims.isv_prod_id);
            found.push(Mismatch::ProductId { wanted, found: id });
        }
        let (min, max) = (signer.isv_svn_min, signer.isv_svn_max);
        if !(min..=max).contains(&claims.isv_svn) {
            found.push(Mismatch::Svn {
                min,
                max,
                found: claims.isv_svn,
            });
        }
    }
    found
}
