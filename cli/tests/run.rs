//! `bannock run`: usage, and services that are out of reach.

// Clippy's allowance for tests does not reach their helpers.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::{Command, Output};

const KEY: &str = "abababababababababababababababababababababababababababababababab";

fn run(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let empty = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_bannock"))
        .env_clear()
        .env("HOME", empty.path())
        .envs(variables.iter().copied())
        .arg("run")
        .args(arguments)
        .output()
        .unwrap()
}

fn check(output: &Output, code: i32, messages: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for message in messages {
        assert!(text.contains(message), "{message} not in {text}");
    }
}

#[test]
fn a_program_beside_a_config_id_is_refused() {
    let output = run(
        &[],
        &["--config-id", "a/b", "--cas-key", KEY, "--", "/bin/true"],
    );
    check(&output, 2, &["the session says what runs"]);
    check(&run(&[], &["--standalone"]), 2, &["no program"]);
    let output = run(
        &[],
        &["--standalone", "--config-id", "a/b", "--", "/bin/true"],
    );
    check(&output, 2, &["cannot be used with"]);
    check(&run(&[], &[]), 2, &["what to run"]);
}

#[test]
fn an_unknown_cas_is_never_believed() {
    let output = run(
        &[],
        &[
            "--config-id",
            "a/b",
            "--cas",
            "host:1",
            "--runtime",
            "/bin/true",
        ],
    );
    check(
        &output,
        120,
        &["CAS at host:1", "bannock cas attest host:1"],
    );
}

#[test]
fn a_las_out_of_reach_is_named_whatever_says_where_it_is() {
    let given = [
        "--config-id",
        "a/b",
        "--cas",
        "host:1",
        "--las",
        "/nowhere/las",
    ];
    let common = ["--cas-key", KEY, "--runtime", "/bin/true"];
    let from_variables =
        |prefix: &str| ["CONFIG_ID", "CAS_ADDR", "LAS_ADDR"].map(|name| format!("{prefix}_{name}"));
    let values = ["a/b", "host:1", "/nowhere/las"];
    let expected = [
        "cannot reach the LAS at `/nowhere/las`",
        "bannock las serve",
    ];
    check(&run(&[], &[&given[..], &common].concat()), 121, &expected);
    for prefix in ["BANNOCK", "SCONE"] {
        let names = from_variables(prefix);
        let variables: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(values).collect();
        check(&run(&variables, &common), 121, &expected);
    }
}

#[test]
fn standalone_runs_the_runtime_and_says_that_it_is_insecure() {
    let output = run(
        &[],
        &[
            "--standalone",
            "--runtime",
            "/bin/echo",
            "--mount",
            "m",
            "--",
            "x",
            "-y",
        ],
    );
    check(&output, 0, &["INSECURE"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(stdout, "--standalone --mount m -- x -y\n");
}
