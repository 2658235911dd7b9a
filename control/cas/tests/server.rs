//! A real CAS process over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod world;

use bannock_cas_api::{ErrorCode, Hash, Platform};
use bannock_cas_client::{Client, ClientFault, Distrust, OwnerIdentity, trust_on_first_use};
use bannock_wire::{cas, launch::LaunchIdentity};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    time::Duration,
};
use world::{GIVEN, Instance, MEASUREMENT, Machine, now, send, session_text, tls};

fn owner() -> OwnerIdentity {
    OwnerIdentity::generate().unwrap().1
}

fn code(fault: ClientFault) -> ErrorCode {
    match fault {
        ClientFault::Api(error) => error.code,
        other => panic!("not an answer: {other}"),
    }
}

fn denied(reply: cas::Reply) -> String {
    match reply {
        cas::Reply::Denied { reason } => reason,
        cas::Reply::Configuration { .. } => panic!("the configuration was released"),
        _ => panic!("neither denied nor released"),
    }
}

#[test]
fn from_first_contact_to_a_configured_service() {
    let machine = Machine::new();
    let cas = machine.start();
    let attested =
        bannock_cas_client::attest(&cas.address(), &machine.expectation(), now()).unwrap();
    assert_eq!(attested.measurement, Hash(MEASUREMENT));
    let alice = owner();
    let client = cas.client(attested.key, &alice);
    let status = client.status().unwrap();
    assert_eq!((status.key, status.anchor.as_str()), (attested.key, "none"));
    assert!(matches!(status.platform, Platform::Attested { .. }));

    let text = session_text("team", machine.root());
    let checked = client.check(text.as_bytes()).unwrap();
    let created = client.create("team", text.as_bytes()).unwrap();
    assert_eq!(created.hash, checked.hash);
    let nested = session_text("team/db", machine.root());
    client.create("team/db", nested.as_bytes()).unwrap();
    assert_eq!(client.read("team/db").unwrap().session, nested);

    let mut instance = Instance::connect(&cas, attested.key);
    let channel = instance.channel;
    let reply = instance.configure(&machine.platform, "team/db/db", "team/db/db", &channel);
    let cas::Reply::Configuration { config } = reply else {
        panic!("no configuration");
    };
    let generated = config
        .environment
        .iter()
        .find(|it| it.name == "GENERATED")
        .unwrap();
    assert_eq!(generated.value.len(), 40);
    let report = cas::Request::Report {
        reason: "a file\nwas tampered with".into(),
    };
    assert!(matches!(instance.ask(&report).unwrap(), cas::Reply::Noted));
    drop(instance);

    // Everything survives a restart: identity, session, secrets, audit log.
    drop(cas);
    let cas = machine.start();
    assert_eq!(cas.attested_key(&machine), attested.key);
    let mut instance = Instance::connect(&cas, attested.key);
    let channel = instance.channel;
    let reply = instance.configure(&machine.platform, "team/db/db", "team/db/db", &channel);
    let cas::Reply::Configuration { config: again } = reply else {
        panic!("no configuration");
    };
    assert!(again == config);

    let page = cas.client(attested.key, &alice).audit().unwrap();
    assert!(
        page.records
            .iter()
            .any(|line| line.contains("was tampered with"))
    );
    assert!(
        page.records
            .iter()
            .any(|line| line.contains("attestation[0]"))
    );
    assert!(
        cas.client(attested.key, &owner())
            .audit()
            .unwrap()
            .records
            .is_empty()
    );

    // No secret is in anything that the CAS wrote.
    let written = machine.written();
    for secret in [GIVEN, generated.value.as_str()] {
        for (name, bytes) in &written {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "a secret is in {name}");
        }
    }
    let store = written
        .iter()
        .find(|(name, _)| name.ends_with("cas.redb"))
        .unwrap();
    assert!(!store.1.windows(7).any(|window| window == b"team/db"));
}

#[test]
fn evidence_cannot_be_relayed_replayed_or_made_for_another_service() {
    let machine = Machine::new();
    let cas = machine.start();
    let key = cas.attested_key(&machine);
    let alice = owner();
    let text = session_text("s", machine.root());
    cas.client(key, &alice)
        .create("s", text.as_bytes())
        .unwrap();
    let platform = &machine.platform;

    let mut victim = Instance::connect(&cas, key);
    let stolen = victim.channel;
    let reply = victim.configure(platform, "s/db", "s/db", &stolen);
    assert!(matches!(reply, cas::Reply::Configuration { .. }));
    // The same evidence on a connection of the attacker's.
    let mut relay = Instance::connect(&cas, key);
    let reason = denied(relay.configure(platform, "s/db", "s/db", &stolen));
    assert!(reason.contains("not of this connection"), "{reason}");
    // The connection is over after a refusal.
    assert!(relay.ask(&cas::Request::AttestYourself).is_err());

    let mut hostile = Instance::connect(&cas, key);
    let channel = hostile.channel;
    let reason = denied(hostile.configure(platform, "s/db", "evil/db", &channel));
    assert!(reason.contains("launched as `evil/db`"), "{reason}");

    let mut missing = Instance::connect(&cas, key);
    let channel = missing.channel;
    let reason = denied(missing.configure(platform, "s/no", "s/no", &channel));
    assert!(
        reason.contains("not found") && reason.contains("audit record"),
        "{reason}"
    );
    let page = cas.client(key, &alice).audit().unwrap();
    assert!(
        page.records
            .iter()
            .any(|line| line.contains("no such service"))
    );
}

