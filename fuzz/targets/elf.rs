//! Programs: headers, load plan, dynamic section, relocation, layout.
#![no_main]

use bannock_elf::{Dynamic, Elf, FileHeader, lay_out_as_mapped, relocate_static_pie};
use libfuzzer_sys::fuzz_target;

/// Where programs are relocated to.
const BASE: u64 = 0x5555_5555_0000;

/// Bytes of a huge page.
const HUGE: u64 = 2 << 20;

fuzz_target!(|file: &[u8]| {
    let _ = FileHeader::parse(file, file.len() as u64);
    if let Ok(elf) = Elf::parse_file(file) {
        let _ = elf.load_plan();
        if let Some(interpreter) = elf.interpreter().and_then(|range| range.of(file)) {
            let _ = bannock_elf::parse_interpreter(interpreter);
        }
        let _ = Dynamic::parse(file, &elf);
    }
    let mut laid_out = file.to_vec();
    if let Ok(layout) = lay_out_as_mapped(&mut laid_out, HUGE) {
        let before = Elf::parse_file(file).expect("laid out, so it was read");
        let after = Elf::parse(&laid_out, layout.len).expect("what is laid out is a program");
        assert_eq!(after.entry(), before.entry());
        for piece in &layout.pieces {
            assert!(piece.from.of(file).is_some(), "a part of the file");
            assert!(piece.to + piece.from.len <= layout.len, "within the other");
        }
    }
    if let Ok(image) = relocate_static_pie(file, BASE) {
        // What is relocated is still the same program, elsewhere.
        let before = Elf::parse_file(file).expect("relocated, so it was read");
        let after = Elf::parse_file(&image).expect("a relocated program is one");
        assert_eq!(after.entry(), before.entry() + BASE);
    }
});
