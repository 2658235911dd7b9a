//! What its owner can set about a simulated platform.

use serde::{Deserialize, Serialize};

use crate::fault::PlatformFault;

/// Collateral is issued for 30 days, as Intel's is.
const COLLATERAL_LIFETIME: u64 = 30 * 24 * 60 * 60;
const MAX_ADVISORIES: usize = 64;
const MAX_ADVISORY_LEN: usize = 64;

/// TCB status that the platform's TCB info gives to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TcbState {
    /// Everything is in place.
    UpToDate,
    /// Software must mitigate.
    #[serde(rename = "SWHardeningNeeded")]
    SwHardeningNeeded,
    /// The configuration may need a change.
    ConfigurationNeeded,
    /// Both of the above.
    #[serde(rename = "ConfigurationAndSWHardeningNeeded")]
    ConfigurationAndSwHardeningNeeded,
    /// Updates are missing.
    OutOfDate,
    /// Updates are missing, and the configuration may need a change.
    OutOfDateConfigurationNeeded,
    /// The level is revoked; verifiers must reject the platform.
    Revoked,
}

impl TcbState {
    /// All states, in the order of declaration.
    pub const ALL: [Self; 7] = [
        Self::UpToDate,
        Self::SwHardeningNeeded,
        Self::ConfigurationNeeded,
        Self::ConfigurationAndSwHardeningNeeded,
        Self::OutOfDate,
        Self::OutOfDateConfigurationNeeded,
        Self::Revoked,
    ];

    /// The name in a TCB info.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "UpToDate",
            Self::SwHardeningNeeded => "SWHardeningNeeded",
            Self::ConfigurationNeeded => "ConfigurationNeeded",
            Self::ConfigurationAndSwHardeningNeeded => "ConfigurationAndSWHardeningNeeded",
            Self::OutOfDate => "OutOfDate",
            Self::OutOfDateConfigurationNeeded => "OutOfDateConfigurationNeeded",
            Self::Revoked => "Revoked",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// The knobs of a simulated platform. Times are Unix seconds.
///
/// They change what the platform's own PKI says about it, so every refusal of a verifier can be
/// provoked with correctly signed evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Status of the platform's TCB level.
    pub tcb: TcbState,
    /// Advisories attached to that level, for example `INTEL-SA-00615`.
    pub advisories: Vec<String>,
    /// `tcbEvaluationDataNumber` of TCB info and QE identity.
    pub tcb_evaluation_data_number: u32,
    /// Whether the PCK CRL lists the platform's PCK certificate.
    pub pck_revoked: bool,
    /// Whether every quote carries the DEBUG attribute, asked for or not.
    pub debug: bool,
    /// Issue date of TCB info, QE identity and CRLs. At creation also that of the certificates.
    pub issued: u64,
    /// Next update of TCB info, QE identity and CRLs: they are expired afterwards.
    pub next_update: u64,
}

impl Options {
    /// A healthy platform whose collateral was issued at `now` and is valid for 30 days.
    #[must_use]
    pub fn issued_at(now: u64) -> Self {
        Self {
            tcb: TcbState::UpToDate,
            advisories: Vec::new(),
            tcb_evaluation_data_number: 1,
            pck_revoked: false,
            debug: false,
            issued: now,
            next_update: now.saturating_add(COLLATERAL_LIFETIME),
        }
    }

    pub(crate) fn check(&self) -> Result<(), PlatformFault> {
        if self.next_update <= self.issued {
            return Err(PlatformFault::Options {
                problem: "next update must be later than the issue date",
            });
        }
        if self.advisories.len() > MAX_ADVISORIES {
            return Err(PlatformFault::Options {
                problem: "more than 64 advisories",
            });
        }
        let well_formed = |id: &String| {
            !id.is_empty()
                && id.len() <= MAX_ADVISORY_LEN
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if !self.advisories.iter().all(well_formed) {
            return Err(PlatformFault::Options {
                problem: "an advisory id must be 1 to 64 letters, digits and hyphens",
            });
        }
        Ok(())
    }
}
