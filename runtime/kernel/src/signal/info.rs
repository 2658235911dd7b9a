//! `siginfo_t`.

use super::Signal;
use linux_raw_sys::general as raw;

/// What is known about one instance of a signal: `siginfo_t` of 128 bytes (asm-generic/siginfo.h),
/// as words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    signal: Signal,
    words: [u64; 16],
    /// The timer that it is from, where it is from the kernel.
    timer: Option<i32>,
}

/// How a child changed, for `SIGCHLD` and waitid(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildChange {
    /// The child's process id.
    pub id: i32,
    /// Its user id.
    pub uid: u32,
    /// `CLD_*`.
    pub code: i32,
    /// Exit code or signal number.
    pub status: i32,
    /// User and system time in clock ticks of 10 ms.
    pub times: [i64; 2],
}

const fn pair(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

impl Info {
    /// A signal with `si_code` and no further information.
    #[must_use]
    pub const fn new(signal: Signal, code: i32) -> Self {
        let mut words = [0; 16];
        words[0] = pair(signal.number() as u32, 0);
        words[1] = pair(code as u32, 0);
        Self {
            signal,
            words,
            timer: None,
        }
    }

    /// A signal that the kernel raises (`SI_KERNEL`).
    #[must_use]
    pub const fn kernel(signal: Signal) -> Self {
        Self::new(signal, raw::SI_KERNEL as i32)
    }

    /// A signal that process `id` of user `uid` sends; `code` is `SI_USER` or `SI_TKILL`.
    #[must_use]
    pub const fn from_process(signal: Signal, code: i32, id: i32, uid: u32) -> Self {
        let mut info = Self::new(signal, code);
        info.words[2] = pair(id as u32, uid);
        info
    }

    /// An exception at `address`.
    #[must_use]
    pub const fn fault(signal: Signal, code: i32, address: usize) -> Self {
        let mut info = Self::new(signal, code);
        info.words[2] = address as u64;
        info
    }

    /// A change of a child; `signal` is `SIGCHLD` or what clone(2) asked for.
    #[must_use]
    pub const fn child(signal: Signal, change: &ChildChange) -> Self {
        let mut info = Self::new(signal, change.code);
        info.words[2] = pair(change.id as u32, change.uid);
        info.words[3] = pair(change.status as u32, 0);
        info.words[4] = change.times[0] as u64;
        info.words[5] = change.times[1] as u64;
        info
    }

    /// An expiry of timer `id`, with the program's `value`.
    #[must_use]
    pub const fn timer(signal: Signal, id: i32, value: u64) -> Self {
        let mut info = Self::new(signal, raw::SI_TIMER);
        info.words[2] = pair(id as u32, 0);
        info.words[3] = value;
        info.timer = Some(id);
        info
    }

    /// The timer that the signal is from.
    #[must_use]
    pub const fn timer_id(&self) -> Option<i32> {
        self.timer
    }

    /// The same expiry, standing for `overrun` further ones.
    #[must_use]
    pub const fn with_overrun(mut self, overrun: i32) -> Self {
        self.words[2] = pair(self.words[2] as u32, overrun as u32);
        self
    }

    /// What a program passes to rt_sigqueueinfo(2), with the number of the call.
    #[must_use]
    pub const fn from_words(signal: Signal, mut words: [u64; 16]) -> Self {
        words[0] = pair(signal.number() as u32, (words[0] >> 32) as u32);
        Self {
            signal,
            words,
            timer: None,
        }
    }

    /// The signal.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.signal
    }

    /// `si_code`.
    #[must_use]
    pub const fn code(&self) -> i32 {
        self.words[1] as i32
    }

    /// As programs see it.
    #[must_use]
    pub const fn words(&self) -> &[u64; 16] {
        &self.words
    }
}
