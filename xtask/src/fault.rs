//! What can go wrong in a task.

use std::{io, path::PathBuf, process::ExitStatus};

/// Why a task ended without success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Gates of a benchmark are missed, or its control shows a disturbed machine.
    #[error("{0} gates missed; the table above says which, and whether the control was quiet")]
    Bench(usize),
    /// A program printed no figure where it should.
    #[error("no figure in what `{command}` printed: {text}")]
    Figure {
        /// The command.
        command: String,
        /// What it printed.
        text: String,
    },
    /// A server ended or stayed silent.
    #[error("{server} does not answer; it has written {}", log.display())]
    Silent {
        /// Which one.
        server: String,
        /// Its output, printed before.
        log: PathBuf,
    },
    /// Rows of the demo's table are not as expected.
    #[error("{0} rows of the demo are not as expected; the table above says which")]
    Demo(usize),
    /// A program could not be started.
    #[error("cannot start `{command}`; is it installed?")]
    Start {
        /// The command line.
        command: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A program ran and said no.
    #[error("`{command}` failed with {status}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried: "read", "copy" and so on.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// `cargo metadata` printed something else than it documents.
    #[error("cannot understand what cargo metadata says about {}", manifest.display())]
    Metadata {
        /// The workspace that was asked about.
        manifest: PathBuf,
        /// Where it differs.
        source: serde_json::Error,
    },
    /// A command or file has other JSON than it should.
    #[error("cannot understand the JSON of `{command}`")]
    Answer {
        /// The command, or the file.
        command: String,
        /// Where it differs.
        source: serde_json::Error,
    },
    /// The architecture's rules are broken; each breach has been printed.
    #[error("{0} breaches of the layer rules, listed above; see ARCHITECTURE.md")]
    Layers(usize),
    /// Two builds of one source differ.
    #[error(
        "the runtime is not reproducible: {} and {} differ, first in {place}; look for what depends \
         on a path, a time or an order", first.display(), second.display()
    )]
    NotReproducible {
        /// Where they differ first.
        place: String,
        /// The file of the ordinary build.
        first: PathBuf,
        /// The file of the build in another place.
        second: PathBuf,
    },
    /// The runtime uses registers that its entry does not save.
    #[error(
        "{count} instructions of {} use registers wider than xmm, which the system-call entry does \
         not save; the first: `{first}`; find the crate that selected them and configure its \
         portable backend", file.display()
    )]
    WideRegisters {
        /// The file that was disassembled.
        file: PathBuf,
        /// How many instructions.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// A disassembly too short to be one.
    #[error("objdump printed no xmm instruction for {}; is it the runtime?", file.display())]
    NotDisassembled {
        /// The file that was disassembled.
        file: PathBuf,
    },
    /// A runtime that is built for tests alone.
    #[error(
        "{} is a test build, which leaves the channel to the LAS open; build it without the feature \
         test-keep-channel", file.display()
    )]
    TestBuild {
        /// The file.
        file: PathBuf,
    },
    /// A test build that cannot be told from a runtime that may be delivered.
    #[error("{} does not say that it is a test build; it has to", file.display())]
    UnmarkedTestBuild {
        /// The file.
        file: PathBuf,
    },
    /// Debian packages are missing, and only root may install them.
    #[error("missing Debian packages; as root, run: apt-get install {0}")]
    Packages(String),
    /// Steps of `ci` failed; each has printed why.
    #[error("failed: {0}")]
    Steps(String),
    /// A fuzz target has nothing to start from.
    #[error("fuzz target {target} has no seeds; put small valid inputs into {}", folder.display())]
    NoSeeds {
        /// Name of the target.
        target: String,
        /// Where its seeds belong.
        folder: PathBuf,
    },
    /// A fuzz target was named that does not exist.
    #[error("no test suite is named {name}; there are: {known}")]
    UnknownSuite {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}
