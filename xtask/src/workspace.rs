//! Where things are in a checkout.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{fault::Fault, process};

/// The only target triple Bannock is built for.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A checkout's folder.
pub(crate) struct Root(PathBuf);

impl Root {
    /// The checkout that this program was built from.
    pub(crate) fn of_this_checkout() -> Self {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self(own.parent().unwrap_or(own).to_path_buf())
    }

    /// A copy of it.
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A path below it.
    pub(crate) fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.join(path)
    }

    /// Cargo in one of the checkout's workspaces, with the flags of the environment removed: they
    /// would replace the flags that the workspace's own configuration sets, and those select the
    /// runtime's backends.
    pub(crate) fn cargo(&self, workspace: Workspace) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(self.join(workspace.folder()))
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("CARGO_TARGET_DIR", self.join(workspace.target_folder()));
        cargo
    }

    /// Seconds since 1970 of the commit that is checked out, for tools that write a date; 0 outside
    /// of a repository.
    pub(crate) fn source_date(&self) -> String {
        let mut git = Command::new("git");
        git.current_dir(&self.0)
            .args(["log", "-1", "--format=%ct"])
            .stderr(std::process::Stdio::null());
        process::output(&mut git)
            .ok()
            .map(|date| date.trim().to_owned())
            .filter(|date| !date.is_empty())
            .unwrap_or_else(|| "0".to_owned())
    }
}

/// One of the checkout's Cargo workspaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workspace {
    /// Everything that is an ordinary program or library.
    Main,
    /// The runtime and what it stands on: freestanding, with flags of its own.
    Runtime,
    /// The fuzz targets: instrumented.
    Fuzz,
}

impl Workspace {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Main, Self::Runtime, Self::Fuzz];

    /// Those whose crates are delivered.
    pub(crate) const DELIVERED: [Self; 2] = [Self::Main, Self::Runtime];

    /// Its folder, relative to the checkout.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Main => ".",
            Self::Runtime => "runtime",
            Self::Fuzz => "fuzz",
        }
    }

    /// Where its builds go, relative to the checkout. The main workspace's is Cargo's default, so
    /// that tasks and `cargo test` by hand share what they build.
    pub(crate) fn target_folder(self) -> &'static str {
        match self {
            Self::Main => "target",
            Self::Runtime => "target/runtime",
            Self::Fuzz => "target/fuzz",
        }
    }

    /// Its manifest.
    pub(crate) fn manifest(self, root: &Root) -> PathBuf {
        root.join(self.folder()).join("Cargo.toml")
    }
}

/// Reads a file, naming it when that fails.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    std::fs::read(path).map_err(|source| Fault::File {
        action: "read",
        path: path.to_path_buf(),
        source,
    })
}

/// Creates a folder and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<(), Fault> {
    std::fs::create_dir_all(path).map_err(|source| Fault::File {
        action: "create",
        path: path.to_path_buf(),
        source,
    })
}

/// The entries of a folder, sorted by name.
pub(crate) fn entries(path: &Path) -> Result<Vec<PathBuf>, Fault> {
    let fault = |source| Fault::File {
        action: "list",
        path: path.to_path_buf(),
        source,
    };
    let mut found = std::fs::read_dir(path)
        .map_err(fault)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(fault)?;
    found.sort();
    Ok(found)
}
