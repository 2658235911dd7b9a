//! Malformed files are refused with the fault that names what is wrong, and nothing panics.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails here should stop here"
)]

use std::fs;
use std::sync::LazyLock;

use bannock_elf::{Dynamic, Elf, ElfFault, parse_interpreter, relocate_static_pie};
use proptest::prelude::*;

static SHELL: LazyLock<Vec<u8>> = LazyLock::new(|| fs::read("/bin/sh").unwrap());
static LOADER: LazyLock<Vec<u8>> =
    LazyLock::new(|| fs::read("/lib64/ld-linux-x86-64.so.2").unwrap());

/// Offset of a field of the program header of the first `PT_LOAD`.
fn load_field(file: &[u8], field: usize) -> usize {
    let index = Elf::parse_file(file)
        .unwrap()
        .program_headers()
        .iter()
        .position(|header| header.kind == bannock_elf::SegmentKind::Load)
        .unwrap();
    64 + 56 * index + field
}

fn with(at: usize, new: &[u8]) -> Vec<u8> {
    let mut file = SHELL.clone();
    file[at..at + new.len()].copy_from_slice(new);
    file
}

#[test]
fn each_field_of_the_header_is_checked() {
    assert_eq!(Elf::parse_file(b""), Err(ElfFault::BadMagic));
    assert_eq!(Elf::parse_file(b"#!/bin/sh\n"), Err(ElfFault::BadMagic));
    assert!(matches!(
        Elf::parse_file(b"\x7fELF"),
        Err(ElfFault::Truncated { .. })
    ));
    for (at, new, name) in [
        (4, &[1][..], "class"),
        (5, &[2], "byte order"),
        (6, &[0], "identification version"),
        (16, &[1], "file type"),
        (18, &[3], "machine"),
        (20, &[2], "version"),
        (52, &[63], "header size"),
        (54, &[32], "program header size"),
    ] {
        match Elf::parse_file(&with(at, new)) {
            Err(ElfFault::Unsupported { field, .. }) => assert_eq!(field, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    for count in [0u16, 129, u16::MAX] {
        assert!(matches!(
            Elf::parse_file(&with(56, &count.to_le_bytes())),
            Err(ElfFault::ProgramHeaderCount { .. })
        ));
    }
    for offset in [u64::MAX, u64::MAX - 63, SHELL.len() as u64] {
        assert!(matches!(
            Elf::parse_file(&with(32, &offset.to_le_bytes())),
            Err(ElfFault::Truncated { .. })
        ));
    }
}

#[test]
fn each_field_of_a_segment_is_checked() {
    const OFFSET: usize = 8;
    const VADDR: usize = 16;
    const FILE_LEN: usize = 32;
    const MEM_LEN: usize = 40;
    const ALIGN: usize = 48;
    for (field, value, expected) in [
        (OFFSET, 1, "its offset and its address differ within a page"),
        (
            OFFSET,
            u64::MAX - 0xfff,
            "its bytes lie beyond the end of the file",
        ),
        (VADDR, 1 << 47, "its addresses lie beyond user space (2^47)"),
        (
            VADDR,
            u64::MAX - 0xfff,
            "its addresses lie beyond user space (2^47)",
        ),
        (
            FILE_LEN,
            1 << 40,
            "its bytes lie beyond the end of the file",
        ),
        (MEM_LEN, 1, "it holds more bytes in the file than in memory"),
        (
            MEM_LEN,
            u64::MAX,
            "its addresses lie beyond user space (2^47)",
        ),
        (ALIGN, 3, "its alignment is not a power of two"),
        (ALIGN, 1 << 31, "its alignment is more than 1 GiB"),
    ] {
        let file = with(load_field(&SHELL, field), &value.to_le_bytes());
        match Elf::parse_file(&file) {
            Err(ElfFault::ProgramHeader { reason, .. }) => assert_eq!(reason, expected),
            other => panic!("{field}={value:#x}: {other:?}"),
        }
    }
    // The first segment grows into the second: mapping it would hide pages of another.
    let file = with(load_field(&SHELL, MEM_LEN), &0x8000u64.to_le_bytes());
    assert!(
        matches!(Elf::parse_file(&file), Err(ElfFault::ProgramHeader { reason, .. })
        if reason.contains("shares a page"))
    );
}

#[test]
fn an_entry_point_outside_text_is_refused() {
    for entry in [0, 1u64, 1 << 46, u64::MAX] {
        let elf = Elf::parse_file(&with(24, &entry.to_le_bytes())).unwrap();
        assert_eq!(elf.load_plan(), Err(ElfFault::EntryOutsideText { entry }));
    }
}

#[test]
fn interpreter_paths_are_absolute_and_terminated() {
    assert_eq!(
        parse_interpreter(b"/lib64/ld.so\0"),
        Ok(&b"/lib64/ld.so"[..])
    );
    for path in [&b""[..], b"\0", b"/lib64/ld.so", b"/a\0b\0", b"ld.so\0"] {
        assert!(
            matches!(parse_interpreter(path), Err(ElfFault::Interpreter { .. })),
            "{path:?}"
        );
    }
}

#[test]
fn a_truncated_file_is_refused_at_every_length() {
    let whole = Elf::parse_file(&LOADER).unwrap();
    let end = whole
        .load_segments()
        .map(|s| (s.offset + s.file_len) as usize)
        .max()
        .unwrap();
    for len in (0..64 + 56 * 11)
        .chain((0..end).step_by(997))
        .chain([end - 1])
    {
        assert!(Elf::parse_file(&LOADER[..len]).is_err(), "{len}");
    }
}

/// Everything the crate offers, on one file.
fn exercise(file: &[u8], base: u64) {
    let _ = relocate_static_pie(file, base);
    if let Ok(elf) = Elf::parse_file(file) {
        let _ = elf.load_plan();
        let _ = Dynamic::parse(file, &elf);
        let path = elf.interpreter().and_then(|range| range.of(file));
        let _ = path.map(parse_interpreter);
        let _ = (elf.tls(), elf.property(), elf.stack());
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2048),
                                   base in any::<u64>()) {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.extend_from_slice(&bytes);
        exercise(&file, base);
        exercise(&bytes, base);
    }

    #[test]
    fn damaged_programs_never_panic(
        edits in prop::collection::vec((0usize..0x400, any::<u64>(), 0usize..8), 1..6),
        page in 0u64..1 << 36,
    ) {
        let mut file = LOADER.clone();
        for (at, value, zeroes) in edits {
            // Values of every magnitude, small ones most often of use.
            let value = value >> (zeroes * 8);
            file[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        exercise(&file, page << 12);
    }
}
