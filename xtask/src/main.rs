//! Builds, checks and tests Bannock: `cargo xtask --help`.

#![allow(
    clippy::print_stdout,
    reason = "a developer's tool: what it prints is its result"
)]

use std::process::ExitCode;

use clap::Parser;

mod bench;
mod build;
mod ci;
mod clean;
mod demo;
mod deny;
mod difference;
mod digest;
mod fault;
mod fuzz;
mod layers;
mod packages;
mod process;
mod registers;
mod reproducible;
mod rustc;
mod stage;
mod test;
mod test_build;
mod workspace;

/// Builds, checks and tests Bannock.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    Bench(bench::Options),
    Build(build::Options),
    Ci(ci::Options),
    Clean(clean::Options),
    Demo(demo::Options),
    Layers(layers::Options),
    Test(test::Options),
}

fn main() -> ExitCode {
    if let Some(failed) = rustc::in_its_place() {
        return failed;
    }
    let root = workspace::Root::of_this_checkout();
    let done = match Task::parse() {
        Task::Bench(options) => bench::run(&root, &options),
        Task::Build(options) => build::run(&root, &options),
        Task::Ci(options) => ci::run(&root, &options),
        Task::Clean(options) => clean::run(&root, &options),
        Task::Demo(options) => demo::run(&root, &options),
        Task::Layers(_) => layers::run(&root),
        Task::Test(options) => test::run(&root, &options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            let mut text = fault.to_string();
            let mut cause = std::error::Error::source(&fault);
            while let Some(inner) = cause {
                text.push_str(": ");
                text.push_str(&inner.to_string());
                cause = inner.source();
            }
            eprintln!("xtask: {text}");
            ExitCode::FAILURE
        }
    }
}
