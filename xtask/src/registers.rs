//! Which registers the runtime's code uses.
//!
//! The system-call entry saves xmm0–15 only. One instruction that writes a ymm or zmm register, or
//! the upper half of one, anywhere in the runtime would therefore corrupt the program it serves.

use std::{path::Path, process::Command};

use crate::{fault::Fault, process};

/// Disassembles `file` and refuses it if it uses registers wider than xmm, or mask registers.
///
/// # Errors
/// When there is such an instruction, or `objdump` cannot disassemble the file.
pub(crate) fn check(file: &Path) -> Result<(), Fault> {
    let listing = process::output(
        Command::new("objdump")
            .args(["--disassemble", "--no-show-raw-insn"])
            .arg(file),
    )?;
    let mut wide = listing.lines().filter(|line| is_wide(line));
    if let Some(first) = wide.next() {
        return Err(Fault::WideRegisters {
            file: file.to_path_buf(),
            count: wide.count() + 1,
            first: first.split_whitespace().collect::<Vec<_>>().join(" "),
        });
    }
    // The runtime's own entry saves the xmm registers: a listing without them is no listing of it.
    if !listing.contains("%xmm") {
        return Err(Fault::NotDisassembled {
            file: file.to_path_buf(),
        });
    }
    Ok(())
}

/// Whether a line of a disassembly names a register that the entry does not save. `vzeroupper` and
/// `vzeroall` name none and clear all of them; the VEX and EVEX forms of scalar instructions do
/// so too, but no compiler emits those where AVX is not enabled, nor does hand-written code that
/// uses no ymm register.
fn is_wide(line: &str) -> bool {
    ["%ymm", "%zmm", "%k1", "vzeroupper", "vzeroall"]
        .iter()
        .any(|name| line.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_registers_are_recognised_in_a_listing() {
        for wide in [
            "   1f3a:\tvmovdqu (%rsi),%ymm0",
            "   1f3a:\tvpxorq %zmm1,%zmm2,%zmm3",
            "   1f3a:\tvmovdqu8 (%rsi),%xmm0{%k1}{z}",
            "   1f3a:\tvzeroupper",
        ] {
            assert!(is_wide(wide), "{wide}");
        }
        for narrow in [
            "   1f3a:\tmovdqu %xmm0,(%rdi)",
            "   1f3a:\tpclmulqdq $0x0,%xmm1,%xmm0",
            "0000000000001f3a <is_zmm_wide>:",
        ] {
            assert!(!is_wide(narrow), "{narrow}");
        }
    }

    #[test]
    fn a_program_with_ymm_registers_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("wide.s");
        let object = folder.path().join("wide.o");
        for (text, refused) in [
            ("movaps %xmm0, %xmm1\nvxorps %ymm0, %ymm0, %ymm0\n", true),
            ("movaps %xmm0, %xmm1\n", false),
        ] {
            std::fs::write(&source, text).unwrap();
            process::run(Command::new("as").arg("-o").arg(&object).arg(&source)).unwrap();
            let answer = check(&object);
            assert_eq!(
                matches!(answer, Err(Fault::WideRegisters { count: 1, .. })),
                refused,
                "{answer:?}"
            );
        }
        std::fs::write(&source, "ret\n").unwrap();
        process::run(Command::new("as").arg("-o").arg(&object).arg(&source)).unwrap();
        assert!(matches!(check(&object), Err(Fault::NotDisassembled { .. })));
    }
}
