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
fn a_run_is_either_of_a_service_or_of_a_program() {
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
            "--directory",
            "/d",
            "--stats",
            "--",
            "x",
            "-y",
        ],
    );
    check(&output, 0, &["INSECURE"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        stdout,
        "--standalone --stats --mount m --directory /d -- x -y\n"
    );
}

#[test]
fn a_signal_to_a_standalone_run_reaches_the_program() {
    use std::io::{BufRead as _, BufReader};
    // As the runtime's stand-in, a shell that is given the runtime's arguments.
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        script.path(),
        "#!/bin/sh\ntrap 'exit 7' TERM\necho ready\nwhile :; do sleep 0.01; done\n",
    )
    .unwrap();
    let (_, path) = script.keep().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_bannock"))
        .args(["run", "--standalone", "--runtime"])
        .arg(&path)
        .args(["--", "x"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = run.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let id = run.id().to_string();
    let killed = Command::new("/bin/kill").args(["-TERM", &id]).status();
    assert!(killed.unwrap().success());
    let code = run.wait().unwrap().code();
    std::fs::remove_file(path).unwrap();
    assert_eq!(code, Some(7));
}

/// A LAS that is killed when the test is over, however it ends.
struct Las(std::process::Child);

impl Drop for Las {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_runtime_gets_what_the_host_added_so_that_it_can_refuse() {
    let dir = tempfile::tempdir().unwrap();
    let platform = dir.path().join("platform");
    let socket = dir.path().join("las.sock");
    let bannock = || Command::new(env!("CARGO_BIN_EXE_bannock"));
    let made = bannock()
        .args(["platform", "simulate", "--dir"])
        .arg(&platform)
        .output()
        .unwrap();
    check(&made, 0, &[]);
    let mut las = Las(bannock()
        .args(["las", "serve", "--socket"])
        .arg(&socket)
        .arg("--platform")
        .arg(&platform)
        .arg("--audit")
        .arg(dir.path().join("audit"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap());
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(las.0.try_wait().unwrap().is_none(), "the LAS ended");
        std::thread::yield_now();
    }
    let service = [
        "--config-id",
        "a/b",
        "--cas",
        "127.0.0.1:1",
        "--cas-key",
        KEY,
    ];
    let output = run(
        &[("BANNOCK_LAS_ADDR", socket.to_str().unwrap())],
        &[
            &service[..],
            &["--runtime", "/bin/echo", "--tree", "/t", "--stats"],
            &["--audit-host-calls", "--", "--stats", "x"],
        ]
        .concat(),
    );
    check(&output, 0, &[]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        stdout,
        "--cas 127.0.0.1:1 --tree /t --audit-host-calls --stats -- --stats x\n"
    );
}
