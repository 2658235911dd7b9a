//! Changes of modes, owners and times.

use super::subject::{self, at_flags, credentials, handle};
use super::{Argument::*, Call, Outcome, Row};
use crate::fs::attributes::W_OK;
use crate::fs::walk::{How, Target};
use crate::fs::{Attributes, Changes, Credentials, FileType, NewTime};
use bannock_platform::host::time::Timespec;
use bannock_platform::{Errno, user};
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(raw::__NR_chmod, "chmod", &[Path, Int], chmod),
    Row::emulated(raw::__NR_fchmod, "fchmod", &[Fd, Int], fchmod),
    Row::emulated(raw::__NR_fchmodat, "fchmodat", &[Fd, Path, Int], fchmodat),
    Row::emulated(
        NR_FCHMODAT2,
        "fchmodat2",
        &[Fd, Path, Int, Flags],
        fchmodat2,
    ),
    Row::emulated(raw::__NR_chown, "chown", &[Path, Int, Int], chown).with_notes(HOST_OWNERS),
    Row::emulated(raw::__NR_lchown, "lchown", &[Path, Int, Int], lchown).with_notes(HOST_OWNERS),
    Row::emulated(raw::__NR_fchown, "fchown", &[Fd, Int, Int], fchown).with_notes(HOST_OWNERS),
    Row::emulated(
        raw::__NR_fchownat,
        "fchownat",
        &[Fd, Path, Int, Int, Flags],
        fchownat,
    )
    .with_notes(HOST_OWNERS),
    Row::emulated(raw::__NR_utime, "utime", &[Path, Pointer], utime),
    Row::emulated(raw::__NR_utimes, "utimes", &[Path, Pointer], utimes),
    Row::emulated(
        raw::__NR_futimesat,
        "futimesat",
        &[Fd, Path, Pointer],
        futimesat,
    ),
    Row::emulated(
        raw::__NR_utimensat,
        "utimensat",
        &[Fd, Path, Pointer, Flags],
        utimensat,
    ),
];

const HOST_OWNERS: &str =
    "on host mounts, succeeds where it changes nothing and answers EPERM otherwise";

/// fchmodat2(2), Linux 6.6.
const NR_FCHMODAT2: u32 = 452;

fn change_mode(call: &Call<'_>, target: &Target, mode: u32) -> Outcome {
    let attributes = subject::attributes(target)?;
    if attributes.kind == FileType::Symlink {
        return Err(Errno::EOPNOTSUPP);
    }
    attributes.check_owner(&credentials(call))?;
    subject::change(
        target,
        &Changes {
            mode: Some(mode & 0o7777),
            ..Changes::default()
        },
    )?;
    Ok(0)
}

fn chmod(call: &Call<'_>) -> Outcome {
    let target = subject::named(call, 0, How::empty())?;
    change_mode(call, &target, call.uint(1))
}

fn fchmod(call: &Call<'_>) -> Outcome {
    change_mode(call, &Target::Open(handle(call, 0)?), call.uint(1))
}

fn fchmodat(call: &Call<'_>) -> Outcome {
    let target = subject::target(call, call.int(0), &subject::path(call, 1)?, How::empty())?;
    change_mode(call, &target, call.uint(2))
}

fn fchmodat2(call: &Call<'_>) -> Outcome {
    let how = at_flags(call.uint(3), raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH)?;
    let target = subject::named_at(call, how)?;
    change_mode(call, &target, call.uint(2))
}

fn change_owner(call: &Call<'_>, target: &Target, uid: u32, gid: u32) -> Outcome {
    let attributes = subject::attributes(target)?;
    let wanted = |id: u32| (id != u32::MAX).then_some(id);
    let (uid, gid) = (wanted(uid), wanted(gid));
    may_own(&attributes, &credentials(call), uid, gid)?;
    // A new owner must not inherit the old one's powers (chown(2)).
    let strips = attributes.kind == FileType::Regular && (uid.is_some() || gid.is_some());
    let special = raw::S_ISUID
        | if attributes.mode & raw::S_IXGRP != 0 {
            raw::S_ISGID
        } else {
            0
        };
    let mode = (strips && attributes.mode & special != 0).then_some(attributes.mode & !special);
    subject::change(
        target,
        &Changes {
            uid,
            gid,
            mode,
            ..Changes::default()
        },
    )?;
    Ok(0)
}

