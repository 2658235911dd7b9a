//! The container's first process: it waits for all others and ends the container.

use crate::{raw, regions};
use bannock_platform::Errno;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as sys;

/// Host process id of the supervisor: a container is a PID namespace of its own.
pub const SUPERVISOR: i32 = 1;

/// `__WALL` of wait(2): children whatever their exit signal.
const WALL: usize = 0x4000_0000;

/// What the supervisor saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A host process ended.
    Gone {
        /// Its host process id.
        process: i32,
        /// Exit code, where it exited by itself.
        code: Option<i32>,
    },
    /// Signals arrived from outside, as bits.
    Signals(u64),
    /// No process is left.
    Empty,
}

/// Waits for the next event.
#[must_use]
pub fn wait() -> Event {
    loop {
        let outside = bannock_platform::platform().take_interrupt();
        if outside != 0 {
            return Event::Signals(outside);
        }
        let mut status = 0i32;
        let args = [
            usize::MAX,
            core::ptr::from_mut(&mut status) as usize,
            WALL,
            0,
            0,
            0,
        ];
        // SAFETY: the status is ours.
        let ret =
            unsafe { bannock_platform::platform().host_call_interruptible(sys::__NR_wait4, args) };
        match Errno::check(ret) {
            Ok(process) => {
                let code = (status & 0x7f == 0).then_some(status >> 8 & 0xff);
                return Event::Gone {
                    process: process as i32,
                    code,
                };
            }
            Err(Errno::EINTR) => {}
            Err(_) => return Event::Empty,
        }
    }
}

/// Ends all other processes of the container at once.
pub fn end_all() {
    regions::header().dead.store(1, Ordering::SeqCst);
    // SAFETY: -1 means every process of the PID namespace except the caller, which is its first.
    unsafe {
        raw::syscall(
            sys::__NR_kill,
            [usize::MAX, sys::SIGKILL as usize, 0, 0, 0, 0],
        )
    };
    while wait() != Event::Empty {}
}
