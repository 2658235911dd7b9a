//! A LAS in a process of its own, callers with and without privileges, instances that misbehave.

// Clippy's allowance for tests does not reach their helpers.
#![allow(clippy::unwrap_used, clippy::panic)]

use bannock_evidence::{Collateral, Evidence, TrustAnchors, Verdict};
use bannock_simulated_platform::{Options, Platform};
use bannock_wire::binding::{Channel, Claims, Role, report_data};
use bannock_wire::channel::{Hello, MAX_REQUESTS};
use bannock_wire::las::{Descriptor, Reply, Request, Start};
use bannock_wire::launch::{Isolation, LaunchIdentity, runtime_measurement};
use bannock_wire::{PROTOCOL_VERSION, frame};
use std::fs;
use std::io::{BufRead, BufReader, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

const NOBODY: u32 = 65534;

/// A process that is killed when the test is over, however it ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct World {
    dir: tempfile::TempDir,
    root: [u8; 32],
    las: Process,
}

impl World {
    fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests serve callers of several users and must run as root"
        );
        let dir = tempfile::tempdir().unwrap();
        // Other users reach what is in it, the platform's own folder aside.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let platform =
            Platform::create(&dir.path().join("platform"), &Options::issued_at(now)).unwrap();
        let test = std::env::current_exe().unwrap();
        let examples = test.ancestors().nth(2).unwrap().join("examples");
        for name in ["serve", "caller", "instance"] {
            fs::copy(examples.join(name), dir.path().join(name)).unwrap();
        }
        let las = Self::serve(dir.path(), "audit");
        Self {
            root: platform.root_sha256(),
            dir,
            las,
        }
    }

    fn serve(dir: &std::path::Path, audit: &str) -> Process {
        let las = Command::new(dir.join("serve"))
            .args([dir.join("las.sock"), dir.join("platform"), dir.join(audit)])
            .spawn()
            .unwrap();
        while UnixStream::connect(dir.join("las.sock")).is_err() {
            std::thread::yield_now();
        }
        Process(las)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn connect(&self) -> UnixStream {
        UnixStream::connect(self.path("las.sock")).unwrap()
    }

    /// Starts the test's image through a caller with that user id.
    fn call(&self, uid: u32, kind: &str, arguments: &[&str]) -> Caller {
        let mut child = Command::new(self.path("caller"))
            .args([self.path("las.sock"), self.path("instance")])
            .arg(kind)
            .args(arguments)
            .uid(uid)
            .gid(uid)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Caller {
            output: BufReader::new(child.stdout.take().unwrap()),
            stdin: child.stdin.take().unwrap(),
            process: Process(child),
        }
    }

    /// All that an instance and its caller print until both are done, in lines.
    fn run(&self, uid: u32, kind: &str, arguments: &[&str]) -> Vec<String> {
        let mut text = String::new();
        let mut caller = self.call(uid, kind, arguments);
        caller.output.read_to_string(&mut text).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn audit(&self) -> String {
        fs::read_to_string(self.path("audit")).unwrap()
    }

    /// The audit log once it holds `text`.
    fn audit_with(&self, text: &str) -> String {
        loop {
            let audit = self.audit();
            if audit.contains(text) {
                return audit;
            }
            std::thread::yield_now();
        }
    }

    fn verify(&self, evidence: &bannock_wire::channel::Evidence) -> Verdict {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let evidence = Evidence {
            quote: evidence.quote.clone(),
            collateral: Collateral::from_json(&evidence.collateral).unwrap(),
        };
        let anchors = TrustAnchors::vendors().with_simulated_root(self.root);
        bannock_evidence::verify(&evidence, &anchors, now).unwrap()
    }
}

struct Caller {
    process: Process,
    stdin: ChildStdin,
    output: BufReader<std::process::ChildStdout>,
}

impl Caller {
    fn line_starting(&mut self, start: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "no {start:?}");
            if let Some(rest) = line.strip_prefix(start) {
                return rest.trim().to_owned();
            }
        }
    }
}

fn rest<'a>(lines: &'a [String], start: &str) -> &'a str {
    lines
        .iter()
        .find_map(|line| line.strip_prefix(start))
        .unwrap_or_else(|| panic!("no line starts with {start:?}: {lines:#?}"))
}

fn service() -> LaunchIdentity {
    LaunchIdentity::Service {
        config_id: "session/service".to_owned(),
        cas_key: [7; 32],
    }
}

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

fn send(socket: &mut UnixStream, message: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let framed = [&frame::prefix(message.len()).unwrap()[..], message].concat();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    let mut ancillary = rustix::net::SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(rustix::net::SendAncillaryMessage::ScmRights(descriptors));
    }
    let pieces = [IoSlice::new(&framed)];
    let flags = rustix::net::SendFlags::empty();
    assert_eq!(
        rustix::net::sendmsg(socket, &pieces, &mut ancillary, flags).unwrap(),
        framed.len()
    );
}

fn receive(socket: &mut UnixStream) -> Reply {
    let mut prefix = [0; 4];
    socket.read_exact(&mut prefix).unwrap();
    let mut message = vec![0; frame::length(prefix, 1 << 20).unwrap()];
    socket.read_exact(&mut message).unwrap();
    bannock_wire::decode("reply", &message).unwrap()
}

