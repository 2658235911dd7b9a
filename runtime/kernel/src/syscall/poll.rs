//! poll(2) and select(2).

use super::Argument::{Int, Pointer, Size};
use super::caller::{signal_set, timeout};
use super::{Call, Outcome, Row};
use crate::net::{Deadline, Few, Interest, wait};
use crate::signal::{self, SignalSet};
use alloc::vec::Vec;
use bannock_platform::{Errno, host::time::Timespec, user, user::UserSlice};
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(raw::__NR_poll, "poll", &[Pointer, Size, Int], poll),
    Row::emulated(
        raw::__NR_ppoll,
        "ppoll",
        &[Pointer, Size, Pointer, Pointer, Size],
        ppoll,
    ),
    Row::emulated(
        raw::__NR_select,
        "select",
        &[Int, Pointer, Pointer, Pointer, Pointer],
        select,
    ),
    Row::emulated(
        raw::__NR_pselect6,
        "pselect6",
        &[Int, Pointer, Pointer, Pointer, Pointer, Pointer],
        pselect,
    ),
];

/// Most descriptors of one call (Linux `fs.nr_open`).
const MOST: usize = 1 << 20;

/// What an interrupted wait answers: it is restarted only where no handler runs (signal(7)).
fn interrupted(error: Errno) -> Errno {
    if error == Errno::EINTR {
        Errno::RESTART_NO_HANDLER
    } else {
        error
    }
}

/// Waits for the `struct pollfd`s of arguments 0 and 1.
fn poll_until(call: &Call<'_>, deadline: Deadline, mask: Option<SignalSet>) -> Outcome {
    let (address, count) = (call.word(0), call.word(1));
    if count > call.thread.process.descriptor_limit().min(MOST) {
        return Err(Errno::EINVAL);
    }
    let entries: Few<raw::pollfd> = user::get_many(address, count, MOST)?;
    let interests: Few<Interest> = entries
        .iter()
        .map(|e| Interest {
            fd: e.fd,
            events: e.events as u16,
        })
        .collect();
    let files = &call.thread.process.files;
    let ready = signal::with_mask(call.thread, mask, || wait(files, &interests, deadline))?;
    let mut at = address;
    for (entry, revents) in entries.iter().zip(&ready) {
        user::put(
            at,
            &raw::pollfd {
                revents: *revents as i16,
                ..*entry
            },
        )?;
        at = at
            .checked_add(size_of::<raw::pollfd>())
            .ok_or(Errno::EFAULT)?;
    }
    Ok(ready.iter().filter(|events| **events != 0).count())
}

fn poll(call: &Call<'_>) -> Outcome {
    let timeout = u64::try_from(call.int(2)).ok().map(|ms| ms * 1_000_000);
    let deadline = Deadline::resumed(call.thread, timeout);
    poll_until(call, deadline, None).map_err(|error| {
        // Made again, it waits for what is left of its timeout only.
        if error == Errno::EINTR {
            deadline.keep(call.thread);
        }
        interrupted(error)
    })
}

fn ppoll(call: &Call<'_>) -> Outcome {
    let mask = signal_set(call.word(3), call.word(4))?;
    let deadline = Deadline::after(timeout(call.word(2))?);
    let outcome = poll_until(call, deadline, mask);
    // Best effort: Linux does not fail either where the time left cannot be stored.
    let left = deadline.left().map(Timespec::from_nanos);
    let stored = left.is_none_or(|left| user::put_if(call.word(2), &left).is_ok());
    outcome.map_err(|error| if stored { interrupted(error) } else { error })
}

/// The three sets of select(2): addresses, what they wait for, and what counts for them.
const SETS: [(u16, u16); 3] = [
    // fs/select.c: POLLIN_SET, POLLOUT_SET, POLLEX_SET.
    (
        (raw::POLLIN | raw::POLLRDNORM | raw::POLLRDBAND) as u16,
        (raw::POLLIN | raw::POLLRDNORM | raw::POLLRDBAND | raw::POLLHUP | raw::POLLERR) as u16,
    ),
    (
        (raw::POLLOUT | raw::POLLWRNORM | raw::POLLWRBAND) as u16,
        (raw::POLLOUT | raw::POLLWRNORM | raw::POLLWRBAND | raw::POLLERR) as u16,
    ),
    (raw::POLLPRI as u16, raw::POLLPRI as u16),
];

