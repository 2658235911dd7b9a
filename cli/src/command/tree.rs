//! `bannock tree`: manifests of measured host trees.

use crate::failure::{Because, Failure};
use crate::output::{Output, Report, Table};
use bannock_measure::tree::{MAX_BYTES, Manifest};
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to do with a manifest.
#[derive(clap::Subcommand)]
pub(crate) enum Tree {
    /// Print the root digest of a manifest, which a session names
    Digest {
        /// The manifest
        file: PathBuf,
    },
}

/// Does it.
pub(crate) fn run(tree: Tree, output: &Output) -> Result<ExitCode, Failure> {
    match tree {
        Tree::Digest { file } => {
            let manifest = read(&file)?;
            output.show(&Digest {
                entries: manifest.entries().len(),
                digest: hex::encode(manifest.root_digest()),
            })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[derive(Serialize)]
struct Digest {
    digest: String,
    entries: usize,
}

impl Report for Digest {
    fn table(&self) -> Table {
        Table::new()
            .row(["digest", &self.digest])
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
