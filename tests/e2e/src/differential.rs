//! The same program natively and under Bannock, in the same fresh directory.
//!
//! Compared are standard output, standard error, the exit code as a shell shows it, and the files
//! that remain: content, type, mode and owner. What differs has to be listed in a table of known
//! differences, with its reason; what is listed and does not differ any more fails as well, so that
//! the table stays true.

use crate::place::{Link, binary, compile, source};
use crate::process::{self, Outcome, Output};
use crate::snapshot::snapshot;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Longest run of one program.
const PATIENCE: Duration = Duration::from_secs(60);

/// The line that `bannock run --standalone` says first.
const INSECURE: &str = "INSECURE: runs without attestation; nothing is protected from this machine";

/// What runs.
#[derive(Clone, Copy, Debug)]
pub enum Program {
    /// A command with its arguments.
    Command(&'static [&'static str]),
    /// A script of `programs`, with the command that interprets it.
    Script(&'static [&'static str], &'static str),
    /// `programs/c/NAME.c`, with arguments.
    C(&'static str, Link, &'static [&'static str]),
    /// An executable that the caller knows the path of.
    File(&'static str),
}

/// One comparison.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name; known differences refer to it.
    pub name: &'static str,
    /// What runs.
    pub program: Program,
    /// Its standard input.
    pub stdin: &'static str,
    /// Where its standard output goes.
    pub output: Output,
    /// Changes what cannot be the same in two runs, such as process ids.
    pub normalise: fn(&str) -> String,
}

impl Case {
    /// A program without input, whose output is read to the end and compared as it is.
    #[must_use]
    pub const fn new(name: &'static str, program: Program) -> Self {
        Self {
            name,
            program,
            stdin: "",
            output: Output::Pipe,
            normalise: str::to_owned,
        }
    }

    /// The same with standard input.
    #[must_use]
    pub const fn reading(self, stdin: &'static str) -> Self {
        Self { stdin, ..self }
    }

    /// The same with another kind of standard output.
    #[must_use]
    pub const fn writing_to(self, output: Output) -> Self {
        Self { output, ..self }
    }

    /// The same with lines changed by `normalise`.
    #[must_use]
    pub const fn normalised(self, normalise: fn(&str) -> String) -> Self {
        Self { normalise, ..self }
    }
}

/// A difference that is known, and why it is there.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Name of the case.
    pub case: &'static str,
    /// Why it is there.
    pub reason: &'static str,
    /// Lines that only the native run shows.
    pub native: &'static [&'static str],
    /// Lines that only the run under Bannock shows.
    pub bannock: &'static [&'static str],
}

