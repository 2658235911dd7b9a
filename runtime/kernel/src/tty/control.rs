//! Sessions, their terminals, and who may use them when (credentials(7), tty_ioctl(4)).

use super::pty::Pty;
use crate::signal::{self, Disposition, Info, Signal};
use crate::task::{Container, Process, Thread};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
};
use bannock_platform::{Errno, sync::Mutex, user};
use core::sync::atomic::Ordering;
use linux_raw_sys::{general as raw, ioctl};

/// What a terminal knows of job control.
pub struct JobControl {
    state: Mutex<State>,
    /// The pseudo-terminal that it belongs to; none for the host's.
    pty: Weak<Pty>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// The session whose controlling terminal it is; 0 for none.
    session: i32,
    /// The foreground process group; 0 for none.
    foreground: i32,
}

/// The controlling terminals of sessions.
pub struct Sessions {
    terminals: Mutex<BTreeMap<i32, Arc<JobControl>>>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            terminals: Mutex::new(BTreeMap::new()),
        }
    }
}

impl Default for JobControl {
    /// That of a terminal of the host.
    fn default() -> Self {
        Self {
            state: Mutex::new(State::default()),
            pty: Weak::new(),
        }
    }
}

fn session(process: &Process) -> i32 {
    process.session.load(Ordering::Relaxed)
}

fn group(process: &Process) -> i32 {
    process.group.load(Ordering::Relaxed)
}

/// Sends `signal` to a process group, as the kernel.
fn send(container: &Container, group: i32, signal: Signal) {
    if group > 0 {
        for process in container.group(group) {
            if !process.has_ended() {
                // The limit does not concern standard signals.
                let _ = signal::send_to_process(&process, Info::kernel(signal));
            }
        }
    }
}

/// Whether nobody is left in the session who could continue a stopped process of `group`: no member
/// has a parent of another group in the same session (POSIX.1-2017, 3.264).
pub(crate) fn is_orphaned(container: &Container, group_id: i32) -> bool {
    container.group(group_id).iter().all(|member| {
        let parent = container.process(member.parent.load(Ordering::Relaxed));
        member.has_ended()
            || parent.is_none_or(|parent| {
                parent.id == crate::task::SUPERVISOR
                    || group(&parent) == group_id
                    || session(&parent) != session(member)
            })
    })
}

impl Sessions {
    /// The controlling terminal of a session.
    #[must_use]
    pub fn terminal(&self, session: i32) -> Option<Arc<JobControl>> {
        self.terminals.lock().get(&session).cloned()
    }

    /// Gives session `session` a controlling terminal with `foreground` in the foreground.
    pub fn attach(&self, session: i32, terminal: &Arc<JobControl>, foreground: i32) {
        *terminal.state.lock() = State {
            session,
            foreground,
        };
        self.terminals.lock().insert(session, Arc::clone(terminal));
    }

    /// Takes the controlling terminal away from a session, which learns of it where it `hangs_up`:
    /// `SIGHUP` and `SIGCONT` for the foreground group.
    pub(crate) fn detach(&self, container: &Container, session: i32, hangs_up: bool) {
        let Some(terminal) = self.terminals.lock().remove(&session) else {
            return;
        };
        let before = core::mem::take(&mut *terminal.state.lock());
        if hangs_up {
            send(container, before.foreground, Signal::HUP);
            send(container, before.foreground, Signal::CONT);
        }
    }
}