fn select_until(call: &Call<'_>, deadline: Deadline, mask: Option<SignalSet>) -> Outcome {
    let files = &call.thread.process.files;
    let count = usize::try_from(call.int(0)).map_err(|_| Errno::EINVAL)?;
    // Descriptors beyond those that are open cannot be in a set (select(2), "EBADF").
    let highest = files.numbers().last().map_or(0, |fd| *fd as usize + 1);
    let count = count.min(highest.next_multiple_of(64)).min(MOST);
    let bytes = count.div_ceil(64) * 8;
    let mut sets: [Vec<u8>; 3] = Default::default();
    for (set, index) in sets.iter_mut().zip(1..) {
        let address = call.word(index);
        if address != 0 {
            *set = UserSlice::new(address, bytes)?.to_vec(bytes)?;
        }
    }
    let is_set = |set: &[u8], fd: usize| {
        set.get(fd / 8)
            .is_some_and(|byte| byte >> (fd % 8) & 1 != 0)
    };
    let mut interests: Few<Interest> = Few::new();
    for fd in 0..count {
        let wanted = sets.iter().zip(SETS).filter(|(set, _)| is_set(set, fd));
        let events = wanted.fold(None, |events, (_, (wait_for, _))| {
            Some(events.unwrap_or(0) | wait_for)
        });
        if let Some(events) = events {
            interests.push(Interest {
                fd: i32::try_from(fd).map_err(|_| Errno::EBADF)?,
                events,
            });
        }
    }
    for interest in &interests {
        files.usable(interest.fd)?;
    }
    let ready = signal::with_mask(call.thread, mask, || wait(files, &interests, deadline))?;
    let mut total = 0;
    for ((set, (_, counts)), index) in sets.iter().zip(SETS).zip(1..) {
        if set.is_empty() {
            continue;
        }
        let mut result = alloc::vec![0u8; set.len()];
        for (interest, events) in interests.iter().zip(&ready) {
            let fd = interest.fd as usize;
            if events & counts != 0
                && is_set(set, fd)
                && let Some(byte) = result.get_mut(fd / 8)
            {
                *byte |= 1 << (fd % 8);
                total += 1;
            }
        }
        UserSlice::new(call.word(index), result.len())?.write(&result)?;
    }
    Ok(total)
}

fn select(call: &Call<'_>) -> Outcome {
    let address = call.word(4);
    let timeout = if address == 0 {
        None
    } else {
        let [seconds, microseconds]: [i64; 2] = user::get(address)?;
        // Linux normalises microseconds over a second (fs/select.c, `kern_select`).
        let whole = seconds
            .checked_add(microseconds / 1_000_000)
            .ok_or(Errno::EINVAL)?;
        let time = Timespec {
            seconds: whole,
            nanoseconds: microseconds % 1_000_000 * 1000,
        };
        Some(time.to_nanos()?)
    };
    let deadline = Deadline::after(timeout);
    let outcome = select_until(call, deadline, None);
    let left = deadline.left().map(|left| {
        [
            (left / 1_000_000_000) as i64,
            (left % 1_000_000_000 / 1000) as i64,
        ]
    });
    let stored = left.is_none_or(|left| user::put_if(address, &left).is_ok());
    outcome.map_err(|error| if stored { interrupted(error) } else { error })
}

fn pselect(call: &Call<'_>) -> Outcome {
    let mask = if call.word(5) == 0 {
        None
    } else {
        let [address, size]: [usize; 2] = user::get(call.word(5))?;
        signal_set(address, size)?
    };
    let deadline = Deadline::after(timeout(call.word(4))?);
    let outcome = select_until(call, deadline, mask);
    let left = deadline.left().map(Timespec::from_nanos);
    let stored = left.is_none_or(|left| user::put_if(call.word(4), &left).is_ok());
    outcome.map_err(|error| if stored { interrupted(error) } else { error })
}