/// Runs all cases both ways.
///
/// A case that differs is run once more, because some programs show how fast the machine just was
/// (Linux passes on what a terminal's master types when it comes to it); what differs both times
/// counts, and the first time is printed.
///
/// # Panics
/// With all that differs and is not in `known`, and all that is there and does not differ.
#[allow(
    clippy::print_stdout,
    reason = "what a test prints is shown when it fails"
)]
pub fn compare(cases: &[Case], known: &[Known]) {
    assert!(
        rustix::process::geteuid().is_root(),
        "a program sees itself as root under Bannock: compare it with one that root runs"
    );
    let mut report = String::new();
    for case in cases {
        let expected: Vec<String> = known
            .iter()
            .filter(|known| known.case == case.name)
            .flat_map(|known| {
                let native = known.native.iter().map(|line| format!("native  {line}"));
                native.chain(known.bannock.iter().map(|line| format!("bannock {line}")))
            })
            .collect();
        let first = judge(case.name, &differences(case), &expected);
        if !first.is_empty() {
            println!("once: {first}");
            report += &judge(case.name, &differences(case), &expected);
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

/// What is wrong with the differences of a case; nothing where they are as expected.
fn judge(case: &str, differences: &[String], expected: &[String]) -> String {
    let unknown = without(differences, expected);
    let gone = without(expected, differences);
    let mut report = String::new();
    if !unknown.is_empty() {
        let _ = writeln!(report, "`{case}` differs:\n  {}", unknown.join("\n  "));
    }
    if !gone.is_empty() {
        let gone = gone.join("\n  ");
        let _ = writeln!(
            report,
            "`{case}` does not differ any more; take this out of the known differences:\n  {gone}"
        );
    }
    report
}

/// What of `all` is not in `some`, counting repetitions.
fn without(all: &[String], some: &[String]) -> Vec<String> {
    let mut left = some.to_vec();
    all.iter()
        .filter(|line| match left.iter().position(|other| other == *line) {
            Some(at) => {
                left.swap_remove(at);
                false
            }
            None => true,
        })
        .cloned()
        .collect()
}

/// Runs one case both ways; returns the lines that only one of them shows.
fn differences(case: &Case) -> Vec<String> {
    let place = tempfile::tempdir().unwrap();
    // The same path for both: programs print it.
    let work = place.path().join("work");
    let command = command(case, place.path());
    let observe = |command: &mut Command| {
        fs::create_dir(&work).unwrap();
        let stdin = case.stdin.as_bytes();
        let outcome = process::run(command, stdin, case.output, PATIENCE);
        let lines = transcript(case, &outcome, &work);
        fs::remove_dir_all(&work).unwrap();
        lines
    };
    let native = observe(&mut natively(&command));
    let bannock = observe(&mut under_bannock(&command));
    difference(&native, &bannock)
}

/// The program's command line, for both runs.
fn command(case: &Case, place: &Path) -> Vec<PathBuf> {
    let mut command: Vec<PathBuf> = vec!["/usr/bin/env".into(), "--chdir".into()];
    command.push(place.join("work"));
    command.extend(
        [
            "--ignore-environment",
            "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "LANG=C.UTF-8",
            "TZ=UTC",
            "HOME=/nonexistent",
        ]
        .map(PathBuf::from),
    );
    match case.program {
        Program::Command(words) => command.extend(words.iter().map(PathBuf::from)),
        Program::Script(interpreter, name) => {
            command.extend(interpreter.iter().map(PathBuf::from));
            command.push(source(name));
        }
        Program::C(name, link, arguments) => {
            command.push(compile(name, link, place));
            command.extend(arguments.iter().map(PathBuf::from));
        }
        Program::File(path) => command.push(path.into()),
    }
    command
}

/// A native run that inherits no more than the three standard streams: no descriptor, and no signal
/// that whoever runs the tests ignores.
fn natively(command: &[PathBuf]) -> Command {
    const CLOSE: &str = r#"for f in /proc/self/fd/*; do n=${f##*/}; [ "$n" -gt 2 ] && eval "exec $n>&-"; done; exec "$@""#;
    let mut native = Command::new("/usr/bin/env");
    native.args(["--default-signal", "/bin/bash", "-c", CLOSE, "bash"]);
    native.args(command);
    native
}

fn under_bannock(command: &[PathBuf]) -> Command {
    let mut bannock = Command::new(binary("bannock"));
    bannock
        .args(["run", "--standalone", "--audit-host-calls", "--"])
        .args(command);
    bannock
}

/// All that is compared, as lines.
fn transcript(case: &Case, outcome: &Outcome, work: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let folder = work.display().to_string();
    for (stream, text) in [("out", outcome.text()), ("err", outcome.errors())] {
        let text = (case.normalise)(&text.replace(&folder, "FOLDER"));
        lines.extend(
            text.split_inclusive('\n')
                .filter(|line| line.trim_end() != INSECURE)
                .map(|line| match line.strip_suffix('\n') {
                    Some(line) => format!("{stream} {line}"),
                    None => format!("{stream} {line} (no newline)"),
                }),
        );
    }
    lines.push(match outcome.code {
        Some(code) => format!("exit {code}"),
        None => "exit never".to_owned(),
    });
    lines.extend(
        snapshot(work)
            .into_iter()
            .map(|line| format!("file {line}")),
    );
    lines
}

/// The lines that are in one of two texts only, by a longest common subsequence.
fn difference(native: &[String], bannock: &[String]) -> Vec<String> {
    let (rows, columns) = (native.len(), bannock.len());
    let mut longest = vec![vec![0u32; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            longest[row][column] = if native[row] == bannock[column] {
                longest[row + 1][column + 1] + 1
            } else {
                longest[row + 1][column].max(longest[row][column + 1])
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut lines = Vec::new();
    while row < rows || column < columns {
        if row < rows && column < columns && native[row] == bannock[column] {
            row += 1;
            column += 1;
        } else if column == columns
            || (row < rows && longest[row + 1][column] >= longest[row][column + 1])
        {
            lines.push(format!("native  {}", native[row]));
            row += 1;
        } else {
            lines.push(format!("bannock {}", bannock[column]));
            column += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn differences_are_the_fewest_lines() {
        assert!(difference(&lines("a b c"), &lines("a b c")).is_empty());
        assert_eq!(
            difference(&lines("a b c"), &lines("a x c d")),
            ["native  b", "bannock x", "bannock d"]
        );
    }

    #[test]
    fn repeated_lines_count() {
        assert_eq!(without(&lines("a a b"), &lines("a c")), ["a", "b"]);
    }

    #[test]
    #[should_panic(expected = "differs")]
    fn a_difference_is_found() {
        let case = Case::new("pid", Program::Command(&["/bin/sh", "-c", "echo $$"]));
        compare(&[case], &[]);
    }

    #[test]
    #[should_panic(expected = "does not differ any more")]
    fn a_difference_that_is_gone_is_found() {
        let case = Case::new("true", Program::Command(&["/bin/true"]));
        let known = Known {
            case: "true",
            reason: "never",
            native: &["exit 1"],
            bannock: &[],
        };
        compare(&[case], &[known]);
    }
}
