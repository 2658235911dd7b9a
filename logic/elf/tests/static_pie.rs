//! A static PIE, relocated ahead of time, runs without relocation code.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails here should stop here"
)]

mod common;

use bannock_elf::{Elf, ElfFault, FileKind, SegmentKind, lay_out_as_mapped, relocate_static_pie};

const BASE: u64 = 0x2000_0000_0000;

/// Calls through a table of pointers and exits with 42 if, and only if, the table is relocated and
/// code runs where it was told to (its page is compared with the entry point's address).
const PROGRAM: &str = r#"
static int seven(void) { return 7; }
static int six(void) { return 6; }
static const char text[] = "x";
int (*volatile table[])(void) = { six, seven, 0 };
const char *volatile texts[70] = { [0] = text, [69] = text };
static long zero_page[2000];
extern char __ehdr_start[];
__attribute__((noreturn, used)) static void body(void) {
    int result = table[0]() * table[1]();
    if (texts[69] != text || *texts[0] != 'x' || texts[1]) result = 1;
    for (int i = 0; i < 2000; i++) if (zero_page[i]) result = 2;
    if (EXPECTED_BASE && (unsigned long)__ehdr_start != EXPECTED_BASE) result = 3;
    __asm__ volatile("syscall" :: "a"(231), "D"(result));
    __builtin_unreachable();
}
__asm__(".globl _start\n_start: and $-16,%rsp\n call body\n");
"#;

const FLAGS: &[&str] = &[
    "-static-pie",
    "-nostdlib",
    "-ffreestanding",
    "-fno-stack-protector",
    "-O1",
    "-fPIE",
    "-Wl,--no-dynamic-linker",
    "-DEXPECTED_BASE=0x200000000000",
];

fn build(name: &str, extra: &[&str]) -> (std::path::PathBuf, Vec<u8>) {
    let dir = common::scratch(name);
    let pie = common::gcc(&dir, "pie", PROGRAM, &[FLAGS, extra].concat());
    (dir, pie)
}

fn assert_runs_at_base(name: &str, extra: &[&str]) {
    let (dir, pie) = build(name, extra);
    assert_ne!(
        common::run(&dir, "unrelocated", &pie).code(),
        Some(42),
        "nothing to relocate"
    );
    let fixed = relocate_static_pie(&pie, BASE).unwrap();
    assert_eq!(common::run(&dir, "relocated", &fixed).code(), Some(42));
    let elf = Elf::parse_file(&fixed).unwrap();
    assert_eq!(elf.kind(), FileKind::Fixed);
    let plan = elf.load_plan().unwrap();
    assert_eq!(plan.span.start, BASE);
    assert!(plan.program_headers.unwrap() > BASE);
}

#[test]
fn a_pointer_table_works_after_rela_relocation() {
    assert_runs_at_base("rela", &[]);
}

#[test]
fn a_pointer_table_works_after_relr_relocation() {
    assert_runs_at_base("relr", &["-Wl,-z,pack-relative-relocs"]);
}

#[test]
fn the_result_announces_no_relocations() {
    let (_, pie) = build("announce", &[]);
    let fixed = relocate_static_pie(&pie, BASE).unwrap();
    let again = relocate_static_pie(&fixed, BASE).unwrap_err();
    assert!(matches!(again, ElfFault::NotStaticPie { .. }), "{again}");
    // Only the type says so: as a PIE, the result has nothing left to relocate and stays as it is.
    let mut as_pie = fixed.clone();
    as_pie[16] = 3;
    let moved = relocate_static_pie(&as_pie, 0x1000_0000).unwrap();
    let elf = Elf::parse_file(&pie).unwrap();
    let data = elf
        .load_segments()
        .find(|segment| segment.protection.write)
        .unwrap();
    let dynamic = elf.find(SegmentKind::Dynamic).unwrap();
    let mut words = (data.offset..data.offset + data.file_len)
        .step_by(8)
        .filter(|at| !(dynamic.offset..dynamic.offset + dynamic.file_len).contains(at))
        .map(|at| at as usize..at as usize + 8);
    assert!(words.clone().any(|at| fixed[at.clone()] != pie[at]));
    assert!(words.all(|at| moved[at.clone()] == fixed[at]));
}

#[test]
fn bases_outside_user_space_or_off_alignment_are_refused() {
    let (_, pie) = build("bases", &[]);
    for base in [
        0,
        1,
        BASE + 1,
        BASE + 2048,
        (1 << 47) - 4096,
        1 << 47,
        u64::MAX - 4095,
        u64::MAX,
    ] {
        let fault = relocate_static_pie(&pie, base).unwrap_err();
        assert!(matches!(fault, ElfFault::Base { .. }), "{base:#x}: {fault}");
    }
}

