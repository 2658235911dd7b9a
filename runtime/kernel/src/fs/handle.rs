//! What processes hold of open files.

use super::directory::{Directory, RecordFormat};
use super::memory::{self, FifoFile, MemoryFile};
use super::{Attributes, FileOps, Kind, Location, Mapped, OpenFile, Opened, SETTABLE_FLAGS};
use crate::task::Thread;
use alloc::{boxed::Box, sync::Arc};
use bannock_platform::host::{self, HostFd, file::UserVector};
use bannock_platform::{Errno, FileBytes, current, user::UserSlice};
use linux_raw_sys::general as raw;

/// The calling process's id; 0 before there are processes.
pub(super) fn calling_process() -> i32 {
    current::get::<Thread>().map_or(0, |thread| thread.process.id)
}

/// What one process holds of an open file.
///
/// The host descriptor is a number of that process, so only that process closes it: a handle that
/// another process drops leaves the host alone.
pub struct Handle {
    file: Arc<OpenFile>,
    host: Option<HostFd>,
    owner: i32,
}

impl Handle {
    /// A handle for the process `owner`, which holds `host`.
    #[must_use]
    pub fn new(file: Arc<OpenFile>, host: Option<HostFd>, owner: i32) -> Arc<Self> {
        Arc::new(Self { file, host, owner })
    }

    /// A handle for the calling process on a freshly opened file.
    #[must_use]
    pub fn opened(opened: Opened, flags: u32, location: Location, name: Box<[u8]>) -> Arc<Self> {
        let file = OpenFile::new(opened.ops, flags, Some(location), name);
        Self::new(file, opened.host, calling_process())
    }

    /// The same open file as held by a child that inherits all host descriptors.
    pub(super) fn inherited(&self, owner: i32) -> Arc<Self> {
        Self::new(Arc::clone(&self.file), self.host, owner)
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &Arc<OpenFile> {
        &self.file
    }

    /// What the open file does.
    #[must_use]
    pub fn ops(&self) -> &dyn FileOps {
        self.file.ops()
    }

    /// What the open file is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.file.ops().kind()
    }

    /// The host descriptor of the owning process, where there is one.
    #[must_use]
    pub fn host_fd(&self) -> Option<HostFd> {
        self.host
    }

    /// The host descriptor.
    ///
    /// # Errors
    /// `EBADF` where there is none.
    pub fn host(&self) -> Result<HostFd, Errno> {
        self.host.ok_or(Errno::EBADF)
    }

    /// Refuses handles that are a place only.
    ///
    /// # Errors
    /// `EBADF` for `O_PATH`.
    pub fn usable(&self) -> Result<&Self, Errno> {
        if self.file.flags() & raw::O_PATH == 0 {
            Ok(self)
        } else {
            Err(Errno::EBADF)
        }
    }

    fn for_reading(&self) -> Result<(), Errno> {
        if self.file.is_readable() {
            Ok(())
        } else {
            Err(Errno::EBADF)
        }
    }

    fn for_writing(&self) -> Result<(), Errno> {
        if self.file.is_writable() {
            Ok(())
        } else {
            Err(Errno::EBADF)
        }
    }

    /// Does `act` at `at`, or at the kernel's offset, which then moves on.
    fn positioned(
        &self,
        at: Option<u64>,
        act: impl FnOnce(Option<u64>) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        if at.is_some() || !self.ops().has_kernel_offset() {
            return act(at);
        }
        let mut offset = self.file.offset.lock();
        let count = act(Some(*offset))?;
        *offset = offset.saturating_add(count as u64);
        Ok(count)
    }

    /// read(2), or pread(2) where `at` is given.
    ///
    /// # Errors
    /// As those.
    pub fn read(&self, into: host::Into<'_>, at: Option<u64>) -> Result<usize, Errno> {
        self.for_reading()?;
        self.positioned(at, |at| self.ops().read(self, into, at))
    }

    /// write(2), or pwrite(2) where `at` is given.
    ///
    /// # Errors
    /// As those.
    pub fn write(&self, from: host::From<'_>, at: Option<u64>) -> Result<usize, Errno> {
        self.for_writing()?;
        if self.appends(0) {
            return self.append(at, |end| self.ops().write(self, from, end));
        }
        let len = from.len();
        let outcome = self.positioned(at, |at| self.ops().write(self, from, at));
        self.noticing_broken(outcome, len)
    }

