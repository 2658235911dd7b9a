//! Reading a manifest: every byte is either canonical or refused.

use super::{
    Entry, HEADER, MAX_BYTES, MAX_ENTRIES, MAX_NAME, MAX_PATH, Manifest, ManifestFault, Node,
    Reason,
};
use crate::escape;
use alloc::{boxed::Box, vec::Vec};

pub(super) fn manifest(bytes: &[u8]) -> Result<Manifest, ManifestFault> {
    if bytes.len() > MAX_BYTES {
        return Err(ManifestFault::new(1, Reason::TooLarge));
    }
    let rest = bytes
        .strip_prefix(HEADER.as_bytes())
        .and_then(|rest| rest.strip_prefix(b"\n"))
        .ok_or(ManifestFault::new(1, Reason::Header))?;
    let mut builder = Builder::default();
    for line in rest.split_inclusive(|&b| b == b'\n') {
        let fault = |reason| ManifestFault::new(builder.line(), reason);
        let line = line
            .strip_suffix(b"\n")
            .ok_or(fault(Reason::Unterminated))?;
        let entry = entry(line).map_err(fault)?;
        builder.push(entry)?;
    }
    builder.finish()
}

fn entry(line: &[u8]) -> Result<Entry, Reason> {
    let mut words = line.split(|&b| b == b' ');
    let mut word = || words.next().ok_or(Reason::Fields);
    let path = unescape(word()?)?;
    let node = match word()? {
        b"dir" => Node::Directory {
            mode: mode(word()?)?,
        },
        b"file" => Node::File {
            mode: mode(word()?)?,
            size: size(word()?)?,
            digest: digest(word()?)?,
        },
        b"link" => Node::Symlink {
            target: unescape(word()?)?,
        },
        _ => return Err(Reason::Fields),
    };
    match words.next() {
        None => Ok(Entry { path, node }),
        Some(_) => Err(Reason::Fields),
    }
}

fn unescape(word: &[u8]) -> Result<Box<[u8]>, Reason> {
    escape::decode(word)
        .map(Vec::into_boxed_slice)
        .ok_or(Reason::Escape)
}

fn mode(word: &[u8]) -> Result<u16, Reason> {
    if word.len() != 4 {
        return Err(Reason::Mode);
    }
    word.iter().try_fold(0, |mode, &digit| match digit {
        b'0'..=b'7' => Ok(mode << 3 | u16::from(digit - b'0')),
        _ => Err(Reason::Mode),
    })
}

fn size(word: &[u8]) -> Result<u64, Reason> {
    if word.is_empty() || (word.len() > 1 && word.starts_with(b"0")) {
        return Err(Reason::Size);
    }
    word.iter().try_fold(0u64, |size, &digit| match digit {
        b'0'..=b'9' => size
            .checked_mul(10)
            .and_then(|n| n.checked_add(u64::from(digit - b'0')))
            .ok_or(Reason::Size),
        _ => Err(Reason::Size),
    })
}

fn digest(word: &[u8]) -> Result<[u8; 32], Reason> {
    // `hex` takes upper case too, which would be a second spelling.
    if word.iter().any(u8::is_ascii_uppercase) {
        return Err(Reason::Digest);
    }
    let mut digest = [0; 32];
    hex::decode_to_slice(word, &mut digest).map_err(|_| Reason::Digest)?;
    Ok(digest)
}

/// Takes entries in order and checks what makes them a manifest.
#[derive(Default)]
pub(super) struct Builder {
    entries: Vec<Entry>,
}

impl Builder {
    /// Line of the next entry: the header is line 1.
    pub(super) fn line(&self) -> usize {
        self.entries.len().saturating_add(2)
    }

    pub(super) fn push(&mut self, entry: Entry) -> Result<(), ManifestFault> {
        self.check(&entry)
            .map_err(|reason| ManifestFault::new(self.line(), reason))?;
        self.entries.push(entry);
        Ok(())
    }

    fn check(&self, entry: &Entry) -> Result<(), Reason> {
        if self.entries.len() == MAX_ENTRIES {
            return Err(Reason::TooMany);
        }
        check_node(&entry.node)?;
        let Some(last) = self.entries.last() else {
            return match entry.node {
                Node::Directory { .. } if entry.path[..] == *b"/" => Ok(()),
                _ => Err(Reason::Root),
            };
        };
        if entry.path <= last.path {
            return Err(Reason::Order);
        }
        self.check_parent(parent(&entry.path).ok_or(Reason::Path)?)
    }

    fn check_parent(&self, parent: &[u8]) -> Result<(), Reason> {
        // The parent sorts before its children, so it is here already or nowhere.
        let at = self
            .entries
            .binary_search_by(|e| e.path[..].cmp(parent))
            .map_err(|_| Reason::Parent)?;
        match self.entries.get(at).map(|e| &e.node) {
            Some(Node::Directory { .. }) => Ok(()),
            _ => Err(Reason::Parent),
        }
    }

    pub(super) fn finish(self) -> Result<Manifest, ManifestFault> {
        if self.entries.is_empty() {
            return Err(ManifestFault::new(self.line(), Reason::Root));
        }
        Ok(Manifest {
            entries: self.entries,
        })
    }
}

fn check_node(node: &Node) -> Result<(), Reason> {
    match node {
        Node::Directory { mode } | Node::File { mode, .. } if *mode > 0o7777 => Err(Reason::Mode),
        Node::File { size, .. } if i64::try_from(*size).is_err() => Err(Reason::Size),
        Node::Symlink { target }
            if target.is_empty() || target.len() > MAX_PATH || target.contains(&0) =>
        {
            Err(Reason::Target)
        }
        _ => Ok(()),
    }
}

/// The parent of a well-formed path below the root; nothing for any other path.
fn parent(path: &[u8]) -> Option<&[u8]> {
    if path.len() > MAX_PATH || path.contains(&0) {
        return None;
    }
    let below = path.strip_prefix(b"/")?;
    let sound =
        |name: &[u8]| !name.is_empty() && name != b"." && name != b".." && name.len() <= MAX_NAME;
    if !below.split(|&b| b == b'/').all(sound) {
        return None;
    }
    match path.iter().rposition(|&b| b == b'/')? {
        0 => Some(b"/"),
        slash => path.get(..slash),
    }
}
