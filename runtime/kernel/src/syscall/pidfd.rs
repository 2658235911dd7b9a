//! Processes by descriptor.

use super::caller::handle;
use super::signal::{from_caller, may_send, queued};
use super::subject::install;
use super::{Argument::*, Call, Outcome, Row};
use crate::fs::Handle;
use crate::signal::{self, Signal as Number};
use crate::task::{ProcessFile, SUPERVISOR};
use bannock_platform::{Errno, user};
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(
        raw::__NR_pidfd_open,
        "pidfd_open",
        &[Int, Flags],
        pidfd_open,
    )
    .with_notes("PIDFD_NONBLOCK; no PIDFD_THREAD (EINVAL)"),
    Row::emulated(
        raw::__NR_pidfd_send_signal,
        "pidfd_send_signal",
        &[Fd, Signal, Pointer, Flags],
        pidfd_send_signal,
    )
    .with_notes("to the process; flags EINVAL; no descriptors of /proc/PID (EBADF)"),
];

/// `PIDFD_NONBLOCK` (linux/pidfd.h).
const NONBLOCK: u32 = raw::O_NONBLOCK;

fn pidfd_open(call: &Call<'_>) -> Outcome {
    let flags = call.uint(1);
    let id = call.int(0);
    if flags & !NONBLOCK != 0 || id <= 0 {
        return Err(Errno::EINVAL);
    }
    let own = &call.thread.process;
    let target = own.container.process(id).ok_or_else(|| {
        // A thread that is not its process's first.
        if own.container.thread(id).is_some() {
            Errno::EINVAL
        } else {
            Errno::ESRCH
        }
    })?;
    let file = ProcessFile::open(Some(target), flags);
    install(call, Handle::new(file, None, own.id), true)
}

fn pidfd_send_signal(call: &Call<'_>) -> Outcome {
    if call.uint(3) != 0 {
        return Err(Errno::EINVAL);
    }
    let handle = handle(call, 0)?;
    let target = ProcessFile::process_of(&handle)?;
    let signal = Number::optional(call.int(1))?;
    let info = match (signal, call.word(2)) {
        (Some(signal), 0) => Some(from_caller(call, signal, raw::SI_USER as i32)),
        (Some(signal), address) => {
            // The signal is in both places, and has to be the same.
            if user::get::<i32>(address)? != signal.number() {
                return Err(Errno::EINVAL);
            }
            Some(queued(call, target.id, signal, address)?)
        }
        (None, _) => None,
    };
    if target.id == SUPERVISOR || !may_send(call, signal, &target) {
        return Err(Errno::EPERM);
    }
    if let Some(info) = info
        && !target.has_ended()
    {
        signal::send_to_process(&target, info)?;
    }
    Ok(0)
}
