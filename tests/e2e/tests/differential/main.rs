//! Programs that run the same natively and under Bannock, but for what `known.rs` lists.

mod known;

use bannock_e2e::differential::{Case, Program, compare};
use bannock_e2e::place::Link::{Dynamic, Static};
use bannock_e2e::process::Output;
use known::KNOWN;

const BASH: &[&str] = &["/bin/bash"];
const PYTHON: &[&str] = &["/usr/bin/python3", "-I"];

const fn script(
    name: &'static str,
    interpreter: &'static [&'static str],
    path: &'static str,
) -> Case {
    Case::new(name, Program::Script(interpreter, path))
}

/// Bash says which process was killed, in five columns at least; two runs number processes
/// differently.
fn without_process_ids(text: &str) -> String {
    let mut lines = String::new();
    for line in text.split_inclusive('\n') {
        match line.split_once(": line ") {
            Some((script, rest)) => {
                let (number, rest) = rest.split_once(':').unwrap_or(("", rest));
                let rest = rest
                    .trim_start_matches([' ', '1', '2', '3', '4', '5', '6', '7', '8', '9', '0']);
                lines.push_str(&format!("{script}: line {number}: {rest}"));
            }
            None => lines.push_str(line),
        }
    }
    lines
}

#[test]
fn shells() {
    compare(
        &[
            script("shell", BASH, "bash/shell.sh")
                .reading("input that nobody reads")
                .normalised(without_process_ids),
            script("jobs", BASH, "bash/jobs.sh").normalised(without_process_ids),
            script("writers", BASH, "bash/writers.sh"),
            Case::new("dash", Program::Command(&["/bin/sh", "-s", "argument"]))
                .reading("echo $1 $#; read x <<E\nhere\nE\necho $x; false; exit $?\n"),
        ],
        KNOWN,
    );
}

#[test]
fn tools() {
    compare(
        &[
            script("coreutils", BASH, "bash/coreutils.sh"),
            script("text", BASH, "bash/text.sh"),
            script("perl", &["/usr/bin/perl"], "perl/perl.pl"),
            Case::new("cat", Program::Command(&["/bin/cat", "-", "/nonexistent"])).reading("x\ny"),
            Case::new("no program", Program::Command(&["/nonexistent/program"])),
        ],
        KNOWN,
    );
}

#[test]
fn python() {
    compare(
        &[
            script("python threads", PYTHON, "python/threads.py"),
            script("python processes", PYTHON, "python/processes.py"),
            script("python network", PYTHON, "python/network.py"),
            script("python files", PYTHON, "python/files.py"),
        ],
        KNOWN,
    );
}

/// A host's pipe, or socket, whose reader goes away: the writer gets SIGPIPE, or EPIPE.
#[test]
fn readers_that_go_away() {
    let pipe = Output::PipeOfOneLine;
    let socket = Output::SocketOfOneLine;
    let yes = Program::Command(&["/usr/bin/yes", "a line"]);
    // One that waits for room when the reader goes gets EPIPE without the signal, now and then.
    let late = Program::Command(&[
        "/bin/sh",
        "-c",
        "echo line; sleep 0.2; echo late; echo alive >&2",
    ]);
    let careful = Program::Command(&[
        "/bin/sh",
        "-c",
        "trap '' PIPE; seq 1000000; echo \"seq: $?\" >&2",
    ]);
    let pipeline = Program::Command(&[
        "/bin/bash",
        "-c",
        "yes | head -1; sleep 0.1; seq 1000000; exit $?",
    ]);
    compare(
        &[
            Case::new("yes into a pipe", yes).writing_to(pipe),
            Case::new("late writer into a socket", late).writing_to(socket),
            Case::new("SIGPIPE ignored, pipe", careful).writing_to(pipe),
            Case::new("SIGPIPE ignored, socket", careful).writing_to(socket),
            Case::new("pipeline into a pipe", pipeline).writing_to(pipe),
            Case::new("pipeline into a socket", pipeline).writing_to(socket),
        ],
        KNOWN,
    );
}

/// Programs of `programs/c`, each linked in both ways.
fn both(programs: &[(&'static str, &'static [&'static str])]) -> Vec<Case> {
    let links = [Dynamic, Static];
    let case = |name, link, arguments| Case::new(name, Program::C(name, link, arguments));
    programs
        .iter()
        .flat_map(|&(name, arguments)| links.map(|link| case(name, link, arguments)))
        .collect()
}

#[test]
fn programs_and_processes() {
    let mut cases = both(&[
        ("start", &["one", "", "three words here"]),
        ("process", &[]),
        ("threads", &[]),
        ("pidfds", &[]),
        ("signals", &[]),
    ]);
    let standard = Program::File(env!("CARGO_BIN_EXE_standard-library"));
    cases.push(Case::new("Rust's standard library", standard));
    compare(&cases, KNOWN);
}

#[test]
fn programs_and_files() {
    compare(
        &both(&[
            ("files", &[]),
            ("memory", &[]),
            ("pointers", &[]),
            ("pipes", &[]),
            ("splice", &["."]),
            ("splice", &["/dev/shm"]),
        ]),
        KNOWN,
    );
}

#[test]
fn programs_and_terminals() {
    compare(&both(&[("terminals", &[])]), KNOWN);
}

#[test]
fn fifos_lose_nothing() {
    compare(&both(&[("fifo", &[])]), KNOWN);
}

#[test]
fn programs_and_what_they_wait_for() {
    compare(
        &both(&[
            ("sockets", &[]),
            ("events", &[]),
            ("timers", &[]),
            ("waiting", &[]),
            ("proc", &["one", "two"]),
        ]),
        KNOWN,
    );
}
