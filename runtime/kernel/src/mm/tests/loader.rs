//! Programs.

use super::*;
use crate::mm::loader;

#[test]
fn a_program_and_its_dynamic_linker_are_loaded() {
    let space = space();
    let program = HostFile::open(c"/bin/sh");
    let mut asked = Vec::new();
    let plan = loader::Plan::of(program.clone(), &mut |path| {
        asked.push(path.to_vec());
        let path = std::ffi::CString::new(path).unwrap();
        Ok(HostFile::open(&path))
    });
    let plan = plan.unwrap();
    assert_eq!(asked, [b"/lib64/ld-linux-x86-64.so.2".to_vec()]);
    let loaded = plan.load(&space).unwrap();

    let mut bytes = std::vec![0; program.len as usize];
    program.read_at(0, &mut bytes).unwrap();
    let elf = Elf::parse_file(&bytes).unwrap();
    assert_eq!(elf.kind(), FileKind::PositionIndependent);
    let bias = loaded.entry - elf.entry() as usize;
    assert_eq!(bias, space.placement.program_base);
    assert_ne!(loaded.start, loaded.entry);
    assert_eq!(
        user::get::<[u8; 4]>(loaded.interpreter_base),
        Ok(*b"\x7fELF")
    );
    for segment in elf.load_segments() {
        let at = bias + segment.vaddr as usize;
        let inside = bytes[segment.offset as usize..][..segment.file_len as usize].to_vec();
        let mut seen = std::vec![0; inside.len()];
        user::UserSlice::new(at, seen.len())
            .unwrap()
            .read(&mut seen)
            .unwrap();
        assert!(seen == inside, "segment at {at:#x} differs from the file");
        let zeroes = (segment.mem_len - segment.file_len) as usize;
        let mut bss = std::vec![1; zeroes];
        user::UserSlice::new(at + inside.len(), zeroes)
            .unwrap()
            .read(&mut bss)
            .unwrap();
        assert!(bss.iter().all(|b| *b == 0), "bss at {at:#x} is not zeroed");
    }
    let heap = space.set_break(0);
    assert!(heap > loaded.entry && heap.is_multiple_of(PAGE));

    let arguments = [b"sh".to_vec(), b"-c".to_vec(), b"true".to_vec()];
    let environment = [b"HOME=/".to_vec()];
    let start = Start {
        arguments: &arguments,
        environment: &environment,
        path: b"/bin/sh",
        values: AuxiliaryValues {
            user: 7,
            min_signal_stack: 2048,
            ..AuxiliaryValues::default()
        },
        stack_limit: 8 << 20,
    };
    let registers = start.build(&space, &loaded).unwrap();
    assert_eq!(registers.rip, loaded.start);
    assert_eq!(registers.rsp % 16, 0);
    let word = |index: usize| user::get::<usize>(registers.rsp + index * 8).unwrap();
    let string = |at: usize| user::get_string(at, 4096).unwrap();
    assert_eq!(word(0), 3);
    let seen: Vec<Vec<u8>> = (1..4).map(|i| string(word(i))).collect();
    assert_eq!((seen.as_slice(), word(4)), (arguments.as_slice(), 0));
    assert_eq!((string(word(5)), word(6)), (environment[0].clone(), 0));
    let auxiliary = |kind: u32| {
        (0..)
            .map(|i| (word(7 + 2 * i), word(8 + 2 * i)))
            .take_while(|(k, _)| *k != 0)
            .find(|(k, _)| *k == kind as usize)
    };
    use linux_raw_sys::auxvec as aux;
    assert_eq!(auxiliary(aux::AT_ENTRY).map(|v| v.1), Some(loaded.entry));
    assert_eq!(auxiliary(aux::AT_UID).map(|v| v.1), Some(7));
    assert_eq!(
        auxiliary(aux::AT_EXECFN).map(|v| string(v.1)),
        Some(b"/bin/sh".to_vec())
    );
    assert_eq!(auxiliary(aux::AT_SYSINFO_EHDR), None);
    let random = auxiliary(aux::AT_RANDOM).unwrap().1;
    assert_ne!(user::get::<[u8; 16]>(random), Ok([0; 16]));
}

#[test]
fn files_that_are_no_programs_are_refused_before_anything_is_mapped() {
    let text = HostFile::open(c"/etc/passwd");
    let fault = loader::Plan::of(text, &mut |_| Err(Errno::ENOENT))
        .err()
        .unwrap();
    assert_eq!(fault.errno(), Errno::ENOEXEC);
    let shell = HostFile::open(c"/bin/sh");
    let fault = loader::Plan::of(shell.clone(), &mut |_| Err(Errno::ENOENT))
        .err()
        .unwrap();
    assert_eq!(fault.errno(), Errno::ENOENT);
    let fault = loader::Plan::of(shell, &mut |_| Ok(HostFile::open(c"/etc/passwd")))
        .err()
        .unwrap();
    assert_eq!(fault.errno(), Errno::EIO);
}

#[test]
fn arguments_over_the_limit_are_refused() {
    let start = |arguments: &[Vec<u8>], limit: u64| {
        let values = AuxiliaryValues::default();
        Start {
            arguments,
            environment: &[],
            path: b"/x",
            values,
            stack_limit: limit,
        }
        .check()
    };
    assert_eq!(start(&[std::vec![b'a'; 131_071]], u64::MAX), Ok(()));
    assert_eq!(
        start(&[std::vec![b'a'; 131_072]], u64::MAX),
        Err(Errno::E2BIG)
    );
    let many: Vec<Vec<u8>> = (0..20).map(|_| std::vec![b'a'; 120_000]).collect();
    assert_eq!(start(&many, 8 << 20), Err(Errno::E2BIG));
    assert_eq!(start(&many, 64 << 20), Ok(()));
}
