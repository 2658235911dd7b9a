//! How strictly evidence is appraised.

use minicbor::{Decode, Encode};

use crate::values::AdvisoryId;

/// How strictly evidence is appraised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Security {
    /// Whether evidence is needed.
    #[n(0)]
    pub mode: AttestationMode,
    /// What is accepted nevertheless; sorted.
    #[n(1)]
    pub tolerate: Vec<Tolerance>,
    /// Which advisories are accepted.
    #[n(2)]
    pub ignore_advisories: IgnoredAdvisories,
}

/// Whether evidence is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum AttestationMode {
    /// Evidence is appraised.
    #[default]
    #[n(0)]
    Hardware,
    /// None; refused unless the CAS was started to allow it.
    #[n(1)]
    None,
}

/// A weakness that a session accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Tolerance {
    /// Enclaves that the host can read.
    #[n(0)]
    DebugMode,
    /// ConfigurationNeeded because of hyper-threading.
    #[n(1)]
    Hyperthreading,
    /// ConfigurationNeeded because of the integrated GPU.
    #[n(2)]
    InsecureIgpu,
    /// SWHardeningNeeded.
    #[n(3)]
    SoftwareHardeningNeeded,
    /// Advisory INTEL-SA-00657.
    #[n(4)]
    AepicLeak,
    /// ConfigurationNeeded.
    #[n(5)]
    InsecureConfiguration,
    /// OutOfDate.
    #[n(6)]
    OutdatedTcb,
}

impl Tolerance {
    /// The name in the session language.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DebugMode => "debug-mode",
            Self::Hyperthreading => "hyperthreading",
            Self::InsecureIgpu => "insecure-igpu",
            Self::SoftwareHardeningNeeded => "software-hardening-needed",
            Self::AepicLeak => "aepic-leak",
            Self::InsecureConfiguration => "insecure-configuration",
            Self::OutdatedTcb => "outdated-tcb",
        }
    }

    pub(crate) const NAMES: [&'static str; Self::ALL.len()] = {
        let mut names = [""; Self::ALL.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = Self::ALL[at].name();
            at += 1;
        }
        names
    };

    pub(crate) const ALL: [Self; 7] = [
        Self::DebugMode,
        Self::Hyperthreading,
        Self::InsecureIgpu,
        Self::SoftwareHardeningNeeded,
        Self::AepicLeak,
        Self::InsecureConfiguration,
        Self::OutdatedTcb,
    ];
}

/// Which advisories a session accepts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum IgnoredAdvisories {
    /// These; sorted.
    #[n(0)]
    Listed(#[n(0)] Vec<AdvisoryId>),
    /// All of them; only together with [`Tolerance::DebugMode`].
    #[n(1)]
    All,
}

impl Default for IgnoredAdvisories {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}
