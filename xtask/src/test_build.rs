//! The runtime that is built for tests alone: it leaves the channel to the LAS open for its program,
//! so that a test can show what closing it prevents.

use std::path::{Path, PathBuf};

use memchr::memmem;

use crate::{
    fault::Fault,
    process,
    workspace::{Root, Workspace, create_folder, read},
};

/// What a test build says at its start, and no other runtime contains.
const MARKER: &[u8] = b"TEST BUILD";

/// Where it is put, relative to the checkout: not where delivered binaries are collected.
const FOLDER: &str = "target/end-to-end";

/// Its file name there.
const NAME: &str = "bannock-runtime-keep-channel";

/// Refuses `file` if it is a test build.
///
/// # Errors
/// When it is one, or cannot be read.
pub(crate) fn refuse(file: &Path) -> Result<(), Fault> {
    if is_marked(&read(file)?) {
        return Err(Fault::TestBuild {
            file: file.to_path_buf(),
        });
    }
    Ok(())
}

/// Builds it.
///
/// # Errors
/// When Cargo fails, or the result would pass for a runtime that may be delivered.
pub(crate) fn build(root: &Root) -> Result<(), Fault> {
    let folder = root.join(FOLDER);
    let target_folder = folder.join("build");
    let mut cargo = root.cargo(Workspace::Runtime);
    cargo
        .env("CARGO_TARGET_DIR", &target_folder)
        .args(["build", "--profile", "quick", "--locked"])
        .args(["--package", "bannock-runtime"])
        .args(["--features", "test-keep-channel"]);
    process::run(&mut cargo)?;
    let built: PathBuf = target_folder.join("quick/bannock-runtime");
    if !is_marked(&read(&built)?) {
        return Err(Fault::UnmarkedTestBuild { file: built });
    }
    create_folder(&folder)?;
    let to = folder.join(NAME);
    std::fs::copy(&built, &to)
        .map(drop)
        .map_err(|source| Fault::File {
            action: "write",
            path: to,
            source,
        })
}

fn is_marked(binary: &[u8]) -> bool {
    memmem::find(binary, MARKER).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_file_is_refused() {
        let folder = std::env::temp_dir().join(format!("bannock-xtask-{}", std::process::id()));
        create_folder(&folder).unwrap();
        let file = folder.join("runtime");
        for (content, refused) in [("\0TEST BUILD: keeps\0", true), ("TEST  BUILD", false)] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(refuse(&file).is_err(), refused, "{content:?}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
