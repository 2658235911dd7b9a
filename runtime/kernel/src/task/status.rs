//! How processes end, and what they used.

use crate::signal::Signal;
use bannock_platform::{host, host::time::Timespec};
use linux_raw_sys::general as raw;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// With a code.
    Exited(u8),
    /// By a signal.
    Killed(Signal),
}

impl ExitStatus {
    /// As wait(2) shows it.
    #[must_use]
    pub const fn to_wait(self) -> i32 {
        match self {
            Self::Exited(code) => (code as i32) << 8,
            Self::Killed(signal) => signal.number(),
        }
    }

    /// `si_code` and `si_status` as waitid(2) shows them.
    #[must_use]
    pub const fn to_info(self) -> (i32, i32) {
        match self {
            Self::Exited(code) => (raw::CLD_EXITED as i32, code as i32),
            Self::Killed(signal) => (raw::CLD_KILLED as i32, signal.number()),
        }
    }

    /// As a shell shows it (`$?`).
    #[must_use]
    pub const fn to_shell(self) -> i32 {
        match self {
            Self::Exited(code) => code as i32,
            Self::Killed(signal) => 128 + signal.number(),
        }
    }
}

/// `struct rusage` as words (getrusage(2)): times as seconds and microseconds, largest resident set
/// in KiB, then counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage([i64; 18]);

/// Words of the two times.
const TIMES: usize = 4;
/// Word of the largest resident set.
const RESIDENT: usize = 4;
const MICROSECONDS: i64 = 1_000_000;

impl Usage {
    /// What the calling process (`RUSAGE_SELF`) or thread (`RUSAGE_THREAD`) used; nothing where the
    /// host does not say.
    #[must_use]
    pub fn of_caller(who: i32) -> Self {
        let Ok(u) = host::process::usage(who) else {
            return Self::default();
        };
        Self([
            u.ru_utime.tv_sec,
            u.ru_utime.tv_usec,
            u.ru_stime.tv_sec,
            u.ru_stime.tv_usec,
            u.ru_maxrss,
            u.ru_ixrss,
            u.ru_idrss,
            u.ru_isrss,
            u.ru_minflt,
            u.ru_majflt,
            u.ru_nswap,
            u.ru_inblock,
            u.ru_oublock,
            u.ru_msgsnd,
            u.ru_msgrcv,
            u.ru_nsignals,
            u.ru_nvcsw,
            u.ru_nivcsw,
        ])
    }

    /// Both together; the resident set is the larger one.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let mut sum = self;
        for (index, (to, from)) in sum.0.iter_mut().zip(other.0).enumerate() {
            *to = if index == RESIDENT {
                (*to).max(from)
            } else {
                to.saturating_add(from)
            };
        }
        for time in sum.0.chunks_exact_mut(2).take(TIMES / 2) {
            if let [seconds, micros] = time {
                *seconds = seconds.saturating_add(*micros / MICROSECONDS);
                *micros %= MICROSECONDS;
            }
        }
        sum
    }

    /// As programs see it.
    #[must_use]
    pub const fn words(&self) -> &[i64; 18] {
        &self.0
    }

    /// User and system time in clock ticks of 10 ms.
    #[must_use]
    pub const fn ticks(&self) -> [i64; 2] {
        let w = &self.0;
        [
            w[0].saturating_mul(100).saturating_add(w[1] / 10_000),
            w[2].saturating_mul(100).saturating_add(w[3] / 10_000),
        ]
    }

    /// User and system time together.
    #[must_use]
    pub fn time(&self) -> Timespec {
        let micros = self.0[1] + self.0[3];
        Timespec {
            seconds: self.0[0]
                .saturating_add(self.0[2])
                .saturating_add(micros / MICROSECONDS),
            nanoseconds: micros % MICROSECONDS * 1000,
        }
    }
}
