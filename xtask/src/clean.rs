//! `cargo xtask clean`: nothing stays outside of the build folder, packages aside.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;

use crate::{bench, demo, fault::Fault, process, stage, workspace::Root};

/// Stop what runs, and remove what was written outside of the build folder, packages aside.
///
/// That is what `bannock` keeps for you: the simulated platform, LAS and CAS of `bannock dev` with
/// all sessions, pinned keys, and the key by which sessions know you as their owner.
#[derive(Args)]
pub(crate) struct Options {
    /// Keep `bannock`'s configuration: pinned keys, and the key of the owner of sessions.
    #[arg(long)]
    keep_identity: bool,
}

/// Folders below the checkout that tasks write to, beside the build folder.
const IN_CHECKOUT: [&str; 2] = ["fuzz/artifacts", "fuzz/coverage"];

/// Does it.
///
/// # Errors
/// When something does not stop, or cannot be removed.
pub(crate) fn run(root: &Root, options: &Options) -> Result<(), Fault> {
    stage::stop(root, demo::FOLDER)?;
    bench::stop(root)?;
    let folders = Folders::find(|name| env::var_os(name));
    stop_services(root, &folders)?;
    let mut doomed = vec![root.join(demo::FOLDER)];
    doomed.extend(IN_CHECKOUT.map(|folder| root.join(folder)));
    doomed.extend(folders.state);
    doomed.extend(folders.runtime);
    if !options.keep_identity {
        doomed.extend(folders.config);
    }
    let mut count = 0;
    for path in doomed {
        if remove(&path)? {
            println!("removed {}", path.display());
            count += 1;
        }
    }
    if count == 0 {
        println!("nothing to remove");
    }
    Ok(())
}

/// Stops platform, LAS and CAS of `bannock dev up`.
fn stop_services(root: &Root, folders: &Folders) -> Result<(), Fault> {
    let Some(services) = folders.state.as_ref().map(|state| state.join("dev")) else {
        return Ok(());
    };
    if !["las.json", "cas.json"]
        .iter()
        .any(|record| services.join(record).exists())
    {
        return Ok(());
    }
    process::run(
        Command::new(root.join("target/bannock/bannock"))
            .args(["dev", "down"])
            .stdin(Stdio::null()),
    )
}

/// Where `bannock` keeps what it must remember (XDG Base Directory Specification 0.8).
#[derive(Debug, PartialEq, Eq)]
struct Folders {
    state: Option<PathBuf>,
    config: Option<PathBuf>,
    runtime: Option<PathBuf>,
}

impl Folders {
    fn find(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // The specification says that relative paths are to be ignored.
        let absolute = |name: &str| {
            let path = PathBuf::from(variable(name)?);
            path.is_absolute().then_some(path)
        };
        let base = |name: &str, below_home: &str| {
            let home = || Some(absolute("HOME")?.join(below_home));
            Some(absolute(name).or_else(home)?.join("bannock"))
        };
        Self {
            state: base("XDG_STATE_HOME", ".local/state"),
            config: base("XDG_CONFIG_HOME", ".config"),
            // Without a runtime directory it is a folder of the state.
            runtime: absolute("XDG_RUNTIME_DIR").map(|folder| folder.join("bannock")),
        }
    }
}

/// Removes a folder with all that is in it; whether there was one.
fn remove(path: &Path) -> Result<bool, Fault> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Fault::File {
            action: "remove",
            path: path.to_path_buf(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)]) -> Folders {
        Folders::find(|name| {
            let mut all = variables.iter();
            all.find_map(|(other, value)| (*other == name).then(|| (*value).into()))
        })
    }

    #[test]
    fn folders_are_those_of_the_command_line() {
        let folders = find(&[("HOME", "/h"), ("XDG_STATE_HOME", "relative")]);
        assert_eq!(folders.state, Some("/h/.local/state/bannock".into()));
        assert_eq!(folders.config, Some("/h/.config/bannock".into()));
        assert_eq!(folders.runtime, None);
        let folders = find(&[("XDG_STATE_HOME", "/s"), ("XDG_RUNTIME_DIR", "/r")]);
        assert_eq!(folders.state, Some("/s/bannock".into()));
        assert_eq!(folders.config, None);
        assert_eq!(folders.runtime, Some("/r/bannock".into()));
    }

    #[test]
    fn removing_twice_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bannock");
        fs::create_dir_all(path.join("dev")).unwrap();
        assert!(remove(&path).unwrap());
        assert!(!remove(&path).unwrap());
    }
}
