//! Where things are.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The checkout.
#[must_use]
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors()
        .nth(2)
        .expect("the crate is two folders deep")
        .into()
}

/// A built binary.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os("BANNOCK_E2E_BINARIES")
        .map_or_else(|| root().join("target/bannock"), PathBuf::from);
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "`{}` does not exist; build it with `cargo xtask build`, or run `cargo xtask test`",
        path.display()
    );
    path
}

/// A file of this crate's `programs` folder.
#[must_use]
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("programs")
        .join(name)
}

/// How a C program is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Against shared libraries.
    Dynamic,
    /// With everything in the one file.
    Static,
}

/// Compiles `programs/c/NAME.c` into `folder`; returns the program's path.
///
/// # Panics
/// When the compiler does.
#[must_use]
pub fn compile(name: &str, link: Link, folder: &Path) -> PathBuf {
    let program = folder.join(name);
    let mut compiler = Command::new("/usr/bin/gcc");
    compiler.args(["-O1", "-Wall", "-Werror", "-pthread"]);
    // Programs here do odd things on purpose, and look at results elsewhere.
    compiler.args([
        "-Wno-unused-result",
        "-Wno-nonnull",
        "-Wno-stringop-overflow",
        "-Wno-stringop-overread",
    ]);
    if link == Link::Static {
        compiler.arg("-static");
    }
    let status = compiler
        .arg("-o")
        .arg(&program)
        .arg(source("c").join(format!("{name}.c")))
        .status()
        .expect("gcc is installed");
    assert!(status.success(), "gcc cannot compile {name}.c");
    program
}
