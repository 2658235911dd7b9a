//! Why an instance did not get as far as its program.

use alloc::string::String;
use bannock_wire::exit;

/// Why an instance did not get as far as its program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootFault {
    /// Attestation or policy said no.
    Denied(String),
    /// A service that is needed could not be reached.
    Unavailable(String),
    /// The runtime or the platform failed.
    Failed(String),
}

impl BootFault {
    /// The exit code that says so.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Denied(_) => exit::DENIED,
            Self::Unavailable(_) => exit::UNAVAILABLE,
            Self::Failed(_) => exit::FAILED,
        }
    }

    /// The explanation.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Denied(reason) | Self::Unavailable(reason) | Self::Failed(reason) => reason,
        }
    }
}

impl core::fmt::Display for BootFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let kind = match self {
            Self::Denied(_) => "denied",
            Self::Unavailable(_) => "unavailable",
            Self::Failed(_) => "failed",
        };
        write!(f, "{kind}: {}", self.reason())
    }
}

impl core::error::Error for BootFault {}
