//! A PID namespace for a program without attestation, as the LAS gives its instances one.

use crate::failure::{Because as _, Failure};
use crate::las::HANDED_ON;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGQUIT};
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};
use std::thread;

/// Runs `runtime` as the first process of a PID namespace, which ends with it and with this
/// process; gives its exit code, 128 + N when signal N ended it.
///
/// Signals to this process are handed on, but for those that a terminal sends: the runtime gets
/// them itself.
pub(crate) fn run(runtime: &Path, arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--pdeathsig", "KILL", "--", "/usr/bin/unshare"]);
    command.args(["--pid", "--fork", "--kill-child"]);
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-current-user"]);
    }
    command.arg("--").arg(runtime).args(arguments);
    // Before the start, so that none is lost: it would end this process and not the container.
    let mut signals = Signals::new(HANDED_ON)?;
    let mut outer = command
        .spawn()
        .because(|| format!("cannot start `{}` with setpriv(1)", runtime.display()))?;
    let namespace = outer.id();
    thread::spawn(move || {
        for signal in signals.forever() {
            if !matches!(signal, SIGINT | SIGQUIT) {
                hand_on(namespace, signal);
            }
        }
    });
    let status = outer
        .wait()
        .because(|| format!("cannot wait for `{}`", runtime.display()))?;
    Ok(ExitCode::from(code(status)))
}

/// Sends a signal to the runtime, which is the one child of unshare(1): that itself ignores signals
/// that would end it. Before the child is there, unshare(1) is ended.
fn hand_on(namespace: u32, signal: i32) {
    let children = fs::read_to_string(format!("/proc/{namespace}/task/{namespace}/children"));
    let child = children.unwrap_or_default();
    let child = child
        .split_whitespace()
        .next()
        .and_then(|id| id.parse().ok());
    let target = child.or_else(|| i32::try_from(namespace).ok());
    if let (Some(target), Some(signal)) = (
        target.and_then(Pid::from_raw),
        Signal::from_named_raw(signal),
    ) {
        // It is gone when this fails, which the other thread notices too.
        let _ = kill_process(target, signal);
    }
}

fn code(status: ExitStatus) -> u8 {
    let killed = status.signal().map(|signal| signal.saturating_add(128));
    let code = status.code().or(killed);
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}
