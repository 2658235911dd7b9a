//! epoll instances.
//!
//! The host watches its own descriptors in an epoll instance of its own; the kernel watches the
//! files that it keeps itself, and other epoll instances, which may watch such files in turn.

use crate::fs::{Attributes, FileOps, Handle, Kind, OpenFile};
use crate::readiness::{Poller, Readiness, Watch};
use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    vec::Vec,
};
use bannock_platform::{
    Errno,
    host::{HostFd, poll, time::Timespec},
    sync::Mutex,
};
use core::any::Any;
use linux_raw_sys::general as raw;

use super::Deadline;

/// Flags of an interest, next to the events that it is for.
const FLAGS: u32 = raw::EPOLLET | raw::EPOLLONESHOT | raw::EPOLLEXCLUSIVE | raw::EPOLLWAKEUP;
/// What is always reported (epoll_ctl(2)).
const ALWAYS: u32 = raw::POLLERR | raw::POLLHUP;
/// Longest chain of epoll instances (Linux `EP_MAX_NESTS`).
const MAX_NESTING: usize = 4;

/// A file of the kernel's own that an instance watches.
struct Interest {
    file: Weak<OpenFile>,
    events: u32,
    data: u64,
    /// The change that was last reported, for `EPOLLET`.
    reported: Option<u64>,
    /// A one-shot interest that was reported waits for nothing until it is changed.
    spent: bool,
}

/// Names an interest: open file and descriptor.
type Key = (u64, i32);

/// An epoll instance.
pub struct EpollFile {
    interests: Mutex<BTreeMap<Key, Interest>>,
    readiness: Arc<Readiness>,
}

/// One event: what happened, and the program's own word.
type Event = (u32, u64);

impl EpollFile {
    /// A new instance, as an open file.
    #[must_use]
    pub fn open() -> Arc<OpenFile> {
        let file = Self {
            interests: Mutex::new(BTreeMap::new()),
            readiness: Arc::new(Readiness::new()),
        };
        OpenFile::anonymous(file, raw::O_RDWR, b"anon_inode:[eventpoll]")
    }

    /// The instance behind `handle`.
    ///
    /// # Errors
    /// `EINVAL` where it is none.
    pub fn of(handle: &Handle) -> Result<&Self, Errno> {
        handle.file().downcast::<Self>().ok_or(Errno::EINVAL)
    }

    /// epoll_ctl(2): `operation` is `EPOLL_CTL_*`; `fd` is the descriptor of `target`.
    ///
    /// # Errors
    /// As epoll_ctl(2).
    pub fn control(
        &self,
        handle: &Handle,
        operation: u32,
        (fd, target): (i32, &Handle),
        (events, data): Event,
    ) -> Result<(), Errno> {
        if target.kind().is_always_ready() {
            return Err(Errno::EPERM);
        }
        let watched = target.ops().is_watched();
        if let Some(host) = target.host_fd() {
            // The host also refuses instances that watch each other in a circle.
            poll::epoll_control(handle.host()?, operation, host, events, data)?;
        } else if !watched {
            return Err(Errno::EPERM);
        }
        if watched {
            self.watch_file(operation, (fd, target), (events, data))
                .or_else(|e| target.host_fd().map_or(Err(e), |_| Ok(())))?;
        }
        self.readiness.changed();
        Ok(())
    }

    fn watch_file(
        &self,
        operation: u32,
        (fd, target): (i32, &Handle),
        (events, data): Event,
    ) -> Result<(), Errno> {
        let key = (target.file().id(), fd);
        let mut interests = self.interests.lock();
        // An address may have been used by a file that is gone.
        interests.retain(|_, interest| interest.file.strong_count() != 0);
        let interest = Interest {
            file: Arc::downgrade(target.file()),
            events,
            data,
            reported: None,
            spent: false,
        };
        match (operation, interests.contains_key(&key)) {
            (raw::EPOLL_CTL_ADD, true) => return Err(Errno::EEXIST),
            (raw::EPOLL_CTL_ADD, false) | (raw::EPOLL_CTL_MOD, true) => {
                interests.insert(key, interest);
            }
            (raw::EPOLL_CTL_DEL, true) => {
                interests.remove(&key);
            }
            _ => return Err(Errno::ENOENT),
        }
        Ok(())
    }

    /// Files of the kernel's own that are watched and still open.
    fn files(&self) -> Vec<Arc<OpenFile>> {
        let interests = self.interests.lock();
        interests
            .values()
            .filter_map(|i| i.file.upgrade())
            .collect()
    }

