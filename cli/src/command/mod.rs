//! The subcommands, one file each.
//!
//! A new one needs its file, a variant in [`Command`] and an arm in [`run`].

mod cas;
mod session;
mod tree;

use crate::failure::Failure;
use crate::output::Output;
use std::process::ExitCode;

/// What to do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Start a CAS, attest one, ask it what it is
    #[command(subcommand)]
    Cas(cas::Cas),
    /// Check, create, read and update sessions
    #[command(subcommand)]
    Session(session::Session),
    /// Measure host files that programs are built of, and check them
    #[command(subcommand)]
    Tree(tree::Tree),
}

/// Does it.
pub(crate) fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Cas(cas) => cas::run(cas, output),
        Command::Session(session) => session::run(session, output),
        Command::Tree(tree) => tree::run(tree, output),
    }
}
