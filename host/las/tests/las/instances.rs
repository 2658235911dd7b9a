//! What instances may ask, and how they end.

use crate::world::*;

use bannock_wire::PROTOCOL_VERSION;
use bannock_wire::binding::{Channel, Claims, Role, report_data};
use bannock_wire::channel::{Hello, MAX_REQUESTS};
use bannock_wire::las::{Reply, Request};
use bannock_wire::launch::{Isolation, LaunchIdentity, runtime_measurement};
use std::fs;
use std::io::Write;

#[test]
fn evidence_says_what_the_las_started_and_verifies() {
    let world = World::new();
    let measurement = runtime_measurement(&fs::read(world.path("instance")).unwrap());
    for (uid, kind, launch) in [
        (0, "service", service()),
        (NOBODY, "service", service()),
        (NOBODY, "standalone", LaunchIdentity::Standalone),
        (0, "cas", LaunchIdentity::Cas),
    ] {
        let lines = world.run(uid, kind, &["hello", "evidence"]);
        let hello = hex::decode(rest(&lines, "hello ")).unwrap();
        let hello: Hello = bannock_wire::decode("hello", &hello).unwrap();
        let expected = Hello {
            version: PROTOCOL_VERSION,
            launch: launch.clone(),
            isolation: Isolation::FULL,
            measurement,
        };
        assert_eq!(hello, expected);

        let evidence = hex::decode(rest(&lines, "evidence ")).unwrap();
        let evidence: bannock_wire::channel::Evidence =
            bannock_wire::decode("evidence", &evidence).unwrap();
        let verdict = world.verify(&evidence);
        let claims: Claims = bannock_wire::decode("claims", &evidence.claims).unwrap();
        assert_eq!(verdict.measurement, measurement);
        assert_eq!(verdict.config_id, launch.config_id());
        assert_eq!(verdict.config_svn, Isolation::FULL.0);
        assert!(verdict.kss && !verdict.debug);
        assert_eq!(claims.launch, launch);
        assert_eq!(claims.isolation, Isolation::FULL);
        let channel = Channel {
            role: Role::Client,
            exporter: [1; 32],
            attester_key: [2; 32],
            peer_key: [3; 32],
        };
        assert_eq!(verdict.report_data, report_data(&channel, &claims));
        assert!(lines.contains(&"exited 0".to_owned()), "{lines:?}");
    }
}

#[test]
fn only_a_cas_has_a_sealing_key_and_the_log_does_not_have_it() {
    let world = World::new();
    for kind in ["service", "standalone"] {
        let lines = world.run(0, kind, &["hello", "sealing-key"]);
        assert!(rest(&lines, "refused ").contains("started as a CAS"));
    }
    let first = world.run(0, "cas", &["hello", "sealing-key"]);
    let again = world.run(NOBODY, "cas", &["hello", "sealing-key"]);
    let key = rest(&first, "sealing-key ");
    assert_eq!(key, rest(&again, "sealing-key "), "the measurement's key");

    // Another image, another key.
    let mut image = fs::read(world.path("instance")).unwrap();
    image.push(0);
    fs::write(world.path("instance"), image).unwrap();
    let other = world.run(0, "cas", &["hello", "sealing-key"]);
    assert_ne!(key, rest(&other, "sealing-key "));
    let audit = world.audit();
    assert!(audit.contains("\"event\":\"sealing-key\"") && !audit.contains(key));
}

#[test]
fn what_is_no_request_closes_the_channel() {
    let world = World::new();
    let raw_report_data = "8203".to_owned() + "5840" + &"00".repeat(64);
    for bytes in ["", "ff", "00", &raw_report_data, "810100"] {
        let lines = world.run(NOBODY, "service", &["hello", "raw", bytes, "ask", "1"]);
        assert!(
            rest(&lines, "refused ").contains("channel request"),
            "{bytes}"
        );
        assert_eq!(rest(&lines, "answered "), "0", "{bytes}");
    }
    let lines = world.run(
        NOBODY,
        "service",
        &["hello", "announce", "262145", "ask", "1"],
    );
    assert!(
        rest(&lines, "refused ").contains("over the limit"),
        "{lines:?}"
    );
    assert_eq!(rest(&lines, "answered "), "0");
}

