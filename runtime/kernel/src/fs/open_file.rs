//! Open file descriptions.

use super::ops::HostFile;
use super::{FileOps, Kind, Location, locks::LockOwner};
use alloc::{boxed::Box, sync::Arc};
use bannock_platform::sync::Mutex;
use core::sync::atomic::{AtomicU32, Ordering};
use linux_raw_sys::general as raw;

/// Status flags that `F_SETFL` can change.
pub const SETTABLE_FLAGS: u32 =
    raw::O_APPEND | raw::O_NONBLOCK | raw::O_NOATIME | raw::O_DIRECT | raw::FASYNC;

/// Flags of open(2) that act on opening only and are not kept.
const TRANSIENT_FLAGS: u32 =
    raw::O_CREAT | raw::O_EXCL | raw::O_NOCTTY | raw::O_TRUNC | raw::O_CLOEXEC;

/// An open file description: what duplicates and children share.
pub struct OpenFile {
    pub(super) ops: Box<dyn FileOps>,
    flags: AtomicU32,
    /// Position, where the kernel keeps it.
    pub(super) offset: Mutex<u64>,
    location: Option<Location>,
    /// What `/proc/self/fd` shows.
    name: Box<[u8]>,
}

impl OpenFile {
    /// An open file of a file system.
    #[must_use]
    pub fn new(
        ops: Box<dyn FileOps>,
        flags: u32,
        location: Option<Location>,
        name: Box<[u8]>,
    ) -> Arc<Self> {
        Arc::new(Self {
            ops,
            flags: AtomicU32::new(flags & !TRANSIENT_FLAGS),
            offset: Mutex::new(0),
            location,
            name,
        })
    }

    /// A file that the host does all of; `flags` are the status flags it was made with.
    #[must_use]
    pub fn host(kind: Kind, flags: u32) -> Arc<Self> {
        let name: &[u8] = match kind {
            Kind::Pipe => b"pipe:[1]",
            Kind::Event => b"anon_inode:[eventfd]",
            Kind::Timer => b"anon_inode:[timerfd]",
            Kind::Epoll => b"anon_inode:[eventpoll]",
            Kind::Socket => b"socket:[1]",
            _ => b"/dev/console",
        };
        Self::new(Box::new(HostFile::new(kind)), flags, None, name.into())
    }

    /// A standard stream that is a terminal of the host, and the container's console.
    #[must_use]
    pub fn console(flags: u32) -> Arc<Self> {
        let name: &[u8] = b"/dev/console";
        Self::new(Box::new(HostFile::terminal()), flags, None, name.into())
    }

    /// An open file with behaviour of its own, outside of any file system.
    #[must_use]
    pub fn anonymous(ops: impl FileOps + 'static, flags: u32, name: &[u8]) -> Arc<Self> {
        Self::new(Box::new(ops), flags, None, name.into())
    }

    /// What it does.
    #[must_use]
    pub fn ops(&self) -> &dyn FileOps {
        &*self.ops
    }

    /// Its behaviour as a `T`, where it is one.
    #[must_use]
    pub fn downcast<T: 'static>(&self) -> Option<&T> {
        self.ops.as_any().downcast_ref()
    }

    /// A number that tells apart what is open at one time.
    #[must_use]
    pub fn id(&self) -> u64 {
        // The same object has the same address in all processes of the container.
        core::ptr::from_ref(self) as u64
    }

    /// Access mode and status flags.
    #[must_use]
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    pub(super) fn store_flags(&self, flags: u32) {
        self.flags.store(flags, Ordering::Relaxed);
    }

    /// Its position, where the kernel keeps it; else 0.
    #[must_use]
    pub fn position(&self) -> u64 {
        *self.offset.lock()
    }

    /// Where it lies, for files of a file system.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }

    /// What `/proc/self/fd` shows.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether it was opened for reading.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let flags = self.flags();
        flags & raw::O_PATH == 0 && flags & raw::O_ACCMODE != raw::O_WRONLY
    }

    /// Whether it was opened for writing.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        let flags = self.flags();
        flags & raw::O_PATH == 0 && flags & raw::O_ACCMODE != raw::O_RDONLY
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if let Some(locks) = self.ops.locks() {
            locks.release(LockOwner::File(self.id()));
        }
    }
}
