//! Futexes. The words are the program's, so the host does the work.

use super::{Argument::*, Call, Outcome, Row};
use crate::signal;
use bannock_platform::{
    Errno,
    host::{self, FutexArgument, time, time::Timespec},
    user::{self, UserSlice},
};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(
        raw::__NR_futex,
        "futex",
        &[Pointer, Int, Size, Pointer, Pointer, Size],
        futex,
    )
    .with_notes("without priority inheritance (ENOSYS)"),
    Row::emulated(
        raw::__NR_set_robust_list,
        "set_robust_list",
        &[Pointer, Size],
        set_robust_list,
    ),
    Row::emulated(
        raw::__NR_get_robust_list,
        "get_robust_list",
        &[Int, Pointer, Pointer],
        get_robust_list,
    ),
    Row::absent(
        raw::__NR_futex_waitv,
        "futex_waitv",
        "callers fall back to futex",
    ),
    Row::absent(
        raw::__NR_futex_wake,
        "futex_wake",
        "callers fall back to futex",
    ),
    Row::absent(
        raw::__NR_futex_wait,
        "futex_wait",
        "callers fall back to futex",
    ),
    Row::absent(
        raw::__NR_futex_requeue,
        "futex_requeue",
        "callers fall back to futex",
    ),
    Row::absent(
        raw::__NR_rseq,
        "rseq",
        "callers work without restartable sequences",
    ),
];

/// `sizeof(struct robust_list_head)`.
const ROBUST_HEAD: usize = 24;

fn word(address: usize) -> Result<UserSlice, Errno> {
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    UserSlice::new(address, 4)
}

fn futex(call: &Call<'_>) -> Outcome {
    let op = call.uint(1);
    let known = raw::FUTEX_PRIVATE_FLAG | raw::FUTEX_CLOCK_REALTIME;
    let first = word(call.word(0))?;
    let none = UserSlice::new(0, 0)?;
    let value = call.uint(2);
    let count = FutexArgument::Value(call.uint(3));
    match op & !known {
        raw::FUTEX_WAIT | raw::FUTEX_WAIT_BITSET => wait(call, op, first),
        raw::FUTEX_WAKE => host::user_futex(first, op, value, FutexArgument::Value(0), none, 0),
        raw::FUTEX_WAKE_BITSET => host::user_futex(
            first,
            op,
            value,
            FutexArgument::Value(0),
            none,
            call.uint(5),
        ),
        raw::FUTEX_REQUEUE | raw::FUTEX_CMP_REQUEUE | raw::FUTEX_WAKE_OP => {
            host::user_futex(first, op, value, count, word(call.word(4))?, call.uint(5))
        }
        _ => Err(Errno::ENOSYS),
    }
}

fn wait(call: &Call<'_>, op: u32, word: UserSlice) -> Outcome {
    let absolute =
        op & !(raw::FUTEX_PRIVATE_FLAG | raw::FUTEX_CLOCK_REALTIME) == raw::FUTEX_WAIT_BITSET;
    let real = op & raw::FUTEX_CLOCK_REALTIME != 0;
    if real && !absolute {
        // FUTEX_WAIT takes the monotonic clock; Linux answers ENOSYS.
        return Err(Errno::ENOSYS);
    }
    let bits = if absolute {
        call.uint(5)
    } else {
        raw::FUTEX_BITSET_MATCH_ANY
    };
    let timeout = match call.word(3) {
        0 => None,
        address => Some(user::get::<Timespec>(address)?.to_nanos()?),
    };
    // A relative timeout goes on where it was when the call is made again.
    let deadline = match timeout {
        Some(span) if !absolute => Some(
            call.thread
                .take_deadline()
                .unwrap_or_else(|| time::monotonic().saturating_add(span)),
        ),
        other => other,
    };
    let flags = op & (raw::FUTEX_PRIVATE_FLAG | raw::FUTEX_CLOCK_REALTIME);
    let none = UserSlice::new(0, 0)?;
    loop {
        let until = FutexArgument::Timeout(deadline.map(Timespec::from_nanos));
        match host::user_futex(
            word,
            raw::FUTEX_WAIT_BITSET | flags,
            call.uint(2),
            until,
            none,
            bits,
        ) {
            Err(Errno::EINTR) if !signal::interrupted(call.thread) => {}
            Err(Errno::EINTR) => {
                return match deadline {
                    Some(deadline) if !absolute => {
                        call.thread.keep_deadline(deadline);
                        Err(Errno::RESTART_NO_HANDLER)
                    }
                    _ => Err(Errno::RESTART),
                };
            }
            other => return other,
        }
    }
}

fn set_robust_list(call: &Call<'_>) -> Outcome {
    if call.word(1) != ROBUST_HEAD {
        return Err(Errno::EINVAL);
    }
    call.thread
        .robust_list
        .store(call.word(0), Ordering::Relaxed);
    Ok(0)
}

fn get_robust_list(call: &Call<'_>) -> Outcome {
    let list = match call.int(0) {
        0 => call.thread.robust_list.load(Ordering::Relaxed),
        id => {
            let process = &call.thread.process;
            let thread = process.container.thread(id).ok_or(Errno::ESRCH)?;
            if thread.process.id != process.id {
                return Err(Errno::EPERM);
            }
            thread.robust_list.load(Ordering::Relaxed)
        }
    };
    user::put(call.word(2), &ROBUST_HEAD)?;
    user::put(call.word(1), &list).map(|()| 0)
}
