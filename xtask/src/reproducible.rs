//! Whether one source gives one runtime.

use std::{fs, path::Path};

use crate::{build, digest::sha256, fault::Fault, workspace::Root};

/// Builds the runtime again, from nothing and into another folder, and compares it with `first`.
///
/// The sources stay where they are. Cargo derives the metadata of crates outside of a workspace's
/// folder from their absolute paths, and the compiler orders functions by it: a checkout in another
/// folder gives the same code in another order. Who compares digests across machines therefore
/// checks out into the same folder.
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
    let second = build::runtime(root, &folder)?;
    let digest = sha256(first)?;
    if digest != sha256(&second)? {
        return Err(Fault::NotReproducible {
            first: first.to_path_buf(),
            second,
        });
    }
    println!("{digest}  bannock-runtime, built twice");
    Ok(())
}
