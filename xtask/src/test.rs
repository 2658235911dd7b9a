//! `cargo xtask test`: every test there is.

use clap::Args;

use crate::{
    build,
    fault::Fault,
    fuzz,
    layers::metadata,
    packages, process, test_build,
    workspace::{Root, Workspace},
};

/// Run all tests, or one suite: unit, runtime, fuzz, or the name of an end-to-end crate.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Also run what is ignored by default, and fuzz each target for a minute.
    #[arg(long)]
    full: bool,
    /// The one suite to run.
    suite: Option<String>,
}

/// Seconds that each fuzz target runs by default: enough to try every seed and its neighbours.
const SMOKE_SECONDS: u32 = 3;

/// Seconds that each fuzz target runs with `--full`.
const FULL_SECONDS: u32 = 60;

/// Runs the suites that were asked for; the ones of `cargo test` come last.
///
/// # Errors
/// At the first suite that fails, or when no suite has the given name.
pub(crate) fn run(root: &Root, options: &Options) -> Result<(), Fault> {
    let end_to_end = end_to_end(root)?;
    let wanted = |name: &str| options.suite.as_deref().is_none_or(|suite| suite == name);
    if let Some(name) = &options.suite {
        let known = ["unit", "runtime", "fuzz"];
        if !known.contains(&name.as_str()) && !end_to_end.contains(name) {
            return Err(Fault::UnknownSuite {
                name: name.clone(),
                known: [&known.map(str::to_owned)[..], &end_to_end]
                    .concat()
                    .join(", "),
            });
        }
    }
    packages::install_for(packages::For::Test)?;
    if wanted("fuzz") {
        let seconds = if options.full {
            FULL_SECONDS
        } else {
            SMOKE_SECONDS
        };
        fuzz::run(root, seconds)?;
    }
    if wanted("unit") {
        let excluded = end_to_end.iter().flat_map(|name| ["--exclude", name]);
        cargo_test(
            root,
            Workspace::Main,
            options,
            ["--workspace"].into_iter().chain(excluded),
        )?;
    }
    if wanted("runtime") {
        cargo_test(root, Workspace::Runtime, options, ["--workspace"])?;
    }
    let end_to_end: Vec<&String> = end_to_end.iter().filter(|name| wanted(name)).collect();
    if !end_to_end.is_empty() {
        build::for_tests(root)?;
        test_build::build(root)?;
        for name in end_to_end {
            cargo_test(root, Workspace::Main, options, ["--package", name])?;
        }
    }
    Ok(())
}

fn cargo_test<'a>(
    root: &Root,
    workspace: Workspace,
    options: &Options,
    which: impl IntoIterator<Item = &'a str>,
) -> Result<(), Fault> {
    let mut cargo = root.cargo(workspace);
    cargo
        .args(["test", "--locked", "--no-fail-fast"])
        .args(which);
    if options.full {
        cargo.args(["--", "--include-ignored"]);
    }
    process::run(&mut cargo)
}

/// Names of the crates below `tests/`: they run the built binaries, so those are built first.
fn end_to_end(root: &Root) -> Result<Vec<String>, Fault> {
    Ok(metadata::packages(root, Workspace::Main)?
        .into_iter()
        .filter(|package| package.folder.starts_with("tests"))
        .map(|package| package.name)
        .collect())
}
