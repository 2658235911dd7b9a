//! The container's first process: it waits for all others and ends the container.

use crate::{raw, regions};
use bannock_platform::Errno;
use core::mem::size_of;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as sys;

/// Host process id of the supervisor: a container is a PID namespace of its own.
pub const SUPERVISOR: i32 = 1;

/// `__WALL` of wait(2): children whatever their exit signal.
const WALL: usize = 0x4000_0000;

/// `si_code` of a child that exited by itself (`CLD_EXITED`).
const EXITED: i32 = sys::CLD_EXITED as i32;

/// `siginfo_t` as waitid(2) fills it for a child (asm-generic/siginfo.h).
#[repr(C)]
struct ChildInfo {
    signal: i32,
    errno: i32,
    code: i32,
    pad: i32,
    process: i32,
    user: u32,
    status: i32,
    rest: [u32; 25],
}

const _: () = assert!(size_of::<ChildInfo>() == 128);

/// What the supervisor saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A host process ended. Its number stays taken until [`reap`].
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

/// Waits for the next event. What ended is only looked at (`WNOWAIT`): its number must not be given
/// to a new process before the kernel knows of the end.
#[must_use]
pub fn wait() -> Event {
    loop {
        let outside = bannock_platform::platform().take_interrupt();
        if outside != 0 {
            return Event::Signals(outside);
        }
        let mut info = ChildInfo {
            signal: 0,
            errno: 0,
            code: 0,
            pad: 0,
            process: 0,
            user: 0,
            status: 0,
            rest: [0; 25],
        };
        let args = [
            sys::P_ALL as usize,
            0,
            core::ptr::from_mut(&mut info) as usize,
            (sys::WEXITED | sys::WNOWAIT) as usize | WALL,
            0,
            0,
        ];
        // SAFETY: the structure is ours and as long as the host's.
        let ret =
            unsafe { bannock_platform::platform().host_call_interruptible(sys::__NR_waitid, args) };
        match Errno::check(ret) {
            Ok(_) => {
                return Event::Gone {
                    process: info.process,
                    code: (info.code == EXITED).then_some(info.status),
                };
            }
            Err(Errno::EINTR) => {}
            Err(_) => return Event::Empty,
        }
    }
}

/// Lets go of the number of a process that ended.
pub fn reap(process: i32) {
    let args = [
        process as isize as usize,
        0,
        WALL | sys::WNOHANG as usize,
        0,
        0,
        0,
    ];
    // SAFETY: nothing is written; the process has ended, so the call does not wait.
    unsafe { raw::syscall(sys::__NR_wait4, args) };
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
    loop {
        match wait() {
            Event::Gone { process, .. } => reap(process),
            Event::Signals(_) => {}
            Event::Empty => return,
        }
    }
}
