//! A rewritten program does what it did before: results, flags, registers, jumps and RIP-relative operands.
//!
//! The program is linked at fixed addresses with its C library, which is rewritten too; it copies the bytes
//! that this test computes over itself.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails here should stop here"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bannock_elf::{Elf, ProgramHeader};
use bannock_rewrite::{
    Applied, ApplyFault, Chunk, Left, LeftReason, Mapping, PatchKind, PatchTable, Phase, Position,
    SkipReason, Write, apply, chunk_addresses, plan,
};
use iced_x86::{Decoder, DecoderOptions, FlowControl};

const INDEXED: &str = "-Wl,--eh-frame-hdr";
const UNINDEXED: &str = "-Wl,--no-eh-frame-hdr";
const CHUNK_LEN: u32 = 0x2_0000;

struct Program {
    path: PathBuf,
    file: Vec<u8>,
    symbols: BTreeMap<String, u64>,
}

impl Program {
    /// Builds the program, with the index of its unwind information or without.
    fn build(name: &str, index: &str) -> Self {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("program");
        let done = Command::new("gcc")
            .args(["-static", "-no-pie", "-O1", index, "-o"])
            .arg(&path)
            .args([sources.join("program.c"), sources.join("program.s")])
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let symbols = Command::new("nm").arg(&path).output().unwrap();
        let symbols = String::from_utf8(symbols.stdout).unwrap();
        let symbols = symbols.lines().filter_map(|line| {
            let [address, _, name] = line.split(' ').collect::<Vec<_>>()[..] else {
                return None;
            };
            Some((name.to_owned(), u64::from_str_radix(address, 16).ok()?))
        });
        let symbols = symbols.collect();
        Self {
            file: fs::read(&path).unwrap(),
            path,
            symbols,
        }
    }

    fn text(&self) -> ProgramHeader {
        let elf = Elf::parse_file(&self.file).unwrap();
        *elf.load_segments()
            .find(|segment| segment.protection.execute)
            .unwrap()
    }

    fn mapping(&self) -> Mapping<'_> {
        let text = self.text();
        let range = text.offset as usize..(text.offset + text.file_len) as usize;
        Mapping {
            address: text.vaddr,
            offset: text.offset,
            text: &self.file[range],
        }
    }

    fn site(&self, name: &str) -> u64 {
        let text = self.text();
        self.symbols[&format!("{name}_site")] - text.vaddr + text.offset
    }

    fn rewrite(&self, table: &PatchTable, chunk: u64) -> (Write, Applied) {
        let entry = self.symbols["entry_point"];
        let (mut chunk, head) = Chunk::new(chunk, CHUNK_LEN, entry).unwrap();
        (head, apply(table, &self.mapping(), &mut chunk, 0).unwrap())
    }

    /// Runs the program with what it shall write over itself.
    fn run(&self, chunk: u64, writes: &[&Write], mode: &str) -> (Option<i32>, String) {
        let mut bytes = [chunk, CHUNK_LEN.into()].map(u64::to_le_bytes).concat();
        for write in writes {
            bytes.extend_from_slice(&write.address.to_le_bytes());
            bytes.extend_from_slice(&(write.bytes.len() as u64).to_le_bytes());
            bytes.extend_from_slice(&write.bytes);
        }
        let path = self.path.with_extension(format!("writes-{chunk:x}"));
        fs::write(&path, bytes).unwrap();
        let done = Command::new(&self.path)
            .arg(&path)
            .arg(mode)
            .output()
            .unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    }
}

