//! Symbols that do not depend on where the sources are.
//!
//! Cargo derives each crate's `-C metadata` from its source, and for a crate outside of the
//! workspace's folder that is an absolute path. The compiler orders functions by symbols that
//! contain it, so that the folder of a checkout would decide the order of the runtime's code. This
//! program therefore stands between Cargo and the compiler when the runtime is built, and derives
//! the metadata of our own crates from their folders within the checkout instead.

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use sha2::{Digest, Sha256};

/// Names the checkout to the wrapper; set only while the runtime is built.
const SOURCES: &str = "BANNOCK_XTASK_SOURCES";

/// Makes `cargo` call the compiler through this program, for the sources at `sources`.
///
/// # Errors
/// When this program does not know its own path.
pub(crate) fn install(cargo: &mut Command, sources: &Path) -> io::Result<()> {
    cargo
        .env("RUSTC_WRAPPER", env::current_exe()?)
        .env(SOURCES, sources);
    Ok(())
}

/// When this program was called as a wrapper: runs the compiler and gives its answer.
pub(crate) fn run_if_called() -> Option<io::Result<ExitStatus>> {
    let sources = PathBuf::from(env::var_os(SOURCES)?);
    let mut arguments = env::args_os().skip(1);
    let compiler = arguments.next()?;
    // Cargo says for which crate; without one it only asks the compiler for its version.
    let own = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let own = own
        .as_deref()
        .and_then(|folder| folder.strip_prefix(&sources).ok());
    let arguments: Vec<OsString> = match own {
        Some(folder) => arguments.map(|each| stable(each, folder)).collect(),
        None => arguments.collect(),
    };
    Some(Command::new(compiler).args(arguments).status())
}

/// The argument, or in place of `metadata=…` one that depends on the crate's `folder` alone.
fn stable(argument: OsString, folder: &Path) -> OsString {
    if !argument.as_encoded_bytes().starts_with(b"metadata=") {
        return argument;
    }
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    let hash: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut stable = OsStr::new("metadata=").to_owned();
    stable.push(hash);
    stable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_metadata_is_replaced_and_by_the_folder() {
        let of = |argument: &str, folder: &str| stable(argument.into(), Path::new(folder));
        let first = of("metadata=0123", "logic/elf");
        assert_eq!(first, of("metadata=4567", "logic/elf"));
        assert_ne!(first, of("metadata=0123", "logic/crypto"));
        for other in ["extra-filename=-0123", "-C", "--crate-name"] {
            assert_eq!(of(other, "logic/elf"), other);
        }
    }
}
