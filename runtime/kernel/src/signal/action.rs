//! What a process does on signals.

use super::{DefaultAction, Signal, SignalSet};
use linux_raw_sys::general as raw;

/// `struct sigaction` of the kernel's interface: handler, flags, restorer, mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// Address of the handler, or 0 for the default, 1 to ignore.
    pub handler: usize,
    /// `SA_*`.
    pub flags: u64,
    /// Where a handler returns to.
    pub restorer: usize,
    /// Blocked while the handler runs.
    pub mask: SignalSet,
}

/// What an action means for a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Nothing happens.
    Ignore,
    /// Terminates, stops or continues, as [`Signal::default`] says.
    Default(DefaultAction),
    /// A handler runs.
    Handle,
}

const DEFAULT: usize = 0;
const IGNORE: usize = 1;

/// Flags that this kernel knows; others are dropped, so that a program that probes for support
/// (`SA_UNSUPPORTED`) learns the truth.
const KNOWN_FLAGS: u64 = (raw::SA_NOCLDSTOP
    | raw::SA_NOCLDWAIT
    | raw::SA_SIGINFO
    | raw::SA_RESTORER
    | raw::SA_ONSTACK
    | raw::SA_RESTART
    | raw::SA_NODEFER
    | raw::SA_RESETHAND) as u64;

impl Action {
    /// From the words of a program.
    #[must_use]
    pub const fn from_words([handler, flags, restorer, mask]: [u64; 4]) -> Self {
        Self {
            handler: handler as usize,
            flags: flags & KNOWN_FLAGS,
            restorer: restorer as usize,
            mask: SignalSet(mask).as_mask(),
        }
    }

    /// As a program sees it.
    #[must_use]
    pub const fn to_words(self) -> [u64; 4] {
        [
            self.handler as u64,
            self.flags,
            self.restorer as u64,
            self.mask.0,
        ]
    }

    /// Whether `SA_*` bit `flag` is set.
    #[must_use]
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag as u64 != 0
    }

    /// What happens on `signal`.
    #[must_use]
    pub const fn disposition(&self, signal: Signal) -> Disposition {
        match self.handler {
            DEFAULT => match signal.default() {
                DefaultAction::Ignore => Disposition::Ignore,
                other => Disposition::Default(other),
            },
            IGNORE => Disposition::Ignore,
            _ => Disposition::Handle,
        }
    }

    /// Whether it is `SIG_IGN`.
    #[must_use]
    pub const fn is_ignore(&self) -> bool {
        self.handler == IGNORE
    }
}

/// The actions of a process, by signal.
#[derive(Clone, Debug)]
pub struct Actions([Action; Signal::MAX as usize]);

impl Default for Actions {
    fn default() -> Self {
        Self([Action::default(); Signal::MAX as usize])
    }
}

impl Actions {
    /// The action for `signal`.
    #[must_use]
    pub fn get(&self, signal: Signal) -> Action {
        self.0.get(signal.index()).copied().unwrap_or_default()
    }

    /// Sets the action for `signal`; returns the old one.
    pub fn set(&mut self, signal: Signal, action: Action) -> Action {
        match self.0.get_mut(signal.index()) {
            Some(slot) => core::mem::replace(slot, action),
            None => Action::default(),
        }
    }

    /// As execve(2) leaves them: handlers become the default, ignored signals stay ignored.
    pub fn reset_for_exec(&mut self) {
        for action in &mut self.0 {
            let handler = if action.is_ignore() { IGNORE } else { DEFAULT };
            *action = Action {
                handler,
                ..Action::default()
            };
        }
    }

    /// Everything to the default (`CLONE_CLEAR_SIGHAND`), ignored signals excepted.
    pub fn clear_handlers(&mut self) {
        self.reset_for_exec();
    }
}
