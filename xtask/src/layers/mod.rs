//! `cargo xtask layers`: whether the architecture's arrows still point down.

use clap::Args;

use crate::{
    fault::Fault,
    workspace::{Root, Workspace, read},
};

pub(crate) mod metadata;
mod rules;
mod source;

/// Check the architecture's rules on dependencies and unsafe code.
#[derive(Args)]
pub(crate) struct Options {}

/// Checks all crates of the checkout and prints each breach as one line.
///
/// # Errors
/// When there is a breach, or a manifest or source file cannot be read.
pub(crate) fn run(root: &Root) -> Result<(), Fault> {
    let mut breaches = Vec::new();
    let mut crates = 0;
    for workspace in Workspace::ALL {
        for package in metadata::packages(root, workspace)? {
            crates += 1;
            breaches.extend(rules::dependencies(&package));
            if workspace != Workspace::Fuzz {
                breaches.extend(sources(root, &package)?);
            }
        }
    }
    if breaches.is_empty() {
        println!("{crates} crates keep the layer rules");
        return Ok(());
    }
    for breach in &breaches {
        println!("{breach}");
    }
    Err(Fault::Layers(breaches.len()))
}

/// Checks what a crate's files say about unsafe code and the standard library.
fn sources(root: &Root, package: &metadata::Package) -> Result<Vec<String>, Fault> {
    let mut breaches = Vec::new();
    let folder = root.join(&package.folder);
    if !rules::may_be_unsafe(&package.folder) {
        let manifest = read(&folder.join("Cargo.toml"))?;
        if !source::inherits_lints(&String::from_utf8_lossy(&manifest)) {
            breaches.push(format!(
                "{}/Cargo.toml: does not inherit the workspace's lints, which forbid unsafe code",
                package.folder.display()
            ));
        }
        for path in source::rust_files(&folder)? {
            let text = read(&path)?;
            for line in source::unsafe_lines(&String::from_utf8_lossy(&text)) {
                let path = path.strip_prefix(root.path()).unwrap_or(&path);
                breaches.push(format!(
                    "{}:{line}: unsafe code outside of platform, host/launcher and the runtime's \
                     entry",
                    path.display()
                ));
            }
        }
    }
    if rules::must_be_freestanding(&package.folder) {
        let library = folder.join("src/lib.rs");
        if library.exists() && !source::is_no_std(&String::from_utf8_lossy(&read(&library)?)) {
            breaches.push(format!(
                "{}: must be no_std: the runtime links it",
                package.folder.display()
            ));
        }
    }
    Ok(breaches)
}
