//! Making the new process, from the launcher's side.

use crate::INNER_ID;
use crate::child::{self, Orders, Report, Step};
use crate::fault::LaunchFault;
use crate::inspect;
use crate::instance::Instance;
use crate::plan::{Caller, Launch, Strings};
use crate::sys::{self, CloneArgs};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

/// Held while a process is made and while an image is writable: see [`crate::Image`].
pub(crate) static SPAWN: Mutex<()> = Mutex::new(());

/// `CLONE_INTO_CGROUP` of `linux/sched.h`, which does not fit the type that `libc` gives it.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// Starts `launch` and reads back how it is isolated.
///
/// The instance runs when this returns: it may have asked something on its channel already, which
/// whoever answers must do with the isolation that is returned here.
///
/// # Errors
/// [`LaunchFault`]; then no process is left.
pub fn launch(launch: &Launch<'_>) -> Result<Instance, LaunchFault> {
    let privileged = rustix::process::geteuid().is_root();
    if let Some(cgroup) = launch.cgroup {
        inspect::require_cgroup_of(cgroup, launch.caller)?;
    }
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(LaunchFault::prepare("make a pipe"));
    let (reports, child_reports) = pipe()?;
    let (child_go, go) = pipe()?;
    let mut orders = Orders {
        namespaces: namespaces(launch, privileged)?,
        in_user_namespace: false,
        caller: launch.caller,
        stdio: launch.stdio.map(|fd| fd.as_raw_fd()),
        channel: launch.channel.as_raw_fd(),
        image: launch.image.as_fd().as_raw_fd(),
        reports: child_reports.as_raw_fd(),
        go: child_go.as_raw_fd(),
        arguments: Strings::arguments(launch)?,
        environment: Strings::environment(launch)?,
    };
    let (pid, pidfd) = make_process(&mut orders, launch, privileged)
        .map_err(LaunchFault::prepare("make a process"))?;
    // From here on, whatever goes wrong, dropping the instance kills and reaps it.
    let mut instance = Instance::new(pid, pidfd, launch.image.measurement());
    drop((child_reports, child_go));
    follow(&reports, &go, pid, launch.caller)?;
    match inspect::isolation(pid, launch.caller, launch.image) {
        Ok(isolation) => instance.set_isolation(isolation),
        // A short program may be over already; it has no isolation left, and nobody to ask for it.
        Err(_) if instance.has_ended() => {}
        Err(fault) => return Err(fault),
    }
    Ok(instance)
}

/// The namespaces that really have to be joined: those that are not the launcher's own.
fn namespaces(
    launch: &Launch<'_>,
    privileged: bool,
) -> Result<[Option<(RawFd, i32)>; 4], LaunchFault> {
    let chosen = &launch.namespaces;
    // The mount namespace comes last: joining it also changes the root directory.
    let mut all = [
        (chosen.network, "net", libc::CLONE_NEWNET),
        (chosen.ipc, "ipc", libc::CLONE_NEWIPC),
        (chosen.uts, "uts", libc::CLONE_NEWUTS),
        (chosen.mount, "mnt", libc::CLONE_NEWNS),
    ]
    .map(|(fd, name, kind)| Some((fd?, name, kind)));
    for entry in &mut all {
        if let Some((fd, name, _)) = entry
            && inspect::is_own_namespace(*fd, name)
                .map_err(LaunchFault::prepare("look at a namespace of the caller"))?
        {
            *entry = None;
        }
    }
    if !privileged && all.iter().any(Option::is_some) {
        return Err(LaunchFault::ForeignNamespace);
    }
    Ok(all.map(|entry| entry.map(|(fd, _, kind)| (fd.as_raw_fd(), kind))))
}

