//! Where the CLI keeps what it must remember (XDG Base Directory Specification 0.8), and what is
//! in it.

use crate::failure::{Because, Failure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where the LAS listens unless told otherwise, for the whole machine.
pub(crate) const SYSTEM_LAS_SOCKET: &str = "/run/bannock/las.sock";

/// `$XDG_CONFIG_HOME/bannock`.
pub(crate) fn config_dir() -> Result<PathBuf, Failure> {
    base("XDG_CONFIG_HOME", ".config")
}

/// `$XDG_STATE_HOME/bannock`.
pub(crate) fn state_dir() -> Result<PathBuf, Failure> {
    base("XDG_STATE_HOME", ".local/state")
}

/// `$XDG_RUNTIME_DIR/bannock`, or a folder of the state where no runtime directory is set.
pub(crate) fn runtime_dir() -> Result<PathBuf, Failure> {
    match absolute_variable("XDG_RUNTIME_DIR") {
        Some(dir) => Ok(dir.join("bannock")),
        None => Ok(state_dir()?.join("run")),
    }
}

fn base(variable: &str, below_home: &str) -> Result<PathBuf, Failure> {
    let base = absolute_variable(variable)
        .or_else(|| Some(absolute_variable("HOME")?.join(below_home)))
        .ok_or_else(|| {
            Failure::from(format!("neither `{variable}` nor `HOME` names a directory"))
                .help(format!("set `{variable}` to an absolute path"))
        })?;
    Ok(base.join("bannock"))
}

/// The specification says that relative paths are to be ignored.
fn absolute_variable(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os(name)?);
    path.is_absolute().then_some(path)
}

/// Makes `dir` and its parents, for this user alone where they are new.
pub(crate) fn create_private_dir(dir: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .because(|| format!("cannot create the directory `{}`", dir.display()))?;
    Ok(())
}

/// Replaces `path` by `bytes` as a whole, readable by this user alone.
pub(crate) fn replace_private_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = PathBuf::from(name);
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    let result = write();
    if result.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    result.because(|| format!("cannot write `{}`", path.display()))?;
    Ok(())
}

/// The CAS instances that this user has attested: `cas.json` in the configuration directory.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KnownCas {
    /// `HOST:PORT` to lower-case hex of the SHA-256 of the CAS's SubjectPublicKeyInfo.
    keys: BTreeMap<String, String>,
    /// The address that was attested last: the default of other commands.
    default: Option<String>,
}

impl KnownCas {
    /// Path of the file.
    fn path() -> Result<PathBuf, Failure> {
        Ok(config_dir()?.join("cas.json"))
    }

    /// What is known; nothing when there is no file.
    pub(crate) fn load() -> Result<Self, Failure> {
        let path = Self::path()?;
        let text = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            other => other.because(|| format!("cannot read `{}`", path.display()))?,
        };
        Ok(serde_json::from_slice(&text)
            .because(|| format!("`{}` is not a list of CAS keys", path.display()))?)
    }

    /// Remembers `key` as that of the CAS at `address`, and the address as the default.
    pub(crate) fn pin(mut self, address: &str, key: &[u8; 32]) -> Result<(), Failure> {
        self.keys.insert(address.to_owned(), hex::encode(key));
        self.default = Some(address.to_owned());
        create_private_dir(&config_dir()?)?;
        replace_private_file(&Self::path()?, &serde_json::to_vec_pretty(&self)?)
    }

    /// The address that was attested last.
    pub(crate) fn default_address(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// The pinned key of the CAS at `address`.
    pub(crate) fn key(&self, address: &str) -> Result<Option<[u8; 32]>, Failure> {
        self.keys
            .get(address)
            .map(|text| parse_digest(text))
            .transpose()
    }
}

/// A SHA-256 digest from 64 hex digits.
pub(crate) fn parse_digest(text: &str) -> Result<[u8; 32], Failure> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).map_err(|_| {
        Failure::usage(format!("`{text}` is not a SHA-256 digest"))
            .help("a digest is 64 hex digits")
    })?;
    Ok(digest)
}