impl JobControl {
    /// That of a pseudo-terminal.
    pub(super) fn of(pty: Weak<Pty>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::default()),
            pty,
        })
    }

    /// The pseudo-terminal; `None` for a terminal of the host.
    pub(super) fn pty(&self) -> Option<Arc<Pty>> {
        self.pty.upgrade()
    }

    /// The foreground process group, where a session has the terminal.
    #[must_use]
    pub fn foreground(&self) -> Option<i32> {
        let state = *self.state.lock();
        (state.session != 0).then_some(state.foreground)
    }

    /// Sends `signal` to the foreground process group.
    pub(super) fn signal(&self, container: &Container, signal: Signal) {
        let foreground = self.state.lock().foreground;
        send(container, foreground, signal);
    }

    /// The terminal is gone: its session's leader and foreground group learn of it.
    pub(super) fn hang_up(&self, container: &Container) {
        let state = *self.state.lock();
        if state.session == 0 {
            return;
        }
        if let Some(leader) = container.process(state.session) {
            for signal in [Signal::HUP, Signal::CONT] {
                let _ = signal::send_to_process(&leader, Info::kernel(signal));
            }
        }
        let leads = |g: i32| {
            container
                .process(state.session)
                .is_some_and(|l| group(&l) == g)
        };
        container
            .sessions
            .detach(container, state.session, !leads(state.foreground));
    }

    /// Checks that the calling thread may use the terminal now: `signal` stops its process group
    /// where that is in the background (`SIGTTIN` for reading, `SIGTTOU` for changing).
    ///
    /// # Errors
    /// [`Errno::RESTART`] where the group was signalled; `EIO` where that would be of no use.
    pub fn check(&self, thread: &Arc<Thread>, signal: Signal) -> Result<(), Errno> {
        let process = &thread.process;
        let state = *self.state.lock();
        let own = group(process);
        if state.session != session(process) || state.foreground == own || state.foreground == 0 {
            return Ok(());
        }
        let ignored = thread.blocks(signal)
            || process
                .signals
                .lock()
                .actions
                .get(signal)
                .disposition(signal)
                == Disposition::Ignore;
        if ignored {
            return if signal == Signal::TTIN {
                Err(Errno::EIO)
            } else {
                Ok(())
            };
        }
        if is_orphaned(&process.container, own) {
            return Err(Errno::EIO);
        }
        send(&process.container, own, signal);
        Err(Errno::RESTART)
    }

    /// Makes the terminal the controlling one of the caller's session, as opening it does: where the
    /// caller leads a session that has none, and no session has the terminal.
    pub(super) fn adopt(self: &Arc<Self>, thread: &Thread) {
        let process = &thread.process;
        let sessions = &process.container.sessions;
        let free = self.state.lock().session == 0;
        if free && session(process) == process.id && sessions.terminal(process.id).is_none() {
            sessions.attach(process.id, self, group(process));
        }
    }

    /// ioctl(2) requests of job control; `None` for others. `on_slave` says whether the descriptor is
    /// the terminal itself, rather than a pseudo-terminal's master.
    ///
    /// # Errors
    /// As tty_ioctl(4).
    pub fn ioctl(
        self: &Arc<Self>,
        thread: &Arc<Thread>,
        request: u32,
        argument: usize,
        on_slave: bool,
    ) -> Option<Result<usize, Errno>> {
        Some(match request {
            ioctl::TIOCGPGRP => self
                .own(thread, on_slave)
                .and_then(|state| user::put(argument, &state.foreground).map(|()| 0)),
            ioctl::TIOCGSID => self.own(thread, on_slave).and_then(|state| {
                if state.session == 0 {
                    return Err(Errno::ENOTTY);
                }
                user::put(argument, &state.session).map(|()| 0)
            }),
            ioctl::TIOCSPGRP => self.set_foreground(thread, argument, on_slave).map(|()| 0),
            ioctl::TIOCSCTTY if on_slave => self.take(thread, argument).map(|()| 0),
            ioctl::TIOCNOTTY if on_slave => self.give_up(thread).map(|()| 0),
            _ => return None,
        })
    }

    /// The state, where the terminal is the caller's controlling one or is asked from the other side.
    fn own(&self, thread: &Thread, on_slave: bool) -> Result<State, Errno> {
        let state = *self.state.lock();
        if on_slave && state.session != session(&thread.process) {
            return Err(Errno::ENOTTY);
        }
        Ok(state)
    }

    fn set_foreground(
        &self,
        thread: &Arc<Thread>,
        argument: usize,
        on_slave: bool,
    ) -> Result<(), Errno> {
        let state = self.own(thread, on_slave)?;
        if state.session == 0 || state.session != session(&thread.process) {
            return Err(Errno::ENOTTY);
        }
        self.check(thread, Signal::TTOU)?;
        let wanted: i32 = user::get(argument)?;
        if wanted < 0 {
            return Err(Errno::EINVAL);
        }
        let members = thread.process.container.group(wanted);
        match members.first() {
            None => return Err(Errno::ESRCH),
            Some(member) if session(member) != state.session => return Err(Errno::EPERM),
            Some(_) => {}
        }
        self.state.lock().foreground = wanted;
        Ok(())
    }

    /// `TIOCSCTTY`; with an argument of 1, user 0 may take the terminal from another session.
    fn take(self: &Arc<Self>, thread: &Thread, argument: usize) -> Result<(), Errno> {
        let process = &thread.process;
        let sessions = &process.container.sessions;
        let state = *self.state.lock();
        let own = session(process);
        if own == process.id && state.session == own {
            return Ok(());
        }
        if own != process.id || sessions.terminal(own).is_some() {
            return Err(Errno::EPERM);
        }
        if state.session != 0 {
            if argument != 1 || !process.is_privileged() {
                return Err(Errno::EPERM);
            }
            sessions.detach(&process.container, state.session, false);
        }
        sessions.attach(own, self, group(process));
        Ok(())
    }

    /// `TIOCNOTTY`. The whole session gives its terminal up with its leader; others keep it.
    fn give_up(&self, thread: &Thread) -> Result<(), Errno> {
        let process = &thread.process;
        let own = session(process);
        if self.state.lock().session != own {
            return Err(Errno::ENOTTY);
        }
        if own == process.id {
            process
                .container
                .sessions
                .detach(&process.container, own, true);
        }
        Ok(())
    }
}

/// The process groups that may be orphaned by the end of `process`: its own and those of its
/// children.
pub(crate) fn groups_around(process: &Process) -> BTreeSet<i32> {
    let children = process.container.children(process.id);
    let of_children = children.iter().map(|child| group(child));
    of_children.chain([group(process)]).collect()
}

/// What a process leaves behind in its session when it has ended: a session without a leader loses
/// its terminal, and stopped process groups, of `groups`, that nobody can continue any more are told
/// so (`SIGHUP`, `SIGCONT`).
pub(crate) fn after_end(process: &Process, groups: BTreeSet<i32>) {
    let container = &process.container;
    if session(process) == process.id {
        container.sessions.detach(container, process.id, true);
    }
    for id in groups {
        let members = container.group(id);
        let stopped = members.iter().any(|m| m.is_stopped() && !m.has_ended());
        if stopped && is_orphaned(container, id) {
            send(container, id, Signal::HUP);
            send(container, id, Signal::CONT);
        }
    }
}

/// `struct winsize` (tty_ioctl(4)): rows, columns, and pixels.
pub(super) type WindowSize = [u16; 4];

/// Length of [`WindowSize`] in the program's memory.
pub(super) const WINDOW_SIZE: usize = 8;

const _: () = assert!(raw::NCCS == 19);
