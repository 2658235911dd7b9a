//! What `cargo metadata` says about a workspace's own crates.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{
    fault::Fault,
    process,
    workspace::{Root, Workspace},
};

/// One crate of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its folder, relative to the checkout.
    pub(crate) folder: PathBuf,
    /// Folders of our crates that it links or builds with; not those that only its tests use.
    pub(crate) dependencies: Vec<PathBuf>,
}

/// The crates of one workspace.
///
/// # Errors
/// When Cargo fails or answers something unexpected.
pub(crate) fn packages(root: &Root, workspace: Workspace) -> Result<Vec<Package>, Fault> {
    let manifest = workspace.manifest(root);
    let answer = process::output(
        root.cargo(workspace)
            .args([
                "metadata",
                "--format-version=1",
                "--no-deps",
                "--manifest-path",
            ])
            .arg(&manifest),
    )?;
    parse(root.path(), &answer).map_err(|source| Fault::Metadata { manifest, source })
}

/// Reads an answer of `cargo metadata --no-deps` for the checkout at `root`.
fn parse(root: &Path, answer: &str) -> Result<Vec<Package>, serde_json::Error> {
    let answer: Answer = serde_json::from_str(answer)?;
    let relative = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_path_buf();
    Ok(answer
        .packages
        .into_iter()
        .map(|package| Package {
            name: package.name,
            folder: relative(package.manifest_path.parent().unwrap_or(Path::new(""))),
            dependencies: package
                .dependencies
                .into_iter()
                .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
                .filter_map(|dependency| dependency.path)
                .map(|path| relative(&path))
                .collect(),
        })
        .collect())
}

#[derive(Deserialize)]
struct Answer {
    packages: Vec<AnswerPackage>,
}

#[derive(Deserialize)]
struct AnswerPackage {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<AnswerDependency>,
}

#[derive(Deserialize)]
struct AnswerDependency {
    /// `dev`, `build`, or nothing for an ordinary one.
    kind: Option<String>,
    /// Present for a dependency that is a folder.
    path: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_on_own_crates_are_read_and_those_of_tests_are_not() {
        let answer = r#"{"packages": [{
            "name": "bannock-a", "manifest_path": "/src/logic/a/Cargo.toml", "version": "0.1.0",
            "dependencies": [
                {"name": "bannock-b", "kind": null, "path": "/src/abi/b"},
                {"name": "bannock-c", "kind": "dev", "path": "/src/host/c"},
                {"name": "bannock-d", "kind": "build", "path": "/src/logic/d"},
                {"name": "serde", "kind": null, "path": null},
                {"name": "hex", "kind": null}
            ]
        }], "version": 1}"#;
        let expected = Package {
            name: "bannock-a".to_owned(),
            folder: "logic/a".into(),
            dependencies: vec!["abi/b".into(), "logic/d".into()],
        };
        assert_eq!(parse(Path::new("/src"), answer).unwrap(), [expected]);
        assert!(parse(Path::new("/src"), r#"{"packages": [{}]}"#).is_err());
    }
}