#[test]
fn strangers_cannot_write_into_the_audit_log_what_they_like() {
    let machine = Machine::new();
    let cas = machine.start();
    let mut stranger = Instance::connect(&cas, cas.attested_key(&machine));
    let report = cas::Request::Report {
        reason: "planted".into(),
    };
    denied(stranger.ask(&report).unwrap());
    assert!(
        !fs::read_to_string(machine.audit())
            .unwrap()
            .contains("planted")
    );
}

#[test]
fn another_owner_and_a_stale_predecessor_are_refused() {
    let machine = Machine::new();
    let cas = machine.start();
    let key = cas.attested_key(&machine);
    let (alice, mallory) = (owner(), owner());
    let text = session_text("s", machine.root());
    let created = cas
        .client(key, &alice)
        .create("s", text.as_bytes())
        .unwrap();
    let mallory = cas.client(key, &mallory);
    assert_eq!(
        code(mallory.read("s").unwrap_err()),
        ErrorCode::NotFoundOrDenied
    );
    assert_eq!(
        code(mallory.read("nothing").unwrap_err()),
        ErrorCode::NotFoundOrDenied
    );
    let anonymous = Client::new(&cas.address(), key, None);
    assert_eq!(
        code(anonymous.read("s").unwrap_err()),
        ErrorCode::NoIdentity
    );
    let update = format!("{text}predecessor: {}\n", created.hash);
    let alice = cas.client(key, &alice);
    let updated = alice.update("s", update.as_bytes()).unwrap();
    assert_eq!(updated.old_hash, created.hash);
    let stale = alice.update("s", update.as_bytes()).unwrap_err();
    assert!(stale.is_denial());
    assert_eq!(code(stale), ErrorCode::StalePredecessor);
}

#[test]
fn a_cas_that_is_not_the_pinned_or_expected_one_is_refused() {
    let (machine, other) = (Machine::new(), Machine::new());
    let cas = machine.start();
    let key = cas.attested_key(&machine);
    let imposter = other.start();
    let alice = owner();
    match imposter.client(key, &alice).status().unwrap_err() {
        ClientFault::NotPinned { pinned, found, .. } => {
            assert_eq!((pinned, found), (key, imposter.attested_key(&other)));
        }
        fault => panic!("{fault}"),
    }
    let attest =
        |expectation| bannock_cas_client::attest(&cas.address(), &expectation, now()).unwrap_err();
    let mut wrong = machine.expectation();
    wrong.measurement = Hash([1; 32]);
    assert!(matches!(
        attest(wrong),
        ClientFault::Distrusted(Distrust::Measurement { .. })
    ));
    for root in [None, Some(other.root())] {
        let mut wrong = machine.expectation();
        wrong.simulated_root = root;
        let fault = attest(wrong);
        assert!(
            matches!(fault, ClientFault::Distrusted(Distrust::Rejected(_))),
            "{fault}"
        );
    }
    assert_eq!(trust_on_first_use(&cas.address()).unwrap(), key);
}

#[test]
fn nobody_at_the_address_is_told_apart_from_a_refusal() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let fault = trust_on_first_use(&free.to_string()).unwrap_err();
    assert!(fault.is_unavailable() && !fault.is_denial());
    assert!(fault.to_string().contains(&free.to_string()));
}

#[test]
fn a_cas_is_only_started_by_a_las_and_only_as_a_cas() {
    let machine = Machine::new();
    let service = LaunchIdentity::Service {
        config_id: "s/db".into(),
        cas_key: [1; 32],
    };
    let said = machine.start_as(service).err().unwrap();
    assert!(said.contains("not as a CAS"), "{said}");
    let alone = machine.spawn(Command::new(env!("CARGO_BIN_EXE_bannock-cas")));
    let said = alone.err().unwrap();
    assert!(said.contains("was not started by a LAS"), "{said}");

    let mut insecure = Command::new(env!("CARGO_BIN_EXE_bannock-cas"));
    insecure.arg("--insecure-no-platform");
    let cas = machine.spawn(insecure).unwrap();
    assert!(machine.log.lock().unwrap().contains("INSECURE"));
    let fault =
        bannock_cas_client::attest(&cas.address(), &machine.expectation(), now()).unwrap_err();
    assert!(
        matches!(fault, ClientFault::Distrusted(Distrust::NoEvidence(_))),
        "{fault}"
    );
}

