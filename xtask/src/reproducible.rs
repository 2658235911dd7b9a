//! Whether one source gives one runtime, wherever it is built.

use std::{fs, path::Path};

use crate::{
    build,
    digest::sha256,
    fault::Fault,
    workspace::{Root, create_folder, entries},
};

/// Builds the runtime from a copy of the sources in another folder and compares it with `first`.
///
/// # Errors
/// When the two differ, or the second cannot be built.
pub(crate) fn check(root: &Root, first: &Path) -> Result<(), Fault> {
    let folder = root.join("target/reproducible");
    let sources = folder.join("a-folder-of-another-length");
    match fs::remove_dir_all(&folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(Fault::File {
                action: "remove",
                path: folder,
                source,
            });
        }
        _ => copy(root.path(), &sources)?,
    }
    let second = build::runtime(&sources, root, &folder.join("target"))?;
    let digest = sha256(first)?;
    if digest != sha256(&second)? {
        return Err(Fault::NotReproducible {
            first: first.to_path_buf(),
            second,
        });
    }
    println!("{digest}  bannock-runtime, from two folders");
    Ok(())
}

/// Copies a folder, without what is built or belongs to version control.
fn copy(from: &Path, to: &Path) -> Result<(), Fault> {
    create_folder(to)?;
    for path in entries(from)? {
        let Some(name) = path.file_name() else {
            continue;
        };
        let to = to.join(name);
        if path.is_symlink() || name == "target" || name == ".git" {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to).map_err(|source| Fault::File {
                action: "copy",
                path,
                source,
            })?;
        }
    }
    Ok(())
}