#[test]
fn each_kind_of_window_is_chosen_where_it_should_be() {
    let program = Program::build("kinds", INDEXED);
    let plan = plan(&program.file).unwrap();
    for (name, kind, moved) in [
        ("mov_eax", PatchKind::MovEax, 1),
        ("rip_load", PatchKind::Before, 1),
        ("rip_address", PatchKind::Before, 2),
        ("flags_before", PatchKind::Before, 2),
        ("jump_after", PatchKind::After, 2),
        ("jcc_directly_after", PatchKind::After, 2),
        ("return_after", PatchKind::After, 1),
        ("jump_away_after", PatchKind::After, 2),
    ] {
        let site = program.site(name);
        let patch = plan
            .table
            .patches()
            .iter()
            .find(|patch| patch.site() == site);
        let Some(patch) = patch else {
            panic!("{name} is left: {:x?}", plan.left)
        };
        assert_eq!((patch.kind(), patch.moved().len()), (kind, moved), "{name}");
    }
    for (name, reason) in [
        ("entered_inside", LeftReason::BranchIntoWindow),
        ("entered_from_afar", LeftReason::BranchIntoWindow),
        ("signal_return", LeftReason::SignalReturn),
    ] {
        let left = Left {
            site: program.site(name),
            reason,
        };
        assert!(plan.left.contains(&left), "{name}: {:x?}", plan.left);
    }
}

#[test]
fn a_rewritten_program_behaves_as_before() {
    let program = Program::build("behaviour", INDEXED);
    let plan = plan(&program.file).unwrap();
    let text = program.text();
    let reachable = chunk_addresses(text.vaddr, text.file_len, CHUNK_LEN).unwrap();
    let farthest = *reachable.end() & !0xfff;
    for chunk in [0x2000_0000, farthest] {
        let (head, applied) = program.rewrite(&plan.table, chunk);
        assert_eq!((applied.next, &applied.skipped[..]), (None, &[][..]));
        let writes: Vec<&Write> = [&head, &applied.trampolines]
            .into_iter()
            .chain(&applied.windows)
            .collect();
        let (code, output) = program.run(chunk, &writes, "all");
        assert_eq!(
            (code, output.as_str()),
            (Some(0), "done\n"),
            "chunk at {chunk:#x}"
        );
    }
}

#[test]
fn a_program_without_unwind_information_behaves_as_before() {
    let program = Program::build("unindexed", UNINDEXED);
    let plan = plan(&program.file).unwrap();
    assert!(plan.table.patches().len() > 100, "{:?}", plan.table.stats());
    let (head, applied) = program.rewrite(&plan.table, 0x2000_0000);
    let writes: Vec<&Write> = [&head, &applied.trampolines]
        .into_iter()
        .chain(&applied.windows)
        .collect();
    let (code, output) = program.run(0x2000_0000, &writes, "some");
    assert_eq!((code, output.as_str()), (Some(0), "done\n"));
}

#[test]
fn the_program_notices_when_windows_are_not_written() {
    let program = Program::build("control", INDEXED);
    let (code, output) = program.run(0x2000_0000, &[], "all");
    assert_eq!(code, Some(1));
    assert!(output.contains("mov_eax/0: entered 0 times"), "{output}");
}

#[test]
fn every_instruction_of_a_trampoline_stands_for_one_of_the_program() {
    let program = Program::build("map", INDEXED);
    let table = plan(&program.file).unwrap().table;
    let (_, applied) = program.rewrite(&table, 0x2000_0000);
    let mapping = program.mapping();
    let shift = mapping.address - mapping.offset;
    assert_eq!(applied.map.len(), table.patches().len());
    assert_eq!(
        applied.map.locate(&table, 0x2000_0000),
        None,
        "the entry point's address"
    );

    let trampolines = &applied.trampolines;
    for (patch, jump) in table.patches().iter().zip(&applied.windows) {
        let window = patch.window().start + shift..patch.window().end + shift;
        let site = patch.site() + shift;
        let distance = i32::from_le_bytes(jump.bytes[1..5].try_into().unwrap());
        let start = (window.start + 5).wrapping_add_signed(distance.into());
        let bytes = &trampolines.bytes[(start - trampolines.address) as usize..];
        let mut decoder = Decoder::with_ip(64, bytes, start, DecoderOptions::NONE);

        // Entering takes two instructions, `lea` and `jmp`; the way back, where there is one, is one.
        let is_after = patch.kind() == PatchKind::After;
        let mut expected: Vec<(u64, Phase)> = Vec::new();
        let moved_phase = if is_after {
            Phase::AfterEntry
        } else {
            Phase::BeforeEntry
        };
        let mut original = if is_after { site + 2 } else { window.start };
        for moved in patch.moved() {
            expected.push((original, moved_phase));
            original += u64::from(moved.len);
        }
        let enter = if is_after { 0 } else { expected.len() };
        expected.splice(enter..enter, [(site, Phase::BeforeEntry); 2]);
        if is_after && patch.falls_through() {
            expected.push((window.end, Phase::AfterEntry));
        }

        for (index, (original, phase)) in expected.into_iter().enumerate() {
            let instruction = decoder.decode();
            let rip = instruction.ip();
            assert_eq!(
                applied.map.locate(&table, rip),
                Some(Position { original, phase }),
                "{rip:#x}"
            );
            let inside = original > window.start && original < window.end;
            assert_eq!(
                applied.map.resume(&table, original),
                inside.then_some(rip),
                "{rip:#x}"
            );
            let enters = instruction.flow_control() == FlowControl::IndirectBranch;
            assert_eq!(enters, index == enter + 1, "{rip:#x}");
        }
        assert_eq!(applied.map.resume(&table, window.start), None);
        assert_eq!(applied.map.resume(&table, window.end), None);
    }
}

