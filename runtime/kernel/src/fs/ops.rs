//! What an open file does.

use super::{Attributes, Changes, Handle, locks::LockTable};
use crate::net::Socket;
use crate::readiness::{Poller, Readiness, Watch};
use crate::signal::Signal;
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::host::{
    self,
    file::{UserVector, Wait},
};
use bannock_platform::{Errno, memory::Backing};
use core::any::Any;
use linux_raw_sys::general as raw;

/// What an open file is, for callers that treat kinds differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A pipe or FIFO.
    Pipe,
    /// A socket.
    Socket,
    /// An epoll instance.
    Epoll,
    /// An event counter.
    Event,
    /// A timer.
    Timer,
    /// Signals to be read.
    Signals,
    /// A process.
    Process,
    /// A side of a pseudo-terminal.
    Terminal,
    /// A standard stream, terminal or not.
    Stream,
    /// A character device of the kernel's own.
    Device,
    /// A place only (`O_PATH`).
    Path,
}

impl Kind {
    /// Whether the file is always ready for reading and writing.
    #[must_use]
    pub const fn is_always_ready(self) -> bool {
        matches!(self, Self::Regular | Self::Directory | Self::Device)
    }
}

/// How a file is to be shown in memory.
pub struct Mapped {
    /// For [`bannock_platform::memory::map`].
    pub backing: Backing,
    /// Keeps the content in its place; hold it for as long as it is mapped.
    pub pin: Option<Arc<dyn Any + Send + Sync>>,
    /// Bytes from the start of the file that the page cache can show; `None` for host files.
    pub backed: Option<u64>,
}

/// What an open file does. Its [`Handle`] brings the host descriptor of the calling process.
///
/// Defaults answer as Linux does for a file that cannot do the operation.
pub trait FileOps: Any + Send + Sync {
    /// What it is.
    fn kind(&self) -> Kind;

    /// Whether reads and writes go by an offset that the kernel keeps (in the open file).
    fn has_kernel_offset(&self) -> bool {
        false
    }

    /// Reads, at `at` or else at the file's own position.
    ///
    /// # Errors
    /// As read(2).
    fn read(
        &self,
        _handle: &Handle,
        _into: host::Into<'_>,
        _at: Option<u64>,
    ) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Writes, at `at` or else at the file's own position.
    ///
    /// # Errors
    /// As write(2).
    fn write(
        &self,
        _handle: &Handle,
        _from: host::From<'_>,
        _at: Option<u64>,
    ) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Reads into several ranges; `flags` are `RWF_*`.
    ///
    /// # Errors
    /// As preadv2(2).
    fn read_vectored(
        &self,
        handle: &Handle,
        into: &UserVector,
        at: Option<u64>,
        _flags: u32,
    ) -> Result<usize, Errno> {
        gather(into, at, |slice, at| {
            self.read(handle, host::Into::User(slice), at)
        })
    }

    /// Writes from several ranges; `flags` are `RWF_*`.
    ///
    /// # Errors
    /// As pwritev2(2).
    fn write_vectored(
        &self,
        handle: &Handle,
        from: &UserVector,
        at: Option<u64>,
        _flags: u32,
    ) -> Result<usize, Errno> {
        gather(from, at, |slice, at| {
            self.write(handle, host::From::User(slice), at)
        })
    }

    /// Where the file ends, for appending. Only asked where [`Self::has_kernel_offset`].
    fn size(&self, handle: &Handle) -> Result<u64, Errno> {
        self.attributes(handle).map(|a| a.size)
    }

    /// Moves the file's position, or finds data or holes.
    ///
    /// # Errors
    /// As lseek(2).
    fn seek(&self, _handle: &Handle, _offset: i64, _whence: u32) -> Result<u64, Errno> {
        Err(Errno::ESPIPE)
    }

    /// Attributes.
    ///
    /// # Errors
    /// What the file met.
    fn attributes(&self, handle: &Handle) -> Result<Attributes, Errno>;

    /// Changes attributes.
    ///
    /// # Errors
    /// What the file met.
    fn change(&self, _handle: &Handle, changes: &Changes) -> Result<(), Errno> {
        if changes.size.is_some() {
            Err(Errno::EINVAL)
        } else {
            Err(Errno::EPERM)
        }
    }

    /// fallocate(2).
    ///
    /// # Errors
    /// As fallocate(2).
    fn allocate(&self, _handle: &Handle, _mode: u32, _offset: u64, _len: u64) -> Result<(), Errno> {
        Err(Errno::ESPIPE)
    }

    /// fsync(2) and fdatasync(2).
    ///
    /// # Errors
    /// As fsync(2).
    fn sync(&self, _handle: &Handle, _data_only: bool) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// Events that are ready now (`POLL*`), for files without a host descriptor.
    fn ready(&self) -> u32 {
        raw::POLLIN | raw::POLLOUT
    }

    /// What says when [`Self::ready`] changes, for files that do not always answer the same.
    fn readiness(&self) -> Option<Arc<Readiness>> {
        None
    }

    /// Has `poller` woken when [`Self::ready`] changes.
    fn watch(&self, poller: &Arc<Poller>, watches: &mut Vec<Watch>) {
        watches.extend(self.readiness().map(|r| Watch::new(r, poller)));
    }

    /// Whether the kernel itself knows of events of this file ([`Self::ready`]); the host may know of
    /// others.
    fn is_watched(&self) -> bool {
        self.readiness().is_some()
    }

