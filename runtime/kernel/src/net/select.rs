//! Waiting for descriptors, whether the host or the kernel keeps the files behind them.

use crate::fs::{FileTable, Handle};
use crate::readiness::{Poller, Watch};
use crate::task::Thread;
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{
    Errno,
    host::{
        poll::{self, PollFd},
        time::{self, Timespec},
    },
};
use linux_raw_sys::general as raw;
use smallvec::SmallVec;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// The program's descriptor; negative ones are skipped.
    pub fd: i32,
    /// `POLL*`.
    pub events: u16,
}

/// A list that is short for most programs: so short that it needs no memory of the heap.
pub type Few<T> = SmallVec<[T; 4]>;

/// Events of each descriptor (`POLL*`), in order.
pub type Ready = Few<u16>;

/// Where one descriptor's events come from; its files stay open while they are waited for.
struct Source {
    /// The file, where the kernel knows of events.
    kernel: Option<Arc<Handle>>,
    /// An entry of the host's list, and the handle that keeps its descriptor.
    host: Option<(usize, Arc<Handle>)>,
    /// Not an open descriptor.
    invalid: bool,
}

/// What is always reported, whether asked for or not (poll(2)).
const ALWAYS: u16 = (raw::POLLERR | raw::POLLHUP | raw::POLLNVAL) as u16;

impl Source {
    fn of(files: &FileTable, interest: &Interest, list: &mut Few<PollFd>) -> Self {
        let mut source = Self {
            kernel: None,
            host: None,
            invalid: false,
        };
        if interest.fd < 0 {
            return source;
        }
        let Ok(handle) = files.usable(interest.fd) else {
            source.invalid = true;
            return source;
        };
        let host = handle
            .host_fd()
            .filter(|_| !handle.kind().is_always_ready());
        if host.is_none() || handle.ops().is_watched() {
            source.kernel = Some(Arc::clone(&handle));
        }
        if let Some(fd) = host {
            list.push(PollFd {
                fd: fd.number(),
                events: interest.events as i16,
                revents: 0,
            });
            source.host = Some((list.len() - 1, handle));
        }
        source
    }

    fn events(&self, list: &[PollFd]) -> u16 {
        let invalid = if self.invalid { raw::POLLNVAL } else { 0 };
        let kernel = self.kernel.as_ref().map_or(0, |handle| handle.ready());
        let host = self
            .host
            .as_ref()
            .and_then(|(index, _)| list.get(*index))
            .map_or(0, |entry| entry.revents as u16);
        (invalid | kernel) as u16 | host
    }
}

/// Waits until one of `interests` is ready, or `deadline` has come.
///
/// # Errors
/// `EINTR` when the calling thread has something to attend to, and what else the host said.
pub fn wait(files: &FileTable, interests: &[Interest], deadline: Deadline) -> Result<Ready, Errno> {
    let mut list: Few<PollFd> = Few::new();
    let sources: Few<Source> = interests
        .iter()
        .map(|interest| Source::of(files, interest, &mut list))
        .collect();
    let watched = || sources.iter().filter_map(|source| source.kernel.as_ref());
    let mut watches: Vec<Watch> = Vec::new();
    let poller = watched()
        .any(|handle| handle.ops().is_watched())
        .then(|| Poller::new(!list.is_empty()));
    if let Some(poller) = &poller {
        for handle in watched() {
            handle.ops().watch(poller, &mut watches);
        }
    }
    let all = |list: &[PollFd]| -> Ready {
        sources
            .iter()
            .zip(interests)
            .map(|(source, interest)| source.events(list) & (interest.events | ALWAYS))
            .collect()
    };
    // The clock is not read again for the first look.
    let mut first = Some(deadline.span);
    loop {
        let ticket = poller.as_ref().map(|poller| poller.ticket());
        let left = first.take().unwrap_or_else(|| deadline.left());
        let ready = all(&[]);
        let immediate = left == Some(0) || ready.iter().any(|events| *events != 0);
        if list.is_empty() && immediate {
            return Ok(ready);
        }
        match (&poller, ticket) {
            // Nothing of the host's: the thread sleeps until a file of the kernel changes.
            (Some(poller), Some(ticket)) if list.is_empty() => match poller.sleep(ticket, left) {
                Ok(()) | Err(Errno::ETIMEDOUT) => continue,
                Err(error) => return Err(error),
            },
            _ => {}
        }
        let mut time = if immediate { Some(0) } else { left }.map(Timespec::from_nanos);
        match poll::poll(&mut list, time.as_mut()) {
            Ok(0) if !immediate && deadline.left() != Some(0) => {}
            Ok(_) => return Ok(all(&list)),
            Err(error) => Poller::after_host(error)?,
        }
    }
}

/// A timeout that is reported back.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// Monotonic time in nanoseconds.
    at: Option<u64>,
    /// How far away it was when it was made, in nanoseconds.
    span: Option<u64>,
}

impl Deadline {
    /// `timeout` nanoseconds from now; `None` never comes.
    #[must_use]
    pub fn after(timeout: Option<u64>) -> Self {
        Self {
            at: timeout.map(|t| time::monotonic().saturating_add(t)),
            span: timeout,
        }
    }

    /// The deadline of a wait that is made again, where there is one; else `timeout` nanoseconds from
    /// now.
    #[must_use]
    pub fn resumed(thread: &Thread, timeout: Option<u64>) -> Self {
        match thread.take_deadline() {
            Some(at) => Self {
                at: Some(at),
                span: Some(at.saturating_sub(time::monotonic())),
            },
            None => Self::after(timeout),
        }
    }

    /// Keeps the deadline for when the call is made again.
    pub fn keep(self, thread: &Thread) {
        if let Some(at) = self.at {
            thread.keep_deadline(at);
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
        assert_eq!(
            wait(&files, &quiet, Deadline::after(Some(1_000_000))),
            Ok(Ready::from_slice(&[0, 0]))
        );
        let mixed = [
            interest(reader, IN),
            interest(writer_fd, OUT),
            interest(9, IN),
        ];
        assert_eq!(
            wait(&files, &mixed, Deadline::after(None)),
            Ok(Ready::from_slice(&[0, OUT, raw::POLLNVAL as u16]))
        );
        let device = add(None, Kind::Device, raw::O_RDWR);
        let mixed = [interest(reader, IN), interest(device, IN | OUT)];
        assert_eq!(
            wait(&files, &mixed, Deadline::after(None)),
            Ok(Ready::from_slice(&[0, IN | OUT]))
        );
        file::write(
            writer,
            bannock_platform::host::From::Kernel(b"x"),
            None,
            file::Wait::Interruptible,
        )
        .unwrap();
        assert_eq!(
            wait(&files, &mixed, Deadline::after(None)),
            Ok(Ready::from_slice(&[IN, IN | OUT]))
        );
        files.remove(writer_fd).unwrap();
        let hangup = wait(&files, &[interest(reader, 0)], Deadline::after(None)).unwrap();
        assert_eq!(hangup[..], [raw::POLLHUP as u16]);
    }

    #[test]
    fn nothing_to_wait_for_is_a_sleep() {
        let files = table();
        let before = time::monotonic();
        assert_eq!(
            wait(&files, &[], Deadline::after(Some(5_000_000))),
            Ok(Ready::new())
        );
        assert!(time::monotonic() - before >= 5_000_000);
    }
}
