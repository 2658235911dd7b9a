//! What files a program left.

use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// One line for each file below `folder`, sorted by path: type, mode, owner, and what is in it.
///
/// # Panics
/// When something cannot be read.
#[must_use]
pub fn snapshot(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    walk(folder, folder, &mut lines);
    lines.sort();
    lines
}

fn walk(root: &Path, folder: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let kind = meta.file_type();
        let what = if kind.is_symlink() {
            format!("link to {}", fs::read_link(&path).unwrap().display())
        } else if kind.is_dir() {
            "directory".to_owned()
        } else if kind.is_fifo() {
            "fifo".to_owned()
        } else if kind.is_socket() {
            "socket".to_owned()
        } else if kind.is_file() {
            let links = meta.nlink();
            format!("{} links {links}", content(&fs::read(&path).unwrap()))
        } else {
            format!("device {}", meta.rdev())
        };
        let (mode, uid, gid) = (meta.mode() & 0o7777, meta.uid(), meta.gid());
        lines.push(format!("{name}: mode {mode:04o} owner {uid}:{gid} {what}"));
        if kind.is_dir() {
            walk(root, &path, lines);
        }
    }
}

fn content(bytes: &[u8]) -> String {
    const SHOWN: usize = 120;
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= SHOWN => format!("{text:?}"),
        _ => {
            let digest = hex::encode(Sha256::digest(bytes));
            format!("{} bytes, SHA-256 {digest}", bytes.len())
        }
    }
}
