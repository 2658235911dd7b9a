//! Entries about the whole container.

use super::super::synthetic::processors;
use super::{Body, Entry, KERNEL_RELEASE, ProcFs};
use alloc::{format, string::String, vec::Vec};
use bannock_platform::{Errno, host};
use core::fmt::Write;
use linux_raw_sys::general as raw;

type Outcome = Result<Vec<u8>, Errno>;

const fn system(name: &'static str, parent: usize, text: fn(&ProcFs) -> Outcome) -> Entry {
    Entry {
        name,
        parent,
        body: Body::System(text),
    }
}

const fn directory(name: &'static str, parent: usize) -> Entry {
    Entry {
        name,
        parent,
        body: Body::Directory,
    }
}

const SYS: usize = 1;
const KERNEL: usize = 2;
const RANDOM: usize = 3;
const VM: usize = 4;
const FS: usize = 5;

/// Directories come first, at the indices above.
pub(super) const ENTRIES: &[Entry] = &[
    directory("", 0),
    directory("sys", 0),
    directory("kernel", SYS),
    directory("random", KERNEL),
    directory("vm", SYS),
    directory("fs", SYS),
    Entry {
        name: "self",
        parent: 0,
        body: Body::Link(|fs| caller(fs).map(|(p, _)| format!("{p}").into_bytes())),
    },
    Entry {
        name: "thread-self",
        parent: 0,
        body: Body::Link(|fs| caller(fs).map(|(p, t)| format!("{p}/task/{t}").into_bytes())),
    },
    Entry {
        name: "mounts",
        parent: 0,
        body: Body::Link(|_| text("self/mounts")),
    },
    system("cpuinfo", 0, |_| cpuinfo()),
    system("filesystems", 0, |_| {
        text("nodev\ttmpfs\nnodev\tproc\nnodev\tsysfs\nnodev\tdevtmpfs\n")
    }),
    system("loadavg", 0, loadavg),
    system("meminfo", 0, |_| meminfo()),
    system("stat", 0, |_| stat()),
    system("uptime", 0, |_| uptime()),
    system("version", 0, |_| {
        text(&format!("Linux version {KERNEL_RELEASE} (bannock)\n"))
    }),
    system("cap_last_cap", KERNEL, |_| {
        text(&format!("{}\n", raw::CAP_LAST_CAP))
    }),
    system("hostname", KERNEL, |fs| {
        let mut name = fs.source.host_name();
        name.push(b'\n');
        Ok(name)
    }),
    system("ngroups_max", KERNEL, |_| text("65536\n")),
    system("osrelease", KERNEL, |_| {
        text(&format!("{KERNEL_RELEASE}\n"))
    }),
    system("ostype", KERNEL, |_| text("Linux\n")),
    system("pid_max", KERNEL, |_| {
        text(&format!("{}\n", crate::task::Container::MAX_ID))
    }),
    system("boot_id", RANDOM, |fs| Ok(uuid(fs.boot_id))),
    system("uuid", RANDOM, |_| {
        let mut bytes = [0; 16];
        host::random(&mut bytes)?;
        Ok(uuid(bytes))
    }),
    system("max_map_count", VM, |_| text("65530\n")),
    system("overcommit_memory", VM, |_| text("0\n")),
    system("file-max", FS, |_| text("9223372036854775807\n")),
    system("nr_open", FS, |_| text("1048576\n")),
];

#[allow(
    clippy::unnecessary_wraps,
    reason = "the signature is that of all entries"
)]
fn text(text: &str) -> Outcome {
    Ok(text.as_bytes().to_vec())
}

fn caller(fs: &ProcFs) -> Result<(i32, i32), Errno> {
    let caller = fs.source.caller();
    if caller.0 == 0 {
        Err(Errno::ENOENT)
    } else {
        Ok(caller)
    }
}

/// A random UUID (RFC 9562, 5.4).
fn uuid(mut bytes: [u8; 16]) -> Vec<u8> {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut out = String::new();
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out.push('\n');
    out.into_bytes()
}

fn cpuinfo() -> Outcome {
    let mut out = String::new();
    for number in 0..processors() {
        let _ = write!(
            out,
            "processor\t: {number}\nphysical id\t: 0\ncore id\t\t: {number}\n\n"
        );
    }
    Ok(out.into_bytes())
}

fn loadavg(fs: &ProcFs) -> Outcome {
    let info = host::process::system_information()?;
    let [a, b, c] = info.loads.map(|l| {
        let hundredths = l.saturating_mul(100) >> 16;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    });
    let ids = fs.source.ids();
    let newest = ids.last().copied().unwrap_or(0);
    text(&format!("{a} {b} {c} 1/{} {newest}\n", ids.len()))
}

fn meminfo() -> Outcome {
    let info = host::process::system_information()?;
    let kib = |v: u64| v.saturating_mul(u64::from(info.mem_unit)) / 1024;
    let (total, free) = (kib(info.totalram), kib(info.freeram));
    let mut out = String::new();
    for (name, value) in [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free.saturating_add(kib(info.bufferram))),
        ("Buffers", kib(info.bufferram)),
        ("Cached", 0),
        ("SwapCached", 0),
        ("Shmem", kib(info.sharedram)),
        ("SwapTotal", kib(info.totalswap)),
        ("SwapFree", kib(info.freeswap)),
    ] {
        let _ = writeln!(out, "{:<16}{value:>8} kB", format!("{name}:"));
    }
    Ok(out.into_bytes())
}

fn stat() -> Outcome {
    const IDLE: &str = "0 0 0 0 0 0 0 0 0 0";
    let mut out = format!("cpu  {IDLE}\n");
    for number in 0..processors() {
        let _ = writeln!(out, "cpu{number} {IDLE}");
    }
    let now = super::super::attributes::now().seconds;
    let up = i64::try_from(host::time::monotonic() / 1_000_000_000).unwrap_or(0);
    let _ = write!(
        out,
        "ctxt 0\nbtime {}\nprocesses 0\nprocs_running 1\nprocs_blocked 0\n",
        now - up
    );
    Ok(out.into_bytes())
}

fn uptime() -> Outcome {
    let hundredths = host::time::monotonic() / 10_000_000;
    text(&format!(
        "{}.{:02} 0.00\n",
        hundredths / 100,
        hundredths % 100
    ))
}
