//! The caller's first message, with the descriptors that travel beside it.

use crate::stream::Inbox;
use bannock_wire::PROTOCOL_VERSION;
use bannock_wire::las::{Descriptor, MAX_MESSAGE, Request, Start};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long a caller may take for its request.
const PATIENCE: Duration = Duration::from_secs(30);

/// One descriptor of each kind.
const MAX_DESCRIPTORS: usize = 9;

/// Why a first message is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartFault {
    #[error("the caller did not send a whole request in time")]
    Incomplete(#[source] io::Error),
    #[error("the caller closed the connection before its request was whole")]
    Closed,
    #[error("the request is too large")]
    Oversize(#[from] bannock_wire::frame::Oversize),
    #[error("the request cannot be understood")]
    Malformed(#[from] bannock_wire::Malformed),
    #[error(
        "the caller speaks protocol version {found}, this LAS up to {PROTOCOL_VERSION}; update the LAS"
    )]
    NewerProtocol { found: u16 },
    #[error("{sent} descriptors were sent where the request names {named}")]
    Count { sent: usize, named: usize },
    #[error("a request carries at most {MAX_DESCRIPTORS} descriptors")]
    TooMany,
    #[error("the {0:?} descriptor is named twice")]
    Twice(Descriptor),
    #[error("the {0:?} descriptor is missing")]
    Missing(Descriptor),
}

/// What a caller wants.
pub(crate) enum Wanted {
    Start { start: Start, passed: Passed },
    Status,
}

/// The descriptors of a caller, each under its meaning.
pub(crate) struct Passed(Vec<(Descriptor, OwnedFd)>);

impl Passed {
    fn new(kinds: &[Descriptor], descriptors: Vec<OwnedFd>) -> Result<Self, StartFault> {
        if kinds.len() != descriptors.len() {
            return Err(StartFault::Count {
                sent: descriptors.len(),
                named: kinds.len(),
            });
        }
        for (number, kind) in kinds.iter().enumerate() {
            if kinds.iter().take(number).any(|earlier| earlier == kind) {
                return Err(StartFault::Twice(*kind));
            }
        }
        Ok(Self(kinds.iter().copied().zip(descriptors).collect()))
    }

    /// The descriptor with that meaning, if it was passed.
    pub(crate) fn get(&self, kind: Descriptor) -> Option<BorrowedFd<'_>> {
        let mut all = self.0.iter();
        all.find_map(|(other, fd)| (*other == kind).then(|| fd.as_fd()))
    }

    /// The descriptor with that meaning.
    pub(crate) fn require(&self, kind: Descriptor) -> Result<BorrowedFd<'_>, StartFault> {
        self.get(kind).ok_or(StartFault::Missing(kind))
    }
}

/// Reads the first message, or nothing where the caller only looked whether somebody listens.
///
/// The socket's own timeout bounds how long each piece may take, [`PATIENCE`] the whole.
pub(crate) fn receive(socket: &UnixStream) -> Result<Option<Wanted>, StartFault> {
    let mut descriptors = Vec::new();
    let mut inbox = Inbox::new(MAX_MESSAGE);
    let begin = Instant::now();
    let message = loop {
        if begin.elapsed() > PATIENCE {
            return Err(StartFault::Incomplete(io::ErrorKind::TimedOut.into()));
        }
        let mut buffer = vec![0; inbox.missing()?.min(64 << 10)];
        let count = receive_piece(socket, &mut buffer, &mut descriptors)?;
        if count == 0 && inbox.is_empty() {
            return Ok(None);
        }
        if count == 0 {
            return Err(StartFault::Closed);
        }
        if let Some(message) = inbox.add(buffer.get(..count).unwrap_or_default())? {
            break message;
        }
    };
    match bannock_wire::decode("LAS request", &message)? {
        Request::Status if descriptors.is_empty() => Ok(Some(Wanted::Status)),
        Request::Status => Err(StartFault::Count {
            sent: descriptors.len(),
            named: 0,
        }),
        Request::Start { start } => {
            if start.version > PROTOCOL_VERSION {
                return Err(StartFault::NewerProtocol {
                    found: start.version,
                });
            }
            let passed = Passed::new(&start.descriptors, descriptors)?;
            Ok(Some(Wanted::Start { start, passed }))
        }
    }
}

fn receive_piece(
    socket: &UnixStream,
    buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> Result<usize, StartFault> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut pieces = [IoSliceMut::new(buffer)];
        match recvmsg(socket, &mut pieces, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(StartFault::Incomplete(error.into())),
            Ok(received) => break received,
        }
    };
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) || descriptors.len() > MAX_DESCRIPTORS {
        return Err(StartFault::TooMany);
    }
    Ok(received.bytes)
}
