//! Frames on stream sockets, without waiting for the peer to complete one.

use bannock_wire::frame::{self, Oversize, PREFIX};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io;
use std::os::fd::AsFd;
use zeroize::Zeroizing;

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A whole message.
    Message(Vec<u8>),
    /// Not a whole message yet.
    Nothing,
    /// The peer has closed its end.
    Closed,
    /// The peer announced more than it may send; the stream cannot be read on.
    Oversize(Oversize),
}

/// The bytes of a frame that have arrived so far.
#[derive(Debug)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    limit: usize,
}

impl Inbox {
    /// For messages of at most `limit` bytes.
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
        }
    }

    /// Whether no byte of a frame has arrived.
    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that the frame still lacks.
    pub(crate) fn missing(&self) -> Result<usize, Oversize> {
        let whole = match self.bytes.first_chunk::<PREFIX>() {
            None => PREFIX,
            Some(prefix) => PREFIX.saturating_add(frame::length(*prefix, self.limit)?),
        };
        Ok(whole.saturating_sub(self.bytes.len()))
    }

    /// Adds bytes of which no more were read than were missing; gives the message once it is whole.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, Oversize> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() < PREFIX || self.missing()? > 0 {
            return Ok(None);
        }
        let frame = std::mem::take(&mut self.bytes);
        Ok(frame.get(PREFIX..).map(<[u8]>::to_vec))
    }

    /// Reads what has arrived on `socket`, and no more than one message, without waiting.
    pub(crate) fn receive(&mut self, socket: impl AsFd) -> io::Result<Arrival> {
        let mut buffer = [0; 16 << 10];
        loop {
            let missing = match self.missing() {
                Ok(missing) => missing.min(buffer.len()),
                Err(oversize) => return Ok(Arrival::Oversize(oversize)),
            };
            let space = buffer.get_mut(..missing).unwrap_or_default();
            let count = match recv(&socket, space, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Ok(Arrival::Closed),
                Ok((count, _)) => count,
                Err(Errno::AGAIN) => return Ok(Arrival::Nothing),
                Err(Errno::INTR) => continue,
                Err(Errno::CONNRESET) => return Ok(Arrival::Closed),
                Err(error) => return Err(error.into()),
            };
            match self.add(buffer.get(..count).unwrap_or_default()) {
                Ok(Some(message)) => return Ok(Arrival::Message(message)),
                Ok(None) => {}
                Err(oversize) => return Ok(Arrival::Oversize(oversize)),
            }
        }
    }
}

/// Sends `message` as one frame, as long as the socket's own timeout lets it.
pub(crate) fn send_frame<T: minicbor::Encode<()>>(
    socket: impl AsFd,
    message: &T,
) -> io::Result<()> {
    // A reply may hold a key.
    let message = Zeroizing::new(bannock_wire::encode(message));
    let prefix = frame::prefix(message.len()).map_err(io::Error::other)?;
    for mut bytes in [&prefix[..], &message] {
        while !bytes.is_empty() {
            match send(&socket, bytes, SendFlags::NOSIGNAL) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn messages_come_whole_however_they_are_cut() {
        let (mut peer, own) = UnixStream::pair().unwrap();
        let mut inbox = Inbox::new(100);
        for byte in [3, 0, 0, 0, 7, 8] {
            peer.write_all(&[byte]).unwrap();
            assert_eq!(inbox.receive(&own).unwrap(), Arrival::Nothing);
        }
        peer.write_all(&[9, 1, 0, 0, 0, 5, 0, 0, 0, 0]).unwrap();
        for message in [vec![7, 8, 9], vec![5], vec![]] {
            assert_eq!(inbox.receive(&own).unwrap(), Arrival::Message(message));
        }
        drop(peer);
        assert_eq!(inbox.receive(&own).unwrap(), Arrival::Closed);
    }

    #[test]
    fn an_oversize_frame_is_refused_before_its_bytes_arrive() {
        let (mut peer, own) = UnixStream::pair().unwrap();
        let mut inbox = Inbox::new(100);
        peer.write_all(&[101, 0, 0, 0]).unwrap();
        assert_eq!(
            inbox.receive(&own).unwrap(),
            Arrival::Oversize(Oversize {
                length: 101,
                limit: 100
            })
        );
    }
}
