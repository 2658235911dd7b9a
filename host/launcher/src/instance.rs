//! A started instance.

use bannock_wire::launch::Isolation;
use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How an instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited {
        /// Exit code.
        code: u8,
    },
    /// By a signal.
    Killed {
        /// Signal number.
        signal: u8,
    },
}

/// A started instance; dropping it kills it, and with it its whole PID namespace.
///
/// The launcher's own death does not: nothing here asks the kernel for that.
#[derive(Debug)]
pub struct Instance {
    pid: i32,
    pidfd: OwnedFd,
    measurement: [u8; 32],
    isolation: Isolation,
    ended: Option<Ended>,
}

impl Instance {
    pub(crate) const fn new(pid: i32, pidfd: OwnedFd, measurement: [u8; 32]) -> Self {
        Self {
            pid,
            pidfd,
            measurement,
            isolation: Isolation::NONE,
            ended: None,
        }
    }

    pub(crate) const fn set_isolation(&mut self, isolation: Isolation) {
        self.isolation = isolation;
    }

    /// Process id of its first process in the launcher's PID namespace.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// SHA-256 of its image.
    #[must_use]
    pub const fn measurement(&self) -> [u8; 32] {
        self.measurement
    }

    /// The isolation that was read back from the kernel.
    #[must_use]
    pub const fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Sends signal `number` (1 to 64) to its first process.
    ///
    /// # Errors
    /// The kernel's error; `EINVAL` for numbers that are no signals.
    pub fn signal(&self, number: u8) -> Result<(), Errno> {
        if !(1..=64).contains(&number) {
            return Err(Errno::INVAL);
        }
        // SAFETY: the number is in the range of signals. Which ones glibc keeps for itself (32 and
        // 33) is of no concern to another process.
        let signal = unsafe { Signal::from_raw_unchecked(i32::from(number)) };
        pidfd_send_signal(&self.pidfd, signal)
    }

    /// Kills it, and with its first process everything in its PID namespace.
    pub fn kill(&self) {
        // The only possible failure is that it is gone already.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Waits for its end, which is remembered.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn wait(&mut self) -> Result<Ended, Errno> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        loop {
            let status = match waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(status)) => status,
                Ok(None) | Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
            };
            let small = |number: Option<i32>| number.and_then(|n| u8::try_from(n).ok());
            let ended = if let Some(code) = small(status.exit_status()) {
                Ended::Exited { code }
            } else if let Some(signal) = small(status.terminating_signal()) {
                Ended::Killed { signal }
            } else {
                return Err(Errno::IO);
            };
            self.ended = Some(ended);
            return Ok(ended);
        }
    }

    /// Whether it has ended, without waiting.
    pub(crate) fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::PidFd(self.pidfd.as_fd()), options), Ok(None))
    }
}

impl AsFd for Instance {
    /// The descriptor of its first process: readable once it has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
            let _ = self.wait();
        }
    }
}
