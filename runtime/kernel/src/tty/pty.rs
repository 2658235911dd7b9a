//! Pseudo-terminals (pty(7)).

use super::control::{JobControl, WindowSize};
use super::discipline::{Discipline, Effects};
use crate::readiness::Readiness;
use crate::task::Container;
use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    vec::Vec,
};
use bannock_platform::{Errno, host::time, sync::Mutex};
use linux_raw_sys::general as raw;

/// Most pseudo-terminals of a container (Linux `kernel.pty.max`).
const MOST: u32 = 4096;
/// Bytes that a write hands over at a time.
pub(super) const CHUNK: usize = 4096;
/// A tenth of a second, the unit of `VTIME`, in nanoseconds.
const TENTH: u64 = 100_000_000;

/// A pseudo-terminal.
pub(super) struct Pty {
    pub(super) number: u32,
    /// User that made it, to whom it belongs.
    pub(super) user: u32,
    pub(super) control: Arc<JobControl>,
    pub(super) readiness: Arc<Readiness>,
    state: Mutex<State>,
    table: Weak<PtyTable>,
}

struct State {
    discipline: Discipline,
    size: WindowSize,
    /// Open slaves.
    slaves: usize,
    /// Whether a slave has ever been open.
    used: bool,
    /// Whether the master is open.
    master: bool,
    /// Slaves cannot be opened yet (`TIOCSPTLCK`).
    locked: bool,
    /// Reads of the master say what is data (`TIOCPKT`).
    packets: bool,
}

/// The pseudo-terminals of a container.
pub(super) struct PtyTable {
    open: Mutex<BTreeMap<u32, Arc<Pty>>>,
}

impl Default for PtyTable {
    fn default() -> Self {
        Self {
            open: Mutex::new(BTreeMap::new()),
        }
    }
}

impl PtyTable {
    /// Makes a pseudo-terminal with an open master, for `user`.
    ///
    /// # Errors
    /// `ENOSPC` when there are too many.
    pub(super) fn create(self: &Arc<Self>, user: u32) -> Result<Arc<Pty>, Errno> {
        let mut open = self.open.lock();
        let number = (0..MOST)
            .find(|number| !open.contains_key(number))
            .ok_or(Errno::ENOSPC)?;
        let pty = Arc::new_cyclic(|weak| Pty {
            number,
            user,
            control: JobControl::of(Weak::clone(weak)),
            readiness: Arc::new(Readiness::new()),
            state: Mutex::new(State {
                discipline: Discipline::default(),
                size: WindowSize::default(),
                slaves: 0,
                used: false,
                master: true,
                locked: true,
                packets: false,
            }),
            table: Arc::downgrade(self),
        });
        open.insert(number, Arc::clone(&pty));
        Ok(pty)
    }

    pub(super) fn get(&self, number: u32) -> Option<Arc<Pty>> {
        self.open.lock().get(&number).cloned()
    }

    pub(super) fn numbers(&self) -> Vec<u32> {
        self.open.lock().keys().copied().collect()
    }
}

/// What a waiting read or write does next.
enum Next<T> {
    Done(T),
    Wait(Option<u64>),
}

