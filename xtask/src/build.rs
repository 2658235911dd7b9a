//! `cargo xtask build`: the published binaries, in one folder.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    digest::sha256,
    fault::Fault,
    packages, process, registers, reproducible,
    workspace::{Root, TARGET, Workspace, create_folder},
};

/// Build the binaries into target/bannock.
#[derive(Args)]
pub(crate) struct Options {
    /// Optimise `bannock` and `bannock-cas`; the runtime always is.
    #[arg(long)]
    release: bool,
    /// Build the runtime a second time, from nothing and into another folder, and compare.
    #[arg(long)]
    check_reproducible: bool,
}

/// Where the binaries are collected, relative to the checkout.
const COLLECTED: &str = "target/bannock";

/// Builds everything.
///
/// # Errors
/// When a build fails, the runtime uses registers that it must not, or is not reproducible.
pub(crate) fn run(root: &Root, options: &Options) -> Result<(), Fault> {
    packages::install_for(packages::For::Build)?;
    let mut built = vec![cli(root, options.release)?, cas(root, options.release)?];
    let own = runtime(root, &root.join(Workspace::Runtime.target_folder()))?;
    registers::check(&own)?;
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
    run(
        root,
        &Options {
            release: false,
            check_reproducible: false,
        },
    )
}

/// Builds the runtime and checks its registers.
///
/// # Errors
/// As [`run`].
pub(crate) fn check_runtime(root: &Root) -> Result<(), Fault> {
    packages::install_for(packages::For::Build)?;
    let own = runtime(root, &root.join(Workspace::Runtime.target_folder()))?;
    registers::check(&own)
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
    cargo
        .env("CARGO_TARGET_DIR", &target_folder)
        .env("SOURCE_DATE_EPOCH", root.source_date())
        .args(["build", "--locked", "--package", "bannock-cas"])
        .args(["--target", TARGET])
        .arg("--config")
        .arg(rustflags(
            std::iter::once("-Ctarget-feature=+crt-static".into())
                .chain(remap(root.path(), &target_folder)),
        ));
    if release {
        cargo.arg("--release");
    }
    process::run(&mut cargo)?;
    Ok(target_folder
        .join(TARGET)
        .join(profile(release))
        .join("bannock-cas"))
}

/// Builds the runtime into `target_folder`, with no trace of this machine's paths in the result.
///
/// # Errors
/// When Cargo fails.
pub(crate) fn runtime(root: &Root, target_folder: &Path) -> Result<PathBuf, Fault> {
    let mut cargo = root.cargo(Workspace::Runtime);
    cargo
        .env("CARGO_TARGET_DIR", target_folder)
        .env("SOURCE_DATE_EPOCH", root.source_date())
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "bannock-runtime",
        ])
        .args(["--target", TARGET])
        // Added to the flags that the workspace's configuration sets; the environment's RUSTFLAGS
        // would replace them.
        .arg("--config")
        .arg(rustflags(remap(root.path(), target_folder)));
    process::run(&mut cargo)?;
    Ok(target_folder
        .join(TARGET)
        .join("release")
        .join("bannock-runtime"))
}

/// Flags that keep the paths of this machine out of what is built. Of several that match, rustc
/// applies the last.
fn remap(sources: &Path, target_folder: &Path) -> impl Iterator<Item = OsString> {
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    [
        cargo_home.map(|path| (path, "/cargo")),
        Some((sources.to_path_buf(), "/bannock")),
        Some((target_folder.to_path_buf(), "/target")),
    ]
    .into_iter()
    .flatten()
    .map(|(from, to)| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flag
    })
}

/// A `--config` argument that adds `flags` for the target. A path that is not UTF-8 is replaced in
/// part, which no prefix then matches; the comparison of two builds would notice.
fn rustflags(flags: impl Iterator<Item = OsString>) -> String {
    let flags: Vec<String> = flags
        .map(|flag| format!("{:?}", flag.to_string_lossy()))
        .collect();
    format!("target.{TARGET}.rustflags=[{}]", flags.join(", "))
}

/// The folder name of a profile.
fn profile(release: bool) -> &'static str {
    if release { "release" } else { "debug" }
}

/// Copies the binaries into one folder and prints their digests.
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
        println!("{}  {COLLECTED}/{}", sha256(&to)?, name.to_string_lossy());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_an_array_of_toml_strings() {
        let flags = remap(Path::new("/a \"b\""), Path::new("/a \"b\"/target"));
        let argument = rustflags(flags.skip(1));
        assert_eq!(
            argument,
            "target.x86_64-unknown-linux-gnu.rustflags=[\
             \"--remap-path-prefix=/a \\\"b\\\"=/bannock\", \
             \"--remap-path-prefix=/a \\\"b\\\"/target=/target\"]"
        );
    }
}
