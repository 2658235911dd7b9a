//! Open files on their way between processes (`SCM_RIGHTS`).
//!
//! What travels through the host are host descriptors; what an open file *is* (its position, flags,
//! locks, content) is the kernel's and stays here. A message carries a token first, an event
//! counter whose value names the entry, and then the host descriptors of those files that have one.
//! So files without any can be sent too, and a message is never taken for another one.

use crate::fs::OpenFile;
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use bannock_platform::{
    Errno,
    host::{
        self, HostFd,
        file::{self, Wait},
    },
    sync::Mutex,
};
use linux_raw_sys::general as raw;

/// Most messages with descriptors that are on their way in a container. Those whose socket is
/// closed before they are received stay until the container ends, so there must be a bound.
const MAX_MESSAGES: usize = 16384;

/// An open file with the host descriptor that a process holds for it.
pub type Sendable = (Arc<OpenFile>, Option<HostFd>);

/// The open files on their way in a container.
pub struct InFlight {
    inner: Mutex<Inner>,
}

struct Inner {
    next: u64,
    messages: BTreeMap<u64, Arc<[Sent]>>,
}

/// An open file on its way.
struct Sent {
    file: Arc<OpenFile>,
    has_host: bool,
}

/// Descriptors to be sent; the token is closed when dropped, after the host has taken it over.
pub struct Parcel<'a> {
    in_flight: &'a InFlight,
    number: u64,
    token: HostFd,
    descriptors: Vec<HostFd>,
    sent: bool,
}

impl InFlight {
    /// Nothing on its way.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                next: 1,
                messages: BTreeMap::new(),
            }),
        }
    }

    /// Prepares sending open files, each with the host descriptor that the sender holds.
    ///
    /// # Errors
    /// `EMFILE` when too many are on their way, and what the host said.
    pub fn pack(&self, files: Vec<Sendable>) -> Result<Parcel<'_>, Errno> {
        let token = host::poll::event(0, raw::O_NONBLOCK)?;
        let mut parcel = Parcel {
            in_flight: self,
            number: 0,
            token,
            descriptors: alloc::vec![token],
            sent: false,
        };
        parcel
            .descriptors
            .extend(files.iter().filter_map(|(_, host)| *host));
        let sent = files
            .into_iter()
            .map(|(file, host)| Sent {
                file,
                has_host: host.is_some(),
            })
            .collect();
        {
            let mut inner = self.inner.lock();
            if inner.messages.len() >= MAX_MESSAGES {
                return Err(Errno::EMFILE);
            }
            parcel.number = inner.next;
            inner.next += 1;
            inner.messages.insert(parcel.number, sent);
        }
        write_token(token, parcel.number)?;
        Ok(parcel)
    }

    /// Matches received host descriptors with the files that they were sent for; `peeked` messages
    /// will be received again. Descriptors that fit nothing are closed.
    ///
    /// # Errors
    /// `EIO` when the descriptors are not those of a message of this container.
    pub fn unpack(&self, descriptors: Vec<HostFd>, peeked: bool) -> Result<Vec<Sendable>, Errno> {
        let Some((&token, rest)) = descriptors.split_first() else {
            return Ok(Vec::new());
        };
        let found = self.find(token, rest.len(), peeked);
        file::close(token);
        let Some(message) = found else {
            rest.iter().copied().for_each(file::close);
            return Err(Errno::EIO);
        };
        let mut rest = rest.iter().copied();
        let host = |sent: &Sent, rest: &mut dyn Iterator<Item = HostFd>| {
            if sent.has_host { rest.next() } else { None }
        };
        Ok(message
            .iter()
            .map(|sent| (Arc::clone(&sent.file), host(sent, &mut rest)))
            .collect())
    }

    fn find(&self, token: HostFd, count: usize, peeked: bool) -> Option<Arc<[Sent]>> {
        let mut value = [0; 8];
        if file::read(
            token,
            host::Into::Kernel(&mut value),
            None,
            Wait::Uninterruptible,
        ) != Ok(value.len())
        {
            return None;
        }
        let number = u64::from_ne_bytes(value);
        let mut inner = self.inner.lock();
        let message = inner.messages.get(&number).cloned()?;
        if message.iter().filter(|sent| sent.has_host).count() != count {
            return None;
        }
        if peeked {
            drop(inner);
            write_token(token, number).ok()?;
        } else {
            inner.messages.remove(&number);
        }
        Some(message)
    }
}

