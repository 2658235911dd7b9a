//! The seccomp filter that proves that nothing else reaches the host.
//!
//! It admits the calls of [`bannock_platform::host::ALLOWED`], and those only from the runtime's
//! text; everything else ends the process with a message. Syscall User Dispatch comes first
//! (Linux `syscall_trace_enter`), so a program's own calls never get here: what the filter
//! finds is a pass-through that nobody intended.

use crate::{interrupts, raw, regions, report};
use alloc::vec::Vec;
use linux_raw_sys::{general as sys, prctl};

/// `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    operand: u32,
}

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    len: u16,
    instructions: *const Instruction,
}

const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const POINTER_LOW: u32 = 8;
const POINTER_HIGH: u32 = 12;

const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const ALLOW: u32 = 0x7fff_0000;
const TRAP: u32 = 0x0003_0000;
const SECCOMP_SET_MODE_FILTER: usize = 1;

const fn instruction(code: u16, jump_true: u8, jump_false: u8, operand: u32) -> Instruction {
    Instruction {
        code,
        jump_true,
        jump_false,
        operand,
    }
}

/// The filter for a runtime whose text is `[start, start + len)`, which must not cross a 4 GiB
/// boundary.
fn program(start: usize, len: usize) -> Option<Vec<Instruction>> {
    let high = (start >> 32) as u32;
    let low = start as u32;
    let end = low.checked_add(u32::try_from(len).ok()?)?;
    let mut code = alloc::vec![
        instruction(LOAD, 0, 0, ARCHITECTURE),
        instruction(JUMP_EQUAL, 1, 0, AUDIT_ARCH_X86_64),
        instruction(RETURN, 0, 0, TRAP),
        instruction(LOAD, 0, 0, POINTER_HIGH),
        instruction(JUMP_EQUAL, 1, 0, high),
        instruction(RETURN, 0, 0, TRAP),
        instruction(LOAD, 0, 0, POINTER_LOW),
        instruction(JUMP_GREATER_EQUAL, 1, 0, low),
        instruction(RETURN, 0, 0, TRAP),
        // The pointer is after the instruction, which may be the last of the text.
        instruction(JUMP_GREATER_EQUAL, 0, 1, end.checked_add(1)?),
        instruction(RETURN, 0, 0, TRAP),
        instruction(LOAD, 0, 0, NUMBER),
    ];
    for number in bannock_platform::host::ALLOWED {
        code.push(instruction(JUMP_EQUAL, 0, 1, *number));
        code.push(instruction(RETURN, 0, 0, ALLOW));
    }
    code.push(instruction(RETURN, 0, 0, TRAP));
    Some(code)
}

/// Installs the filter for this process and all that it starts. Ends the process when the host
/// refuses.
pub fn install() {
    let (start, len) = interrupts::text();
    let installed = program(start, len).is_some_and(|code| {
        let program = Program {
            len: code.len() as u16,
            instructions: code.as_ptr(),
        };
        // SAFETY: the program outlives the call, which copies it.
        unsafe {
            raw::syscall(
                sys::__NR_prctl,
                [prctl::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0, 0, 0],
            );
            let args = [
                SECCOMP_SET_MODE_FILTER,
                0,
                core::ptr::from_ref(&program) as usize,
                0,
                0,
                0,
            ];
            raw::syscall(sys::__NR_seccomp, args) == 0
        }
    });
    if !installed {
        report::line(format_args!(
            "the host refuses the filter that --audit-host-calls asks for"
        ));
        raw::exit(regions::bannock_exit_failed());
    }
}
