//! Comparing a manifest with the files that are there now.

use super::collect::{digest, kind, mode, shown};
use crate::output::{Report, Table};
use bannock_measure::tree::{Entry, Manifest, Node};
use serde::Serialize;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What differs.
#[derive(Serialize)]
pub(super) struct Comparison {
    entries: usize,
    differences: Vec<Difference>,
}

#[derive(Serialize)]
struct Difference {
    path: String,
    difference: String,
}

impl Comparison {
    pub(super) fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }

    /// Compares every entry with what is below `root`.
    pub(super) fn of(manifest: &Manifest, root: &Path) -> Self {
        let differences = manifest.entries().iter().filter_map(|entry| {
            Some(Difference {
                path: shown(&entry.path),
                difference: difference(entry, root)?,
            })
        });
        Self {
            entries: manifest.entries().len(),
            differences: differences.collect(),
        }
    }
}

fn difference(entry: &Entry, root: &Path) -> Option<String> {
    let below = entry.path.strip_prefix(b"/").unwrap_or(&entry.path);
    let path = root.join(OsStr::from_bytes(below));
    let found = match entry.path.as_ref() {
        // The root may be given as a link.
        b"/" => fs::metadata(&path),
        _ => fs::symlink_metadata(&path),
    };
    let metadata = match found {
        Ok(metadata) => metadata,
        Err(error) => return Some(error.to_string()),
    };
    let expected_kind = match &entry.node {
        Node::Directory { .. } => "directory",
        Node::File { .. } => "file",
        Node::Symlink { .. } => "link",
    };
    if kind(&metadata) != expected_kind {
        return Some(format!("is a {}, not a {expected_kind}", kind(&metadata)));
    }
    match &entry.node {
        Node::Directory { mode: wanted } | Node::File { mode: wanted, .. }
            if mode(&metadata) != *wanted =>
        {
            Some(format!(
                "has mode {:04o}, not {wanted:04o}",
                mode(&metadata)
            ))
        }
        Node::File { size, .. } if metadata.len() != *size => {
            Some(format!("has {} bytes, not {size}", metadata.len()))
        }
        Node::File { digest: wanted, .. } => match digest(&path, |_| {}) {
            Ok((_, found)) if found == *wanted => None,
            Ok(_) => Some("has other content".to_owned()),
            Err(error) => Some(error.to_string()),
        },
        Node::Symlink { target } => match fs::read_link(&path) {
            Ok(found) if found.as_os_str().as_bytes() == target.as_ref() => None,
            Ok(found) => Some(format!("leads to {}", found.display())),
            Err(error) => Some(error.to_string()),
        },
        Node::Directory { .. } => None,
    }
}

impl Report for Comparison {
    fn table(&self) -> Table {
        if self.is_equal() {
            return Table::new().row([format!("all {} entries are unchanged", self.entries)]);
        }
        let rows = self.differences.iter();
        rows.fold(Table::new(), |table, row| {
            table.row([&row.path, &row.difference])
        })
    }
}