fn may_own(
    attributes: &Attributes,
    credentials: &Credentials,
    uid: Option<u32>,
    gid: Option<u32>,
) -> Result<(), Errno> {
    if credentials.uid == 0 {
        return Ok(());
    }
    attributes.check_owner(credentials)?;
    let same_owner = uid.is_none_or(|u| u == attributes.uid);
    let own_group = gid.is_none_or(|g| g == attributes.gid || credentials.in_group(g));
    if same_owner && own_group {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

fn chown(call: &Call<'_>) -> Outcome {
    let target = subject::named(call, 0, How::empty())?;
    change_owner(call, &target, call.uint(1), call.uint(2))
}

fn lchown(call: &Call<'_>) -> Outcome {
    let target = subject::named(call, 0, How::NO_FOLLOW)?;
    change_owner(call, &target, call.uint(1), call.uint(2))
}

fn fchown(call: &Call<'_>) -> Outcome {
    change_owner(
        call,
        &Target::Open(handle(call, 0)?),
        call.uint(1),
        call.uint(2),
    )
}

fn fchownat(call: &Call<'_>) -> Outcome {
    let how = at_flags(call.uint(4), raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH)?;
    let target = subject::named_at(call, how)?;
    change_owner(call, &target, call.uint(2), call.uint(3))
}

/// Sets times; `None` means the present.
fn change_times(call: &Call<'_>, target: &Target, times: Option<[Option<NewTime>; 2]>) -> Outcome {
    let attributes = subject::attributes(target)?;
    let [accessed, modified] = times.unwrap_or([Some(NewTime::Now); 2]);
    let only_now = [accessed, modified]
        .iter()
        .all(|t| matches!(t, Some(NewTime::Now)));
    let credentials = credentials(call);
    if attributes.check_owner(&credentials).is_err() {
        if !only_now {
            return Err(Errno::EPERM);
        }
        attributes.check(&credentials, W_OK)?;
    }
    if accessed.is_some() || modified.is_some() {
        subject::change(
            target,
            &Changes {
                accessed,
                modified,
                ..Changes::default()
            },
        )?;
    }
    Ok(0)
}

fn utime(call: &Call<'_>) -> Outcome {
    let target = subject::named(call, 0, How::empty())?;
    let times = match call.word(1) {
        0 => None,
        address => Some(user::get::<[i64; 2]>(address)?.map(|seconds| {
            Some(NewTime::At(Timespec {
                seconds,
                nanoseconds: 0,
            }))
        })),
    };
    change_times(call, &target, times)
}

/// Two `struct timeval` at `address`.
fn time_values(address: usize) -> Result<Option<[Option<NewTime>; 2]>, Errno> {
    if address == 0 {
        return Ok(None);
    }
    let [a, a_micros, m, m_micros] = user::get::<[i64; 4]>(address)?;
    let time = |seconds, micros: i64| {
        if !(0..1_000_000).contains(&micros) {
            return Err(Errno::EINVAL);
        }
        Ok(Some(NewTime::At(Timespec {
            seconds,
            nanoseconds: micros * 1000,
        })))
    };
    Ok(Some([time(a, a_micros)?, time(m, m_micros)?]))
}

fn utimes(call: &Call<'_>) -> Outcome {
    let times = time_values(call.word(1))?;
    let target = subject::named(call, 0, How::empty())?;
    change_times(call, &target, times)
}

fn futimesat(call: &Call<'_>) -> Outcome {
    let times = time_values(call.word(2))?;
    let target = match call.word(1) {
        0 => Target::Open(handle(call, 0)?),
        _ => subject::target(call, call.int(0), &subject::path(call, 1)?, How::empty())?,
    };
    change_times(call, &target, times)
}

fn utimensat(call: &Call<'_>) -> Outcome {
    let how = at_flags(call.uint(3), raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH)?;
    let times = match call.word(2) {
        0 => None,
        address => {
            let [a, m] = user::get::<[Timespec; 2]>(address)?;
            let time = |t: Timespec| match t.nanoseconds {
                n if n == i64::from(raw::UTIME_NOW) => Ok(Some(NewTime::Now)),
                n if n == i64::from(raw::UTIME_OMIT) => Ok(None),
                0..1_000_000_000 => Ok(Some(NewTime::At(t))),
                _ => Err(Errno::EINVAL),
            };
            Some([time(a)?, time(m)?])
        }
    };
    let target = match call.word(1) {
        0 => Target::Open(handle(call, 0)?),
        _ => subject::target(call, call.int(0), &subject::path(call, 1)?, how)?,
    };
    change_times(call, &target, times)
}
