//! Clocks of the host.

use super::{blocking, call};
use crate::Errno;
use linux_raw_sys::general as raw;

/// `struct timespec`: seconds and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Timespec {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds, 0 to 999 999 999.
    pub nanoseconds: i64,
}
// SAFETY: two integers without padding.
unsafe impl crate::user::Plain for Timespec {}

impl Timespec {
    /// The time span of `nanos` nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self {
            seconds: (nanos / 1_000_000_000) as i64,
            nanoseconds: (nanos % 1_000_000_000) as i64,
        }
    }

    /// Nanoseconds, for valid non-negative times; saturates.
    ///
    /// # Errors
    /// `EINVAL` for negative or out-of-range parts.
    pub fn to_nanos(self) -> Result<u64, Errno> {
        if self.seconds < 0 || !(0..1_000_000_000).contains(&self.nanoseconds) {
            return Err(Errno::EINVAL);
        }
        Ok((self.seconds as u64)
            .saturating_mul(1_000_000_000)
            .saturating_add(self.nanoseconds as u64))
    }
}

/// clock_gettime(2), without a host call where the platform can.
///
/// # Errors
/// `EINVAL` for an unknown clock.
pub fn clock(id: i32) -> Result<Timespec, Errno> {
    if let Some(time) = crate::platform().clock(id) {
        return Ok(time);
    }
    let mut time = Timespec::default();
    let args = [
        id as usize,
        core::ptr::from_mut(&mut time) as usize,
        0,
        0,
        0,
        0,
    ];
    // SAFETY: the structure is ours.
    unsafe { call(raw::__NR_clock_gettime, args) }?;
    Ok(time)
}

/// clock_getres(2).
///
/// # Errors
/// `EINVAL` for an unknown clock.
pub fn resolution(id: i32) -> Result<Timespec, Errno> {
    let mut time = Timespec::default();
    let args = [
        id as usize,
        core::ptr::from_mut(&mut time) as usize,
        0,
        0,
        0,
        0,
    ];
    // SAFETY: the structure is ours.
    unsafe { call(raw::__NR_clock_getres, args) }?;
    Ok(time)
}

/// Nanoseconds of the monotonic clock.
#[must_use]
pub fn monotonic() -> u64 {
    clock(raw::CLOCK_MONOTONIC as i32)
        .and_then(Timespec::to_nanos)
        .unwrap_or(0)
}

/// Sleeps for `time`, or until it where `absolute`; returns the time left on an interrupt.
///
/// # Errors
/// (`EINTR`, time left) on an interrupt, and what else the host said.
pub fn sleep(id: i32, absolute: bool, time: Timespec) -> Result<(), (Errno, Timespec)> {
    let mut left = time;
    let flags = if absolute {
        raw::TIMER_ABSTIME as usize
    } else {
        0
    };
    let args = [
        id as usize,
        flags,
        core::ptr::from_ref(&time) as usize,
        core::ptr::from_mut(&mut left) as usize,
        0,
        0,
    ];
    // SAFETY: both structures outlive the call.
    match unsafe { blocking(raw::__NR_clock_nanosleep, args) } {
        Ok(_) => Ok(()),
        Err(e) => Err((e, left)),
    }
}

/// The host signal that says that a [`Timer`] may have expired: it is for the kernel, not for a
/// program, and says no more than that.
pub const TIMER_SIGNAL: i32 = 63;

/// A timer of the calling host process (timer_create(2)); it ends with the process, and with an exec.
#[derive(Debug, PartialEq, Eq)]
pub struct Timer(i32);

impl Timer {
    /// A timer by `clock` that is not armed. Expiry arrives as [`TIMER_SIGNAL`] among the signals of
    /// [`Platform::take_interrupt`](crate::Platform::take_interrupt).
    ///
    /// # Errors
    /// What the host said.
    pub fn new(clock: i32) -> Result<Self, Errno> {
        /// `struct sigevent`: value, signal, how to notify (0, `SIGEV_SIGNAL`), and padding.
        #[repr(C)]
        struct Event(u64, i32, i32, [u64; 6]);
        let event = Event(0, TIMER_SIGNAL, 0, [0; 6]);
        let mut id = -1i32;
        let args = [
            clock as isize as usize,
            core::ptr::from_ref(&event) as usize,
            core::ptr::from_mut(&mut id) as usize,
            0,
            0,
            0,
        ];
        // SAFETY: both structures outlive the call.
        unsafe { call(raw::__NR_timer_create, args) }?;
        if id < 0 {
            return Err(Errno::EIO);
        }
        Ok(Self(id))
    }

    /// Has the timer expire at `first` (nanoseconds of its clock; 0 for never), and then every
    /// `interval` nanoseconds (0 for once).
    ///
    /// # Errors
    /// What the host said.
    pub fn set(&self, first: u64, interval: u64) -> Result<(), Errno> {
        let setting = [Timespec::from_nanos(interval), Timespec::from_nanos(first)];
        let args = [
            self.0 as usize,
            raw::TIMER_ABSTIME as usize,
            setting.as_ptr() as usize,
            0,
            0,
            0,
        ];
        // SAFETY: the setting outlives the call.
        unsafe { call(raw::__NR_timer_settime, args) }.map(drop)
    }

    /// Ends the timer.
    pub fn delete(self) {
        // SAFETY: no pointers. A timer that is gone already needs no deletion.
        let _ = unsafe { call(raw::__NR_timer_delete, [self.0 as usize, 0, 0, 0, 0, 0]) };
    }
}

/// An interval timer's interval and time left, each as seconds and microseconds (`struct itimerval`).
pub type IntervalSetting = [[i64; 2]; 2];

/// setitimer(2): seconds and microseconds of interval and first expiry; returns the old setting.
/// Expiry arrives as a signal from outside of the container
/// ([`Platform::take_interrupt`](crate::Platform::take_interrupt)).
///
/// # Errors
/// `EINVAL`.
pub fn set_interval_timer(which: u32, setting: &IntervalSetting) -> Result<IntervalSetting, Errno> {
    let mut old = [[0; 2]; 2];
    let args = [
        which as usize,
        setting.as_ptr() as usize,
        old.as_mut_ptr() as usize,
        0,
        0,
        0,
    ];
    // SAFETY: both structures outlive the call.
    unsafe { call(raw::__NR_setitimer, args) }?;
    Ok(old)
}

/// getitimer(2).
///
/// # Errors
/// `EINVAL`.
pub fn interval_timer(which: u32) -> Result<IntervalSetting, Errno> {
    let mut now = [[0; 2]; 2];
    // SAFETY: the structure is ours.
    unsafe {
        call(
            raw::__NR_getitimer,
            [which as usize, now.as_mut_ptr() as usize, 0, 0, 0, 0],
        )
    }?;
    Ok(now)
}
