//! The subcommands, one file each.
//!
//! A new one needs its file, a variant in [`Command`] and an arm in [`run`].

mod tree;

use crate::failure::Failure;
use crate::output::Output;
use std::process::ExitCode;

/// What to do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Measure host files that programs are built of, and check them
    #[command(subcommand)]
    Tree(tree::Tree),
}

/// Does it.
pub(crate) fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Tree(tree) => tree::run(tree, output),
    }
}
