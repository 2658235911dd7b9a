//! Real programs and libraries of the machine.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails here should stop here"
)]

mod common;

use std::fs;

use bannock_elf::{
    Dynamic, DynamicStrings, Elf, FileHeader, FileKind, PAGE_SIZE, StackPermission,
    parse_interpreter,
};

fn shell() -> Vec<u8> {
    fs::read("/bin/sh").unwrap()
}

#[test]
fn the_shell_has_an_interpreter_that_loads() {
    let file = shell();
    let elf = Elf::parse_file(&file).unwrap();
    let path = parse_interpreter(elf.interpreter().unwrap().of(&file).unwrap()).unwrap();
    let interpreter = fs::read(std::str::from_utf8(path).unwrap()).unwrap();
    let interpreter = Elf::parse_file(&interpreter).unwrap();
    assert_eq!(interpreter.kind(), FileKind::PositionIndependent);
    assert!(interpreter.interpreter().is_none());
    interpreter.load_plan().unwrap();
    assert_eq!(elf.stack(), StackPermission::NonExecutable);
}

#[test]
fn a_plan_covers_every_segment_once_and_agrees_with_the_file() {
    let file = shell();
    let elf = Elf::parse_file(&file).unwrap();
    let plan = elf.load_plan().unwrap();
    let mut next = 0;
    for (segment, header) in plan.segments.iter().zip(elf.load_segments()) {
        assert!(segment.pages.start >= next);
        next = segment.pages.end;
        assert!(segment.pages.start <= header.vaddr && header.end() <= segment.pages.end);
        let file_pages = match segment.file {
            None => 0,
            Some(map) => {
                assert_eq!(map.offset % PAGE_SIZE, 0);
                assert_eq!(map.offset + map.len, header.offset + header.file_len);
                map.len.next_multiple_of(PAGE_SIZE)
            }
        };
        assert_eq!(segment.pages.start + file_pages, segment.zero_pages.start);
        assert_eq!(segment.zero_pages.end, segment.pages.end);
    }
    assert!(
        plan.segments
            .iter()
            .any(|segment| !segment.zero_tail.is_empty())
    );
    assert_eq!(plan.program_headers, Some(64));
}

#[test]
fn the_table_can_be_read_separately() {
    let file = shell();
    let header = FileHeader::parse(&file[..64], file.len() as u64).unwrap();
    let table = header.table.of(&file).unwrap();
    let elf = Elf::from_table(header, table, file.len() as u64).unwrap();
    assert_eq!(elf, Elf::parse_file(&file).unwrap());
}

#[test]
fn dependencies_are_those_that_the_compiler_was_told() {
    let dir = common::scratch("dependencies");
    let library = ["-shared", "-fPIC", "-Wl,-soname,libone.so.1"];
    common::gcc(&dir, "libone.so", "int one(void){return 1;}", &library);
    let search = format!("-L{}", dir.display());
    let flags = [
        "-shared",
        "-fPIC",
        "-Wl,--no-as-needed,-rpath,$ORIGIN/../lib:/opt/${LIB}",
        &search,
    ];
    let flags = [&flags[..], &["-Wl,--enable-new-dtags", "-l:libone.so"]].concat();
    let file = common::gcc(&dir, "libtwo.so", "int two(void){return 2;}", &flags);
    let dynamic = Dynamic::parse(&file, &Elf::parse_file(&file).unwrap())
        .unwrap()
        .unwrap();
    assert!(dynamic.needed.contains(&&b"libone.so.1"[..]));
    assert_eq!(
        dynamic.runpath,
        Some(vec![&b"$ORIGIN/../lib"[..], b"/opt/${LIB}"])
    );
    assert!(dynamic.rpath.is_empty() && dynamic.default_directories);

    let one = fs::read(dir.join("libone.so")).unwrap();
    let dynamic = Dynamic::parse(&one, &Elf::parse_file(&one).unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(dynamic.soname, Some(&b"libone.so.1"[..]));
}

#[test]
fn dynamic_string_tokens_are_replaced_as_ld_so_does() {
    let strings = DynamicStrings {
        origin: b"/o",
        lib: b"lib64",
        platform: b"x86_64",
    };
    for (path, expanded) in [
        (&b"$ORIGIN/../lib"[..], &b"/o/../lib"[..]),
        (b"${ORIGIN}x/$LIB/${PLATFORM}", b"/ox/lib64/x86_64"),
        (b"$ORIGINAL/$X/${ORIGIN", b"$ORIGINAL/$X/${ORIGIN"),
        (b"/plain$", b"/plain$"),
    ] {
        assert_eq!(strings.expand(path), expanded);
    }
}

#[test]
fn static_and_fixed_programs_are_told_apart() {
    let dir = common::scratch("fixed");
    let source = "int main(void){return 0;}";
    let file = common::gcc(&dir, "fixed", source, &["-static", "-no-pie"]);
    let elf = Elf::parse_file(&file).unwrap();
    assert_eq!(elf.kind(), FileKind::Fixed);
    assert!(Dynamic::parse(&file, &elf).unwrap().is_none());
    assert!(elf.tls().is_some());
    assert_eq!(elf.load_plan().unwrap().span.start, 0x40_0000);
}