#[test]
fn dynamic_programs_and_symbolic_relocations_are_refused() {
    let dir = common::scratch("refused");
    let dynamic = common::gcc(
        &dir,
        "dynamic",
        "int main(void){return 0;}",
        &["-pie", "-fPIE"],
    );
    let fault = relocate_static_pie(&dynamic, BASE).unwrap_err();
    assert!(matches!(fault, ElfFault::NotStaticPie { .. }), "{fault}");

    let source = "extern int elsewhere; int *volatile p = &elsewhere; void _start(void) {}";
    let flags = ["-shared", "-nostdlib", "-fPIC", "-Wl,-e,_start"];
    let symbolic = common::gcc(&dir, "symbolic", source, &flags);
    let fault = relocate_static_pie(&symbolic, BASE).unwrap_err();
    assert!(matches!(fault, ElfFault::Relocation { .. }), "{fault}");
}

#[test]
fn relocations_outside_writable_file_bytes_are_refused() {
    let (_, pie) = build("targets", &[]);
    let elf = Elf::parse_file(&pie).unwrap();
    let plan = elf.load_plan().unwrap();
    let text = elf
        .load_segments()
        .find(|segment| segment.protection.execute)
        .unwrap()
        .vaddr;
    let bss = plan.segments.last().unwrap().zero_pages.start;
    let dynamic = elf.find(SegmentKind::Dynamic).unwrap().offset as usize;
    let quad = |at: usize| u64::from_le_bytes(pie[at..at + 8].try_into().unwrap());
    let rela = (dynamic..)
        .step_by(16)
        .find(|at| quad(*at) == 7)
        .map(|at| quad(at + 8))
        .unwrap();
    let at = elf.file_range(rela, 24).unwrap().offset as usize;
    for target in [text, bss, plan.span.end, u64::MAX - 3, 0] {
        let mut hostile = pie.clone();
        hostile[at..at + 8].copy_from_slice(&target.to_le_bytes());
        let fault = relocate_static_pie(&hostile, BASE).unwrap_err();
        assert!(
            matches!(fault, ElfFault::Relocation { .. }),
            "{target:#x}: {fault}"
        );
    }
}

const HUGE: u64 = 2 << 20;

/// The file that a layout of `file` describes.
fn laid_out(mut file: Vec<u8>) -> Vec<u8> {
    let layout = lay_out_as_mapped(&mut file, HUGE).unwrap();
    let mut out = vec![0; layout.len as usize];
    for piece in &layout.pieces {
        let from = piece.from.of(&file).unwrap();
        out[piece.to as usize..][..from.len()].copy_from_slice(from);
    }
    out
}

#[test]
fn a_program_laid_out_as_mapped_still_runs() {
    let spread = "-Wl,-z,separate-code,--section-start=.text=0x200000";
    for (name, extra) in [("laid-out-close", None), ("laid-out-spread", Some(spread))] {
        let (dir, pie) = build(name, extra.as_slice());
        let out = laid_out(relocate_static_pie(&pie, BASE).unwrap());
        assert_eq!(common::run(&dir, "laid-out", &out).code(), Some(42));
        let elf = Elf::parse_file(&out).unwrap();
        assert!(elf.load_segments().all(|s| s.offset == s.vaddr - BASE));
    }
}

#[test]
fn text_that_begins_a_huge_page_fills_it_where_it_is_alone() {
    let text = |flags: &[&str], name| {
        let (_, pie) = build(name, flags);
        let out = laid_out(relocate_static_pie(&pie, BASE).unwrap());
        let elf = Elf::parse_file(&out).unwrap();
        *elf.load_segments().find(|s| s.protection.execute).unwrap()
    };
    let start = "-Wl,-z,separate-code,--section-start=.text=0x200000";
    let apart = "-Wl,--section-start=.rodata=0x400000";
    let alone = text(&[start, apart], "fills-alone");
    assert_eq!((alone.file_len, alone.mem_len), (HUGE, HUGE));
    let close = text(&[start], "fills-close");
    assert!(close.mem_len < HUGE, "data is in the same huge page");
    let unaligned = text(&["-Wl,-z,separate-code"], "fills-unaligned");
    assert!(unaligned.mem_len < HUGE);
}

#[test]
fn what_does_not_begin_with_its_first_segment_is_not_laid_out() {
    let (_, pie) = build("laid-out-refused", &[]);
    let mut fixed = relocate_static_pie(&pie, BASE).unwrap();
    assert!(lay_out_as_mapped(&mut fixed.clone()[..100], HUGE).is_err());
    let elf = Elf::parse_file(&fixed).unwrap();
    let index = elf
        .program_headers()
        .iter()
        .position(|header| header.kind == SegmentKind::Load)
        .unwrap();
    // The first segment's page comes from elsewhere in the file.
    let at = elf.table().offset as usize + index * 56 + 8;
    fixed[at..at + 8].copy_from_slice(&0x1000u64.to_le_bytes());
    assert!(matches!(
        lay_out_as_mapped(&mut fixed, HUGE),
        Err(ElfFault::ProgramHeader { index: 0, .. })
    ));
}
