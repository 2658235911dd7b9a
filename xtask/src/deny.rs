//! Licences, sources and bans of dependencies, by cargo-deny.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    fault::Fault,
    process,
    workspace::{Root, Workspace},
};

/// The version that CI installs where there is none.
const VERSION: &str = "0.20.2";

/// Checks the dependencies of every workspace against `deny.toml`.
///
/// Advisories are not checked here: their database changes without a commit, so a run of CI would
/// say something about the day rather than about the commit.
///
/// # Errors
/// When a dependency breaks a rule, or cargo-deny can be neither found nor installed.
pub(crate) fn run(root: &Root) -> Result<(), Fault> {
    let program = program(root)?;
    process::everywhere(&Workspace::ALL, |workspace| {
        process::run(
            Command::new(&program)
                .current_dir(root.path())
                .args(["--locked", "--manifest-path"])
                .arg(workspace.manifest(root))
                .arg("--config")
                .arg(root.join("deny.toml"))
                .args(["check", "--hide-inclusion-graph"])
                .args(["bans", "licenses", "sources"]),
        )
    })
}

/// The installed cargo-deny, or one that this installs below the target folder.
fn program(root: &Root) -> Result<PathBuf, Fault> {
    let installed = Command::new("cargo-deny")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if installed.is_ok_and(|status| status.success()) {
        return Ok(PathBuf::from("cargo-deny"));
    }
    let folder = root.join("target/tools");
    let own = folder.join("bin/cargo-deny");
    if !own.exists() {
        println!("installing cargo-deny {VERSION} below target/tools; this takes some minutes");
        process::run(
            Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
                .current_dir(root.path())
                .env("CARGO_TARGET_DIR", folder.join("build"))
                .args(["install", "--quiet", "--locked", "--version", VERSION])
                .arg("--root")
                .arg(&folder)
                .arg("cargo-deny"),
        )?;
    }
    Ok(own)
}
