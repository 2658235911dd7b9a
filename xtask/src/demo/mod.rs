//! `cargo xtask demo`: an unmodified MariaDB gets its keys only after proving what it is.

mod attacker;
mod audit;
mod crash;
mod keep;
mod look_around;
mod outages;
mod refusals;
mod server;
mod sessions;
mod story;
mod table;
mod tampering;
mod wrap;

use std::time::Instant;

use crate::{
    build,
    fault::Fault,
    packages,
    stage::{self, Stage},
    workspace::Root,
};

use table::Table;

/// Folder of the demo, relative to the checkout.
pub(crate) const FOLDER: &str = "target/demo";

/// Options of `cargo xtask demo`.
#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Use the binaries that `cargo xtask build` has made.
    #[arg(long)]
    skip_build: bool,
    /// Leave everything running, and print the commands to connect, look around and stop.
    #[arg(long)]
    keep: bool,
}

/// What the demo has come to.
struct Demo {
    stage: Stage,
    table: Table,
}

/// Plays the story.
///
/// # Errors
/// When a step cannot be tried at all, or a row is not as expected.
pub(crate) fn run(root: &Root, options: &Options) -> Result<(), Fault> {
    packages::install_for(packages::For::Demo)?;
    if !options.skip_build {
        build::for_tests(root)?;
    }
    stage::stop(root, FOLDER)?;
    let begin = Instant::now();
    let mut demo = Demo {
        stage: Stage::set(root, FOLDER, "examples/mariadb")?,
        table: Table::default(),
    };
    let played = demo.play();
    demo.table.print();
    println!("played in {} s", begin.elapsed().as_secs());
    if options.keep {
        played.as_ref().map_or(Ok(()), |()| demo.keep())?;
    } else {
        stage::stop(root, FOLDER)?;
    }
    played?;
    match demo.table.wrong() {
        0 => Ok(()),
        wrong => Err(Fault::Demo(wrong)),
    }
}

impl Demo {
    fn play(&mut self) -> Result<(), Fault> {
        println!("==> a simulated platform, a LAS and a CAS");
        self.begin()?;
        println!("==> measuring MariaDB, and a session that gives it its secrets");
        let session = self.provide()?;
        println!("==> MariaDB under Bannock");
        self.live()?;
        println!("==> refusals: tampering on the machine");
        self.tampering()?;
        println!("==> refusals: sessions and who may do what with them");
        self.sessions(&session)?;
        println!("==> refusals: a hostile program in a session of its own");
        self.attacker()?;
        println!("==> LAS and CAS down");
        self.outages()?;
        println!("==> MariaDB after all that");
        self.epilogue()
    }
}
