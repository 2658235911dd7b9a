//! Open regular files of the host.
//!
//! Position, append and locks are the host's own: fork shares them as Linux does, and a second
//! instance on the same files meets the locks.

use super::super::Handle;
use super::super::attributes::{Attributes, Changes, device_number};
use super::super::ops::{FileOps, Kind, Mapped};
use bannock_platform::host::{
    self,
    file::{UserVector, Wait},
};
use bannock_platform::{Errno, memory::Backing};
use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering};
use linux_raw_sys::general as raw;

/// An open regular file of the host.
pub(crate) struct HostRegular {
    owner: (u32, u32),
    record_locked: AtomicBool,
}

impl HostRegular {
    pub(super) const fn new(owner: (u32, u32)) -> Self {
        Self {
            owner,
            record_locked: AtomicBool::new(false),
        }
    }

    /// Notes that a POSIX record lock may be held through this open file.
    pub(crate) fn note_record_lock(&self) {
        self.record_locked.store(true, Ordering::Relaxed);
    }
}

impl FileOps for HostRegular {
    fn kind(&self) -> Kind {
        Kind::Regular
    }

    fn read(&self, handle: &Handle, into: host::Into<'_>, at: Option<u64>) -> Result<usize, Errno> {
        host::file::read(handle.host()?, into, at, Wait::Uninterruptible)
    }

    fn write(
        &self,
        handle: &Handle,
        from: host::From<'_>,
        at: Option<u64>,
    ) -> Result<usize, Errno> {
        host::file::write(handle.host()?, from, at, Wait::Uninterruptible)
    }

    fn read_vectored(
        &self,
        handle: &Handle,
        into: &UserVector,
        at: Option<u64>,
        flags: u32,
    ) -> Result<usize, Errno> {
        host::file::read_vectored(handle.host()?, into, at, flags, Wait::Uninterruptible)
    }

    fn write_vectored(
        &self,
        handle: &Handle,
        from: &UserVector,
        at: Option<u64>,
        flags: u32,
    ) -> Result<usize, Errno> {
        host::file::write_vectored(handle.host()?, from, at, flags, Wait::Uninterruptible)
    }

    fn seek(&self, handle: &Handle, offset: i64, whence: u32) -> Result<u64, Errno> {
        host::file::seek(handle.host()?, offset, whence)
    }

    fn attributes(&self, handle: &Handle) -> Result<Attributes, Errno> {
        let status = host::file::status(handle.host()?, raw::STATX_BASIC_STATS | raw::STATX_BTIME)?;
        super::status::convert(&status, self.owner, None)
    }

    fn change(&self, handle: &Handle, changes: &Changes) -> Result<(), Errno> {
        super::status::apply(handle.host()?, self.owner, changes)
    }

    fn allocate(&self, handle: &Handle, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        let number = |v: u64| i64::try_from(v).map_err(|_| Errno::EFBIG);
        host::file::allocate(handle.host()?, mode, number(offset)?, number(len)?)
    }

    fn sync(&self, handle: &Handle, data_only: bool) -> Result<(), Errno> {
        host::file::sync(handle.host()?, data_only)
    }

    fn map(
        &self,
        handle: &Handle,
        offset: u64,
        _len: u64,
        shared: bool,
        _writable: bool,
    ) -> Result<Mapped, Errno> {
        let backing = Backing::Host {
            fd: handle.host()?,
            offset,
            shared,
        };
        Ok(Mapped {
            backing,
            pin: None,
            backed: None,
        })
    }

    fn content_key(&self, handle: &Handle) -> Option<u128> {
        let status = host::file::status(handle.host_fd()?, raw::STATX_BASIC_STATS).ok()?;
        let device = device_number(status.stx_dev_major, status.stx_dev_minor);
        let mut key = Mixer::default();
        for part in [
            device,
            status.stx_ino,
            status.stx_size,
            status.stx_mtime.tv_sec as u64,
            u64::from(status.stx_mtime.tv_nsec),
        ] {
            key.add(part);
        }
        Some(key.0)
    }

    fn closed(&self, handle: &Handle, _process: i32) {
        // The host ends record locks when its descriptor closes; duplicates share that one, so
        // here they are ended by hand.
        if self.record_locked.load(Ordering::Relaxed)
            && let Some(fd) = handle.host_fd()
        {
            let all = raw::flock {
                l_type: raw::F_UNLCK as i16,
                l_whence: 0,
                l_start: 0,
                l_len: 0,
                l_pid: 0,
            };
            let _ = host::file::record_lock(fd, raw::F_SETLK, all);
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// FNV-1a with 128 bits: the key of a host file is a hint for reuse of work, never evidence, since
/// whoever can make it collide can as well change the file.
struct Mixer(u128);

impl Default for Mixer {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Mixer {
    fn add(&mut self, part: u64) {
        for byte in part.to_le_bytes() {
            self.0 =
                (self.0 ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
}