impl Default for InFlight {
    fn default() -> Self {
        Self::new()
    }
}

fn write_token(token: HostFd, number: u64) -> Result<(), Errno> {
    let bytes = number.to_ne_bytes();
    match file::write(
        token,
        host::From::Kernel(&bytes),
        None,
        Wait::Uninterruptible,
    )? {
        8 => Ok(()),
        _ => Err(Errno::EIO),
    }
}

impl Parcel<'_> {
    /// What to give to the host.
    #[must_use]
    pub fn descriptors(&self) -> &[HostFd] {
        &self.descriptors
    }

    /// The host has taken the descriptors over.
    pub fn sent(mut self) {
        self.sent = true;
    }
}

impl Drop for Parcel<'_> {
    fn drop(&mut self) {
        file::close(self.token);
        if !self.sent {
            let message = self.in_flight.inner.lock().messages.remove(&self.number);
            drop(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Kind;

    /// What a receiver gets: duplicates, with numbers of its own.
    fn through_the_host(parcel: &Parcel<'_>) -> Vec<HostFd> {
        parcel
            .descriptors()
            .iter()
            .map(|fd| file::duplicate(*fd, 0).unwrap())
            .collect()
    }

    #[test]
    fn files_arrive_as_the_same_open_files() {
        bannock_platform::hosted::install();
        let in_flight = InFlight::new();
        let with_host = OpenFile::host(Kind::Event, raw::O_RDWR);
        let without = OpenFile::host(Kind::Device, raw::O_RDWR);
        let fd = host::poll::event(0, 0).unwrap();
        let files = std::vec![(without.clone(), None), (with_host.clone(), Some(fd))];
        let parcel = in_flight.pack(files).unwrap();
        let (peeked, received) = (through_the_host(&parcel), through_the_host(&parcel));
        parcel.sent();
        for (descriptors, peek) in [(peeked, true), (received, false)] {
            let files = in_flight.unpack(descriptors, peek).unwrap();
            let [(first, None), (second, Some(host))] = files.as_slice() else {
                panic!("wrong files")
            };
            assert!(Arc::ptr_eq(first, &without) && Arc::ptr_eq(second, &with_host));
            file::close(*host);
        }
        assert!(in_flight.inner.lock().messages.is_empty());
        file::close(fd);
    }

    #[test]
    fn descriptors_that_nobody_here_sent_are_refused() {
        bannock_platform::hosted::install();
        let in_flight = InFlight::new();
        let forged = host::poll::event(77, raw::O_NONBLOCK).unwrap();
        assert_eq!(
            in_flight.unpack(std::vec![forged], false).err(),
            Some(Errno::EIO)
        );
        let (reader, writer) = file::pipe(raw::O_NONBLOCK).unwrap();
        assert_eq!(
            in_flight.unpack(std::vec![reader, writer], false).err(),
            Some(Errno::EIO)
        );
        assert!(
            in_flight
                .unpack(Vec::new(), false)
                .is_ok_and(|files| files.is_empty())
        );
    }

    #[test]
    fn a_message_that_was_not_sent_is_forgotten() {
        bannock_platform::hosted::install();
        let in_flight = InFlight::new();
        let file = OpenFile::host(Kind::Device, raw::O_RDWR);
        drop(in_flight.pack(std::vec![(file.clone(), None)]).unwrap());
        assert_eq!(Arc::strong_count(&file), 1);
    }
}
