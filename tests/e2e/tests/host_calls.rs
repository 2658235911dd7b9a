//! No host call that nobody intended: the filter of `--audit-host-calls` ends an instance at one.
//!
//! The hostile program makes calls that a pass-through in the kernel would make, and calls beside the
//! kernel. Without the filter the host answers each of them.

// Clippy's allowance for tests does not reach their helpers.
#![allow(clippy::unwrap_used, clippy::panic)]

use bannock_e2e::place::{Link, binary, compile};
use bannock_e2e::process::{Outcome, Output, run};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// `bannock run`'s exit code when the runtime could not go on.
const RUNTIME_FAILED: i32 = 122;

/// A call without arguments that is on the platform's list: getpid(2).
const LISTED: i64 = 39;
/// One that is not: getpgrp(2).
const UNLISTED: i64 = 111;

fn call(filtered: bool, from: &str, number: i64) -> Outcome {
    let place = tempfile::tempdir().unwrap();
    let program = compile("hostile", Link::Static, place.path());
    let mut command = Command::new(binary("bannock"));
    command.args(["run", "--standalone"]);
    if filtered {
        command.arg("--audit-host-calls");
    }
    command.arg("--").arg(program);
    command.args(["call", from, &number.to_string()]);
    run(&mut command, b"", Output::Pipe, PATIENCE)
}

#[track_caller]
fn assert_answered(outcome: &Outcome) {
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors());
    assert!(
        outcome.text().contains("the host answers"),
        "{}",
        outcome.text()
    );
}

#[track_caller]
fn assert_ended(outcome: &Outcome, number: i64) {
    assert!(outcome.text().contains("calls\n"), "{}", outcome.text());
    assert!(
        !outcome.text().contains("the host answers"),
        "{}",
        outcome.text()
    );
    assert_eq!(outcome.code, Some(RUNTIME_FAILED), "{}", outcome.errors());
    let said = format!("host call {number} from ");
    assert!(outcome.errors().contains(&said), "{}", outcome.errors());
}

#[test]
fn without_the_filter_the_host_answers_whatever_it_is_asked() {
    for from in ["runtime", "own"] {
        for number in [LISTED, UNLISTED] {
            assert_answered(&call(false, from, number));
        }
    }
}

#[test]
fn a_call_that_is_not_listed_ends_the_instance() {
    assert_answered(&call(true, "runtime", LISTED));
    assert_ended(&call(true, "runtime", UNLISTED), UNLISTED);
}

#[test]
fn a_call_from_beside_the_runtime_ends_the_instance() {
    assert_ended(&call(true, "own", LISTED), LISTED);
}
