//! Shared by the integration tests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]
#![allow(dead_code, reason = "every test program uses a part")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use bannock_policy::secrets::EntropyFault;
use bannock_policy::{Diagnostics, Session};
use sha2::{Digest, Sha256};

pub(crate) const MARIADB: &str = include_str!("../data/mariadb.yaml");
pub(crate) const SCONE_STYLE: &str = include_str!("../data/scone-style.yaml");
pub(crate) const MINIMAL: &str = include_str!("../data/minimal.yaml");

/// 2026-01-01.
pub(crate) const NOW: u64 = 1_767_225_600;

/// Reproducible randomness: SHA-256 of a counter.
pub(crate) fn random(seed: u64) -> impl Fn(&mut [u8]) -> Result<(), EntropyFault> + Send + Sync {
    let counter = AtomicU64::new(0);
    move |buffer: &mut [u8]| {
        for chunk in buffer.chunks_mut(32) {
            let count = counter.fetch_add(1, Ordering::Relaxed);
            let block = Sha256::new()
                .chain_update(seed.to_le_bytes())
                .chain_update(count.to_le_bytes())
                .finalize();
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

pub(crate) fn session(text: &str) -> Session {
    Session::parse(text.as_bytes()).unwrap_or_else(|found| panic!("{found}"))
}

pub(crate) fn problems(text: &[u8]) -> Diagnostics {
    match Session::parse(text) {
        Ok(_) => panic!("accepted: {}", String::from_utf8_lossy(text)),
        Err(found) => found,
    }
}

/// Compares with a file of the repository, or writes it if `BANNOCK_BLESS=1`.
pub(crate) fn compare(path: &str, found: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("BANNOCK_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&file, found).unwrap();
        return;
    }
    let wanted = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        wanted == found,
        "{path} differs; run with BANNOCK_BLESS=1 if this is meant\n--- found\n{found}"
    );
}
