//! `bannock tree`: manifests of measured host trees.

mod collect;
mod glob;
mod programs;
mod verify;

use crate::failure::{Because as _, Failure};
use crate::output::{Output, Report, Table, note};
use bannock_measure::tree::{MAX_BYTES, Manifest};
use collect::{Collector, Found, shown};
use programs::Follower;
use serde::Serialize;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to do with a manifest.
#[derive(clap::Subcommand)]
pub(crate) enum Tree {
    /// Measure host files and print a manifest of them
    ///
    /// The manifest lists every path that the programs will see; what is not listed does not exist
    /// for them.
    Measure(Measure),
    /// Print the root digest of a manifest, which a session names
    Digest {
        /// The manifest
        file: PathBuf,
    },
    /// Say which host files differ from a manifest now; exit code 1 if any
    Verify {
        /// The manifest
        file: PathBuf,
        /// Directory that is the tree's root
        #[arg(long, value_name = "DIR", default_value = "/")]
        root: PathBuf,
    },
}

#[derive(clap::Args)]
pub(crate) struct Measure {
    /// A program, with its interpreter and all libraries that it needs to start
    #[arg(long, value_name = "PATH", required_unless_present = "include")]
    program: Vec<OsString>,
    /// Files, or directories with all that is in them; `*`, `?`, `[…]` and `**` are understood
    ///
    /// Libraries among them bring what they need, so this is for what programs load later.
    #[arg(long, value_name = "GLOB")]
    include: Vec<OsString>,
    /// Directory that is the tree's root
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Write the manifest to this file and print its digest
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Does it.
pub(crate) fn run(tree: Tree, output: &Output) -> Result<ExitCode, Failure> {
    match tree {
        Tree::Measure(measure) => run_measure(&measure, output)?,
        Tree::Digest { file } => output.show(&Digest::of(&read(&file)?))?,
        Tree::Verify { file, root } => {
            let comparison = verify::Comparison::of(&read(&file)?, &root);
            output.show(&comparison)?;
            if !comparison.is_equal() {
                return Ok(ExitCode::from(crate::failure::ERROR));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn run_measure(measure: &Measure, output: &Output) -> Result<(), Failure> {
    let manifest = collect(measure)?;
    let digest = Digest::of(&manifest);
    if let Some(file) = &measure.output {
        fs::write(file, manifest.encode())
            .because(|| format!("cannot write the manifest `{}`", file.display()))?;
        return output.show(&digest);
    }
    output.bytes(manifest.encode().as_bytes())?;
    note(&format!(
        "{} entries, root digest {}",
        digest.entries, digest.digest
    ));
    Ok(())
}

fn collect(measure: &Measure) -> Result<Manifest, Failure> {
    let mut collector = Collector::new(&measure.root);
    let mut follower = Follower::new(&collector)?;
    for program in &measure.program {
        let path = absolute(program)?;
        follower.add_program(&mut collector, path)?;
    }
    for pattern in &measure.include {
        let paths = glob::expand(&collector, absolute(pattern)?)?;
        if paths.is_empty() {
            let pattern = shown(pattern.as_bytes());
            return Err(Failure::from(format!("nothing matches `{pattern}`"))
                .help("quote patterns, so that the shell leaves them alone"));
        }
        for path in paths {
            let files = match collector.add(&path)? {
                Found::File(file) => vec![file],
                Found::Directory(directory) => collector.add_all_below(&directory)?,
                Found::Special => {
                    note(&format!("left out, it is no file: {}", shown(&path)));
                    continue;
                }
                // A link that leads nowhere is listed as what it is.
                Found::Missing => continue,
            };
            for file in files {
                follower.follow(&mut collector, &file, &file, false)?;
            }
        }
    }
    collector.finish()
}

fn absolute(path: &OsString) -> Result<&[u8], Failure> {
    let bytes = path.as_bytes();
    if bytes.starts_with(b"/") {
        return Ok(bytes);
    }
    Err(
        Failure::usage(format!("`{}` is not absolute", shown(bytes)))
            .help("paths start at the tree's root, with `/`"),
    )
}

#[derive(Serialize)]
struct Digest {
    digest: String,
    entries: usize,
}

impl Digest {
    fn of(manifest: &Manifest) -> Self {
        Self {
            digest: hex::encode(manifest.root_digest()),
            entries: manifest.entries().len(),
        }
    }
}

impl Report for Digest {
    fn table(&self) -> Table {
        Table::new()
            .row(["root digest", &self.digest])
            .row(["entries", &self.entries.to_string()])
    }
}

/// Reads a manifest, no more of it than a manifest may have.
fn read(path: &Path) -> Result<Manifest, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .because(|| format!("cannot read the manifest `{}`", path.display()))?;
    Ok(Manifest::parse(&bytes)
        .because(|| format!("`{}` is not a tree manifest", path.display()))?)
}
