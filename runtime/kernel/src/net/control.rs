//! Ancillary data (cmsg(3)), parsed as hostile whoever it comes from.

use alloc::vec::Vec;
use bannock_platform::Errno;
use linux_raw_sys::net as raw;

/// Bytes of a `struct cmsghdr`; data follows without padding on x86-64.
pub const HEADER: usize = 16;

/// Most descriptors in one message (Linux `SCM_MAX_FD`).
pub const MAX_DESCRIPTORS: usize = 253;

/// One control message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Protocol level.
    pub level: u32,
    /// Type, by level.
    pub kind: u32,
    /// Its data.
    pub data: Vec<u8>,
}

impl Message {
    /// Whether this is a message of `SOL_SOCKET` and `kind`.
    #[must_use]
    pub const fn is_socket(&self, kind: u32) -> bool {
        self.level == raw::SOL_SOCKET && self.kind == kind
    }

    /// The descriptors of an `SCM_RIGHTS` message.
    ///
    /// # Errors
    /// `EINVAL` for a broken length or too many.
    pub fn descriptors(&self) -> Result<Vec<i32>, Errno> {
        let (words, rest) = self.data.as_chunks::<4>();
        if !rest.is_empty() || words.len() > MAX_DESCRIPTORS {
            return Err(Errno::EINVAL);
        }
        Ok(words.iter().map(|word| i32::from_ne_bytes(*word)).collect())
    }

    /// An `SCM_RIGHTS` message.
    #[must_use]
    pub fn rights(descriptors: &[i32]) -> Self {
        let data = descriptors.iter().flat_map(|fd| fd.to_ne_bytes()).collect();
        Self {
            level: raw::SOL_SOCKET,
            kind: raw::SCM_RIGHTS,
            data,
        }
    }
}

/// Splits ancillary data into messages.
///
/// # Errors
/// `EINVAL` for a message that does not lie within the data.
pub fn parse(bytes: &[u8]) -> Result<Vec<Message>, Errno> {
    let mut messages = Vec::new();
    let mut rest = bytes;
    while rest.len() >= HEADER {
        let word = |at: usize| {
            rest.get(at..)
                .and_then(|r| r.first_chunk::<4>())
                .map(|w| u32::from_ne_bytes(*w))
        };
        let len = rest
            .first_chunk::<8>()
            .map(|w| u64::from_ne_bytes(*w))
            .ok_or(Errno::EINVAL)?;
        let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
        let data = rest.get(HEADER..len).ok_or(Errno::EINVAL)?.to_vec();
        let (level, kind) = word(8).zip(word(12)).ok_or(Errno::EINVAL)?;
        messages.push(Message { level, kind, data });
        let next = len.checked_next_multiple_of(8).ok_or(Errno::EINVAL)?;
        rest = rest.get(next..).unwrap_or_default();
    }
    Ok(messages)
}

/// Puts messages together; those that no longer fit into `limit` bytes are left out, and the second
/// result says so (`MSG_CTRUNC`).
#[must_use]
pub fn build(messages: &[Message], limit: usize) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    for message in messages {
        let len = HEADER + message.data.len();
        if bytes.len() + len > limit {
            return (bytes, true);
        }
        bytes.extend_from_slice(&(len as u64).to_ne_bytes());
        bytes.extend_from_slice(&message.level.to_ne_bytes());
        bytes.extend_from_slice(&message.kind.to_ne_bytes());
        bytes.extend_from_slice(&message.data);
        let padded = bytes.len().next_multiple_of(8);
        bytes.resize(padded.min(limit), 0);
    }
    (bytes, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_parses_back() {
        let messages = [
            Message::rights(&[3, 4, 5]),
            Message {
                level: raw::IPPROTO_IP as u32,
                kind: 8,
                data: std::vec![1; 12],
            },
        ];
        let (bytes, truncated) = build(&messages, 4096);
        assert!(!truncated);
        assert_eq!(parse(&bytes).as_deref(), Ok(messages.as_slice()));
        assert_eq!(messages[0].descriptors(), Ok(std::vec![3, 4, 5]));
    }

    #[test]
    fn messages_that_do_not_fit_are_left_out_and_reported() {
        let messages = [Message::rights(&[3]), Message::rights(&[4])];
        let (bytes, truncated) = build(&messages, 24);
        assert!(truncated);
        assert_eq!(parse(&bytes).as_deref(), Ok(&messages[..1]));
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for len in [0u64, 15, 17, 1 << 40, u64::MAX] {
            let mut bytes = len.to_ne_bytes().to_vec();
            bytes.extend_from_slice(&[0; 8]);
            assert_eq!(parse(&bytes), Err(Errno::EINVAL), "length {len}");
        }
        // Less than a header is no message at all, as Linux has it.
        assert_eq!(parse(&[1; 15]), Ok(Vec::new()));
    }

    #[test]
    fn half_a_descriptor_and_too_many_are_refused() {
        let data = std::vec![0; 6];
        let half = Message {
            level: raw::SOL_SOCKET,
            kind: raw::SCM_RIGHTS,
            data,
        };
        assert_eq!(half.descriptors(), Err(Errno::EINVAL));
        assert_eq!(Message::rights(&[0; 254]).descriptors(), Err(Errno::EINVAL));
    }
}
