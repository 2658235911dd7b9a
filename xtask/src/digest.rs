//! Digests of files, as measurements are written.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::{fault::Fault, workspace::read};

/// SHA-256 of a file, in hexadecimal: for the runtime this is its measurement.
pub(crate) fn sha256(path: &Path) -> Result<String, Fault> {
    let digest = Sha256::digest(read(path)?);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
