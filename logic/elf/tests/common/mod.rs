//! Programs built with the system's compiler, for tests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails here should stop here"
)]
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// A directory of its own for one test.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// Compiles a C source text.
pub(crate) fn gcc(dir: &Path, name: &str, source: &str, flags: &[&str]) -> Vec<u8> {
    let input = dir.join(format!("{name}.c"));
    let output = dir.join(name);
    fs::write(&input, source).unwrap();
    let done = Command::new("gcc")
        .args(flags)
        .arg("-o")
        .arg(&output)
        .arg(&input)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    fs::read(output).unwrap()
}

/// Runs the bytes of a program.
pub(crate) fn run(dir: &Path, name: &str, program: &[u8]) -> ExitStatus {
    let path = dir.join(name);
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Command::new(path).status().unwrap()
}
