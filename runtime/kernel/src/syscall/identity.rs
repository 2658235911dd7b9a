//! Ids of processes, groups, sessions and users.

use super::{Argument::*, Call, Outcome, Row};
use crate::task::{Ids, Process, SUPERVISOR};
use alloc::sync::Arc;
use bannock_platform::{Errno, user};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(raw::__NR_getpid, "getpid", &[], |call| {
        Ok(call.thread.process.id as usize)
    }),
    Row::emulated(raw::__NR_getppid, "getppid", &[], |call| {
        Ok(call.thread.process.parent.load(Ordering::Relaxed) as usize)
    }),
    Row::emulated(raw::__NR_getpgid, "getpgid", &[Int], getpgid),
    Row::emulated(raw::__NR_getpgrp, "getpgrp", &[], |call| {
        Ok(call.thread.process.group.load(Ordering::Relaxed) as usize)
    }),
    Row::emulated(raw::__NR_setpgid, "setpgid", &[Int, Int], setpgid),
    Row::emulated(raw::__NR_getsid, "getsid", &[Int], getsid),
    Row::emulated(raw::__NR_setsid, "setsid", &[], setsid),
    Row::emulated(raw::__NR_getuid, "getuid", &[], |call| {
        Ok(ids(call).user.real as usize)
    }),
    Row::emulated(raw::__NR_geteuid, "geteuid", &[], |call| {
        Ok(ids(call).user.effective as usize)
    }),
    Row::emulated(raw::__NR_getgid, "getgid", &[], |call| {
        Ok(ids(call).group.real as usize)
    }),
    Row::emulated(raw::__NR_getegid, "getegid", &[], |call| {
        Ok(ids(call).group.effective as usize)
    }),
    Row::emulated(
        raw::__NR_getresuid,
        "getresuid",
        &[Pointer, Pointer, Pointer],
        getresuid,
    ),
    Row::emulated(
        raw::__NR_getresgid,
        "getresgid",
        &[Pointer, Pointer, Pointer],
        getresgid,
    ),
    Row::emulated(raw::__NR_setuid, "setuid", &[Size], |call| {
        change(call, |ids, p| ids.user.set(call.uint(0), p))
    }),
    Row::emulated(raw::__NR_setgid, "setgid", &[Size], |call| {
        change(call, |ids, p| ids.group.set(call.uint(0), p))
    }),
    Row::emulated(raw::__NR_setreuid, "setreuid", &[Size, Size], |call| {
        change(call, |ids, p| {
            ids.user.set_pair(call.uint(0), call.uint(1), p)
        })
    }),
    Row::emulated(raw::__NR_setregid, "setregid", &[Size, Size], |call| {
        change(call, |ids, p| {
            ids.group.set_pair(call.uint(0), call.uint(1), p)
        })
    }),
    Row::emulated(
        raw::__NR_setresuid,
        "setresuid",
        &[Size, Size, Size],
        |call| {
            change(call, |ids, p| {
                ids.user
                    .set_all(call.uint(0), call.uint(1), call.uint(2), p)
            })
        },
    ),
    Row::emulated(
        raw::__NR_setresgid,
        "setresgid",
        &[Size, Size, Size],
        |call| {
            change(call, |ids, p| {
                ids.group
                    .set_all(call.uint(0), call.uint(1), call.uint(2), p)
            })
        },
    ),
    Row::emulated(raw::__NR_setfsuid, "setfsuid", &[Size], setfsuid),
    Row::emulated(raw::__NR_setfsgid, "setfsgid", &[Size], setfsgid),
    Row::emulated(raw::__NR_getgroups, "getgroups", &[Int, Pointer], getgroups),
    Row::emulated(raw::__NR_setgroups, "setgroups", &[Int, Pointer], setgroups),
    Row::emulated(raw::__NR_capget, "capget", &[Pointer, Pointer], capget)
        .with_notes("all capabilities for user 0, none for others"),
    Row::emulated(raw::__NR_capset, "capset", &[Pointer, Pointer], capset).with_notes(
        "capabilities go with the user id; only what is held may be asked for, and nothing changes",
    ),
];

/// Largest capability number (`CAP_CHECKPOINT_RESTORE`).
pub(super) const LAST_CAPABILITY: usize = 40;
/// `NGROUPS_MAX`.
const MAX_GROUPS: usize = 65_536;
const CAPABILITY_VERSION_1: u32 = 0x1998_0330;
const CAPABILITY_VERSION_2: u32 = 0x2007_1026;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

fn ids(call: &Call<'_>) -> Ids {
    call.thread.process.ids.lock().clone()
}

fn change(call: &Call<'_>, act: impl FnOnce(&mut Ids, bool) -> Result<(), Errno>) -> Outcome {
    let mut ids = call.thread.process.ids.lock();
    let privileged = ids.is_privileged();
    act(&mut ids, privileged).map(|()| 0)
}

/// The process with `id`, 0 for the caller's.
fn process(call: &Call<'_>, id: i32) -> Result<Arc<Process>, Errno> {
    let own = &call.thread.process;
    if id == 0 {
        Ok(Arc::clone(own))
    } else {
        own.container.process(id).ok_or(Errno::ESRCH)
    }
}

fn getpgid(call: &Call<'_>) -> Outcome {
    Ok(process(call, call.int(0))?.group.load(Ordering::Relaxed) as usize)
}

fn getsid(call: &Call<'_>) -> Outcome {
    Ok(process(call, call.int(0))?.session.load(Ordering::Relaxed) as usize)
}

