//! Clocks, sleeping, interval timers.

use super::{Argument::*, Call, Outcome, Row};
use crate::signal;
use bannock_platform::{Errno, host::time, host::time::Timespec, user};
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(
        raw::__NR_clock_gettime,
        "clock_gettime",
        &[Int, Pointer],
        clock_gettime,
    ),
    Row::emulated(
        raw::__NR_clock_getres,
        "clock_getres",
        &[Int, Pointer],
        clock_getres,
    ),
    Row::emulated(
        raw::__NR_clock_settime,
        "clock_settime",
        &[Int, Pointer],
        clock_settime,
    )
    .with_notes("the clock is the host's: EPERM"),
    Row::refused(
        raw::__NR_settimeofday,
        "settimeofday",
        "the clock is the host's",
    ),
    Row::emulated(
        raw::__NR_gettimeofday,
        "gettimeofday",
        &[Pointer, Pointer],
        gettimeofday,
    )
    .with_notes("the time zone is always UTC"),
    Row::emulated(raw::__NR_time, "time", &[Pointer], time_call),
    Row::emulated(
        raw::__NR_nanosleep,
        "nanosleep",
        &[Pointer, Pointer],
        nanosleep,
    ),
    Row::emulated(
        raw::__NR_clock_nanosleep,
        "clock_nanosleep",
        &[Int, Flags, Pointer, Pointer],
        clock_nanosleep,
    ),
    Row::emulated(raw::__NR_alarm, "alarm", &[Size], alarm),
    Row::emulated(
        raw::__NR_setitimer,
        "setitimer",
        &[Int, Pointer, Pointer],
        setitimer,
    ),
    Row::emulated(raw::__NR_getitimer, "getitimer", &[Int, Pointer], getitimer),
    Row::refused(raw::__NR_adjtimex, "adjtimex", "the clock is the host's"),
    Row::refused(
        raw::__NR_clock_adjtime,
        "clock_adjtime",
        "the clock is the host's",
    ),
];

const REALTIME: i32 = raw::CLOCK_REALTIME as i32;
const MONOTONIC: i32 = raw::CLOCK_MONOTONIC as i32;

/// A clock that a program may name, as the host knows it.
fn clock(call: &Call<'_>, index: usize) -> Result<i32, Errno> {
    crate::task::host_clock(call.thread, call.int(index))
}

fn clock_gettime(call: &Call<'_>) -> Outcome {
    user::put(call.word(1), &time::clock(clock(call, 0)?)?).map(|()| 0)
}

fn clock_getres(call: &Call<'_>) -> Outcome {
    user::put_if(call.word(1), &time::resolution(clock(call, 0)?)?).map(|()| 0)
}

fn gettimeofday(call: &Call<'_>) -> Outcome {
    let now = time::clock(REALTIME)?;
    user::put_if(call.word(0), &[now.seconds, now.nanoseconds / 1000])?;
    user::put_if(call.word(1), &[0i32; 2]).map(|()| 0)
}

fn time_call(call: &Call<'_>) -> Outcome {
    let now = time::clock(REALTIME)?.seconds;
    user::put_if(call.word(0), &now)?;
    Ok(now as usize)
}

/// Sleeps on `clock` until `deadline` in nanoseconds.
fn sleep_until(call: &Call<'_>, clock: i32, deadline: u64) -> Result<(), Errno> {
    loop {
        match time::sleep(clock, true, Timespec::from_nanos(deadline)) {
            Ok(()) => return Ok(()),
            Err((Errno::EINTR, _)) if !signal::interrupted(call.thread) => {}
            Err((Errno::EINTR, _)) => return Err(Errno::EINTR),
            Err((error, _)) => return Err(error),
        }
    }
}

fn sleep_for(call: &Call<'_>, clock: i32, span: u64, left_to: usize) -> Outcome {
    let deadline = match call.thread.take_deadline() {
        // The call is made again after an interruption without a handler.
        Some(deadline) => deadline,
        None => time::clock(clock)?.to_nanos()?.saturating_add(span),
    };
    match sleep_until(call, clock, deadline) {
        Err(Errno::EINTR) => {
            let left = deadline.saturating_sub(time::clock(clock)?.to_nanos()?);
            user::put_if(left_to, &Timespec::from_nanos(left))?;
            call.thread.keep_deadline(deadline);
            Err(Errno::RESTART_NO_HANDLER)
        }
        other => other.map(|()| 0),
    }
}

fn nanosleep(call: &Call<'_>) -> Outcome {
    let span = user::get::<Timespec>(call.word(0))?.to_nanos()?;
    sleep_for(call, MONOTONIC, span, call.word(1))
}

fn clock_nanosleep(call: &Call<'_>) -> Outcome {
    let clock = clock(call, 0)?;
    let absolute = match call.uint(1) {
        0 => false,
        raw::TIMER_ABSTIME => true,
        _ => return Err(Errno::EINVAL),
    };
    let span = user::get::<Timespec>(call.word(2))?.to_nanos()?;
    if absolute {
        return match sleep_until(call, clock, span) {
            Err(Errno::EINTR) => Err(Errno::RESTART_NO_HANDLER),
            other => other.map(|()| 0),
        };
    }
    // A change of the wall clock does not change how long a relative sleep takes (clock_nanosleep(2)).
    let clock = if clock == REALTIME { MONOTONIC } else { clock };
    sleep_for(call, clock, span, call.word(3))
}

fn timer(call: &Call<'_>) -> Result<u32, Errno> {
    match call.uint(0) {
        which @ (raw::ITIMER_REAL | raw::ITIMER_VIRTUAL | raw::ITIMER_PROF) => Ok(which),
        _ => Err(Errno::EINVAL),
    }
}

fn alarm(call: &Call<'_>) -> Outcome {
    let [_, [seconds, micros]] =
        time::set_interval_timer(raw::ITIMER_REAL, &[[0, 0], [i64::from(call.uint(0)), 0]])?;
    // As Linux: rounded, but never to "no alarm" where there was one.
    let rounds_up = micros >= 500_000 || seconds == 0 && micros > 0;
    Ok(seconds as usize + usize::from(rounds_up))
}

fn setitimer(call: &Call<'_>) -> Outcome {
    let which = timer(call)?;
    let setting: [[i64; 2]; 2] = match call.word(1) {
        0 => [[0; 2]; 2],
        address => user::get(address)?,
    };
    let old = time::set_interval_timer(which, &setting)?;
    user::put_if(call.word(2), &old).map(|()| 0)
}

fn getitimer(call: &Call<'_>) -> Outcome {
    user::put(call.word(1), &time::interval_timer(timer(call)?)?).map(|()| 0)
}

/// No clock can be set; which error that is depends on whether Linux could set it.
fn clock_settime(call: &Call<'_>) -> Outcome {
    if call.uint(0) != raw::CLOCK_REALTIME {
        return Err(Errno::EINVAL);
    }
    user::get::<Timespec>(call.word(1))?;
    Err(Errno::EPERM)
}
