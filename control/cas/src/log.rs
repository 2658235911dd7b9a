//! Messages for the operator, on standard error. No secret ever enters one.

use std::{error::Error, fmt::Display, io::Write as _};

/// Writes `message`.
pub fn note(message: impl Display) {
    // There is nobody to tell that standard error is gone.
    let _ = writeln!(std::io::stderr().lock(), "bannock-cas: {message}");
}

/// `error` and what caused it, on one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
