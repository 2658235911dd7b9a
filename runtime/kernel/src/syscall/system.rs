//! What programs ask about the system.

use super::{Argument::*, Call, Outcome, Row};
use bannock_platform::{Errno, host, host::time, user};
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(raw::__NR_uname, "uname", &[Pointer], uname),
    Row::emulated(raw::__NR_sysinfo, "sysinfo", &[Pointer], sysinfo)
        .with_notes("memory is the host's; uptime and processes are the container's"),
    Row::emulated(raw::__NR_personality, "personality", &[Size], personality)
        .with_notes("PER_LINUX without flags; others EINVAL"),
    Row::refused(
        raw::__NR_sethostname,
        "sethostname",
        "the name comes from the session",
    ),
    Row::refused(
        raw::__NR_setdomainname,
        "setdomainname",
        "the name comes from the session",
    ),
];

/// What programs take for the kernel's version: a long-term one that has what is emulated.
pub(crate) const RELEASE: &str = "6.1.0-bannock";
const FIELD: usize = 65;

fn uname(call: &Call<'_>) -> Outcome {
    let hostname = &*call.thread.process.container.config.hostname;
    let fields: [&[u8]; 6] = [
        b"Linux",
        hostname,
        RELEASE.as_bytes(),
        b"#1 SMP",
        b"x86_64",
        b"(none)",
    ];
    let mut image = [[0u8; FIELD]; 6];
    for (to, from) in image.iter_mut().zip(fields) {
        for (to, from) in to.iter_mut().take(FIELD - 1).zip(from) {
            *to = *from;
        }
    }
    user::put(call.word(0), &image).map(|()| 0)
}

fn sysinfo(call: &Call<'_>) -> Outcome {
    let info = host::process::system_information()?;
    let container = &call.thread.process.container;
    let now = time::clock(raw::CLOCK_BOOTTIME as i32)?.to_nanos()?;
    let uptime = now.saturating_sub(container.started) / 1_000_000_000;
    let processes = container.processes().len().min(usize::from(u16::MAX)) as u64;
    let [load1, load5, load15] = info.loads;
    // `struct sysinfo` of 112 bytes: 14 words, of which the 11th starts with the processes and the
    // 14th is the unit.
    let words: [u64; 14] = [
        uptime,
        load1,
        load5,
        load15,
        info.totalram,
        info.freeram,
        info.sharedram,
        info.bufferram,
        info.totalswap,
        info.freeswap,
        processes,
        0,
        0,
        u64::from(info.mem_unit),
    ];
    user::put(call.word(0), &words).map(|()| 0)
}

fn personality(call: &Call<'_>) -> Outcome {
    match call.uint(0) {
        0 | u32::MAX => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}