#[test]
fn starts_that_make_no_sense_are_refused_and_logged() {
    let world = World::new();
    let null = fs::File::open("/dev/null").unwrap();
    let image = fs::File::open(world.path("instance")).unwrap();
    let start = Start {
        version: PROTOCOL_VERSION,
        launch: service(),
        arguments: Vec::new(),
        environment: Vec::new(),
        descriptors: vec![
            Descriptor::Image,
            Descriptor::Stdin,
            Descriptor::Stdout,
            Descriptor::Stderr,
        ],
    };
    let all = [image.as_fd(), null.as_fd(), null.as_fd(), null.as_fd()];
    let many = [null.as_fd(); 10];
    let twice = vec![
        Descriptor::Image,
        Descriptor::Stdin,
        Descriptor::Stdin,
        Descriptor::Stderr,
    ];
    let no_image = vec![Descriptor::Stdin, Descriptor::Stdout, Descriptor::Stderr];
    let identity = |config_id: &str| LaunchIdentity::Service {
        config_id: config_id.to_owned(),
        cas_key: [0; 32],
    };
    let request = |start: Start| bannock_wire::encode(&Request::Start { start });
    let with = |change: &dyn Fn(&mut Start)| {
        let mut changed = start.clone();
        change(&mut changed);
        request(changed)
    };
    let cases: [(Vec<u8>, &[BorrowedFd<'_>], &str); 11] = [
        (vec![], &[], "cannot be understood"),
        (vec![0xff; 30], &all, "cannot be understood"),
        (request(start.clone()), &all[..3], "3 descriptors"),
        (request(start.clone()), &many[..9], "9 descriptors"),
        (request(start.clone()), &many, "at most 9"),
        (with(&|start| start.version = 2), &all, "protocol version 2"),
        (
            with(&|start| start.descriptors = twice.clone()),
            &all,
            "named twice",
        ),
        (
            with(&|start| start.descriptors = no_image.clone()),
            &all[1..],
            "Image descriptor",
        ),
        (
            with(&|start| start.launch = identity("a\nb/c")),
            &all,
            "config id",
        ),
        (
            with(&|start| start.environment = vec!["=x".to_owned()]),
            &all,
            "variable",
        ),
        (
            bannock_wire::encode(&Request::Status),
            &all,
            "4 descriptors",
        ),
    ];
    let count = cases.len();
    for (message, descriptors, expected) in cases {
        let mut socket = world.connect();
        send(&mut socket, &message, descriptors);
        match receive(&mut socket) {
            Reply::Refused { reason } => assert!(reason.contains(expected), "{reason}"),
            other => panic!("{expected}: {other:?}"),
        }
    }
    let mut socket = world.connect();
    socket.write_all(&(2u32 << 20).to_le_bytes()).unwrap();
    match receive(&mut socket) {
        Reply::Refused { reason } => assert!(reason.contains("too large"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let audit = world.audit();
    assert_eq!(audit.matches("start-refused").count(), count + 1, "{audit}");
    assert!(!audit.contains("\"event\":\"start\""));
}

#[test]
fn starts_above_the_rate_are_refused_for_that_user_alone() {
    let world = World::new();
    // An image that cannot be started costs a token all the same.
    let attempt = || {
        let mut socket = world.connect();
        let message = bannock_wire::encode(&Request::Start {
            start: Start {
                version: PROTOCOL_VERSION,
                launch: service(),
                arguments: Vec::new(),
                environment: Vec::new(),
                descriptors: Vec::new(),
            },
        });
        send(&mut socket, &message, &[]);
        match receive(&mut socket) {
            Reply::Refused { reason } => reason,
            other => panic!("{other:?}"),
        }
    };
    assert!((0..5000).any(|_| attempt().contains("too often")));
    let lines = world.run(NOBODY, "service", &["exit", "0"]);
    assert!(lines.contains(&"exited 0".to_owned()), "{lines:?}");
}

/// A file system with room for one page, unmounted when the test is over.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Self {
        fs::create_dir(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4k", "tmpfs"])
            .arg(&at)
            .status()
            .unwrap();
        assert!(mounted.success());
        Self(at)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn nothing_happens_without_a_record() {
    let mut world = World::new();
    let disk = SmallDisk::mount(world.path("small"));
    world.las.0.kill().unwrap();
    world.las.0.wait().unwrap();
    world.las = World::serve(world.dir.path(), "small/audit");
    let mut quotes = 0;
    let mut is_refused = false;
    for _ in 0..20 {
        let lines = world.run(NOBODY, "service", &["hello", "evidence"]);
        quotes += lines
            .iter()
            .filter(|line| line.starts_with("evidence "))
            .count();
        is_refused |= lines
            .iter()
            .any(|line| line.contains("start refused: cannot append"));
        if is_refused {
            assert!(
                !lines.iter().any(|line| line.starts_with("hello ")),
                "{lines:?}"
            );
        }
    }
    assert!(is_refused);
    let audit = fs::read_to_string(disk.0.join("audit")).unwrap();
    assert!(quotes > 0);
    assert_eq!(quotes, audit.matches("\"event\":\"quote\"").count());
}

#[test]
fn a_log_that_was_changed_stops_the_las() {
    let mut world = World::new();
    world.run(NOBODY, "service", &["exit", "0"]);
    world.las.0.kill().unwrap();
    world.las.0.wait().unwrap();
    let audit = world.audit().replacen("65534", "65533", 1);
    fs::write(world.path("audit"), audit).unwrap();
    let output = Command::new(world.path("serve"))
        .args(["las.sock", "platform", "audit"].map(|name| world.path(name)))
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("Broken"));
}
