//! Length-prefixed frames: a 4-byte little-endian length, then that many bytes.

/// Largest payload of a frame in bytes (16 MiB): injected files travel in one message.
pub const MAX_FRAME: usize = 16 << 20;

/// Bytes of the length prefix.
pub const PREFIX: usize = 4;

/// A frame's announced length is over the limit of the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes is over the limit of {limit}")]
pub struct Oversize {
    /// Announced length in bytes.
    pub length: usize,
    /// The reader's limit in bytes.
    pub limit: usize,
}

/// The prefix for a payload of `length` bytes.
///
/// # Errors
/// [`Oversize`] when the payload is over [`MAX_FRAME`].
pub fn prefix(length: usize) -> Result<[u8; PREFIX], Oversize> {
    match u32::try_from(length) {
        Ok(n) if length <= MAX_FRAME => Ok(n.to_le_bytes()),
        _ => Err(Oversize {
            length,
            limit: MAX_FRAME,
        }),
    }
}

/// The payload length that `prefix` announces, at most `limit` (itself at most [`MAX_FRAME`]).
///
/// # Errors
/// [`Oversize`] when the peer announces more.
pub fn length(prefix: [u8; PREFIX], limit: usize) -> Result<usize, Oversize> {
    let limit = limit.min(MAX_FRAME);
    match usize::try_from(u32::from_le_bytes(prefix)) {
        Ok(length) if length <= limit => Ok(length),
        Ok(length) => Err(Oversize { length, limit }),
        Err(_) => Err(Oversize {
            length: usize::MAX,
            limit,
        }),
    }
}