#[test]
fn an_edited_shortened_or_missing_audit_log_keeps_the_cas_from_starting() {
    let machine = Machine::new();
    let cas = machine.start();
    let key = cas.attested_key(&machine);
    let text = session_text("s", machine.root());
    cas.client(key, &owner())
        .create("s", text.as_bytes())
        .unwrap();
    drop(cas);
    let good = fs::read_to_string(machine.audit()).unwrap();
    let start = || machine.start_as(LaunchIdentity::Cas);
    for bad in [
        good.replace("permit", "denied"),
        good.replacen("started", "Started", 1),
        String::new(),
    ] {
        fs::write(machine.audit(), bad).unwrap();
        let said = start().err().unwrap();
        assert!(said.contains("audit log"), "{said}");
    }
    // What a crash in the middle of a line leaves is no obstacle.
    fs::write(machine.audit(), format!("{good}{{\"sequence\":")).unwrap();
    drop(start().unwrap());
    let repaired = fs::read_to_string(machine.audit()).unwrap();
    assert!(repaired.starts_with(&good) && repaired.ends_with("}\n"));
}

#[test]
fn oversized_and_garbage_input_harms_nobody_else() {
    let machine = Machine::new();
    let cas = machine.start();
    let key = cas.attested_key(&machine);
    for frame in [&[0xff; 8][..], &[3, 0, 0, 0, 1, 2, 3], &[0, 0, 0, 0]] {
        let mut instance = Instance::connect(&cas, key);
        instance.stream.write_all(frame).unwrap();
        instance.stream.flush().unwrap();
        let reply = world::receive(&mut instance.stream).unwrap();
        let reply = bannock_wire::decode("reply", &reply).unwrap();
        assert!(matches!(reply, cas::Reply::Failed { .. }));
    }
    let mut cut = Instance::connect(&cas, key);
    cut.stream.write_all(&[100, 0, 0, 0, 1]).unwrap();
    drop(cut);
    let large = vec![b' '; bannock_cas_api::MAX_SESSION_TEXT + 1];
    let fault = cas.client(key, &owner()).check(&large).unwrap_err();
    assert!(
        matches!(fault, ClientFault::Api(_) | ClientFault::Broken { .. }),
        "{fault}"
    );
    for garbage in ["\0\0\0\r\n\r\n", "GET\r\n\r\n", &"x".repeat(40_000)] {
        let mut stream = tls(&cas, None, b"http/1.1");
        let _ = stream.write_all(garbage.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"));
    }
    let mut plain = TcpStream::connect(cas.address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"));
    assert!(Client::new(&cas.address(), key, None).status().is_ok());
}

/// Slow peers hold their own place until a deadline, and nobody else's.
#[test]
fn a_peer_that_drips_is_cut_off() {
    let machine = Machine::new();
    let cas = machine.start();
    let key = cas.attested_key(&machine);
    let mut silent = TcpStream::connect(cas.address).unwrap();
    silent
        .set_read_timeout(Some(Duration::from_secs(120)))
        .unwrap();
    let mut slow = tls(&cas, None, b"http/1.1");
    slow.write_all(b"GET /v1/sta").unwrap();
    slow.flush().unwrap();
    let mut instance = Instance::connect(&cas, key);
    instance.stream.write_all(&[100, 0, 0, 0]).unwrap();
    instance.stream.flush().unwrap();
    assert!(Client::new(&cas.address(), key, None).status().is_ok());
    // Each read ends because the CAS hung up; a CAS that waits for ever fails the test's own
    // read timeout, which is another error than the end of the stream.
    let mut rest = Vec::new();
    assert_eq!(silent.read_to_end(&mut rest).unwrap_or(0), 0);
    let hung_up = |error: std::io::Error| error.kind() != std::io::ErrorKind::WouldBlock;
    assert!(slow.read_to_end(&mut rest).map_or_else(hung_up, |_| true));
    assert!(
        instance
            .stream
            .read_to_end(&mut rest)
            .map_or_else(hung_up, |_| true)
    );
    assert!(
        send(&mut instance.stream, b"late").is_err() || instance.stream.read(&mut [0]).is_err()
    );
}

#[test]
fn it_ends_on_a_signal() {
    let machine = Machine::new();
    let mut cas = machine.start();
    let pid = cas.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert!(cas.child.wait().unwrap().success());
}
