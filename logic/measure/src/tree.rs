//! Manifests of measured host trees.
//!
//! A manifest lists every path that exists in the tree, and nothing else exists. It is text, so
//! that people and `diff` can read it, and canonical, so that one tree has one digest:
//!
//! ```text
//! # bannock tree 1
//! / dir 0755
//! /bin link usr/bin
//! /usr dir 0755
//! /usr/bin dir 0755
//! /usr/bin/true file 0755 35664 54b2…64 hex digits…e0
//! ```
//!
//! One entry per line, ended by a line feed; single spaces; paths and link targets in percent
//! escapes ([`crate::escape`]); entries in ascending byte order of their paths, the root first, each
//! inside a directory that is listed. Modes are four octal digits, sizes decimal bytes, digests
//! fs-verity file digests ([`crate::verity`]). Symbolic links have no mode, as on Linux.

mod error;
mod parse;
#[cfg(test)]
mod tests;

pub use error::{ManifestFault, Reason};

use crate::escape;
use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt::Write;
use sha2_xmm::{Digest, Sha256};

/// First line of every manifest: format and version.
pub const HEADER: &str = "# bannock tree 1";

/// Largest manifest in bytes.
pub const MAX_BYTES: usize = 64 << 20;

/// Most entries of a manifest.
pub const MAX_ENTRIES: usize = 1 << 20;

/// Longest path or link target in bytes (Linux `PATH_MAX` without its NUL).
pub const MAX_PATH: usize = 4095;

/// Longest name in a directory in bytes (Linux `NAME_MAX`).
pub const MAX_NAME: usize = 255;

/// Label that separates root digests from other hashes.
const ROOT_LABEL: &[u8] = b"bannock tree root v1\0";

/// One path of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path from the tree's root, which is `/`; raw bytes as Linux has them.
    pub path: Box<[u8]>,
    /// What is there.
    pub node: Node,
}

impl Entry {
    /// The last component of the path; empty for the root.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        let start = self
            .path
            .iter()
            .rposition(|&b| b == b'/')
            .map_or(0, |i| i + 1);
        self.path.get(start..).unwrap_or_default()
    }
}

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory {
        /// Permission bits, 0 to 0o7777.
        mode: u16,
    },
    /// A regular file.
    File {
        /// Permission bits, 0 to 0o7777.
        mode: u16,
        /// Length in bytes, at most `i64::MAX`.
        size: u64,
        /// fs-verity file digest.
        digest: [u8; 32],
    },
    /// A symbolic link.
    Symlink {
        /// Where it points; raw bytes, resolved within the tree by whoever walks it.
        target: Box<[u8]>,
    },
}

/// A checked manifest: sorted, complete in its directories, within all limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    entries: Vec<Entry>,
}

impl Manifest {
    /// Reads a manifest in its only encoding.
    ///
    /// # Errors
    /// [`ManifestFault`] with the line and the reason for anything that [`Manifest::encode`] would
    /// not have written.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestFault> {
        parse::manifest(bytes)
    }

    /// Makes a manifest from entries in any order; equal entries may repeat.
    ///
    /// # Errors
    /// [`ManifestFault`] when an entry is not allowed, a path has two meanings, or a parent is not
    /// a listed directory. Its line is the one that the entry would have had.
    pub fn from_entries(mut entries: Vec<Entry>) -> Result<Self, ManifestFault> {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries.dedup();
        let mut builder = parse::Builder::default();
        for entry in entries {
            builder.push(entry)?;
        }
        let manifest = builder.finish()?;
        // The reader's limit on the size is the writer's too.
        if manifest.encode().len() > MAX_BYTES {
            return Err(ManifestFault::new(1, Reason::TooLarge));
        }
        Ok(manifest)
    }

    /// The manifest's only encoding.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::with_capacity(self.entries.len().saturating_mul(96));
        out.push_str(HEADER);
        out.push('\n');
        for entry in &self.entries {
            escape::encode_into(&mut out, &entry.path);
            // Writing to a String cannot fail.
            let _ = match &entry.node {
                Node::Directory { mode } => write!(out, " dir {mode:04o}"),
                Node::File { mode, size, digest } => {
                    write!(out, " file {mode:04o} {size} {}", hex::encode(digest))
                }
                Node::Symlink { target } => {
                    out.push_str(" link ");
                    escape::encode_into(&mut out, target);
                    Ok(())
                }
            };
            out.push('\n');
        }
        out
    }

    /// The digest that a session names: SHA-256 over a label and the encoding.
    #[must_use]
    pub fn root_digest(&self) -> [u8; 32] {
        root_digest(self.encode().as_bytes())
    }

    /// All entries in ascending byte order of their paths.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry at `path`, which starts with `/` and is spelled as in the manifest.
    #[must_use]
    pub fn get(&self, path: &[u8]) -> Option<&Entry> {
        let at = self
            .entries
            .binary_search_by(|e| e.path[..].cmp(path))
            .ok()?;
        self.entries.get(at)
    }

    /// The entries directly inside the directory `path`, in ascending byte order of their names.
    ///
    /// Empty when there is no such directory.
    pub fn children<'a>(&'a self, path: &[u8]) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let prefix: Box<[u8]> = if path == b"/" {
            Box::from(path)
        } else {
            [path, b"/"].concat().into_boxed_slice()
        };
        let start = self.entries.partition_point(|e| e.path[..] <= prefix[..]);
        Children {
            entries: self.entries.get(start..).unwrap_or_default(),
            prefix,
        }
    }
}

/// The root digest of an encoded manifest, without reading it: check it, then parse.
#[must_use]
pub fn root_digest(encoded: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(ROOT_LABEL);
    hash.update(encoded);
    hash.finalize().into()
}

/// Walks the entries below a prefix and jumps over what lies deeper than one level.
struct Children<'a> {
    entries: &'a [Entry],
    prefix: Box<[u8]>,
}

impl<'a> Iterator for Children<'a> {
    type Item = &'a Entry;

    fn next(&mut self) -> Option<&'a Entry> {
        loop {
            let (first, rest) = self.entries.split_first()?;
            let name = first.path.strip_prefix(&self.prefix[..])?;
            let Some(slash) = name.iter().position(|&b| b == b'/') else {
                self.entries = rest;
                return Some(first);
            };
            // Everything under this child shares a prefix and is therefore contiguous.
            let deeper = first.path.get(..self.prefix.len() + slash + 1)?;
            let skip = self.entries.partition_point(|e| e.path.starts_with(deeper));
            self.entries = self.entries.get(skip..)?;
        }
    }
}
