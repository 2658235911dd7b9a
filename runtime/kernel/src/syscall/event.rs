//! Event counters, timers and epoll.

use super::Argument::{Fd, Flags, Int, Pointer, Size};
use super::caller::{closes_on_exec, handle, install, signal_set, timeout};
use super::{Call, Outcome, Row};
use crate::fs::{Handle, Kind, OpenFile};
use crate::net::EpollFile;
use crate::signal::{self, SignalSet};
use alloc::sync::Arc;
use bannock_platform::{
    Errno,
    host::{HostFd, poll, time::Timespec},
    user,
};
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(raw::__NR_eventfd, "eventfd", &[Int], event),
    Row::emulated(raw::__NR_eventfd2, "eventfd2", &[Int, Flags], event2),
    Row::emulated(
        raw::__NR_timerfd_create,
        "timerfd_create",
        &[Int, Flags],
        timer,
    ),
    Row::emulated(
        raw::__NR_timerfd_settime,
        "timerfd_settime",
        &[Fd, Flags, Pointer, Pointer],
        set_timer,
    ),
    Row::emulated(
        raw::__NR_timerfd_gettime,
        "timerfd_gettime",
        &[Fd, Pointer],
        timer_setting,
    ),
    Row::emulated(raw::__NR_epoll_create, "epoll_create", &[Int], epoll),
    Row::emulated(raw::__NR_epoll_create1, "epoll_create1", &[Flags], epoll1),
    Row::emulated(
        raw::__NR_epoll_ctl,
        "epoll_ctl",
        &[Fd, Int, Fd, Pointer],
        epoll_control,
    )
    .with_notes("Two descriptors of one open file count as one: EEXIST. EPOLLWAKEUP is ignored."),
    Row::emulated(
        raw::__NR_epoll_wait,
        "epoll_wait",
        &[Fd, Pointer, Int, Int],
        epoll_wait,
    ),
    Row::emulated(
        raw::__NR_epoll_pwait,
        "epoll_pwait",
        &[Fd, Pointer, Int, Int, Pointer, Size],
        epoll_pwait,
    ),
    Row::emulated(
        raw::__NR_epoll_pwait2,
        "epoll_pwait2",
        &[Fd, Pointer, Int, Pointer, Pointer, Size],
        epoll_pwait2,
    ),
];

/// Status flags that these calls take besides `O_CLOEXEC`.
const NON_BLOCKING: u32 = raw::O_NONBLOCK;

fn new_event(call: &Call<'_>, initial: u32, flags: u32) -> Outcome {
    /// `EFD_SEMAPHORE`.
    const SEMAPHORE: u32 = 1;
    if flags & !(raw::O_CLOEXEC | NON_BLOCKING | SEMAPHORE) != 0 {
        return Err(Errno::EINVAL);
    }
    let host = poll::event(initial, flags & !raw::O_CLOEXEC)?;
    let file = OpenFile::host(Kind::Event, raw::O_RDWR | flags & NON_BLOCKING);
    install(call, file, host, closes_on_exec(flags))
}

fn event(call: &Call<'_>) -> Outcome {
    new_event(call, call.uint(0), 0)
}

fn event2(call: &Call<'_>) -> Outcome {
    new_event(call, call.uint(0), call.uint(1))
}

fn timer(call: &Call<'_>) -> Outcome {
    let (clock, flags) = (call.int(0), call.uint(1));
    let known = matches!(
        u32::try_from(clock),
        Ok(raw::CLOCK_REALTIME | raw::CLOCK_MONOTONIC | raw::CLOCK_BOOTTIME)
    );
    if !known || flags & !(raw::O_CLOEXEC | NON_BLOCKING) != 0 {
        return Err(Errno::EINVAL);
    }
    let host = poll::timer(clock, flags & !raw::O_CLOEXEC)?;
    let file = OpenFile::host(Kind::Timer, raw::O_RDWR | flags & NON_BLOCKING);
    install(call, file, host, closes_on_exec(flags))
}

/// The host descriptor of a timer.
fn timer_of(handle: &Handle) -> Result<HostFd, Errno> {
    if handle.kind() == Kind::Timer {
        handle.host()
    } else {
        Err(Errno::EINVAL)
    }
}

