//! The `bannock` command.

mod command;
mod container;
mod failure;
mod las;
mod output;
mod state;

use clap::Parser;
use std::process::ExitCode;

/// Run unmodified Linux programs that get their configuration and keys only after proving what
/// they are.
#[derive(Parser)]
#[command(name = "bannock", version, propagate_version = true)]
struct Cli {
    /// Print results as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: command::Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = output::Output::new(cli.json);
    match command::run(cli.command, &output) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
