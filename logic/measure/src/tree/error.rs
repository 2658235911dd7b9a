//! Why bytes or entries are not a manifest.

use super::{HEADER, MAX_BYTES, MAX_ENTRIES, MAX_NAME, MAX_PATH};

/// Where and why a manifest is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the tree manifest is refused")]
pub struct ManifestFault {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong there.
    #[source]
    pub reason: Reason,
}

impl ManifestFault {
    pub(super) const fn new(line: usize, reason: Reason) -> Self {
        Self { line, reason }
    }
}

/// What is wrong with a line or an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The first line is not the header of this version.
    #[error("expected `{HEADER}`; the file is no manifest, or one of another version")]
    Header,
    /// The manifest is over the limit.
    #[error("a manifest holds at most {MAX_BYTES} bytes")]
    TooLarge,
    /// There are too many entries.
    #[error("a manifest holds at most {MAX_ENTRIES} entries")]
    TooMany,
    /// The line is not ended by a line feed.
    #[error("the last line has no line feed; the file may be cut off")]
    Unterminated,
    /// The line does not have the fields of its type.
    #[error("expected `PATH dir MODE`, `PATH file MODE SIZE DIGEST` or `PATH link TARGET`")]
    Fields,
    /// A path or target is not in canonical percent escapes.
    #[error("a path is not written in canonical percent escapes")]
    Escape,
    /// The path is relative, holds an empty, `.` or `..` component, a NUL, or is too long.
    #[error(
        "a path starts with `/`, has no empty, `.` or `..` components and no NUL, at most \
         {MAX_NAME} bytes per name and {MAX_PATH} in all"
    )]
    Path,
    /// The link target is empty, holds a NUL or is too long.
    #[error("a link target is not empty, holds no NUL and is at most {MAX_PATH} bytes long")]
    Target,
    /// The mode is not four octal digits.
    #[error("a mode is four octal digits, 0000 to 7777")]
    Mode,
    /// The size is not a canonical decimal number.
    #[error("a size is a decimal number from 0 to 2^63-1 without leading zeros")]
    Size,
    /// The digest is not 64 lower-case hex digits.
    #[error("a digest is 64 lower-case hex digits")]
    Digest,
    /// The first entry is not a directory at `/`.
    #[error("the first entry must be the directory `/`")]
    Root,
    /// The path does not sort after the one before it.
    #[error("paths must ascend in byte order and occur once")]
    Order,
    /// The path's parent is not a listed directory.
    #[error("the parent of the path is not listed as a directory")]
    Parent,
}
