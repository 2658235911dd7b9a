//! Exit codes of `bannock run` and of the runtime: documented API.
//!
//! A program's own exit code passes through unchanged. The codes below are outside the range that
//! programs and shells commonly use for themselves (shells use 126, 127 and 128 + signal).

/// Attestation or policy said no: nothing was, or is any longer, released.
pub const DENIED: u8 = 120;

/// A service that is needed (CAS or LAS) could not be reached.
pub const UNAVAILABLE: u8 = 121;

/// The runtime itself failed: the platform lacks something, or a host call misbehaved.
pub const FAILED: u8 = 122;

/// The command line was not understood.
pub const USAGE: u8 = 2;
