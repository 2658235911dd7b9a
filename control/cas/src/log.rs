//! Messages for the operator, on standard error. No secret ever enters one.

pub use bannock_cas_core::chain;
use std::{fmt::Display, io::Write as _};

/// Writes `message`.
pub fn note(message: impl Display) {
    // There is nobody to tell that standard error is gone.
    let _ = writeln!(std::io::stderr().lock(), "bannock-cas: {message}");
}
