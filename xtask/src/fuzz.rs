//! The fuzz targets: built with libFuzzer's instrumentation by the stable compiler, run from seeds.

use std::{path::PathBuf, process::Command};

use crate::{
    fault::Fault,
    packages, process,
    workspace::{Root, TARGET, Workspace, create_folder, entries},
};

/// What libFuzzer needs of LLVM: counters on every edge, in a table that it can find.
const INSTRUMENTATION: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Ccodegen-units=1";

/// MiB of memory beyond which libFuzzer calls a target's appetite a fault.
const MEMORY_LIMIT_MIB: u32 = 1024;

/// Seconds for one input beyond which it calls it a hang.
const INPUT_LIMIT_SECONDS: u32 = 10;

/// Runs every target for `seconds`, starting from its seeds and from what earlier runs found.
///
/// # Errors
/// When a target does not build, has no seeds, or finds an input that it fails on; libFuzzer names
/// the file that holds it.
pub(crate) fn run(root: &Root, seconds: u32) -> Result<(), Fault> {
    packages::install_for(packages::For::Fuzz)?;
    process::run(
        root.cargo(Workspace::Fuzz)
            .env("RUSTFLAGS", INSTRUMENTATION)
            // For the target alone: build scripts and macros are not to be instrumented.
            .args([
                "build",
                "--release",
                "--locked",
                "--bins",
                "--target",
                TARGET,
            ]),
    )?;
    let built = root.join(Workspace::Fuzz.target_folder());
    for target in targets(root)? {
        let seeds = root.join("fuzz/seeds").join(&target);
        if entries(&seeds).map_or(true, |found| found.is_empty()) {
            return Err(Fault::NoSeeds {
                target,
                folder: seeds,
            });
        }
        let corpus = built.join("corpus").join(&target);
        let artifacts = root.join("fuzz/artifacts").join(&target);
        create_folder(&corpus)?;
        create_folder(&artifacts)?;
        println!("fuzzing {target} for {seconds} s");
        process::run(
            Command::new(built.join(TARGET).join("release").join(&target))
                .arg(format!("-max_total_time={seconds}"))
                .arg(format!("-rss_limit_mb={MEMORY_LIMIT_MIB}"))
                .arg(format!("-timeout={INPUT_LIMIT_SECONDS}"))
                .arg(format!("-artifact_prefix={}/", artifacts.display()))
                .args(["-print_final_stats=1", "-verbosity=0"])
                .arg(corpus)
                .arg(seeds),
        )?;
    }
    Ok(())
}

/// Names of the targets: one file each.
fn targets(root: &Root) -> Result<Vec<String>, Fault> {
    Ok(entries(&root.join("fuzz/targets"))?
        .into_iter()
        .filter(|path: &PathBuf| path.extension().is_some_and(|kind| kind == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect())
}