    /// Up to `limit` events of files of the kernel's own, each taken as epoll_wait(2) takes it.
    fn take(&self, limit: usize) -> Vec<Event> {
        let keys: Vec<(Key, Arc<OpenFile>)> = {
            let interests = self.interests.lock();
            let open = |(key, i): (&Key, &Interest)| i.file.upgrade().map(|file| (*key, file));
            interests.iter().filter_map(open).collect()
        };
        let mut found = Vec::new();
        for (key, file) in keys {
            if found.len() >= limit {
                break;
            }
            // Files are looked at outside of the lock: an instance looks at others.
            let changes = file.ops().readiness().map_or(0, |r| r.changes());
            let ready = ready(&file, MAX_NESTING);
            let mut interests = self.interests.lock();
            let Some(interest) = interests.get_mut(&key) else {
                continue;
            };
            let events = ready & (interest.events & !FLAGS | ALWAYS);
            let seen = interest.events & raw::EPOLLET != 0 && interest.reported == Some(changes);
            if events == 0 || seen || interest.spent {
                continue;
            }
            interest.reported = Some(changes);
            interest.spent = interest.events & raw::EPOLLONESHOT != 0;
            found.push((events, interest.data));
        }
        found
    }

    /// Events of the instance as a file, `depth` instances deep at most.
    fn any_ready(&self, depth: usize) -> u32 {
        let interests: Vec<(u32, Arc<OpenFile>)> = {
            let interests = self.interests.lock();
            let open = |i: &Interest| i.file.upgrade().map(|file| (i.events, file));
            let armed = interests.values().filter(|i| !i.spent);
            armed.filter_map(open).collect()
        };
        let is_ready = |(events, file): &(u32, Arc<OpenFile>)| {
            ready(file, depth) & (events & !FLAGS | ALWAYS) != 0
        };
        if interests.iter().any(is_ready) {
            raw::POLLIN | raw::POLLRDNORM
        } else {
            0
        }
    }

    /// epoll_wait(2): waits for at most `timeout` nanoseconds for up to `limit` events.
    ///
    /// # Errors
    /// `EINTR` when the calling thread has something to attend to, and what else the host said.
    pub fn wait(
        &self,
        host: HostFd,
        limit: usize,
        timeout: Option<u64>,
    ) -> Result<Vec<Event>, Errno> {
        let deadline = Deadline::after(timeout);
        let poller = Poller::new(true);
        loop {
            let mut watches = Vec::new();
            watches.push(Watch::new(Arc::clone(&self.readiness), &poller));
            for file in self.files() {
                file.ops().watch(&poller, &mut watches);
            }
            let _ = poller.ticket();
            let mut events = self.take(limit);
            let left = if events.is_empty() {
                deadline.left()
            } else {
                Some(0)
            };
            let room = limit.saturating_sub(events.len());
            if room == 0 {
                return Ok(events);
            }
            match poll::epoll_wait(host, room, left.map(Timespec::from_nanos)) {
                Ok(more) => {
                    // An instance within this one may be ready in the host and here.
                    events.retain(|(_, data)| !more.iter().any(|(_, other)| other == data));
                    events.extend(more);
                    if !events.is_empty() || deadline.left() == Some(0) {
                        return Ok(events);
                    }
                }
                Err(_) if !events.is_empty() => return Ok(events),
                Err(error) => Poller::after_host(error)?,
            }
        }
    }
}

/// Events of an open file of the kernel's own, `depth` instances deep at most.
fn ready(file: &OpenFile, depth: usize) -> u32 {
    match file.downcast::<EpollFile>() {
        Some(_) if depth == 0 => 0,
        Some(inner) => inner.any_ready(depth - 1),
        None => file.ops().ready(),
    }
}

impl FileOps for EpollFile {
    fn kind(&self) -> Kind {
        Kind::Epoll
    }

    fn attributes(&self, handle: &Handle) -> Result<Attributes, Errno> {
        Ok(Attributes::without_place(handle.file(), 0o600))
    }

    fn ready(&self) -> u32 {
        self.any_ready(MAX_NESTING)
    }

    fn readiness(&self) -> Option<Arc<Readiness>> {
        Some(Arc::clone(&self.readiness))
    }

    fn watch(&self, poller: &Arc<Poller>, watches: &mut Vec<Watch>) {
        watches.push(Watch::new(Arc::clone(&self.readiness), poller));
        for file in self.files() {
            file.ops().watch(poller, watches);
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
