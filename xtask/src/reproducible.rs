//! Whether one source gives one runtime, wherever it is built.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    build,
    difference::difference,
    digest::sha256,
    fault::Fault,
    process,
    workspace::{Root, create_folder, entries},
};

/// Builds the runtime again, from nothing, from a copy of the sources in another folder and with
/// another `CARGO_HOME`, and compares it with `first`.
///
/// # Errors
/// When the two differ, or the second cannot be built.
pub(crate) fn check(root: &Root, first: &Path) -> Result<(), Fault> {
    let folder = root.join("target/reproducible");
    match fs::remove_dir_all(&folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(Fault::File {
                action: "remove",
                path: folder,
                source,
            });
        }
        _ => {}
    }
    let copy = copy_sources(root, folder.join("another-checkout"))?;
    let cargo_home = another_cargo_home(&folder.join("another-cargo-home"))?;
    let second = build::runtime(&copy, cargo_home.as_deref())?;
    let digest = sha256(first)?;
    if digest != sha256(&second)? {
        return Err(Fault::NotReproducible {
            place: difference(first, &second)?,
            first: first.to_path_buf(),
            second,
        });
    }
    println!("{digest}  bannock-runtime, built in two places");
    Ok(())
}

/// Copies what belongs to the checkout as it is now, committed or not.
fn copy_sources(root: &Root, to: PathBuf) -> Result<Root, Fault> {
    let mut git = Command::new("git");
    git.current_dir(root.path())
        .args(["ls-files", "-z", "--cached", "--others"])
        .args(["--exclude-standard", "--deduplicate"]);
    for name in process::output_bytes(&mut git)?
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let name = Path::new(OsStr::from_bytes(name));
        let (from, into) = (root.join(name), to.join(name));
        if let Some(folder) = into.parent() {
            create_folder(folder)?;
        }
        match fs::copy(&from, &into) {
            // Listed, but removed since: the build is without it here as well.
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(Fault::File {
                    action: "copy",
                    path: from,
                    source,
                });
            }
            Ok(_) => {}
        }
    }
    Ok(Root::at(to))
}

/// A second `CARGO_HOME` with what is in the first, so that nothing is downloaded again; `None`
/// where there is no first one.
fn another_cargo_home(to: &Path) -> Result<Option<PathBuf>, Fault> {
    let Some(first) = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")))
        .filter(|folder| folder.is_dir())
    else {
        return Ok(None);
    };
    create_folder(to)?;
    for entry in entries(&first)? {
        let Some(name) = entry.file_name() else {
            continue;
        };
        symlink(&entry, to.join(name)).map_err(|source| Fault::File {
            action: "link to",
            path: entry.clone(),
            source,
        })?;
    }
    Ok(Some(to.to_path_buf()))
}