impl Pty {
    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.state.lock())
    }

    /// Looks until there is something to return; sleeps in between where `waits`.
    fn wait<T>(
        &self,
        waits: bool,
        mut look: impl FnMut(&mut State, bool) -> Result<Next<T>, Errno>,
    ) -> Result<T, Errno> {
        let mut timed_out = false;
        loop {
            let ticket = self.readiness.ticket();
            let timeout = match self.with(|state| look(state, timed_out))? {
                Next::Done(value) => return Ok(value),
                Next::Wait(timeout) => timeout,
            };
            if !waits {
                return Err(Errno::EAGAIN);
            }
            match self.readiness.sleep(ticket, timeout) {
                Ok(()) => {}
                Err(Errno::ETIMEDOUT) => timed_out = true,
                Err(error) => return Err(error),
            }
        }
    }

    // The slave.

    /// Opens a slave.
    ///
    /// # Errors
    /// `EIO` while the pseudo-terminal is locked, or when its master is gone.
    pub(super) fn open_slave(&self) -> Result<(), Errno> {
        self.with(|state| {
            if state.locked || !state.master {
                return Err(Errno::EIO);
            }
            state.slaves += 1;
            state.used = true;
            Ok(())
        })?;
        self.readiness.changed();
        Ok(())
    }

    pub(super) fn close_slave(&self) {
        self.with(|state| state.slaves -= 1);
        self.readiness.changed();
    }

    /// Reads on the slave, as its settings say; nothing is the end.
    ///
    /// # Errors
    /// `EAGAIN`, `EINTR`.
    pub(super) fn read_slave(&self, len: usize, waits: bool) -> Result<Vec<u8>, Errno> {
        let mut before = 0;
        let taken = self.wait(waits, |state, timed_out| {
            if !state.master {
                return Ok(Next::Done(Vec::new()));
            }
            let discipline = &mut state.discipline;
            let settings = discipline.settings;
            if settings.is_canonical() {
                return Ok(if discipline.has_line() {
                    Next::Done(discipline.take(len))
                } else {
                    Next::Wait(None)
                });
            }
            // Non-canonical mode (termios(3)): MIN bytes, or TIME since the last one.
            let least = usize::from(settings.character(raw::VMIN)).min(len.max(1));
            let time = u64::from(settings.character(raw::VTIME)) * TENTH;
            let readable = discipline.readable();
            let enough = readable >= least.max(1);
            let late = timed_out && readable == before && (least == 0 || readable > 0);
            if enough || late || least == 0 && time == 0 {
                return Ok(Next::Done(discipline.take(len)));
            }
            before = readable;
            let timed = time != 0 && (least == 0 || readable > 0);
            Ok(Next::Wait(timed.then_some(time)))
        })?;
        // There is room for typing again.
        self.readiness.changed();
        Ok(taken)
    }

    /// Writes on the slave, as far as there is room.
    ///
    /// # Errors
    /// `EIO` when the master is gone, `EAGAIN`, `EINTR`.
    pub(super) fn write_slave(&self, bytes: &[u8], waits: bool) -> Result<usize, Errno> {
        self.fed(bytes, waits, |state, bytes| {
            if !state.master {
                return Err(Errno::EIO);
            }
            let count = state.discipline.output_room().min(bytes.len());
            for byte in bytes.iter().take(count) {
                state.discipline.put(*byte);
            }
            Ok(count)
        })
    }

    /// Hands `bytes` over in parts as `feed` takes them.
    fn fed(
        &self,
        bytes: &[u8],
        waits: bool,
        mut feed: impl FnMut(&mut State, &[u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let mut done = 0;
        while let Some(left) = bytes.get(done..).filter(|left| !left.is_empty()) {
            let step = self.wait(waits, |state, _| {
                Ok(match feed(state, left)? {
                    0 => Next::Wait(None),
                    count => Next::Done(count),
                })
            });
            match step {
                Ok(count) => {
                    done += count;
                    self.readiness.changed();
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Events of the slave (`POLL*`).
    pub(super) fn slave_ready(&self) -> u32 {
        self.with(|state| {
            if !state.master {
                return raw::POLLIN | raw::POLLOUT | raw::POLLHUP | raw::POLLERR;
            }
            let discipline = &state.discipline;
            let settings = discipline.settings;
            let readable = if settings.is_canonical() {
                discipline.has_line()
            } else {
                let least = match settings.character(raw::VTIME) {
                    0 => usize::from(settings.character(raw::VMIN)),
                    _ => 1,
                };
                discipline.readable() >= least.max(1)
            };
            let mut events = 0;
            if readable {
                events |= raw::POLLIN | raw::POLLRDNORM;
            }
            if discipline.output_room() > 0 {
                events |= raw::POLLOUT | raw::POLLWRNORM;
            }
            events
        })
    }

    // The master.

    /// Reads on the master what is to be shown.
    ///
    /// # Errors
    /// `EIO` when no slave is open any more, `EAGAIN`, `EINTR`.
    pub(super) fn read_master(&self, len: usize, waits: bool) -> Result<Vec<u8>, Errno> {
        /// `TIOCPKT_DATA`.
        const DATA: u8 = 0;
        let taken = self.wait(waits, |state, _| {
            if state.discipline.shown() > 0 && len > 0 {
                let mut bytes = Vec::new();
                if state.packets {
                    bytes.push(DATA);
                }
                bytes.append(&mut state.discipline.take_output(len - bytes.len()));
                return Ok(Next::Done(bytes));
            }
            if state.used && state.slaves == 0 {
                return Err(Errno::EIO);
            }
            Ok(if len == 0 {
                Next::Done(Vec::new())
            } else {
                Next::Wait(None)
            })
        })?;
        self.readiness.changed();
        Ok(taken)
    }

    /// Types `bytes`, as far as there is room.
    ///
    /// # Errors
    /// `EAGAIN`, `EINTR`.
    pub(super) fn write_master(
        &self,
        bytes: &[u8],
        waits: bool,
        container: Option<&Container>,
    ) -> Result<usize, Errno> {
        self.fed(bytes, waits, |state, bytes| {
            let mut effects = Effects::default();
            let mut count = 0;
            for byte in bytes {
                if state.discipline.room() == 0 {
                    break;
                }
                state.discipline.input(*byte, &mut effects);
                count += 1;
            }
            if let Some(container) = container {
                for signal in effects.signals {
                    self.control.signal(container, signal);
                }
            }
            Ok(count)
        })
    }

    /// Closes the master: the terminal hangs up.
    pub(super) fn close_master(&self, container: Option<&Container>) {
        self.with(|state| {
            state.master = false;
            state.discipline.discard_input();
            state.discipline.discard_output();
        });
        if let Some(table) = self.table.upgrade() {
            table.open.lock().remove(&self.number);
        }
        if let Some(container) = container {
            self.control.hang_up(container);
        }
        self.readiness.changed();
    }

    /// Events of the master (`POLL*`).
    pub(super) fn master_ready(&self) -> u32 {
        self.with(|state| {
            let mut events = 0;
            if state.discipline.shown() > 0 {
                events |= raw::POLLIN | raw::POLLRDNORM;
            }
            if state.discipline.room() > 0 {
                events |= raw::POLLOUT | raw::POLLWRNORM;
            }
            if state.used && state.slaves == 0 {
                events |= raw::POLLHUP;
            }
            events
        })
    }

    // Settings.

    pub(super) fn settings(&self) -> super::Termios {
        self.with(|state| state.discipline.settings)
    }

    /// Takes over a `struct termios` or `struct termios2`; discards what was typed where `flushes`.
    ///
    /// # Errors
    /// `EINVAL` for another length.
    pub(super) fn set_settings(&self, bytes: &[u8], flushes: bool) -> Result<(), Errno> {
        self.with(|state| {
            let mut settings = state.discipline.settings;
            settings.update(bytes)?;
            if flushes {
                state.discipline.discard_input();
            }
            state.discipline.set(settings);
            Ok(())
        })?;
        self.readiness.changed();
        Ok(())
    }

    pub(super) fn size(&self) -> WindowSize {
        self.with(|state| state.size)
    }

    /// Sets the window's size; whether it is another one.
    pub(super) fn set_size(&self, size: WindowSize) -> bool {
        self.with(|state| core::mem::replace(&mut state.size, size) != size)
    }

    pub(super) fn set_locked(&self, locked: bool) {
        self.with(|state| state.locked = locked);
    }

    pub(super) fn is_locked(&self) -> bool {
        self.with(|state| state.locked)
    }

    pub(super) fn set_packets(&self, packets: bool) {
        self.with(|state| state.packets = packets);
    }

    /// Discards what was typed and not read, what was written and not shown, or both.
    pub(super) fn discard(&self, input: bool, output: bool) {
        self.with(|state| {
            if input {
                state.discipline.discard_input();
            }
            if output {
                state.discipline.discard_output();
            }
        });
        self.readiness.changed();
    }

    /// Stops or restarts output.
    pub(super) fn stop(&self, stopped: bool) {
        self.with(|state| state.discipline.stop(stopped));
        self.readiness.changed();
    }

    /// Bytes that a read of the slave, or of the master, would give.
    pub(super) fn waiting(&self, on_slave: bool) -> usize {
        self.with(|state| {
            if on_slave {
                state.discipline.readable()
            } else {
                state.discipline.shown()
            }
        })
    }
}

/// The present, for times of terminals.
pub(super) fn now() -> time::Timespec {
    crate::fs::attributes::now()
}
