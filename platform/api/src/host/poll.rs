//! Waiting for host descriptors.

use super::{HostFd, blocking, call, time::Timespec};
use crate::Errno;
use alloc::vec::Vec;
use core::mem::size_of;
use linux_raw_sys::general as raw;

/// One descriptor to wait for.
pub type PollFd = raw::pollfd;

/// ppoll(2) without a signal mask; `timeout` is updated to the time left. Entries with a negative
/// descriptor are skipped by the host.
///
/// # Errors
/// What the host said.
pub fn poll(fds: &mut [PollFd], timeout: Option<&mut Timespec>) -> Result<usize, Errno> {
    let pointer = timeout.map_or(0, |t| core::ptr::from_mut(t) as usize);
    let args = [fds.as_mut_ptr() as usize, fds.len(), pointer, 0, 0, 0];
    // SAFETY: the array and the time outlive the call.
    super::counted(unsafe { blocking(raw::__NR_ppoll, args) }, fds.len())
}

/// epoll_create1(2).
///
/// # Errors
/// What the host said.
pub fn epoll() -> Result<HostFd, Errno> {
    // SAFETY: no pointers.
    HostFd::from_return(unsafe { call(raw::__NR_epoll_create1, [0; 6]) }?)
}

/// epoll_ctl(2).
///
/// # Errors
/// What the host said.
pub fn epoll_control(
    epoll: HostFd,
    operation: u32,
    fd: HostFd,
    events: u32,
    data: u64,
) -> Result<(), Errno> {
    let mut event = raw::epoll_event { events, data };
    let args = [
        epoll.arg(),
        operation as usize,
        fd.arg(),
        core::ptr::from_mut(&mut event) as usize,
        0,
        0,
    ];
    // SAFETY: the event outlives the call.
    unsafe { call(raw::__NR_epoll_ctl, args) }.map(drop)
}

/// epoll_pwait2(2) without a signal mask: up to `limit` events as (events, data).
///
/// # Errors
/// What the host said.
pub fn epoll_wait(
    epoll: HostFd,
    limit: usize,
    timeout: Option<Timespec>,
) -> Result<Vec<(u32, u64)>, Errno> {
    let mut events = alloc::vec![raw::epoll_event { events: 0, data: 0 }; limit];
    let pointer = timeout
        .as_ref()
        .map_or(0, |t| core::ptr::from_ref(t) as usize);
    let args = [
        epoll.arg(),
        events.as_mut_ptr() as usize,
        limit,
        pointer,
        0,
        size_of::<u64>(),
    ];
    // SAFETY: the array and the time outlive the call.
    let count = super::counted(unsafe { blocking(raw::__NR_epoll_pwait2, args) }, limit)?;
    Ok(events
        .iter()
        .take(count)
        .map(|e| (e.events, e.data))
        .collect())
}

/// eventfd2(2).
///
/// # Errors
/// What the host said.
pub fn event(initial: u32, flags: u32) -> Result<HostFd, Errno> {
    // SAFETY: no pointers.
    HostFd::from_return(unsafe {
        call(
            raw::__NR_eventfd2,
            [initial as usize, flags as usize, 0, 0, 0, 0],
        )
    }?)
}

/// timerfd_create(2).
///
/// # Errors
/// What the host said.
pub fn timer(clock: i32, flags: u32) -> Result<HostFd, Errno> {
    // SAFETY: no pointers.
    HostFd::from_return(unsafe {
        call(
            raw::__NR_timerfd_create,
            [clock as usize, flags as usize, 0, 0, 0, 0],
        )
    }?)
}

/// timerfd_settime(2): [interval, value]; returns the previous setting.
///
/// # Errors
/// What the host said.
pub fn set_timer(fd: HostFd, flags: u32, setting: [Timespec; 2]) -> Result<[Timespec; 2], Errno> {
    let mut old = [Timespec::default(); 2];
    let args = [
        fd.arg(),
        flags as usize,
        setting.as_ptr() as usize,
        old.as_mut_ptr() as usize,
        0,
        0,
    ];
    // SAFETY: both arrays outlive the call.
    unsafe { call(raw::__NR_timerfd_settime, args) }?;
    Ok(old)
}

/// timerfd_gettime(2): [interval, value].
///
/// # Errors
/// What the host said.
pub fn timer_setting(fd: HostFd) -> Result<[Timespec; 2], Errno> {
    let mut now = [Timespec::default(); 2];
    // SAFETY: the array outlives the call.
    unsafe {
        call(
            raw::__NR_timerfd_gettime,
            [fd.arg(), now.as_mut_ptr() as usize, 0, 0, 0, 0],
        )
    }?;
    Ok(now)
}
