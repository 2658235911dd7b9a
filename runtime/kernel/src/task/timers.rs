//! POSIX timers of a process (timer_create(2)).
//!
//! The kernel keeps when a timer expires and what happens then; the host only wakes the process
//! ([`host::time::Timer`]), and what it says is checked against the clock.

use super::{Process, Thread};
use crate::signal::{self, Info, Signal};
use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    vec::Vec,
};
use bannock_platform::{
    Errno,
    host::{self, time},
    sync::Mutex,
};
use linux_raw_sys::general as raw;

/// What happens when a timer expires.
#[derive(Clone)]
pub enum Notify {
    /// Nothing (`SIGEV_NONE`).
    Nothing,
    /// The process gets a signal (`SIGEV_SIGNAL`).
    Process(Signal),
    /// A thread of the process gets a signal (`SIGEV_THREAD_ID`).
    Thread(Signal, Weak<Thread>),
}

/// When a timer expires, in nanoseconds: interval (0 for once) and the time until then (0 where it
/// is not armed).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Time between expiries.
    pub interval: u64,
    /// Time until the next one.
    pub value: u64,
}

struct Timer {
    /// The clock, as the host knows it.
    clock: i32,
    /// What wakes the process; none where nothing happens on expiry.
    host: Option<host::time::Timer>,
    notify: Notify,
    /// The program's own word (`sigev_value`); its timer's id where it gave none.
    value: u64,
    interval: u64,
    /// Next expiry in nanoseconds of the clock; 0 where it is not armed.
    next: u64,
    /// Expiries since the signal that waits was sent.
    missed: u64,
    /// What timer_getoverrun(2) answers.
    overrun: i32,
}

impl Timer {
    /// Counts expiries up to `now` and moves on to the next one.
    fn expire(&mut self, now: u64) -> u64 {
        if self.next == 0 || now < self.next {
            return 0;
        }
        match (now - self.next).checked_div(self.interval) {
            Some(further) => {
                let count = further.saturating_add(1);
                self.next = self
                    .next
                    .saturating_add(count.saturating_mul(self.interval));
                count
            }
            None => {
                self.next = 0;
                1
            }
        }
    }
}

/// The timers of a process.
pub struct Timers(Mutex<Table>);

impl Default for Timers {
    fn default() -> Self {
        Self(Mutex::new(Table::default()))
    }
}

#[derive(Default)]
struct Table {
    timers: BTreeMap<i32, Timer>,
    next: i32,
}

/// Nanoseconds of a clock of the host; 0 where it is gone, as that of an ended thread.
fn read(clock: i32) -> u64 {
    time::clock(clock)
        .and_then(time::Timespec::to_nanos)
        .unwrap_or(0)
}

impl Timers {
    /// A new timer by `clock` (as the host knows it), not armed; at most `limit` of them
    /// (`RLIMIT_SIGPENDING`). Without `value`, signals carry the timer's id.
    ///
    /// # Errors
    /// `EAGAIN` over the limit, and what the host said.
    pub fn create(
        &self,
        clock: i32,
        notify: Notify,
        value: Option<u64>,
        limit: usize,
    ) -> Result<i32, Errno> {
        let host = match notify {
            Notify::Nothing => None,
            _ => Some(host::time::Timer::new(clock)?),
        };
        let mut table = self.0.lock();
        if table.timers.len() >= limit {
            drop(table);
            if let Some(host) = host {
                host.delete();
            }
            return Err(Errno::EAGAIN);
        }
        let id = table.next;
        table.next = table.next.checked_add(1).unwrap_or(0);
        table.timers.insert(
            id,
            Timer {
                clock,
                host,
                notify,
                value: value.unwrap_or(id as u64),
                interval: 0,
                next: 0,
                missed: 0,
                overrun: 0,
            },
        );
        Ok(id)
    }

    fn with<R>(
        &self,
        id: i32,
        act: impl FnOnce(&mut Timer) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let mut table = self.0.lock();
        act(table.timers.get_mut(&id).ok_or(Errno::EINVAL)?)
    }

    /// timer_gettime(2).
    ///
    /// # Errors
    /// `EINVAL` for an unknown timer.
    pub fn get(&self, id: i32) -> Result<Setting, Errno> {
        self.with(id, |timer| Ok(timer.setting()))
    }

    /// timer_settime(2): arms the timer, from now on or at a time of its clock, or disarms it;
    /// returns the old setting.
    ///
    /// # Errors
    /// `EINVAL` for an unknown timer, and what the host said.
    pub fn set(&self, id: i32, absolute: bool, new: Setting) -> Result<Setting, Errno> {
        self.with(id, |timer| {
            let old = timer.setting();
            let next = match new.value {
                0 => 0,
                at if absolute => at,
                span => read(timer.clock).saturating_add(span).max(1),
            };
            if let Some(host) = &timer.host {
                host.set(next, new.interval)?;
            }
            timer.next = next;
            timer.interval = new.interval;
            timer.missed = 0;
            timer.overrun = 0;
            Ok(old)
        })
    }

