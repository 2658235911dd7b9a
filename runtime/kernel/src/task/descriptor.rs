//! Processes as files (pidfd_open(2)).

use super::Process;
use crate::fs::{Attributes, Changes, FileOps, Handle, Kind, OpenFile};
use crate::readiness::Readiness;
use alloc::sync::Arc;
use bannock_platform::{Errno, sync::Mutex};
use core::any::Any;
use linux_raw_sys::general as raw;

/// A file that stands for a process, also when its id is another's already.
pub struct ProcessFile {
    /// Nothing while the process is being made.
    process: Mutex<Option<Arc<Process>>>,
}

impl ProcessFile {
    /// An open file for `process`, or for one that is being made.
    #[must_use]
    pub fn open(process: Option<Arc<Process>>, flags: u32) -> Arc<OpenFile> {
        let file = Self {
            process: Mutex::new(process),
        };
        OpenFile::anonymous(file, raw::O_RDWR | flags, b"anon_inode:[pidfd]")
    }

    /// Says which process it stands for.
    pub(super) fn set(&self, process: &Arc<Process>) {
        *self.process.lock() = Some(Arc::clone(process));
    }

    /// The process of `handle`, where it is one of these files and the process has not been waited
    /// for.
    ///
    /// # Errors
    /// `EBADF` for another file, `ESRCH` for a process that is gone.
    pub fn process_of(handle: &Handle) -> Result<Arc<Process>, Errno> {
        let file = handle.file().downcast::<Self>().ok_or(Errno::EBADF)?;
        let process = file.process.lock().clone().ok_or(Errno::ESRCH)?;
        if is_gone(&process) {
            return Err(Errno::ESRCH);
        }
        Ok(process)
    }
}

/// Whether a process has been waited for: its id may be another's.
fn is_gone(process: &Arc<Process>) -> bool {
    process
        .container
        .process(process.id)
        .is_none_or(|now| !Arc::ptr_eq(&now, process))
}

impl FileOps for ProcessFile {
    fn kind(&self) -> Kind {
        Kind::Process
    }

    fn attributes(&self, handle: &Handle) -> Result<Attributes, Errno> {
        Ok(Attributes::without_place(handle.file(), 0o700))
    }

    fn change(&self, _: &Handle, _: &Changes) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn ready(&self) -> u32 {
        let Some(process) = self.process.lock().clone() else {
            return 0;
        };
        if is_gone(&process) {
            raw::POLLIN | raw::POLLRDNORM | raw::POLLHUP
        } else if process.has_ended() {
            raw::POLLIN | raw::POLLRDNORM
        } else {
            0
        }
    }

    fn readiness(&self) -> Option<Arc<Readiness>> {
        let process = self.process.lock();
        process.as_ref().map(|process| Arc::clone(&process.over))
    }

    fn is_watched(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
