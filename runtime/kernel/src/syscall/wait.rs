//! Waiting for children.

use super::{Argument::*, Call, Outcome, Row};
use crate::task::{self, ProcessFile, Select};
use bannock_platform::{Errno, user};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(
        raw::__NR_wait4,
        "wait4",
        &[Int, Pointer, Flags, Pointer],
        wait4,
    ),
    Row::emulated(
        raw::__NR_waitid,
        "waitid",
        &[Int, Int, Pointer, Flags, Pointer],
        waitid,
    )
    .with_notes("P_ALL, P_PID, P_PGID, P_PIDFD"),
];

const ALL: u32 = 0x4000_0000;
const CLONED: u32 = 0x8000_0000;
const THREAD: u32 = 0x2000_0000;
const COMMON: u32 = raw::WNOHANG | raw::WCONTINUED | ALL | CLONED | THREAD;

fn own_group(call: &Call<'_>) -> i32 {
    call.thread.process.group.load(Ordering::Relaxed)
}

fn wait4(call: &Call<'_>) -> Outcome {
    let options = call.uint(2);
    // WUNTRACED is WSTOPPED's number.
    if options & !(COMMON | raw::WSTOPPED) != 0 {
        return Err(Errno::EINVAL);
    }
    let select = match call.int(0) {
        i32::MIN => return Err(Errno::ESRCH),
        -1 => Select::Any,
        0 => Select::Group(own_group(call)),
        group @ ..-1 => Select::Group(-group),
        id => Select::Process(id),
    };
    let Some(change) = task::wait(call.thread, select, options | raw::WEXITED)? else {
        return Ok(0);
    };
    user::put_if(call.word(1), &change.status)?;
    user::put_if(call.word(3), change.usage.words())?;
    Ok(change.child.id as usize)
}

fn waitid(call: &Call<'_>) -> Outcome {
    let options = call.uint(3);
    let events = raw::WEXITED | raw::WSTOPPED | raw::WCONTINUED;
    if options & !(COMMON | events | raw::WNOWAIT) != 0 || options & events == 0 {
        return Err(Errno::EINVAL);
    }
    let id = call.int(1);
    let mut options = options;
    let mut never_waits = false;
    let select = match call.uint(0) {
        raw::P_PIDFD if id >= 0 => {
            let handle = call.thread.process.files.usable(id)?;
            let file = handle.file();
            never_waits = options & raw::WNOHANG == 0 && file.flags() & raw::O_NONBLOCK != 0;
            if never_waits {
                options |= raw::WNOHANG;
            }
            match ProcessFile::process_of(&handle) {
                // One that was waited for is nobody's child.
                Err(Errno::ESRCH) => return Err(Errno::ECHILD),
                other => Select::Process(other?.id),
            }
        }
        raw::P_ALL => Select::Any,
        raw::P_PID if id > 0 => Select::Process(id),
        raw::P_PGID if id >= 0 => Select::Group(if id == 0 { own_group(call) } else { id }),
        _ => return Err(Errno::EINVAL),
    };
    let mut found = task::wait(call.thread, select, options);
    if never_waits && found == Ok(None) {
        found = Err(Errno::EAGAIN);
    }
    // Linux fills the information in whether or not there is any, unless the call is made again.
    if found == Err(Errno::RESTART) {
        return Err(Errno::RESTART);
    }
    let mut info = [0u64; 16];
    if let Ok(Some(change)) = &found {
        info = *crate::signal::Info::child(crate::signal::Signal::CHLD, &change.child).words();
        user::put_if(call.word(4), change.usage.words())?;
    }
    // Linux writes the first 28 bytes only, up to `si_status`.
    if call.word(2) != 0 {
        let [first, second, third, fourth, ..] = info;
        user::put(call.word(2), &[first, second, third])?;
        user::put(
            call.word(2).checked_add(24).ok_or(Errno::EFAULT)?,
            &(fourth as u32),
        )?;
    }
    found.map(|_| 0)
}