    /// Whether writing with nobody to read raises `SIGPIPE`.
    fn breaks(&self) -> bool {
        false
    }

    /// ioctl(2) for requests that are not the kernel's own.
    ///
    /// # Errors
    /// `ENOTTY` where the request means nothing here.
    fn ioctl(&self, _handle: &Handle, _request: u32, _argument: usize) -> Result<usize, Errno> {
        Err(Errno::ENOTTY)
    }

    /// How to show `len` bytes from `offset` in memory.
    ///
    /// # Errors
    /// `ENODEV` where the file cannot be mapped.
    fn map(
        &self,
        _handle: &Handle,
        _offset: u64,
        _len: u64,
        _shared: bool,
        _writable: bool,
    ) -> Result<Mapped, Errno> {
        Err(Errno::ENODEV)
    }

    /// Names the content where that cannot change unnoticed.
    fn content_key(&self, _handle: &Handle) -> Option<u128> {
        None
    }

    /// The content, where it lies in memory that nobody can write to.
    fn fixed(&self) -> Option<&[u8]> {
        None
    }

    /// The kernel's own locks on this file; `None` where the host keeps them.
    fn locks(&self) -> Option<Arc<LockTable>> {
        None
    }

    /// Status flags changed (`F_SETFL`).
    ///
    /// # Errors
    /// What the host said.
    fn set_status(&self, handle: &Handle, flags: u32) -> Result<(), Errno> {
        match handle.host_fd() {
            Some(fd) => host::file::control(fd, raw::F_SETFL, flags as usize).map(drop),
            None => Ok(()),
        }
    }

    /// `process` closed a descriptor of this file.
    fn closed(&self, _handle: &Handle, _process: i32) {}

    /// The socket, where it is one: asked with every message.
    fn as_socket(&self) -> Option<&Socket> {
        None
    }

    /// For downcasts to what a family of files knows about its own.
    fn as_any(&self) -> &dyn Any;
}

/// Goes through the ranges of `vector` until one is cut short.
pub(super) fn gather(
    vector: &UserVector,
    at: Option<u64>,
    mut each: impl FnMut(bannock_platform::user::UserSlice, Option<u64>) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let mut done = 0usize;
    for slice in vector.slices().filter(|s| !s.is_empty()) {
        let at = at.map(|a| a.saturating_add(done as u64));
        match each(slice, at) {
            Ok(count) => {
                done += count;
                if count < slice.len() {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// A file that the host does all of: pipes, event counters, timers, standard streams.
pub(super) struct HostFile {
    kind: Kind,
    /// Whether it is a terminal of the host that takes part in job control.
    is_terminal: bool,
}

impl HostFile {
    pub(super) const fn new(kind: Kind) -> Self {
        Self {
            kind,
            is_terminal: false,
        }
    }

    pub(super) const fn terminal() -> Self {
        Self {
            kind: Kind::Stream,
            is_terminal: true,
        }
    }

    /// Stops a background process that reads the terminal.
    fn check_reader(&self) -> Result<(), Errno> {
        if self.is_terminal {
            super::terminal::check(Signal::TTIN)
        } else {
            Ok(())
        }
    }
}

impl FileOps for HostFile {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn read(&self, handle: &Handle, into: host::Into<'_>, at: Option<u64>) -> Result<usize, Errno> {
        self.check_reader()?;
        host::file::read(handle.host()?, into, at, Wait::Interruptible)
    }

    fn write(
        &self,
        handle: &Handle,
        from: host::From<'_>,
        at: Option<u64>,
    ) -> Result<usize, Errno> {
        host::file::write(handle.host()?, from, at, Wait::Interruptible)
    }

    fn read_vectored(
        &self,
        handle: &Handle,
        into: &UserVector,
        at: Option<u64>,
        flags: u32,
    ) -> Result<usize, Errno> {
        self.check_reader()?;
        host::file::read_vectored(handle.host()?, into, at, flags, Wait::Interruptible)
    }

    fn write_vectored(
        &self,
        handle: &Handle,
        from: &UserVector,
        at: Option<u64>,
        flags: u32,
    ) -> Result<usize, Errno> {
        host::file::write_vectored(handle.host()?, from, at, flags, Wait::Interruptible)
    }

    fn seek(&self, handle: &Handle, offset: i64, whence: u32) -> Result<u64, Errno> {
        host::file::seek(handle.host()?, offset, whence)
    }

    fn breaks(&self) -> bool {
        // A standard stream may be a pipe.
        matches!(self.kind, Kind::Pipe | Kind::Stream)
    }

    fn attributes(&self, handle: &Handle) -> Result<Attributes, Errno> {
        super::host::attributes_of(handle.host()?, None)
    }

    fn change(&self, _handle: &Handle, changes: &Changes) -> Result<(), Errno> {
        // Modes and owners of pipes and streams are nobody's business outside the container.
        if changes.size.is_some() {
            Err(Errno::EINVAL)
        } else {
            Ok(())
        }
    }

    fn sync(&self, handle: &Handle, data_only: bool) -> Result<(), Errno> {
        host::file::sync(handle.host()?, data_only)
    }

    fn ioctl(&self, handle: &Handle, request: u32, argument: usize) -> Result<usize, Errno> {
        if self.is_terminal
            && let Some(outcome) = super::terminal::job_control(request, argument)
        {
            return outcome;
        }
        super::terminal::ioctl(handle.host()?, self.kind, request, argument)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