    /// Raises `SIGPIPE` where a write of `len` bytes ended as `outcome` because nobody reads.
    ///
    /// # Errors
    /// That of `outcome`.
    pub fn noticing_broken(
        &self,
        outcome: Result<usize, Errno>,
        len: usize,
    ) -> Result<usize, Errno> {
        let broken = match outcome {
            Err(Errno::EPIPE) => self.ops().breaks(),
            // The host's pipe broke after it had taken some bytes.
            Ok(count) => count < len && self.kind() == Kind::Pipe && self.is_broken(),
            Err(_) => false,
        };
        if broken && let Some(thread) = current::get::<Thread>() {
            crate::signal::broken_pipe(&thread);
        }
        outcome
    }

    fn is_broken(&self) -> bool {
        let Some(fd) = self.host else {
            return self.ops().ready() & raw::POLLERR != 0;
        };
        let mut list = [host::poll::PollFd {
            fd: fd.number(),
            events: 0,
            revents: 0,
        }];
        let mut now = host::time::Timespec::default();
        host::poll::poll(&mut list, Some(&mut now)).is_ok()
            && list
                .iter()
                .any(|entry| u32::from(entry.revents as u16) & raw::POLLERR != 0)
    }

    /// readv(2), or preadv2(2).
    ///
    /// # Errors
    /// As those.
    pub fn read_vectored(
        &self,
        into: &UserVector,
        at: Option<u64>,
        flags: u32,
    ) -> Result<usize, Errno> {
        self.for_reading()?;
        self.positioned(at, |at| self.ops().read_vectored(self, into, at, flags))
    }

    /// writev(2), or pwritev2(2).
    ///
    /// # Errors
    /// As those.
    pub fn write_vectored(
        &self,
        from: &UserVector,
        at: Option<u64>,
        flags: u32,
    ) -> Result<usize, Errno> {
        self.for_writing()?;
        if self.appends(flags) {
            return self.append(at, |end| self.ops().write_vectored(self, from, end, flags));
        }
        let outcome = self.positioned(at, |at| self.ops().write_vectored(self, from, at, flags));
        self.noticing_broken(outcome, from.total())
    }

    /// Whether a write with `RWF_*` flags goes to the end, wherever it is told to go (pwrite(2),
    /// "BUGS").
    fn appends(&self, flags: u32) -> bool {
        let appends = self.file.flags() & raw::O_APPEND != 0 || flags & raw::RWF_APPEND != 0;
        appends && self.ops().has_kernel_offset()
    }

    /// Writes at the end; the file finds the end itself, in one step with the write. The kernel's
    /// offset moves there, unless the write was to be elsewhere (`at`).
    fn append(
        &self,
        at: Option<u64>,
        act: impl FnOnce(Option<u64>) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let count = act(None)?;
        if at.is_none() {
            *self.file.offset.lock() = self.ops().size(self)?;
        }
        Ok(count)
    }

    /// tee(2) between FIFOs of the kernel's own.
    ///
    /// # Errors
    /// `EINVAL` for other files, `EAGAIN`, `EPIPE`, `EINTR`.
    pub fn tee(&self, to: &Self, len: usize, waits: bool) -> Result<usize, Errno> {
        let fifo = |handle: &Self| handle.file.downcast::<FifoFile>().is_some();
        let source = self.file.downcast::<FifoFile>().ok_or(Errno::EINVAL)?;
        if !fifo(to) {
            return Err(Errno::EINVAL);
        }
        match source.end().peek(len, waits)? {
            bytes if bytes.is_empty() => Ok(0),
            bytes => to.write(host::From::Kernel(&bytes), None),
        }
    }

    /// lseek(2).
    ///
    /// # Errors
    /// As lseek(2).
    pub fn seek(&self, offset: i64, whence: u32) -> Result<u64, Errno> {
        self.usable()?;
        if !self.ops().has_kernel_offset() {
            return self.ops().seek(self, offset, whence);
        }
        let mut position = self.file.offset.lock();
        let base = match whence {
            raw::SEEK_SET => 0,
            raw::SEEK_CUR => i64::try_from(*position).map_err(|_| Errno::EOVERFLOW)?,
            raw::SEEK_END => i64::try_from(self.ops().size(self)?).map_err(|_| Errno::EOVERFLOW)?,
            raw::SEEK_DATA | raw::SEEK_HOLE => {
                *position = self.ops().seek(self, offset, whence)?;
                return Ok(*position);
            }
            _ => return Err(Errno::EINVAL),
        };
        let target = base.checked_add(offset).ok_or(Errno::EOVERFLOW)?;
        *position = u64::try_from(target).map_err(|_| Errno::EINVAL)?;
        Ok(*position)
    }

    /// Attributes.
    ///
    /// # Errors
    /// What the file met.
    pub fn attributes(&self) -> Result<Attributes, Errno> {
        self.ops().attributes(self)
    }