#[test]
fn a_service_may_ask_so_often_and_no_more() {
    let world = World::new();
    let lines = world.run(NOBODY, "service", &["hello", "ask", "70"]);
    assert_eq!(rest(&lines, "answered "), MAX_REQUESTS.to_string());
    assert!(rest(&lines, "refused ").contains("64 times"), "{lines:?}");
}

#[test]
fn a_cas_above_its_rate_is_refused_and_keeps_its_channel() {
    let world = World::new();
    let lines = world.run(0, "cas", &["hello", "ask", "140"]);
    let refused = lines
        .iter()
        .filter(|line| line.starts_with("refused "))
        .count();
    let answered: usize = rest(&lines, "answered ").parse().unwrap();
    // More than the burst may be answered: time goes on while it asks.
    assert!(answered >= 120 && refused >= 1, "{answered} {refused}");
    assert_eq!(answered + refused, 140, "the channel stays open");
}

#[test]
fn a_closed_channel_answers_nobody() {
    let world = World::new();
    let lines = world.run(NOBODY, "service", &["hello", "close", "ready", "ask", "1"]);
    assert!(lines.contains(&"ready".to_owned()));
    assert!(
        rest(&lines, "failed ").contains("channel is closed"),
        "{lines:?}"
    );
    assert!(!world.audit().contains("\"event\":\"quote\""));
}

#[test]
fn exit_codes_signals_and_notices_come_back() {
    let world = World::new();
    let lines = world.run(
        NOBODY,
        "service",
        &["hello", "denied", "tree /x differs", "exit", "120"],
    );
    assert!(lines.contains(&"noted".to_owned()) && lines.contains(&"exited 120".to_owned()));
    let mut caller = world.call(NOBODY, "service", &["ready", "idle"]);
    caller.line_starting("ready");
    writeln!(caller.stdin, "9").unwrap();
    assert_eq!(caller.line_starting("killed "), "9");
    let audit = world.audit();
    for text in [
        "\"reason\":\"tree /x differs\"",
        "\"exit_code\":120",
        "\"signal\":9",
        "\"event\":\"start\",\"uid\":65534",
    ] {
        assert!(audit.contains(text), "{text} not in {audit}");
    }
}

#[test]
fn the_callers_death_ends_the_instance() {
    let world = World::new();
    let mut caller = world.call(NOBODY, "service", &["ready", "idle"]);
    let pid = caller.line_starting("started ");
    assert!(fs::exists(format!("/proc/{pid}")).unwrap());
    drop(caller.process);
    world.audit_with("caller-gone");
    while fs::exists(format!("/proc/{pid}")).unwrap() {
        std::thread::yield_now();
    }
}

#[test]
fn the_death_of_the_las_does_not_end_the_instance() {
    let mut world = World::new();
    let mut caller = world.call(NOBODY, "service", &["tick"]);
    let pid = caller.line_starting("started ");
    world.las.0.kill().unwrap();
    world.las.0.wait().unwrap();
    for _ in 0..5 {
        caller.line_starting("tick");
    }
    assert!(fs::exists(format!("/proc/{pid}")).unwrap());
    // A new LAS continues on the same socket and in the same log.
    world.las = World::serve(world.dir.path(), "audit");
    let lines = world.run(NOBODY, "service", &["hello", "evidence"]);
    assert!(lines.iter().any(|line| line.starts_with("evidence ")));
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn several_instances_live_at_once() {
    let world = World::new();
    let mut callers: Vec<Caller> = (0..6)
        .map(|number| {
            let uid = if number % 2 == 0 { 0 } else { NOBODY };
            world.call(uid, "service", &["hello", "evidence", "ready", "idle"])
        })
        .collect();
    for caller in &mut callers {
        caller.line_starting("evidence ");
        caller.line_starting("ready");
    }
    let mut socket = world.connect();
    send(&mut socket, &bannock_wire::encode(&Request::Status), &[]);
    match receive(&mut socket) {
        Reply::Status {
            root,
            simulated,
            instances,
            ..
        } => assert_eq!((root, simulated, instances), (world.root, true, 6)),
        other => panic!("{other:?}"),
    }
}
