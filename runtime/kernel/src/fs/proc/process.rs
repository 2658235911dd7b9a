//! Entries about one process.

use super::super::filesystem::{MagicTarget, PATH_MAX};
use super::super::walk::{How, Target};
use super::super::{Credentials, Location};
use super::{Body, Entry, Subject};
use alloc::{format, string::String, vec::Vec};
use bannock_platform::{Errno, PAGE};
use core::fmt::Write;

type Outcome = Result<Vec<u8>, Errno>;

const fn process(name: &'static str, text: fn(&Subject) -> Outcome) -> Entry {
    Entry {
        name,
        parent: 0,
        body: Body::Process(text),
    }
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "",
        parent: 0,
        body: Body::Directory,
    },
    Entry {
        name: "fd",
        parent: 0,
        body: Body::Descriptors,
    },
    Entry {
        name: "cwd",
        parent: 0,
        body: Body::Magic(
            |s| s.process.fs().path(&s.process.fs().cwd()),
            |s| Ok(MagicTarget::Location(s.process.fs().cwd())),
        ),
    },
    Entry {
        name: "exe",
        parent: 0,
        body: Body::Magic(
            |s| Ok(s.process.executable()),
            |s| executable(s).map(MagicTarget::Location),
        ),
    },
    Entry {
        name: "root",
        parent: 0,
        body: Body::Magic(
            |_| Ok(b"/".to_vec()),
            |s| Ok(MagicTarget::Location(s.process.fs().root())),
        ),
    },
    process("cmdline", |s| Ok(s.process.arguments())),
    process("comm", |s| {
        let mut name = s.process.name();
        name.push(b'\n');
        Ok(name)
    }),
    process("environ", |s| Ok(s.process.environment())),
    process("limits", limits),
    process("maps", |s| Ok(s.process.maps())),
    process("mountinfo", mountinfo),
    process("mounts", mounts),
    process("stat", stat),
    process("statm", statm),
    process("status", status),
];

fn executable(subject: &Subject) -> Result<Location, Errno> {
    let path = subject.process.executable();
    match subject
        .process
        .fs()
        .walk(None, &path, How::empty(), &Credentials::default())?
    {
        Target::Found(at, _) => Ok(at),
        Target::Open(_) => Err(Errno::ENOENT),
    }
}

/// A path as mount tables write it: space, tab, line feed and backslash in octal (fstab(5)).
fn escaped(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len().min(PATH_MAX));
    for byte in path {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => {
                let _ = write!(out, "\\{byte:03o}");
            }
            _ => out.push(char::from(*byte)),
        }
    }
    out
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "the signature is that of all entries"
)]
fn mounts(subject: &Subject) -> Outcome {
    let mut out = String::new();
    for mount in subject.process.fs().mounts().mounts() {
        let kind = mount.fs.kind();
        let access = if mount.read_only { "ro" } else { "rw" };
        let _ = writeln!(out, "{kind} {} {kind} {access} 0 0", escaped(&mount.path));
    }
    Ok(out.into_bytes())
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "the signature is that of all entries"
)]
fn mountinfo(subject: &Subject) -> Outcome {
    let mut out = String::new();
    for (id, mount) in (2..).zip(subject.process.fs().mounts().mounts()) {
        let kind = mount.fs.kind();
        let access = if mount.read_only { "ro" } else { "rw" };
        let (major, minor) = super::super::attributes::device_parts(mount.fs.device());
        let path = escaped(&mount.path);
        let _ = writeln!(
            out,
            "{id} 1 {major}:{minor} / {path} {access} - {kind} {kind} {access}"
        );
    }
    Ok(out.into_bytes())
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "the signature is that of all entries"
)]
fn limits(subject: &Subject) -> Outcome {
    let files = subject.process.descriptor_limit();
    let mut out = format!(
        "{:<26}{:<21}{:<21}Units     \n",
        "Limit", "Soft Limit", "Hard Limit"
    );
    let _ = writeln!(
        out,
        "{:<26}{files:<21}{files:<21}{:<10}",
        "Max open files", "files"
    );
    Ok(out.into_bytes())
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "the signature is that of all entries"
)]
fn stat(subject: &Subject) -> Outcome {
    let process = &subject.process;
    let (group, session) = process.group_and_session();
    let [user, system, start] = process.times();
    let (mapped, resident) = process.memory();
    let mut out = format!("{} (", subject.id).into_bytes();
    out.extend_from_slice(&process.name());
    // Fields 3 to 24 of proc_pid_stat(5); the ones that nobody keeps are 0, as are all after them.
    let fields = format!(
        ") {} {} {group} {session} 0 -1 0 0 0 0 0 {user} {system} 0 0 20 0 {} 0 {start} {mapped} {}",
        process.state(),
        process.parent(),
        process.threads().len(),
        resident / PAGE as u64,
    );
    out.extend_from_slice(fields.as_bytes());
    out.extend_from_slice(" 0".repeat(28).as_bytes());
    out.push(b'\n');
    Ok(out)
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "the signature is that of all entries"
)]
fn statm(subject: &Subject) -> Outcome {
    let (mapped, resident) = subject.process.memory();
    let pages = |bytes: u64| bytes / PAGE as u64;
    Ok(format!("{} {} 0 0 0 0 0\n", pages(mapped), pages(resident)).into_bytes())
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "the signature is that of all entries"
)]
fn status(subject: &Subject) -> Outcome {
    let process = &subject.process;
    let state = match process.state() {
        'R' => "R (running)",
        'T' => "T (stopped)",
        'Z' => "Z (zombie)",
        _ => "S (sleeping)",
    };
    let (id, parent) = (subject.id, process.parent());
    let (mapped, resident) = process.memory();
    let [pending, blocked, ignored, caught] = process.signals();
    let mut out = b"Name:\t".to_vec();
    out.extend_from_slice(&process.name());
    let mut rest =
        format!("\nState:\t{state}\nTgid:\t{id}\nPid:\t{id}\nPPid:\t{parent}\nTracerPid:\t0\n");
    let list = |ids: [u32; 4]| format!("{}\t{}\t{}\t{}", ids[0], ids[1], ids[2], ids[3]);
    let _ = write!(
        rest,
        "Uid:\t{}\nGid:\t{}\n",
        list(process.users()),
        list(process.groups())
    );
    let _ = writeln!(
        rest,
        "FDSize:\t{}",
        process.files().numbers().len().next_multiple_of(64)
    );
    let _ = write!(
        rest,
        "VmPeak:\t{0:>8} kB\nVmSize:\t{0:>8} kB\nVmRSS:\t{1:>8} kB\n",
        mapped / 1024,
        resident / 1024
    );
    let _ = write!(
        rest,
        "Threads:\t{}\nSigPnd:\t0000000000000000\nShdPnd:\t{pending:016x}\n",
        process.threads().len()
    );
    let _ = write!(
        rest,
        "SigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\n"
    );
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}
