//! POSIX timers.

use super::{Argument::*, Call, Outcome, Row};
use crate::signal::Signal as Number;
use crate::task::{Notify, Setting, host_clock};
use alloc::sync::Arc;
use bannock_platform::{Errno, host::time::Timespec, user};
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(
        raw::__NR_timer_create,
        "timer_create",
        &[Int, Pointer, Pointer],
        timer_create,
    )
    .with_notes("SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD_ID; clocks that wake the machine: EPERM"),
    Row::emulated(
        raw::__NR_timer_settime,
        "timer_settime",
        &[Int, Flags, Pointer, Pointer],
        timer_settime,
    ),
    Row::emulated(
        raw::__NR_timer_gettime,
        "timer_gettime",
        &[Int, Pointer],
        timer_gettime,
    ),
    Row::emulated(
        raw::__NR_timer_getoverrun,
        "timer_getoverrun",
        &[Int],
        timer_getoverrun,
    ),
    Row::emulated(raw::__NR_timer_delete, "timer_delete", &[Int], timer_delete),
];

/// How to notify (sigevent(7)).
const SIGEV_SIGNAL: u32 = 0;
const SIGEV_NONE: u32 = 1;
const SIGEV_THREAD_ID: u32 = 4;

/// What the `struct sigevent` at `address` says, and its value.
fn notify(call: &Call<'_>, address: usize) -> Result<(Notify, Option<u64>), Errno> {
    if address == 0 {
        return Ok((Notify::Process(Number::ALRM), None));
    }
    let [value, signal_and_how, thread]: [u64; 3] = user::get(address)?;
    let signal = || Number::new(signal_and_how as u32 as i32);
    let how = (signal_and_how >> 32) as u32;
    Ok((
        match how {
            SIGEV_NONE => Notify::Nothing,
            SIGEV_SIGNAL => Notify::Process(signal()?),
            SIGEV_THREAD_ID => {
                let thread = call.thread.process.thread(thread as u32 as i32);
                Notify::Thread(signal()?, Arc::downgrade(&thread.ok_or(Errno::EINVAL)?))
            }
            _ => return Err(Errno::EINVAL),
        },
        Some(value),
    ))
}

fn timer_create(call: &Call<'_>) -> Outcome {
    let clock = match call.int(0) {
        id if id == raw::CLOCK_REALTIME_ALARM as i32 || id == raw::CLOCK_BOOTTIME_ALARM as i32 => {
            return Err(Errno::EPERM);
        }
        id if [
            raw::CLOCK_MONOTONIC_RAW,
            raw::CLOCK_REALTIME_COARSE,
            raw::CLOCK_MONOTONIC_COARSE,
        ]
        .iter()
        .any(|coarse| *coarse as i32 == id) =>
        {
            return Err(Errno::EOPNOTSUPP);
        }
        // The clock of the calling thread, whoever reads it.
        id if id == raw::CLOCK_THREAD_CPUTIME_ID as i32 => {
            const OF_THREAD: i32 = 6;
            host_clock(call.thread, !call.thread.id << 3 | OF_THREAD)?
        }
        id => host_clock(call.thread, id)?,
    };
    let (notify, value) = notify(call, call.word(1))?;
    let process = &call.thread.process;
    let id = process
        .timers
        .create(clock, notify, value, process.limits.signals())?;
    if let Err(error) = user::put(call.word(2), &id) {
        process.timers.delete(id)?;
        return Err(error);
    }
    Ok(0)
}

fn to_words(setting: Setting) -> [Timespec; 2] {
    [setting.interval, setting.value].map(Timespec::from_nanos)
}

fn timer_settime(call: &Call<'_>) -> Outcome {
    let [interval, value]: [Timespec; 2] = user::get(call.word(2))?;
    let new = Setting {
        interval: interval.to_nanos()?,
        value: value.to_nanos()?,
    };
    let absolute = call.uint(1) & raw::TIMER_ABSTIME != 0;
    let old = call.thread.process.timers.set(call.int(0), absolute, new)?;
    user::put_if(call.word(3), &to_words(old)).map(|()| 0)
}

fn timer_gettime(call: &Call<'_>) -> Outcome {
    let now = call.thread.process.timers.get(call.int(0))?;
    user::put(call.word(1), &to_words(now)).map(|()| 0)
}

fn timer_getoverrun(call: &Call<'_>) -> Outcome {
    let overrun = call.thread.process.timers.overrun(call.int(0))?;
    usize::try_from(overrun).map_err(|_| Errno::EINVAL)
}

fn timer_delete(call: &Call<'_>) -> Outcome {
    call.thread.process.timers.delete(call.int(0)).map(|()| 0)
}