#[test]
fn chunks_that_are_full_are_continued_in_the_next() {
    let program = Program::build("full", INDEXED);
    let table = plan(&program.file).unwrap().table;
    let (_, whole) = program.rewrite(&table, 0x2000_0000);
    let (mut from, mut windows, mut chunks) = (0, 0, 0);
    loop {
        let address = 0x3000_0000 + 0x1000 * chunks;
        let (mut chunk, _) = Chunk::new(address, 256, 1).unwrap();
        let applied = apply(&table, &program.mapping(), &mut chunk, from).unwrap();
        assert!(applied.trampolines.bytes.len() <= 240);
        windows += applied.windows.len();
        chunks += 1;
        match applied.next {
            Some(next) => assert!(next > from, "no progress"),
            None => break,
        }
        from = applied.next.unwrap();
    }
    assert!(chunks > 1);
    assert_eq!(windows, whole.windows.len());
}

#[test]
fn a_mapping_that_differs_or_is_partial_is_patched_only_where_it_agrees() {
    let program = Program::build("differs", INDEXED);
    let table = plan(&program.file).unwrap().table;
    let mapping = program.mapping();
    let first = &table.patches()[0];
    let mut text = mapping.text.to_vec();
    text[(first.window().start - mapping.offset) as usize] ^= 1;
    let (mut chunk, _) = Chunk::new(0x2000_0000, CHUNK_LEN, 1).unwrap();
    let applied = apply(
        &table,
        &Mapping {
            text: &text,
            ..mapping
        },
        &mut chunk,
        0,
    )
    .unwrap();
    assert_eq!(applied.skipped.len(), 1);
    assert_eq!(applied.skipped[0].site, first.site());
    assert_eq!(applied.skipped[0].reason, SkipReason::TextDiffers);

    // A mapping that ends between window and site.
    let len = (first.window().end - mapping.offset) as usize;
    let partial = Mapping {
        text: &mapping.text[..len],
        ..mapping
    };
    let applied = apply(&table, &partial, &mut chunk, 0).unwrap();
    assert!(applied.windows.is_empty());
    assert!(
        applied
            .skipped
            .iter()
            .all(|skipped| skipped.reason == SkipReason::NotMapped)
    );
}

#[test]
fn chunks_out_of_reach_are_refused() {
    let program = Program::build("reach", INDEXED);
    let table = plan(&program.file).unwrap().table;
    for address in [0x8000_0000, 1 << 46] {
        let (mut chunk, _) = Chunk::new(address, CHUNK_LEN, 1).unwrap();
        let fault = apply(&table, &program.mapping(), &mut chunk, 0).unwrap_err();
        assert!(matches!(fault, ApplyFault::ChunkTooFar { .. }));
    }
    assert!(Chunk::new(u64::MAX - 8, 64, 1).is_err());
    assert!(Chunk::new(0x1000, 16, 1).is_err());
}
