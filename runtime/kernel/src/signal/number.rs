//! Signal numbers and sets of them.

use bannock_platform::Errno;
use linux_raw_sys::general as raw;

/// A signal number, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signal(u8);

/// What a signal does without a handler (signal(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// The process ends.
    Terminate,
    /// The process ends, and Linux may write a core dump; this kernel never does, because it would
    /// hold the program's secrets.
    Core,
    /// Nothing happens.
    Ignore,
    /// The process stops.
    Stop,
    /// A stopped process goes on.
    Continue,
}

macro_rules! signals {
    ($($name:ident)*) => { impl Signal { $(
        #[doc = concat!("`SIG", stringify!($name), "`.")]
        pub const $name: Self = Self(paste_number!($name) as u8);
    )* } };
}
macro_rules! paste_number {
    (HUP) => {
        raw::SIGHUP
    };
    (ILL) => {
        raw::SIGILL
    };
    (XFSZ) => {
        raw::SIGXFSZ
    };
    (TRAP) => {
        raw::SIGTRAP
    };
    (BUS) => {
        raw::SIGBUS
    };
    (FPE) => {
        raw::SIGFPE
    };
    (KILL) => {
        raw::SIGKILL
    };
    (SEGV) => {
        raw::SIGSEGV
    };
    (ALRM) => {
        raw::SIGALRM
    };
    (TERM) => {
        raw::SIGTERM
    };
    (CHLD) => {
        raw::SIGCHLD
    };
    (CONT) => {
        raw::SIGCONT
    };
    (STOP) => {
        raw::SIGSTOP
    };
    (TSTP) => {
        raw::SIGTSTP
    };
    (TTIN) => {
        raw::SIGTTIN
    };
    (TTOU) => {
        raw::SIGTTOU
    };
    (VTALRM) => {
        raw::SIGVTALRM
    };
    (PROF) => {
        raw::SIGPROF
    };
    (SYS) => {
        raw::SIGSYS
    };
    (PIPE) => {
        raw::SIGPIPE
    };
    (INT) => {
        raw::SIGINT
    };
    (QUIT) => {
        raw::SIGQUIT
    };
    (WINCH) => {
        raw::SIGWINCH
    };
}
signals! {
    HUP INT QUIT ILL TRAP BUS FPE KILL SEGV PIPE ALRM TERM CHLD CONT STOP TSTP TTIN TTOU VTALRM PROF WINCH SYS XFSZ
}

impl Signal {
    /// Largest number (`_NSIG`).
    pub const MAX: u8 = 64;

    /// The signal `number`.
    ///
    /// # Errors
    /// `EINVAL` outside of 1 to 64.
    pub fn new(number: i32) -> Result<Self, Errno> {
        match u8::try_from(number) {
            Ok(n @ 1..=Self::MAX) => Ok(Self(n)),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Like [`Self::new`], with 0 for "only check" (kill(2)).
    ///
    /// # Errors
    /// `EINVAL` outside of 0 to 64.
    pub fn optional(number: i32) -> Result<Option<Self>, Errno> {
        if number == 0 {
            Ok(None)
        } else {
            Self::new(number).map(Some)
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0 as i32
    }

    /// Place in an array of all signals.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }

    /// Whether several instances queue up (signal(7), real-time signals).
    #[must_use]
    pub const fn is_real_time(self) -> bool {
        self.0 >= raw::SIGRTMIN as u8
    }

    /// Whether a terminal sends it to its foreground process group.
    #[must_use]
    pub const fn is_of_terminal(self) -> bool {
        matches!(
            self.0 as u32,
            raw::SIGINT | raw::SIGQUIT | raw::SIGTSTP | raw::SIGWINCH
        )
    }

    /// What happens without a handler.
    #[must_use]
    pub const fn default(self) -> DefaultAction {
        match self.0 as u32 {
            raw::SIGCHLD | raw::SIGURG | raw::SIGWINCH => DefaultAction::Ignore,
            raw::SIGCONT => DefaultAction::Continue,
            raw::SIGSTOP | raw::SIGTSTP | raw::SIGTTIN | raw::SIGTTOU => DefaultAction::Stop,
            raw::SIGQUIT
            | raw::SIGILL
            | raw::SIGTRAP
            | raw::SIGABRT
            | raw::SIGBUS
            | raw::SIGFPE
            | raw::SIGSEGV
            | raw::SIGXCPU
            | raw::SIGXFSZ
            | raw::SIGSYS => DefaultAction::Core,
            _ => DefaultAction::Terminate,
        }
    }
}

/// A set of signals, as programs pass it: bit n-1 for signal n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// No signal.
    pub const EMPTY: Self = Self(0);
    /// What cannot be blocked.
    pub const UNBLOCKABLE: Self = Self::EMPTY.with(Signal::KILL).with(Signal::STOP);
    /// What stops a process by default.
    pub const STOPS: Self = Self::EMPTY
        .with(Signal::STOP)
        .with(Signal::TSTP)
        .with(Signal::TTIN)
        .with(Signal::TTOU);
    /// What the processor raises; delivered before others (Linux `SYNCHRONOUS_MASK`).
    pub const SYNCHRONOUS: Self = Self::EMPTY
        .with(Signal::SEGV)
        .with(Signal::BUS)
        .with(Signal::ILL)
        .with(Signal::TRAP)
        .with(Signal::FPE)
        .with(Signal::SYS);

    /// The set and `signal`.
    #[must_use]
    pub const fn with(self, signal: Signal) -> Self {
        Self(self.0 | 1 << signal.index())
    }

    /// The set without `signal`.
    #[must_use]
    pub const fn without(self, signal: Signal) -> Self {
        Self(self.0 & !(1 << signal.index()))
    }

    /// Whether `signal` is in the set.
    #[must_use]
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & (1 << signal.index()) != 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is here and not in `other`.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set as a mask: without what cannot be blocked.
    #[must_use]
    pub const fn as_mask(self) -> Self {
        self.minus(Self::UNBLOCKABLE)
    }

    /// The signal to deliver first: synchronous ones, then by number.
    #[must_use]
    pub fn first(self) -> Option<Signal> {
        let urgent = self.intersection(Self::SYNCHRONOUS);
        let from = if urgent.is_empty() { self } else { urgent };
        Signal::new(from.0.trailing_zeros() as i32 + 1).ok()
    }

    /// All signals of the set, ascending.
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        (1..=Signal::MAX)
            .map(Signal)
            .filter(move |signal| self.contains(*signal))
    }
}
