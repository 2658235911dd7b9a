//! `cargo xtask ci`: what a commit has to pass.

use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::{
    bench, build, demo, deny,
    fault::Fault,
    layers, process, test,
    workspace::{Root, Workspace},
};

/// Run the steps that a commit has to pass, or one of them.
#[derive(Args)]
pub(crate) struct Options {
    /// Run this step alone; may be given several times.
    #[arg(long, value_name = "STEP")]
    only: Vec<Step>,
}

/// One step. They run in this order, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Formatting, by rustfmt.
    Fmt,
    /// The architecture's rules on dependencies and unsafe code.
    Layers,
    /// Lints, by clippy, with warnings as errors.
    Clippy,
    /// Documentation builds without warnings.
    Docs,
    /// Licences, sources and bans of dependencies.
    Deny,
    /// The runtime: built for release, without wide registers, and the same elsewhere.
    Runtime,
    /// MariaDB's story, under the filter that ends it on an unexpected host call.
    Demo,
    /// That the benchmarks work; their figures count in a full run only.
    Bench,
    /// All tests.
    Test,
}

/// Runs the steps, all of them even after one failed, and prints how long each took.
///
/// # Errors
/// Naming the steps that failed.
pub(crate) fn run(root: &Root, options: &Options) -> Result<(), Fault> {
    let steps: Vec<Step> = Step::value_variants()
        .iter()
        .copied()
        .filter(|step| options.only.is_empty() || options.only.contains(step))
        .collect();
    let mut failed = Vec::new();
    let mut times = Vec::new();
    for step in steps {
        let name = format!("{step:?}").to_lowercase();
        println!("==> {name}");
        let start = Instant::now();
        let done = run_step(root, step);
        let seconds = start.elapsed().as_secs_f64();
        if let Err(fault) = &done {
            println!("==> {name} failed: {fault}");
            failed.push(name.clone());
        }
        let verdict = if done.is_ok() { "ok" } else { "FAILED" };
        times.push(format!("{name:<8} {verdict:<6} {seconds:>7.1} s"));
    }
    println!("==> summary\n{}", times.join("\n"));
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Fault::Steps(failed.join(", ")))
    }
}

fn run_step(root: &Root, step: Step) -> Result<(), Fault> {
    match step {
        Step::Fmt => process::everywhere(&Workspace::ALL, |workspace| {
            process::run(root.cargo(workspace).args(["fmt", "--all", "--check"]))
        }),
        Step::Layers => layers::run(root),
        Step::Clippy => process::everywhere(&Workspace::ALL, |workspace| {
            process::run(
                root.cargo(workspace)
                    .args(["clippy", "--locked", "--workspace", "--all-targets"])
                    .args(["--", "-D", "warnings"]),
            )
        }),
        Step::Docs => process::everywhere(&Workspace::DELIVERED, |workspace| {
            process::run(
                root.cargo(workspace)
                    .env("RUSTDOCFLAGS", "-D warnings")
                    .args(["doc", "--locked", "--workspace", "--no-deps"]),
            )
        }),
        Step::Deny => deny::run(root),
        Step::Runtime => build::check_runtime(root),
        Step::Demo => demo::run(root, &demo::Options::default()),
        Step::Bench => bench::run(root, &bench::Options::QUICK),
        Step::Test => test::run(root, &test::Options::default()),
    }
}
