//! Waiting for descriptors, whether the host or the kernel keeps the files behind them.

use crate::fs::{FileTable, Handle};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{
    Errno,
    host::{
        poll::{self, PollFd},
        time::{self, Timespec},
    },
};
use linux_raw_sys::general as raw;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// The program's descriptor; negative ones are skipped.
    pub fd: i32,
    /// `POLL*`.
    pub events: u16,
}

/// Events of each descriptor (`POLL*`), in order.
pub type Ready = Vec<u16>;

/// Where one descriptor's events come from.
enum Behind {
    /// Skipped.
    Nothing,
    /// Not open.
    Invalid,
    /// The kernel.
    Kernel(u16),
    /// The host, as this entry of its list.
    Host(usize),
}

/// Waits until one of `interests` is ready, for at most `timeout` nanoseconds.
///
/// # Errors
/// `EINTR` on an interrupt, and what else the host said.
pub fn wait(
    files: &FileTable,
    interests: &[Interest],
    timeout: Option<u64>,
) -> Result<Ready, Errno> {
    // Handles stay open while the host waits on their descriptors.
    let mut held: Vec<Arc<Handle>> = Vec::new();
    let mut list: Vec<PollFd> = Vec::new();
    let mut immediate = false;
    let mut behind = Vec::with_capacity(interests.len());
    for interest in interests {
        behind.push(if interest.fd < 0 {
            Behind::Nothing
        } else if let Ok(handle) = files.usable(interest.fd) {
            match handle
                .host_fd()
                .filter(|_| !handle.kind().is_always_ready())
            {
                Some(fd) => {
                    list.push(PollFd {
                        fd: fd.number(),
                        events: interest.events as i16,
                        revents: 0,
                    });
                    held.push(handle);
                    Behind::Host(list.len() - 1)
                }
                None => {
                    // What is always reported comes whether asked for or not (poll(2)).
                    let always = raw::POLLERR | raw::POLLHUP;
                    let ready = handle.ready() as u16 & (interest.events | always as u16);
                    immediate |= ready != 0;
                    Behind::Kernel(ready)
                }
            }
        } else {
            immediate = true;
            Behind::Invalid
        });
    }
    let timeout = if immediate { Some(0) } else { timeout };
    let mut time = timeout.map(Timespec::from_nanos);
    if !(immediate && list.is_empty()) {
        poll::poll(&mut list, time.as_mut())?;
    }
    drop(held);
    let events = |behind: &Behind, interest: &Interest| match behind {
        Behind::Nothing => 0,
        Behind::Invalid => raw::POLLNVAL as u16,
        Behind::Kernel(ready) => *ready,
        Behind::Host(index) => {
            let always = (raw::POLLERR | raw::POLLHUP | raw::POLLNVAL) as u16;
            let revents = list.get(*index).map_or(0, |entry| entry.revents as u16);
            revents & (interest.events | always)
        }
    };
    Ok(behind
        .iter()
        .zip(interests)
        .map(|(b, i)| events(b, i))
        .collect())
}

/// A timeout that is reported back.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// Monotonic time in nanoseconds.
    at: Option<u64>,
}

impl Deadline {
    /// `timeout` nanoseconds from now; `None` never comes.
    #[must_use]
    pub fn after(timeout: Option<u64>) -> Self {
        Self {
            at: timeout.map(|t| time::monotonic().saturating_add(t)),
        }
    }

    /// Nanoseconds left.
    #[must_use]
    pub fn left(self) -> Option<u64> {
        self.at.map(|at| at.saturating_sub(time::monotonic()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Kind, OpenFile};
    use bannock_platform::host::file;

    fn table() -> FileTable {
        bannock_platform::hosted::install();
        FileTable::new(0)
    }

    const IN: u16 = raw::POLLIN as u16;
    const OUT: u16 = raw::POLLOUT as u16;

    #[test]
    fn files_of_the_kernel_and_of_the_host_are_waited_for_together() {
        let files = table();
        let (reader, writer) = file::pipe(0).unwrap();
        let add = |fd, kind, flags| {
            files
                .insert(
                    Handle::new(OpenFile::host(kind, flags), fd, 0),
                    0,
                    false,
                    16,
                )
                .unwrap()
        };
        let reader = add(Some(reader), Kind::Pipe, raw::O_RDONLY);
        let writer_fd = add(Some(writer), Kind::Pipe, raw::O_WRONLY);
        let interest = |fd, events| Interest { fd, events };
        let quiet = [interest(reader, IN), interest(-1, IN)];
        assert_eq!(wait(&files, &quiet, Some(1_000_000)), Ok(std::vec![0, 0]));
        let mixed = [
            interest(reader, IN),
            interest(writer_fd, OUT),
            interest(9, IN),
        ];
        assert_eq!(
            wait(&files, &mixed, None),
            Ok(std::vec![0, OUT, raw::POLLNVAL as u16])
        );
        let device = add(None, Kind::Device, raw::O_RDWR);
        let mixed = [interest(reader, IN), interest(device, IN | OUT)];
        assert_eq!(wait(&files, &mixed, None), Ok(std::vec![0, IN | OUT]));
        file::write(writer, bannock_platform::host::From::Kernel(b"x")).unwrap();
        assert_eq!(wait(&files, &mixed, None), Ok(std::vec![IN, IN | OUT]));
        files.remove(writer_fd).unwrap();
        let hangup = wait(&files, &[interest(reader, 0)], None).unwrap();
        assert_eq!(hangup, std::vec![raw::POLLHUP as u16]);
    }

    #[test]
    fn nothing_to_wait_for_is_a_sleep() {
        let files = table();
        let before = time::monotonic();
        assert_eq!(wait(&files, &[], Some(5_000_000)), Ok(Vec::new()));
        assert!(time::monotonic() - before >= 5_000_000);
    }
}