/// Makes the process with as many namespaces of its own as the kernel grants.
fn make_process(
    orders: &mut Orders,
    launch: &Launch<'_>,
    privileged: bool,
) -> Result<(i32, OwnedFd), Errno> {
    let pid_namespace = libc::CLONE_NEWPID as u64;
    let user_namespace = libc::CLONE_NEWUSER as u64;
    let attempts: &[u64] = if privileged {
        &[pid_namespace, 0]
    } else {
        &[user_namespace | pid_namespace, 0]
    };
    let mut last = Errno::PERM;
    for &own in attempts {
        orders.in_user_namespace = own & user_namespace != 0;
        let cgroup = launch.cgroup.map(|fd| fd.as_raw_fd());
        match fork(own, cgroup, || child::become_instance(orders)) {
            Err(error @ (Errno::PERM | Errno::NOSPC | Errno::INVAL)) => last = error,
            other => return other,
        }
    }
    Err(last)
}

/// Makes a process that runs `body`, which does not return, with a descriptor for it.
///
/// `body` runs in a copy of this thread alone: it must not allocate, take locks or panic.
pub(crate) fn fork(
    namespaces: u64,
    cgroup: Option<RawFd>,
    body: impl FnOnce(),
) -> Result<(i32, OwnedFd), Errno> {
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: namespaces | libc::CLONE_PIDFD as u64,
        pidfd: std::ptr::from_mut(&mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::try_from(cgroup).map_err(|_| Errno::BADF)?;
    }
    let spawn = SPAWN.lock().unwrap_or_else(PoisonError::into_inner);
    // No handler of this process may run in the new one.
    let mask = sys::set_signal_mask(u64::MAX)?;
    // SAFETY: no CLONE_VM, so nothing is shared; `pidfd` outlives the call; `body` keeps the
    // promise that `fork` asks of it.
    let made = unsafe { sys::clone3(&args) };
    if made == Ok(0) {
        body();
        sys::exit_now(126);
    }
    let restored = sys::set_signal_mask(mask);
    drop(spawn);
    let pid = i32::try_from(made?).map_err(|_| Errno::IO)?;
    // SAFETY: the kernel has just opened this descriptor for us (CLONE_PIDFD) and nobody else
    // knows of it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    restored?;
    Ok((pid, pidfd))
}

/// Follows the new process until it executes its image.
fn follow(reports: &OwnedFd, go: &OwnedFd, pid: i32, caller: Caller) -> Result<(), LaunchFault> {
    let first = next_report(reports)?.ok_or(LaunchFault::Died)?;
    let (step, errno) = parse(first);
    if step != Step::UserNamespace as u8 {
        return Err(failure(first));
    }
    let mapped = errno == 0 && {
        map_ids(pid, caller).map_err(LaunchFault::prepare("map the ids of the new process"))?;
        true
    };
    rustix::io::write(go, &[u8::from(mapped)])
        .map_err(LaunchFault::prepare("let the new process go on"))?;
    let second = next_report(reports)?.ok_or(LaunchFault::Died)?;
    if parse(second) != (Step::Execute as u8, 0) {
        return Err(failure(second));
    }
    // The pipe closes on execve.
    match next_report(reports)? {
        None => Ok(()),
        Some(report) => Err(failure(report)),
    }
}

fn map_ids(pid: i32, caller: Caller) -> io::Result<()> {
    // Without this the kernel lets no unprivileged launcher write the group map.
    fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
    let map = |name, outer| {
        fs::write(
            format!("/proc/{pid}/{name}"),
            format!("{INNER_ID} {outer} 1\n"),
        )
    };
    map("uid_map", caller.uid)?;
    map("gid_map", caller.gid)
}

fn next_report(reports: &OwnedFd) -> Result<Option<Report>, LaunchFault> {
    let mut report = Report::default();
    loop {
        match rustix::io::read(reports, &mut report) {
            Ok(0) => return Ok(None),
            // Reports are written whole, and a pipe keeps writes of this size together.
            Ok(_) => return Ok(Some(report)),
            Err(Errno::INTR) => {}
            Err(error) => return Err(LaunchFault::prepare("follow the new process")(error)),
        }
    }
}

const fn parse(report: Report) -> (u8, i32) {
    let [step, a, b, c, d] = report;
    (step, i32::from_le_bytes([a, b, c, d]))
}

fn failure(report: Report) -> LaunchFault {
    let (step, errno) = parse(report);
    LaunchFault::Child {
        step: Step::name(step),
        source: Errno::from_raw_os_error(errno),
    }
}
