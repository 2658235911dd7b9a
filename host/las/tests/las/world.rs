//! The LAS, its callers, and how to talk to them.

use bannock_evidence::{Collateral, Evidence, TrustAnchors, Verdict};
use bannock_simulated_platform::{Options, Platform};
use bannock_wire::frame;
use bannock_wire::las::Reply;
use bannock_wire::launch::LaunchIdentity;
use std::fs;
use std::io::{BufRead, BufReader, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const NOBODY: u32 = 65534;

/// A process that is killed when the test is over, however it ends.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) root: [u8; 32],
    pub(crate) las: Process,
}

impl World {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn serve(dir: &std::path::Path, audit: &str) -> Process {
        let las = Command::new(dir.join("serve"))
            .args([dir.join("las.sock"), dir.join("platform"), dir.join(audit)])
            .spawn()
            .unwrap();
        while UnixStream::connect(dir.join("las.sock")).is_err() {
            std::thread::yield_now();
        }
        Process(las)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn connect(&self) -> UnixStream {
        UnixStream::connect(self.path("las.sock")).unwrap()
    }

    /// Starts the test's image through a caller with that user id.
    pub(crate) fn call(&self, uid: u32, kind: &str, arguments: &[&str]) -> Caller {
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
    pub(crate) fn run(&self, uid: u32, kind: &str, arguments: &[&str]) -> Vec<String> {
        let mut text = String::new();
        let mut caller = self.call(uid, kind, arguments);
        caller.output.read_to_string(&mut text).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn audit(&self) -> String {
        fs::read_to_string(self.path("audit")).unwrap()
    }

    /// The audit log once it holds `text`.
    pub(crate) fn audit_with(&self, text: &str) -> String {
        loop {
            let audit = self.audit();
            if audit.contains(text) {
                return audit;
            }
            std::thread::yield_now();
        }
    }

    pub(crate) fn verify(&self, evidence: &bannock_wire::channel::Evidence) -> Verdict {
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

pub(crate) struct Caller {
    pub(crate) process: Process,
    pub(crate) stdin: ChildStdin,
    pub(crate) output: BufReader<std::process::ChildStdout>,
}

impl Caller {
    pub(crate) fn line_starting(&mut self, start: &str) -> String {
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

pub(crate) fn rest<'a>(lines: &'a [String], start: &str) -> &'a str {
    lines
        .iter()
        .find_map(|line| line.strip_prefix(start))
        .unwrap_or_else(|| panic!("no line starts with {start:?}: {lines:#?}"))
}

pub(crate) fn service() -> LaunchIdentity {
    LaunchIdentity::Service {
        config_id: "session/service".to_owned(),
        cas_key: [7; 32],
    }
}

pub(crate) fn send(socket: &mut UnixStream, message: &[u8], descriptors: &[BorrowedFd<'_>]) {
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

pub(crate) fn receive(socket: &mut UnixStream) -> Reply {
    let mut prefix = [0; 4];
    socket.read_exact(&mut prefix).unwrap();
    let mut message = vec![0; frame::length(prefix, 1 << 20).unwrap()];
    socket.read_exact(&mut message).unwrap();
    bannock_wire::decode("reply", &message).unwrap()
}
