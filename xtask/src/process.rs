//! Running other programs.

use std::process::{Command, Stdio};

use crate::{fault::Fault, workspace::Workspace};

/// Runs `command` with this program's streams until it ends.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub(crate) fn run(command: &mut Command) -> Result<(), Fault> {
    let status = command.status().map_err(|source| Fault::Start {
        command: line(command),
        source,
    })?;
    if status.success() {
        return Ok(());
    }
    Err(Fault::Failed {
        command: line(command),
        status,
    })
}

/// Runs `command` and returns what it wrote to its standard output.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub(crate) fn output(command: &mut Command) -> Result<String, Fault> {
    Ok(String::from_utf8_lossy(&output_bytes(command)?).into_owned())
}

/// [`output`] where it need not be UTF-8.
///
/// # Errors
/// As there.
pub(crate) fn output_bytes(command: &mut Command) -> Result<Vec<u8>, Fault> {
    let done = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .map_err(|source| Fault::Start {
            command: line(command),
            source,
        })?;
    if !done.status.success() {
        return Err(Fault::Failed {
            command: line(command),
            status: done.status,
        });
    }
    Ok(done.stdout)
}

/// Does something in each workspace, in the later ones too when it fails in an earlier one, so that
/// one run shows everything.
///
/// # Errors
/// The first failure; the later ones have been printed.
pub(crate) fn everywhere(
    workspaces: &[Workspace],
    action: impl Fn(Workspace) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut first = Ok(());
    for &workspace in workspaces {
        match action(workspace) {
            Err(fault) if first.is_err() => println!("{fault}"),
            Err(fault) => first = Err(fault),
            Ok(()) => {}
        }
    }
    first
}

/// The command as one would type it, near enough for a message.
pub(crate) fn line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let mut line = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_named_with_its_arguments() {
        let fault = run(Command::new("/bin/sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "`sh -c exit 3` failed with exit status: 3"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let fault = output(&mut Command::new("/nonexistent/program")).unwrap_err();
        assert!(matches!(fault, Fault::Start { ref command, .. } if command == "program"));
    }
}