fn setpgid(call: &Call<'_>) -> Outcome {
    let own = &call.thread.process;
    let target = process(call, call.int(0))?;
    let group = match call.int(1) {
        ..0 => return Err(Errno::EINVAL),
        0 => target.id,
        group => group,
    };
    let session = own.session.load(Ordering::Relaxed);
    if target.id != own.id {
        if target.parent.load(Ordering::Relaxed) != own.id {
            return Err(Errno::ESRCH);
        }
        if target.session.load(Ordering::Relaxed) != session {
            return Err(Errno::EPERM);
        }
        if target.executed.load(Ordering::Relaxed) {
            return Err(Errno::EACCES);
        }
    }
    if target.session.load(Ordering::Relaxed) == target.id {
        return Err(Errno::EPERM);
    }
    let same_session = |p: &Arc<Process>| p.session.load(Ordering::Relaxed) == session;
    if group != target.id && !own.container.group(group).iter().any(same_session) {
        return Err(Errno::EPERM);
    }
    target.group.store(group, Ordering::Relaxed);
    Ok(0)
}

fn setsid(call: &Call<'_>) -> Outcome {
    let own = &call.thread.process;
    if own.id == SUPERVISOR || !own.container.group(own.id).is_empty() {
        return Err(Errno::EPERM);
    }
    own.session.store(own.id, Ordering::Relaxed);
    own.group.store(own.id, Ordering::Relaxed);
    Ok(own.id as usize)
}

fn put_three(call: &Call<'_>, values: [u32; 3]) -> Outcome {
    for (index, value) in values.iter().enumerate() {
        user::put(call.word(index), value)?;
    }
    Ok(0)
}

fn getresuid(call: &Call<'_>) -> Outcome {
    let user = ids(call).user;
    put_three(call, [user.real, user.effective, user.saved])
}

fn getresgid(call: &Call<'_>) -> Outcome {
    let group = ids(call).group;
    put_three(call, [group.real, group.effective, group.saved])
}

fn setfsuid(call: &Call<'_>) -> Outcome {
    let mut ids = call.thread.process.ids.lock();
    let privileged = ids.is_privileged();
    Ok(ids.user.set_files(call.uint(0), privileged) as usize)
}

fn setfsgid(call: &Call<'_>) -> Outcome {
    let mut ids = call.thread.process.ids.lock();
    let privileged = ids.is_privileged();
    Ok(ids.group.set_files(call.uint(0), privileged) as usize)
}

fn getgroups(call: &Call<'_>) -> Outcome {
    let groups = ids(call).groups;
    let room = usize::try_from(call.int(0)).map_err(|_| Errno::EINVAL)?;
    if room == 0 {
        return Ok(groups.len());
    }
    if room < groups.len() {
        return Err(Errno::EINVAL);
    }
    let bytes: alloc::vec::Vec<u8> = groups
        .iter()
        .flat_map(|group| group.to_le_bytes())
        .collect();
    user::UserSlice::new(call.word(1), bytes.len())?.write(&bytes)?;
    Ok(groups.len())
}

fn setgroups(call: &Call<'_>) -> Outcome {
    let count = usize::try_from(call.int(0)).map_err(|_| Errno::EINVAL)?;
    let groups = user::get_many(call.word(1), count, MAX_GROUPS)?;
    change(call, |ids, privileged| {
        if !privileged {
            return Err(Errno::EPERM);
        }
        ids.groups = groups;
        Ok(())
    })
}

/// Checks a capability header; returns the process id in it and the number of data records.
fn capability_header(call: &Call<'_>) -> Result<(i32, usize), Errno> {
    let [version, id]: [u32; 2] = user::get(call.word(0))?;
    match version {
        CAPABILITY_VERSION_1 => Ok((id as i32, 1)),
        CAPABILITY_VERSION_2 | CAPABILITY_VERSION_3 => Ok((id as i32, 2)),
        _ => {
            user::put(call.word(0), &CAPABILITY_VERSION_3)?;
            Err(Errno::EINVAL)
        }
    }
}

/// What `process` holds: low and high word.
fn capabilities(process: &Process) -> [u32; 2] {
    let all: u64 = (1 << (LAST_CAPABILITY + 1)) - 1;
    let held = if process.is_privileged() { all } else { 0 };
    [held as u32, (held >> 32) as u32]
}

fn capget(call: &Call<'_>) -> Outcome {
    let header = capability_header(call);
    if call.word(1) == 0 {
        // A probe for the version (capget(2)).
        return if header == Err(Errno::EFAULT) {
            Err(Errno::EFAULT)
        } else {
            Ok(0)
        };
    }
    let (id, count) = header?;
    if id < 0 {
        return Err(Errno::EINVAL);
    }
    let held = capabilities(&*process(call, id)?);
    for (index, word) in held.iter().take(count).enumerate() {
        // Effective, permitted, inheritable.
        let at = call.word(1).checked_add(index * 12).ok_or(Errno::EFAULT)?;
        user::put(at, &[*word, *word, 0])?;
    }
    Ok(0)
}

fn capset(call: &Call<'_>) -> Outcome {
    let (id, count) = capability_header(call)?;
    let own = &call.thread.process;
    if id != 0 && id != own.id {
        return Err(Errno::EPERM);
    }
    let held = capabilities(own);
    for (index, word) in held.iter().take(count).enumerate() {
        let at = call.word(1).checked_add(index * 12).ok_or(Errno::EFAULT)?;
        let [effective, permitted, _inheritable]: [u32; 3] = user::get(at)?;
        if (effective | permitted) & !*word != 0 {
            return Err(Errno::EPERM);
        }
    }
    Ok(0)
}
