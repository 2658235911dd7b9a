//! Entries about one process.

use super::super::filesystem::{MagicTarget, PATH_MAX};
use super::super::synthetic::processors;
use super::super::walk::{How, Target};
use super::super::{Credentials, Location, mounts::Mount};
use super::{Body, Entry, Subject};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use bannock_platform::{Errno, PAGE};
use core::fmt::Write;
use linux_raw_sys::general as raw;

type Outcome = Result<Vec<u8>, Errno>;

const fn process(name: &'static str, text: fn(&Subject) -> Outcome) -> Entry {
    Entry {
        name,
        parent: 0,
        body: Body::Process(text),
    }
}

/// Where `task` is in the table.
pub(super) const TASK: usize = 1;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "",
        parent: 0,
        body: Body::Directory,
    },
    Entry {
        name: "task",
        parent: 0,
        body: Body::Threads,
    },
    Entry {
        name: "fdinfo",
        parent: 0,
        body: Body::DescriptorTexts,
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
    // One group for all of the container.
    process("cgroup", |_| Ok(b"0::/\n".to_vec())),
    process("cmdline", |s| Ok(s.process.arguments())),
    process("comm", |s| {
        let mut name = s.process.name(s.id);
        name.push(b'\n');
        Ok(name)
    }),
    process("environ", |s| Ok(s.process.environment())),
    process("limits", limits),
    // Nobody has logged in.
    process("loginuid", |_| Ok(format!("{}", u32::MAX).into_bytes())),
    process("maps", |s| Ok(s.process.maps())),
    process("mountinfo", mountinfo),
    process("mounts", mounts),
    process("oom_score", |_| Ok(b"0\n".to_vec())),
    process("oom_score_adj", |_| Ok(b"0\n".to_vec())),
    process("sessionid", |_| Ok(format!("{}", u32::MAX).into_bytes())),
    process("stat", stat),
    process("statm", statm),
    process("status", status),
    process("wchan", |_| Ok(b"0".to_vec())),
];

/// What `fdinfo` says of a descriptor.
pub(super) fn descriptor_text(subject: &Subject, descriptor: i32, own: bool) -> Outcome {
    let files = subject.process.files();
    let file = files.file(descriptor).map_err(|_| Errno::ENOENT)?;
    let close_on_exec = if files.is_close_on_exec(descriptor)? {
        raw::O_CLOEXEC
    } else {
        0
    };
    // The position of a file that the host reads is the host's to say, of the caller's own.
    let position = if own && let Ok(handle) = files.get(descriptor) {
        handle.seek(0, raw::SEEK_CUR).unwrap_or(0)
    } else {
        file.position()
    };
    let mount = file
        .location()
        .and_then(|at| numbered_mounts(subject).find(|(_, mount)| Arc::ptr_eq(mount, &at.mount)));
    let inode = file
        .location()
        .and_then(|at| at.attributes().ok())
        .map_or_else(|| file.id() >> 4, |attributes| attributes.inode);
    Ok(format!(
        "pos:\t{}\nflags:\t0{:o}\nmnt_id:\t{}\nino:\t{inode}\n",
        position,
        file.flags() | close_on_exec,
        // What has no place is on none of them.
        mount.map_or(1, |(number, _)| number),
    )
    .into_bytes())
}

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

/// All mounts, each with its number; 1 stands for what they are mounted on.
fn numbered_mounts(subject: &Subject) -> impl Iterator<Item = (u32, &Arc<Mount>)> {
    (2..).zip(subject.process.fs().mounts().mounts())
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
    for (id, mount) in numbered_mounts(subject) {
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
    out.extend_from_slice(&process.name(subject.id));
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
    let (id, group, parent) = (subject.id, subject.group, process.parent());
    let (mapped, resident) = process.memory();
    let [own, shared, blocked, ignored, caught] = process.signals(id);
    let mut out = b"Name:\t".to_vec();
    out.extend_from_slice(&process.name(id));
    let mut rest =
        format!("\nState:\t{state}\nTgid:\t{group}\nPid:\t{id}\nPPid:\t{parent}\nTracerPid:\t0\n");
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
        "Threads:\t{}\nSigQ:\t{}/{}\nSigPnd:\t{own:016x}\nShdPnd:\t{shared:016x}\n",
        process.threads().len(),
        own.count_ones() + shared.count_ones(),
        process.signal_limit()
    );
    let _ = write!(
        rest,
        "SigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\n"
    );
    // Capabilities go with user 0.
    let [_, effective, ..] = process.users();
    let all = (1u64 << (raw::CAP_LAST_CAP + 1)) - 1;
    let capabilities = if effective == 0 { all } else { 0 };
    let _ = write!(
        rest,
        "CapInh:\t{0:016x}\nCapPrm:\t{capabilities:016x}\nCapEff:\t{capabilities:016x}\nCapBnd:\t{all:016x}\nCapAmb:\t{0:016x}\n",
        0
    );
    let _ = write!(
        rest,
        "NoNewPrivs:\t{}\nSeccomp:\t0\nSeccomp_filters:\t0\n",
        u8::from(process.no_new_privileges())
    );
    let cpus = processors();
    let mask = u32::MAX
        .checked_shr(32u32.saturating_sub(cpus as u32))
        .unwrap_or(0);
    let _ = write!(
        rest,
        "Cpus_allowed:\t{mask:x}\nCpus_allowed_list:\t0-{}\n",
        cpus.saturating_sub(1)
    );
    // Nobody counts them.
    rest.push_str("voluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n");
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}
