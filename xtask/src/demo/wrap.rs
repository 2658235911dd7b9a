//! Commands behind other commands.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// A command behind others that execute it.
pub(super) fn wrapped(inner: &Command, before: &[&str]) -> Command {
    let mut words = before.iter();
    let mut command = Command::new(words.next().copied().unwrap_or("/usr/bin/env"));
    command
        .args(words)
        .arg(inner.get_program())
        .args(inner.get_args())
        .stdin(Stdio::null());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// `command` where `changed` is seen in the place of `original`: in a mount namespace of its
/// own, so that the machine's file stays as it is.
pub(super) fn seeing(command: &Command, original: &str, changed: &Path) -> Command {
    let script = "mount --bind \"$0\" \"$1\" && shift && exec \"$@\"";
    let changed = changed.display().to_string();
    let unshare = ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", script];
    wrapped(command, &[&unshare[..], &[&changed, original]].concat())
}
