//! The machine's own libraries, cross-checked with a disassembler.
#![allow(
    clippy::unwrap_used,
    reason = "a test that fails here should stop here"
)]

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use bannock_elf::Elf;
use bannock_rewrite::{LeftReason, PatchKind, Plan, plan};

const LIBC: &str = "/lib/x86_64-linux-gnu/libc.so.6";
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// File offsets of all `syscall` instructions, and of all instructions, that objdump sees.
fn disassemble(path: &str, file: &[u8]) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let elf = Elf::parse_file(file).unwrap();
    let done = Command::new("objdump")
        .args(["-d", "--no-show-raw-insn", path])
        .output()
        .unwrap();
    assert!(done.status.success());
    let (mut sites, mut all) = (BTreeSet::new(), BTreeSet::new());
    for line in String::from_utf8(done.stdout).unwrap().lines() {
        let Some((address, text)) = line.split_once(":\t") else {
            continue;
        };
        let address = u64::from_str_radix(address.trim(), 16).unwrap();
        let offset = elf.file_range(address, 1).unwrap().offset;
        all.insert(offset);
        if text.split_whitespace().next() == Some("syscall") {
            sites.insert(offset);
        }
    }
    (sites, all)
}

fn check(path: &str, share: f64) -> Plan {
    let file = fs::read(path).unwrap();
    let (sites, boundaries) = disassemble(path, &file);
    let plan = plan(&file).unwrap();
    for patch in plan.table.patches() {
        assert!(
            sites.contains(&patch.site()),
            "{:#x} is no system call",
            patch.site()
        );
        let window = patch.window();
        assert!(
            boundaries.contains(&window.start),
            "{window:#x?} starts inside an instruction"
        );
        assert!(
            boundaries.contains(&window.end),
            "{window:#x?} ends inside an instruction"
        );
        assert_eq!(
            patch.original(),
            &file[window.start as usize..window.end as usize]
        );
    }
    let known: BTreeSet<u64> = plan
        .table
        .patches()
        .iter()
        .map(|patch| patch.site())
        .chain(plan.left.iter().map(|left| left.site))
        .collect();
    assert!(sites.is_subset(&known), "a site was overlooked");
    let patched = plan.table.patches().len();
    assert!(
        patched as f64 >= share * sites.len() as f64,
        "{patched} of {} sites, left: {:x?}",
        sites.len(),
        plan.left
    );
    plan
}

#[test]
fn libc_is_rewritten_but_for_a_handful() {
    let plan = check(LIBC, 0.99);
    let returns = plan
        .left
        .iter()
        .filter(|left| left.reason == LeftReason::SignalReturn);
    assert_eq!(returns.count(), 1, "__restore_rt must be left alone");
    let stats = plan.table.stats();
    assert!(stats.mov_eax > 8 * stats.after && stats.mov_eax > stats.before);
}

#[test]
fn the_dynamic_linker_is_rewritten_but_for_its_signal_return() {
    check(LOADER, 0.95);
}

#[test]
fn the_bytes_of_a_syscall_inside_other_instructions_stay() {
    for path in ["/usr/bin/python3.11", "/usr/bin/objdump", "/bin/bash"] {
        let Ok(file) = fs::read(path) else { continue };
        let (sites, _) = disassemble(path, &file);
        let plan = plan(&file).unwrap();
        assert!(
            plan.table
                .patches()
                .iter()
                .all(|patch| sites.contains(&patch.site())),
            "{path}"
        );
    }
}

#[test]
fn windows_before_a_site_end_at_it() {
    let file = fs::read(LIBC).unwrap();
    for patch in plan(&file).unwrap().table.patches() {
        match patch.kind() {
            PatchKind::After => assert_eq!(patch.window().start, patch.site()),
            PatchKind::MovEax | PatchKind::Before => assert_eq!(patch.window().end, patch.site()),
        }
    }
}