    /// timer_getoverrun(2).
    ///
    /// # Errors
    /// `EINVAL` for an unknown timer.
    pub fn overrun(&self, id: i32) -> Result<i32, Errno> {
        self.with(id, |timer| Ok(timer.overrun))
    }

    /// timer_delete(2).
    ///
    /// # Errors
    /// `EINVAL` for an unknown timer.
    pub fn delete(&self, id: i32) -> Result<(), Errno> {
        let removed = self.0.lock().timers.remove(&id).ok_or(Errno::EINVAL)?;
        if let Some(host) = removed.host {
            host.delete();
        }
        Ok(())
    }

    /// Forgets all timers: the host's end with an exec.
    pub fn clear(&self) {
        self.0.lock().timers.clear();
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.lock().timers.is_empty()
    }

    /// The signal of a timer is about to be delivered: returns how many expiries it stands for besides
    /// the first.
    pub(crate) fn delivered(&self, id: i32) -> i32 {
        self.with(id, |timer| {
            let missed = core::mem::take(&mut timer.missed);
            timer.overrun = i32::try_from(missed).unwrap_or(i32::MAX);
            Ok(timer.overrun)
        })
        .unwrap_or(0)
    }
}

impl Timer {
    fn setting(&mut self) -> Setting {
        let now = read(self.clock);
        if self.host.is_none() {
            // Nobody else counts the expiries of a timer that tells nobody.
            self.expire(now);
        }
        let value = match self.next {
            0 => 0,
            // Expired, and about to be noticed.
            next => next.saturating_sub(now).max(1),
        };
        Setting {
            interval: self.interval,
            value,
        }
    }
}

/// Sends the signals of all timers of `process` that have expired.
pub(crate) fn expire(process: &Arc<Process>) {
    expire_by(process, read);
}

fn expire_by(process: &Arc<Process>, clock: impl Fn(i32) -> u64) {
    let due: Vec<(i32, u64, u64, Notify)> = {
        let mut table = process.timers.0.lock();
        let expired = |(id, timer): (&i32, &mut Timer)| match timer.expire(clock(timer.clock)) {
            0 => {
                // The host was early: it is asked again, since it forgets what has expired.
                if let (Some(host), 0, true) = (&timer.host, timer.interval, timer.next != 0) {
                    let _ = host.set(timer.next, 0);
                }
                None
            }
            count => Some((*id, count, timer.value, timer.notify.clone())),
        };
        table.timers.iter_mut().filter_map(expired).collect()
    };
    for (id, count, value, notify) in due {
        let sent = match &notify {
            Notify::Nothing => continue,
            Notify::Process(signal) => {
                signal::send_timer(process, None, Info::timer(*signal, id, value))
            }
            Notify::Thread(signal, thread) => match thread.upgrade() {
                Some(thread) => {
                    signal::send_timer(process, Some(&thread), Info::timer(*signal, id, value))
                }
                None => continue,
            },
        };
        // The signal stands for one expiry; those that find it waiting are overruns.
        let missed = if sent { count - 1 } else { count };
        let _ = process.timers.with(id, |timer| {
            timer.missed = timer.missed.saturating_add(missed);
            Ok(())
        });
    }
}

