//! The files of a log: the one that grows, and older ones with a number at the end of their names.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// How much of a log is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// Bytes from which on the next record begins a new file.
    pub(crate) file: u64,
    /// Older files beside the one that grows.
    pub(crate) older: usize,
}

impl Retention {
    /// At least 128 MiB of the newest records: some hundred thousand decisions.
    pub(crate) const DEFAULT: Self = Self {
        file: 16 << 20,
        older: 8,
    };
}

/// Path of the older file `number` of the log at `path`.
pub(crate) fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Numbers of the older files, oldest first.
pub(crate) fn older(path: &Path) -> io::Result<Vec<u64>> {
    let mut prefix = path.file_name().map(OsStr::to_owned).unwrap_or_default();
    prefix.push(".");
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder(path))? {
        numbers.extend(number(&entry?.file_name(), &prefix));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn number(name: &OsStr, prefix: &OsString) -> Option<u64> {
    let digits = name.to_str()?.strip_prefix(prefix.to_str()?)?;
    let number: u64 = digits.parse().ok()?;
    // `+1` and `01` are numbers too, but nothing that this has written.
    (number.to_string() == digits).then_some(number)
}

/// Makes the file that grows an older one, durably; its number.
pub(crate) fn retire(path: &Path) -> io::Result<u64> {
    let next = older(path)?.last().map_or(1, |last| last.saturating_add(1));
    fs::rename(path, numbered(path, next))?;
    File::open(folder(path))?.sync_all()?;
    Ok(next)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
