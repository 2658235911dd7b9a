//! System calls of the host, without any checking.

use core::arch::asm;
use linux_raw_sys::general as sys;

/// Makes the system call `number`; returns the raw result, negative for an error number.
///
/// # Safety
/// The caller vouches for the call: pointers are valid for what it does, and it breaks nothing
/// that Rust code relies on.
#[inline(always)]
pub unsafe fn syscall(number: u32, args: [usize; 6]) -> isize {
    let ret: isize;
    let [a, b, c, d, e, f] = args;
    // SAFETY: vouched for by the caller; the clobbers are those of `syscall`.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => ret,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    ret
}

/// Executes the program file that is open at `descriptor`; returns the error where that fails.
///
/// # Safety
/// `arguments` and `environment` are null-terminated arrays of NUL-terminated strings.
pub unsafe fn execute(
    descriptor: i32,
    arguments: *const usize,
    environment: *const usize,
) -> isize {
    let args = [
        descriptor as usize,
        c"".as_ptr() as usize,
        arguments as usize,
        environment as usize,
        sys::AT_EMPTY_PATH as usize,
        0,
    ];
    // SAFETY: vouched for by the caller; when it succeeds, nothing of this image is left.
    unsafe { syscall(sys::__NR_execveat, args) }
}

/// Ends the process with `code`.
pub fn exit(code: i32) -> ! {
    loop {
        // SAFETY: ends the process; nothing runs afterwards.
        unsafe { syscall(sys::__NR_exit_group, [code as usize, 0, 0, 0, 0, 0]) };
    }
}