/// The host's number for a clock that a program names: the clocks of processes and threads carry ids
/// of the container (Linux `MAKE_PROCESS_CPUCLOCK`).
///
/// # Errors
/// `EINVAL` for clocks that are not there, and those of descriptors.
pub fn host_clock(thread: &Thread, clock: i32) -> Result<i32, Errno> {
    const PER_THREAD: i32 = 4;
    const KIND: i32 = 3;
    if (0..=raw::CLOCK_TAI as i32).contains(&clock) {
        return Ok(clock);
    }
    if clock >= 0 || clock & KIND == KIND {
        return Err(Errno::EINVAL);
    }
    let id = !(clock >> 3);
    let process = &thread.process;
    let container = &process.container;
    let host = if clock & PER_THREAD != 0 {
        let target = if id == 0 {
            process.thread(thread.id)
        } else {
            process.thread(id)
        };
        target.ok_or(Errno::EINVAL)?.host_ids().1
    } else if id == 0 || id == process.id {
        thread.host_ids().0
    } else {
        let other = container.process(id).ok_or(Errno::EINVAL)?;
        other.first_thread().ok_or(Errno::EINVAL)?.host_ids().0
    };
    if host <= 0 {
        return Err(Errno::EINVAL);
    }
    Ok(!host << 3 | clock & (PER_THREAD | KIND))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{FsContext, Mounts};
    use crate::signal::{SignalSet, take};
    use crate::task::Container;

    fn thread() -> Arc<Thread> {
        bannock_platform::hosted::install();
        let container = Container::new();
        let mounts = Mounts::new(Vec::new(), &container.cache).unwrap();
        let process = Process::new(7, container, FsContext::new(mounts));
        let thread = Arc::new(Thread::new(7, Arc::clone(&process)));
        process.add_thread(&thread);
        thread
    }

    /// A timer that the host would not wake anybody for.
    fn timer(process: &Process, notify: Notify, interval: u64, next: u64) -> i32 {
        let id = process
            .timers
            .create(raw::CLOCK_MONOTONIC as i32, Notify::Nothing, Some(9), 8)
            .unwrap();
        let armed = |timer: &mut Timer| {
            (timer.notify, timer.interval, timer.next) = (notify, interval, next);
            Ok(())
        };
        process.timers.with(id, armed).unwrap();
        id
    }

    #[test]
    fn expiries_that_find_their_signal_waiting_are_overruns() {
        let thread = thread();
        let process = &thread.process;
        crate::signal::set_mask(&thread, SignalSet(u64::MAX));
        let signal = Signal::new(34).unwrap();
        let id = timer(process, Notify::Process(signal), 10, 100);
        expire_by(process, |_| 99);
        assert!(take(&thread, SignalSet(u64::MAX)).is_none());
        expire_by(process, |_| 125);
        expire_by(process, |_| 130);
        let info = take(&thread, SignalSet(u64::MAX)).unwrap();
        assert_eq!((info.signal(), info.code()), (signal, raw::SI_TIMER));
        assert_eq!(info.words()[2], id as u64 | 3 << 32, "id and overrun");
        assert_eq!(info.words()[3], 9);
        assert_eq!(process.timers.overrun(id), Ok(3));
        assert!(take(&thread, SignalSet(u64::MAX)).is_none());
        expire_by(process, |_| 140);
        assert_eq!(
            take(&thread, SignalSet(u64::MAX)).unwrap().words()[2],
            id as u64
        );
        assert_eq!(process.timers.overrun(id), Ok(0));
    }

    #[test]
    fn a_timer_without_interval_expires_once_and_for_its_thread() {
        let thread = thread();
        let process = &thread.process;
        crate::signal::set_mask(&thread, SignalSet(u64::MAX));
        let notify = Notify::Thread(Signal::ALRM, Arc::downgrade(&thread));
        timer(process, notify, 0, 100);
        for _ in 0..2 {
            expire_by(process, |_| 1000);
        }
        assert!(process.signals.lock().pending.set().is_empty());
        assert!(take(&thread, SignalSet(u64::MAX)).is_some());
        assert!(take(&thread, SignalSet(u64::MAX)).is_none());
    }

    #[test]
    fn settings_show_what_is_left() {
        let thread = thread();
        let timers = &thread.process.timers;
        let clock = raw::CLOCK_MONOTONIC as i32;
        let id = timers.create(clock, Notify::Nothing, None, 1).unwrap();
        assert_eq!(
            timers.create(clock, Notify::Nothing, None, 1),
            Err(Errno::EAGAIN)
        );
        let hour = 3_600_000_000_000;
        let new = Setting {
            interval: 5,
            value: hour,
        };
        assert_eq!(timers.set(id, false, new), Ok(Setting::default()));
        let now = timers.get(id).unwrap();
        assert!(now.interval == 5 && now.value > hour / 2 && now.value <= hour);
        // A time that has passed: the next expiry is at most one interval away.
        let past = Setting {
            interval: hour,
            value: 1,
        };
        timers.set(id, true, past).unwrap();
        let left = timers.get(id).unwrap().value;
        assert!(left > 0 && left <= hour);
        assert_eq!(timers.delete(id), Ok(()));
        assert_eq!(timers.get(id), Err(Errno::EINVAL));
    }

    #[test]
    fn clocks_of_threads_and_processes_go_by_the_containers_ids() {
        let thread = thread();
        thread.set_host_ids((500, 501));
        let clock = |id: i32, rest: i32| host_clock(&thread, !id << 3 | rest);
        assert_eq!(clock(7, 2), Ok(!500 << 3 | 2));
        assert_eq!(clock(7, 6), Ok(!501 << 3 | 6));
        assert_eq!(clock(0, 6), Ok(!501 << 3 | 6));
        for (id, rest) in [(500, 2), (501, 6), (7, 3), (8, 6)] {
            assert_eq!(clock(id, rest), Err(Errno::EINVAL), "{id} {rest}");
        }
        assert_eq!(host_clock(&thread, 1), Ok(1));
        assert_eq!(host_clock(&thread, 12), Err(Errno::EINVAL));
    }
}
