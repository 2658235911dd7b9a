//! The subcommands, one file each.
//!
//! A new one needs its file, a variant in [`Command`] and an arm in [`run()`].

mod cas;
mod dev;
mod las;
mod platform;
mod run;
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
    /// Start and stop a developer's platform, LAS and CAS
    #[command(subcommand)]
    Dev(dev::Dev),
    /// Serve attestation on this machine: start what is measured, quote for it
    #[command(subcommand)]
    Las(las::Las),
    /// Simulate a platform where there is no TEE
    #[command(subcommand)]
    Platform(platform::Platform),
    /// Run a service of a session, or a program without attestation
    Run(Box<run::Run>),
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
        Command::Dev(dev) => dev::run(&dev, output),
        Command::Las(las) => las::run(las, output),
        Command::Platform(platform) => platform::run(platform, output),
        Command::Run(run) => run::run(&run),
        Command::Session(session) => session::run(session, output),
        Command::Tree(tree) => tree::run(tree, output),
    }
}
