//! `cargo xtask build`: the published binaries, in one folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    digest::sha256,
    fault::Fault,
    packages, process, registers, reproducible, rustc, test_build,
    workspace::{Root, TARGET, Workspace, create_folder},
};

/// Build the binaries into target/bannock.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Optimise `bannock` and `bannock-cas`; the runtime always is.
    #[arg(long)]
    release: bool,
    /// Build the runtime a second time, from nothing and in another place, and compare.
    #[arg(long)]
    check_reproducible: bool,
}

/// Where the binaries are collected, relative to the checkout.
const COLLECTED: &str = "target/bannock";

/// Name of the runtime's package and file.
const RUNTIME: &str = "bannock-runtime";

/// Builds everything.
///
/// # Errors
/// When a build fails, the runtime uses registers that it must not, is a test build, or is not
/// reproducible.
pub(crate) fn run(root: &Root, options: &Options) -> Result<(), Fault> {
    packages::install_for(packages::For::Build)?;
    let mut built = vec![cli(root, options.release)?, cas(root, options.release)?];
    let own = runtime(root, None)?;
    registers::check(&own)?;
    test_build::refuse(&own)?;
    if options.check_reproducible {
        reproducible::check(root, &own)?;
    }
    built.push(own);
    collect(root, &built)
}

/// Builds and collects what the end-to-end tests run.
///
/// # Errors
/// As [`run`].
pub(crate) fn for_tests(root: &Root) -> Result<(), Fault> {
    run(root, &Options::default())
}

/// Builds and collects what benchmarks run: everything optimised.
///
/// # Errors
/// As [`run`].
pub(crate) fn for_benchmarks(root: &Root) -> Result<(), Fault> {
    run(
        root,
        &Options {
            release: true,
            ..Options::default()
        },
    )
}

/// Builds the runtime twice, in two places, and checks it.
///
/// # Errors
/// As [`run`].
pub(crate) fn check_runtime(root: &Root) -> Result<(), Fault> {
    packages::install_for(packages::For::Build)?;
    let own = runtime(root, None)?;
    registers::check(&own)?;
    test_build::refuse(&own)?;
    reproducible::check(root, &own)
}

fn cli(root: &Root, release: bool) -> Result<PathBuf, Fault> {
    let mut cargo = root.cargo(Workspace::Main);
    cargo.args(["build", "--locked", "--package", "bannock"]);
    if release {
        cargo.arg("--release");
    }
    process::run(&mut cargo)?;
    Ok(root.join("target").join(profile(release)).join("bannock"))
}

/// The CAS is linked statically: the LAS measures the one file, so nothing may be loaded beside it.
fn cas(root: &Root, release: bool) -> Result<PathBuf, Fault> {
    let target_folder = root.join("target/static");
    let mut cargo = root.cargo(Workspace::Main);
    cargo.env("CARGO_TARGET_DIR", &target_folder).args([
        "build",
        "--locked",
        "--package",
        "bannock-cas",
    ]);
    rustc::publish(&mut cargo, root, &["-Ctarget-feature=+crt-static"])?;
    if release {
        cargo.arg("--release");
    }
    process::run(&mut cargo)?;
    Ok(target_folder
        .join(TARGET)
        .join(profile(release))
        .join("bannock-cas"))
}

/// Builds the runtime, whose digest is its measurement: the same wherever the checkout and Cargo's
/// own folder, `cargo_home` if it is given, are.
///
/// # Errors
/// When Cargo fails.
pub(crate) fn runtime(root: &Root, cargo_home: Option<&Path>) -> Result<PathBuf, Fault> {
    let mut cargo = root.cargo(Workspace::Runtime);
    cargo
        .args(["build", "--release", "--locked"])
        .args(["--package", RUNTIME]);
    rustc::publish(&mut cargo, root, &[])?;
    if let Some(folder) = cargo_home {
        cargo.env("CARGO_HOME", folder);
    }
    process::run(&mut cargo)?;
    Ok(root
        .join(Workspace::Runtime.target_folder())
        .join(TARGET)
        .join("release")
        .join(RUNTIME))
}

/// The folder name of a profile.
fn profile(release: bool) -> &'static str {
    if release { "release" } else { "debug" }
}

/// Copies the binaries into one folder and prints their digests, which are their measurements.
fn collect(root: &Root, built: &[PathBuf]) -> Result<(), Fault> {
    let folder = root.join(COLLECTED);
    create_folder(&folder)?;
    for from in built {
        let Some(name) = from.file_name() else {
            continue;
        };
        let to = folder.join(name);
        // Under a new name first: a running program's file cannot be written.
        let fresh = folder.join(format!(".{}.new", name.to_string_lossy()));
        fs::copy(from, &fresh)
            .and_then(|_| fs::rename(&fresh, &to))
            .map_err(|source| Fault::File {
                action: "write",
                path: to.clone(),
                source,
            })?;
        let digest = sha256(&to)?;
        println!("{digest}  {COLLECTED}/{}", name.to_string_lossy());
        if name == RUNTIME {
            println!(
                "The runtime's measurement (`mrenclave` in sessions) is {digest}: that of these sources and {}.",
                rustc::Compiler::of(root)?.version
            );
        }
    }
    Ok(())
}