fn set_timer(call: &Call<'_>) -> Outcome {
    let handle = handle(call, 0)?;
    let setting: [Timespec; 2] = user::get(call.word(2))?;
    for time in setting {
        time.to_nanos()?;
    }
    let old = poll::set_timer(timer_of(&handle)?, call.uint(1), setting)?;
    user::put_if(call.word(3), &old)?;
    Ok(0)
}

fn timer_setting(call: &Call<'_>) -> Outcome {
    let handle = handle(call, 0)?;
    user::put(call.word(1), &poll::timer_setting(timer_of(&handle)?)?)?;
    Ok(0)
}

fn new_epoll(call: &Call<'_>, flags: u32) -> Outcome {
    if flags & !raw::O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    let file = EpollFile::open();
    install(call, file, poll::epoll()?, closes_on_exec(flags))
}

fn epoll(call: &Call<'_>) -> Outcome {
    if call.int(0) <= 0 {
        Err(Errno::EINVAL)
    } else {
        new_epoll(call, 0)
    }
}

fn epoll1(call: &Call<'_>) -> Outcome {
    new_epoll(call, call.uint(0))
}

fn epoll_control(call: &Call<'_>) -> Outcome {
    let operation = call.uint(1);
    let (events, data) = match operation {
        raw::EPOLL_CTL_ADD | raw::EPOLL_CTL_MOD => {
            let event: raw::epoll_event = user::get(call.word(3))?;
            (event.events & !raw::EPOLLWAKEUP, event.data)
        }
        raw::EPOLL_CTL_DEL => (0, 0),
        _ => return Err(Errno::EINVAL),
    };
    let epoll = handle(call, 0)?;
    let target = handle(call, 2)?;
    if target.kind().is_always_ready() {
        return Err(Errno::EPERM);
    }
    if Arc::ptr_eq(epoll.file(), target.file()) {
        return Err(Errno::EINVAL);
    }
    EpollFile::of(&epoll)?
        .control(&epoll, operation, (call.int(2), &target), (events, data))
        .map(|()| 0)
}

/// Waits on an epoll instance for at most `timeout` nanoseconds, with other signals blocked.
fn wait(call: &Call<'_>, timeout: Option<u64>, mask: Option<SignalSet>) -> Outcome {
    /// Most events that are fetched at a time; the program asks again for more.
    const MOST: usize = 1024;
    /// Linux `EP_MAX_EVENTS`.
    const LIMIT: usize = i32::MAX as usize / size_of::<raw::epoll_event>();
    let count = usize::try_from(call.int(2))
        .ok()
        .filter(|n| (1..=LIMIT).contains(n))
        .ok_or(Errno::EINVAL)?;
    // Before it waits, and also where there is nothing to tell.
    let size = count.checked_mul(size_of::<raw::epoll_event>());
    user::check_range(call.word(1), size.ok_or(Errno::EFAULT)?)?;
    let handle = handle(call, 0)?;
    let instance = EpollFile::of(&handle)?;
    let host = handle.host()?;
    let events = signal::with_mask(call.thread, mask, || {
        instance.wait(host, count.min(MOST), timeout)
    })?;
    let mut at = call.word(1);
    for (events, data) in &events {
        user::put(
            at,
            &raw::epoll_event {
                events: *events,
                data: *data,
            },
        )?;
        at = at
            .checked_add(size_of::<raw::epoll_event>())
            .ok_or(Errno::EFAULT)?;
    }
    Ok(events.len())
}

/// A timeout in milliseconds; negative ones never come.
fn milliseconds(value: i32) -> Option<u64> {
    u64::try_from(value).ok().map(|ms| ms * 1_000_000)
}

fn epoll_wait(call: &Call<'_>) -> Outcome {
    wait(call, milliseconds(call.int(3)), None)
}

fn epoll_pwait(call: &Call<'_>) -> Outcome {
    let mask = signal_set(call.word(4), call.word(5))?;
    wait(call, milliseconds(call.int(3)), mask)
}

fn epoll_pwait2(call: &Call<'_>) -> Outcome {
    let mask = signal_set(call.word(4), call.word(5))?;
    wait(call, timeout(call.word(3))?, mask)
}
