//! What the kernel says about a started process: isolation is read back, never assumed.

use crate::fault::LaunchFault;
use crate::image::Image;
use crate::plan::Caller;
use crate::{INNER_ID, spawn, sys};
use bannock_wire::launch::Isolation;
use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};
use std::{fs, io};

/// The isolation of process `pid`, started from `image` for `caller`.
///
/// # Errors
/// [`LaunchFault::Inspect`] when /proc cannot be read.
pub fn isolation(pid: i32, caller: Caller, image: &Image) -> Result<Isolation, LaunchFault> {
    let read = |name: &str| {
        fs::read_to_string(format!("/proc/{pid}/{name}"))
            .map_err(|source| LaunchFault::Inspect { pid, source })
    };
    let status = Status(read("status")?);
    let mapped = [("uid_map", caller.uid), ("gid_map", caller.gid)]
        .into_iter()
        .map(|(name, outer)| Ok(is_single_map(&read(name)?, outer)))
        .collect::<Result<Vec<_>, LaunchFault>>()?;
    let not_dumpable =
        !is_dumpable_for(pid, caller).map_err(|source| LaunchFault::Inspect { pid, source })?;
    let checks = [
        (
            Isolation::USER_NAMESPACE,
            mapped.into_iter().all(|same| same) && status.has_no_capabilities(),
        ),
        (Isolation::PID_NAMESPACE, status.is_first_of_pid_namespace()),
        (Isolation::SEALED_IMAGE, image.is_sealed()),
        (Isolation::NOT_DUMPABLE, not_dumpable),
        (
            Isolation::NO_NEW_PRIVILEGES,
            status.field("NoNewPrivs") == Some("1"),
        ),
    ];
    Ok(checks
        .into_iter()
        .filter(|(_, achieved)| *achieved)
        .fold(Isolation::NONE, |all, (flag, _)| all.union(flag)))
}

/// Text of `/proc/PID/status` (proc_pid_status(5)).
struct Status(String);

impl Status {
    fn field(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            (field == name).then_some(value.trim())
        })
    }

    fn has_no_capabilities(&self) -> bool {
        let is_empty = |set: &str| !set.is_empty() && set.bytes().all(|digit| digit == b'0');
        ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
            .into_iter()
            .all(|name| self.field(name).is_some_and(is_empty))
    }

    /// `NSpid` lists the ids from the reader's namespace inwards.
    fn is_first_of_pid_namespace(&self) -> bool {
        self.field("NSpid").is_some_and(|ids| {
            let mut ids = ids.split_whitespace();
            ids.next().is_some() && ids.next_back() == Some("1")
        })
    }
}

/// Whether an id map maps exactly [`INNER_ID`] to `outer`.
fn is_single_map(map: &str, outer: u32) -> bool {
    let expected = [INNER_ID, outer, 1].map(|number| number.to_string());
    map.lines().count() == 1
        && map
            .split_whitespace()
            .eq(expected.iter().map(String::as_str))
}

/// Whether an unprivileged process with the caller's ids, outside of all namespaces of process
/// `pid`, may look into it.
///
/// It is tried rather than derived. Reading `environ` asks the kernel for `PTRACE_MODE_READ`, which
/// no security module such as Yama refuses among processes of one user: what refuses it is that
/// the process is not dumpable.
///
/// # Errors
/// When the attempt could not be made, or failed for another reason than lack of permission.
pub fn is_dumpable_for(pid: i32, caller: Caller) -> io::Result<bool> {
    const DUMPABLE: i32 = 10;
    const REFUSED: i32 = 11;
    const UNCLEAR: i32 = 12;
    let path = CString::new(format!("/proc/{pid}/environ"))?;
    let privileged = rustix::process::geteuid().is_root();
    let (_, prober) = spawn::fork(0, None, || {
        // The prober holds a copy of this process's memory and is about to take the caller's ids.
        let humble = || {
            sys::set_not_dumpable()?;
            if privileged {
                sys::drop_groups()?;
                sys::set_ids(caller.uid, caller.gid)?;
            }
            sys::drop_capabilities()
        };
        sys::exit_now(match humble().and_then(|()| sys::open(&path)) {
            Ok(_) => DUMPABLE,
            Err(Errno::ACCESS | Errno::PERM) => REFUSED,
            Err(_) => UNCLEAR,
        })
    })?;
    let status = loop {
        match waitid(WaitId::PidFd(prober.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => break status,
            Ok(None) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    match status.exit_status() {
        Some(DUMPABLE) => Ok(true),
        Some(REFUSED) => Ok(false),
        _ => Err(io::Error::other("the attempt to look into it went wrong")),
    }
}

/// Whether the namespace behind `fd` is the launcher's own of that `kind` (its name in /proc).
pub(crate) fn is_own_namespace(fd: BorrowedFd<'_>, kind: &str) -> io::Result<bool> {
    let own = rustix::fs::stat(format!("/proc/self/ns/{kind}"))?;
    let other = rustix::fs::fstat(fd)?;
    Ok((own.st_dev, own.st_ino) == (other.st_dev, other.st_ino))
}

/// Requires that `caller` could move a process of its own into `cgroup`.
///
/// The launcher may be root, for whom the kernel would allow any cgroup: a caller could then leave
/// its own limits, or use up somebody else's.
pub(crate) fn require_cgroup_of(cgroup: BorrowedFd<'_>, caller: Caller) -> Result<(), LaunchFault> {
    let refused = LaunchFault::Cgroup { uid: caller.uid };
    let Ok(procs) = rustix::fs::statat(cgroup, "cgroup.procs", AtFlags::SYMLINK_NOFOLLOW) else {
        return Err(refused);
    };
    let mode = Mode::from_raw_mode(procs.st_mode);
    let may_write = if caller.uid == 0 {
        true
    } else if procs.st_uid == caller.uid {
        mode.contains(Mode::WUSR)
    } else if procs.st_gid == caller.gid {
        mode.contains(Mode::WGRP)
    } else {
        mode.contains(Mode::WOTH)
    };
    if may_write { Ok(()) } else { Err(refused) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Status {
        Status(text.to_owned())
    }

    #[test]
    fn every_capability_set_must_be_there_and_empty() {
        let sets = |value: &str| {
            ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
                .map(|name| format!("{name}:\t{value}\n"))
                .concat()
        };
        assert!(status(&sets("0000000000000000")).has_no_capabilities());
        let text = sets("0000000000000000");
        for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            let one = text.replace(
                &format!("{name}:\t0000000000000000"),
                &format!("{name}:\t0000000000000400"),
            );
            assert!(!status(&one).has_no_capabilities(), "{name}");
            assert!(!status(&text.replace(name, "CapNew")).has_no_capabilities());
        }
    }

    #[test]
    fn only_the_first_process_of_a_nested_namespace_counts() {
        assert!(status("NSpid:\t812\t1\n").is_first_of_pid_namespace());
        assert!(status("NSpid:\t812\t7\t1\n").is_first_of_pid_namespace());
        for other in ["NSpid:\t1\n", "NSpid:\t812\t2\n", "NSpid:\n", "Pid:\t1\n"] {
            assert!(!status(other).is_first_of_pid_namespace(), "{other}");
        }
    }

    #[test]
    fn only_the_map_of_one_unprivileged_id_counts() {
        assert!(is_single_map("      1000      65534          1\n", 65534));
        for other in [
            "",
            "0 65534 1\n",
            "1000 0 1\n",
            "1000 65534 2\n",
            "1000 65534 1\n0 0 1\n",
        ] {
            assert!(!is_single_map(other, 65534), "{other}");
        }
    }
}