    /// Length in bytes.
    ///
    /// # Errors
    /// What the file met.
    pub fn size(&self) -> Result<u64, Errno> {
        self.ops().size(self)
    }

    /// How to show `len` bytes from `offset` in memory; `writable` says whether a shared mapping
    /// may ever be written through.
    ///
    /// # Errors
    /// `EACCES` where the access mode forbids it, `ENODEV` where the file cannot be mapped.
    pub fn mapping(
        &self,
        offset: u64,
        len: u64,
        shared: bool,
        writable: bool,
    ) -> Result<Mapped, Errno> {
        self.usable()?;
        if !self.file.is_readable() || (shared && writable && !self.file.is_writable()) {
            return Err(Errno::EACCES);
        }
        self.ops().map(self, offset, len, shared, writable)
    }

    /// Names the content where it cannot change unnoticed: equal keys, equal bytes.
    #[must_use]
    pub fn content_key(&self) -> Option<u128> {
        self.ops().content_key(self)
    }

    /// Writes directory records to the program; returns their bytes, 0 at the end.
    ///
    /// # Errors
    /// `ENOTDIR`, `EINVAL` when not even one record fits, and what the file system met.
    pub fn list(&self, into: UserSlice, format: RecordFormat) -> Result<usize, Errno> {
        self.file
            .downcast::<Directory>()
            .ok_or(Errno::ENOTDIR)?
            .list(into, format)
    }

    /// The seals of a file in memory (`F_GET_SEALS`), or adds `seals` to them (`F_ADD_SEALS`).
    ///
    /// # Errors
    /// `EINVAL` where there are no seals, `EPERM` where they are fixed, `EBUSY`.
    pub fn seals(&self, add: bool, seals: u32) -> Result<usize, Errno> {
        let content = self
            .file
            .downcast::<MemoryFile>()
            .ok_or(Errno::EINVAL)?
            .content();
        if !add {
            return Ok(content.seals() as usize);
        }
        if seals & !memory::SEALS != 0 {
            return Err(Errno::EINVAL);
        }
        if !self.file.is_writable() {
            return Err(Errno::EPERM);
        }
        content.seal(seals).map(|()| 0)
    }

    /// Notes that a POSIX record lock may be held on the host's file.
    pub fn note_record_lock(&self) {
        if let Some(file) = self.file.downcast::<super::host::HostRegular>() {
            file.note_record_lock();
        }
    }

    /// Events that are ready now (`POLL*`), for handles without a host descriptor.
    #[must_use]
    pub fn ready(&self) -> u32 {
        self.ops().ready()
    }

    /// Capacity of a pipe (`F_GETPIPE_SZ`), or makes it at least `wanted` bytes (`F_SETPIPE_SZ`).
    ///
    /// # Errors
    /// `EBADF` for others than pipes, `EPERM`, `EBUSY`.
    pub fn pipe_capacity(&self, wanted: Option<usize>) -> Result<usize, Errno> {
        if let Some(fifo) = self.file.downcast::<FifoFile>() {
            return match wanted {
                Some(wanted) => fifo.end().set_capacity(wanted),
                None => Ok(fifo.end().capacity()),
            };
        }
        if self.kind() != Kind::Pipe {
            return Err(Errno::EBADF);
        }
        let command = match wanted {
            Some(_) => raw::F_SETPIPE_SZ,
            None => raw::F_GETPIPE_SZ,
        };
        host::file::control(self.host()?, command, wanted.unwrap_or(0))
    }

    /// Changes status flags (`F_SETFL`); others than [`SETTABLE_FLAGS`] are ignored.
    ///
    /// # Errors
    /// What the host said.
    pub fn set_flags(&self, flags: u32) -> Result<(), Errno> {
        let flags = (self.file.flags() & !SETTABLE_FLAGS) | (flags & SETTABLE_FLAGS);
        self.ops().set_status(self, flags)?;
        self.file.store_flags(flags);
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(fd) = self.host
            && calling_process() == self.owner
        {
            host::file::close(fd);
        }
    }
}

impl FileBytes for Handle {
    fn len(&self) -> u64 {
        self.size().unwrap_or(0)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Errno> {
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|r| !r.is_empty()) {
            // Programs are read for execution, whether or not they may be read.
            let at = offset.checked_add(done as u64).ok_or(Errno::EIO)?;
            match self.ops().read(self, host::Into::Kernel(rest), Some(at))? {
                0 => return Err(Errno::EIO),
                count => done += count,
            }
        }
        Ok(())
    }

    fn fixed(&self) -> Option<&[u8]> {
        self.ops().fixed()
    }
}
