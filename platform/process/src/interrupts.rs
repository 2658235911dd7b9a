//! Host signals: the platform owns all of them.
//!
//! * `SIGSYS` is a system call that was not rewritten (Syscall User Dispatch). The handler makes no
//!   call itself: it edits the context so that the program continues at the entry, as if the site
//!   had been rewritten. Blocking calls so never run inside a handler.
//! * Faults of the program become an entry of the kernel with the exact registers; faults of the
//!   kernel's copies from and to the program become `EFAULT`; any other fault of the runtime ends
//!   the container.
//! * Everything else is an interrupt: [`INTERRUPT`] from another thread of the container, other
//!   numbers from outside of it. In the kernel it is only noted; a running program is taken in.
//!
//! Handlers run on a stack of their own with all signals blocked, so they do not nest.

use crate::block::{Block, Cause, Frame, SIGNAL_STACK_LEN, XSAVE_LEN};
use crate::entry::{self, Redirect};
use crate::{raw, regions, report, vdso};
use core::mem::size_of;
use core::sync::atomic::{AtomicUsize, Ordering};
use linux_raw_sys::general as sys;

/// The host signal that one thread of the container sends another to interrupt it: the highest
/// real-time signal, which no library reserves.
pub const INTERRUPT: i32 = 64;

const SIGNALS: i32 = 64;

core::arch::global_asm!(
    r#"
    .section .text.bannock_restorer, "ax"
    .globl bannock_restorer
bannock_restorer:
    mov rax, 15
    syscall
    ud2
"#
);

unsafe extern "C" {
    fn bannock_restorer();
}

/// `struct sigaction` of the kernel's interface.
#[repr(C)]
struct Action {
    handler: usize,
    flags: usize,
    restorer: usize,
    mask: u64,
}

/// `struct ucontext` up to its signal mask; registers in `struct sigcontext`'s order.
#[repr(C)]
struct Context {
    flags: usize,
    link: usize,
    stack: [usize; 3],
    r8: usize,
    r9: usize,
    r10: usize,
    r11: usize,
    r12: usize,
    r13: usize,
    r14: usize,
    r15: usize,
    rdi: usize,
    rsi: usize,
    rbp: usize,
    rbx: usize,
    rdx: usize,
    rax: usize,
    rcx: usize,
    rsp: usize,
    rip: usize,
    rflags: usize,
    segments: usize,
    error: usize,
    trap: usize,
    old_mask: usize,
    cr2: usize,
    fpstate: *mut u8,
    reserved: [usize; 8],
    mask: u64,
}

/// The fields of `siginfo_t` that are looked at.
#[repr(C)]
struct Info {
    signal: i32,
    errno: i32,
    code: i32,
    pad: i32,
    address: usize,
}

/// Linux's numbers (asm/siginfo.h, asm/signal.h).
const SYS_USER_DISPATCH: i32 = 2;
const SIGILL: i32 = sys::SIGILL as i32;
const SIGTRAP: i32 = sys::SIGTRAP as i32;
const SIGBUS: i32 = sys::SIGBUS as i32;
const SIGFPE: i32 = sys::SIGFPE as i32;
const SIGSEGV: i32 = sys::SIGSEGV as i32;
const SIGSYS: i32 = sys::SIGSYS as i32;
const SIGKILL: i32 = sys::SIGKILL as i32;
const SIGSTOP: i32 = sys::SIGSTOP as i32;
const SIGCHLD: i32 = sys::SIGCHLD as i32;
const SIGPIPE: i32 = sys::SIGPIPE as i32;
/// `SIG_IGN`.
const IGNORE: usize = 1;
/// Job-control stops of the host's terminal are not ours to obey.
const SIGNAL_FLAGS: usize = (sys::SA_SIGINFO | sys::SA_ONSTACK | sys::SA_RESTORER) as usize;

static TEXT_START: AtomicUsize = AtomicUsize::new(0);
static TEXT_END: AtomicUsize = AtomicUsize::new(0);

/// The runtime's own code: start and length.
#[must_use]
pub fn text() -> (usize, usize) {
    let start = TEXT_START.load(Ordering::Relaxed);
    (start, TEXT_END.load(Ordering::Relaxed) - start)
}

/// Installs the handlers of this process. Ends the process when the host refuses.
pub fn install() {
    let text = crate::start::executable_segment();
    TEXT_START.store(text.0, Ordering::Relaxed);
    TEXT_END.store(text.0 + text.1, Ordering::Relaxed);
    for signal in 1..=SIGNALS {
        if matches!(signal, SIGKILL | SIGSTOP | SIGCHLD) {
            continue;
        }
        let handler = match signal {
            SIGSYS => on_trap as *const () as usize,
            SIGILL | SIGTRAP | SIGBUS | SIGFPE | SIGSEGV => on_fault as *const () as usize,
            // The host raises it for its own pipes; the kernel does so for the program's, on EPIPE.
            SIGPIPE => IGNORE,
            _ => on_interrupt as *const () as usize,
        };
        let action = Action {
            handler,
            flags: SIGNAL_FLAGS,
            restorer: bannock_restorer as *const () as usize,
            mask: u64::MAX,
        };
        let args = [
            signal as usize,
            core::ptr::from_ref(&action) as usize,
            0,
            8,
            0,
            0,
        ];
        // SAFETY: the structure is the kernel's; the handlers below are written for it.
        let ret = unsafe { raw::syscall(sys::__NR_rt_sigaction, args) };
        if ret != 0 {
            report::line(format_args!("cannot own signal {signal} (error {ret})"));
            raw::exit(regions::bannock_exit_failed());
        }
    }
}

/// Prepares the calling thread: its signal stack, dispatch of system calls, and an open mask.
/// Ends the process when the host refuses.
pub fn arm() {
    let block = Block::current();
    let stack = [block.signal_stack(), 0, SIGNAL_STACK_LEN];
    // SAFETY: the stack is part of the thread's block.
    let ret = unsafe {
        raw::syscall(
            sys::__NR_sigaltstack,
            [stack.as_ptr() as usize, 0, 0, 0, 0, 0],
        )
    };
    let (start, len) = text();
    let dispatch = [
        linux_raw_sys::prctl::PR_SET_SYSCALL_USER_DISPATCH as usize,
        linux_raw_sys::prctl::PR_SYS_DISPATCH_ON as usize,
        start,
        len,
        0,
        0,
    ];
    // SAFETY: calls from the runtime's text stay allowed; all others go to the trap handler.
    let armed = unsafe { raw::syscall(sys::__NR_prctl, dispatch) };
    if ret != 0 || armed != 0 {
        report::line(format_args!(
            "the host cannot dispatch system calls to the runtime (errors {ret}, {armed}); Linux 5.11 or newer with CONFIG_GENERIC_ENTRY is needed"
        ));
        raw::exit(regions::bannock_exit_failed());
    }
    unblock();
}

/// Blocks all host signals of the calling thread.
pub fn block_all() {
    set_mask(u64::MAX);
}

/// Unblocks all host signals of the calling thread; the program's own mask is the kernel's matter.
pub fn unblock() {
    set_mask(0);
}

fn set_mask(mask: u64) {
    let args = [
        sys::SIG_SETMASK as usize,
        core::ptr::from_ref(&mask) as usize,
        0,
        8,
        0,
        0,
    ];
    // SAFETY: the mask outlives the call.
    unsafe { raw::syscall(sys::__NR_rt_sigprocmask, args) };
}

fn in_runtime(rip: usize) -> bool {
    let (start, len) = text();
    rip.wrapping_sub(start) < len || vdso::contains(rip)
}

extern "C" fn on_trap(_: i32, info: &Info, context: &mut Context) {
    if info.code != SYS_USER_DISPATCH {
        // A seccomp filter said no: a host call outside of the platform's list.
        report::line(format_args!(
            "host call {} from {:#x} is not on the process platform's list",
            context.rax, context.rip
        ));
        raw::exit(regions::bannock_exit_failed());
    }
    if vdso::contains(context.rip) {
        // The vDSO could not answer by itself and asks the host, on the kernel's behalf.
        let args = [
            context.rdi,
            context.rsi,
            context.rdx,
            context.r10,
            context.r8,
            context.r9,
        ];
        // SAFETY: it is the very call that the vDSO was making.
        context.rax = unsafe { raw::syscall(context.rax as u32, args) } as usize;
        return;
    }
    if i386_call(context.rip) {
        // int 0x80 has other numbers and 32-bit arguments: no 64-bit program means it.
        context.rax = (-(linux_raw_sys::errno::ENOSYS as isize)) as usize;
        return;
    }
    context.rcx = context.rip;
    context.r11 = context.rflags;
    context.rip = entry::bannock_entry as *const () as usize;
}

/// Whether the instruction before `rip` is `int 0x80`, which Syscall User Dispatch traps as well.
fn i386_call(rip: usize) -> bool {
    let mut bytes = [0u8; 2];
    // SAFETY: `bytes` is ours; the copy survives an unreadable page.
    let left =
        unsafe { entry::bannock_copy(bytes.as_mut_ptr(), rip.wrapping_sub(2) as *const u8, 2) };
    left == 0 && bytes == [0xcd, 0x80]
}

extern "C" fn on_fault(signal: i32, info: &Info, context: &mut Context) {
    // A code of zero or less is a signal that somebody sent, not an exception.
    if info.code <= 0 {
        on_interrupt(signal, info, context);
        return;
    }
    if in_runtime(context.rip) {
        if let Some(Redirect(rip)) = entry::redirect_fault(context.rip) {
            context.rip = rip;
            return;
        }
        if entry::is_leaving(context.rip) {
            // The way back faults only for an address that no program can run at: the fault is the
            // program's, whose registers are still in the frame.
            // SAFETY: the cause is this thread's, which is on its way out of the kernel.
            unsafe { *Block::current().cause.get() = cause(signal, info, context) };
            context.rip = entry::bannock_signal_entry as *const () as usize;
            return;
        }
        report::line(format_args!(
            "signal {signal} (code {}) in the runtime at {:#x} (offset {:#x}), address {:#x}",
            info.code,
            context.rip,
            context.rip.wrapping_sub(regions::base()),
            info.address
        ));
        crate::process::die();
    }
    take_in(context, cause(signal, info, context));
}

const fn cause(signal: i32, info: &Info, context: &Context) -> Cause {
    Cause {
        signal: signal as u32,
        code: info.code,
        address: info.address,
        trap: context.trap,
        error: context.error,
    }
}

extern "C" fn on_interrupt(signal: i32, _: &Info, context: &mut Context) {
    let block = Block::current();
    if signal != INTERRUPT {
        block.outside.fetch_or(1 << (signal - 1), Ordering::SeqCst);
    }
    block.interrupt.store(1, Ordering::SeqCst);
    if in_runtime(context.rip) {
        if let Some(Redirect(rip)) = entry::redirect_interrupted(context.rip) {
            context.rip = rip;
        }
        return;
    }
    if crate::code::before_entry(context.rip) {
        // The program is about to enter by itself, with its own registers still in place.
        return;
    }
    take_in(
        context,
        Cause {
            signal: 0,
            code: 0,
            address: 0,
            trap: 0,
            error: 0,
        },
    );
}

/// Takes a running program into the kernel: its state goes to the block, the thread to the entry.
fn take_in(context: &mut Context, cause: Cause) {
    let block = Block::current();
    let registers = bannock_platform::Registers {
        r15: context.r15,
        r14: context.r14,
        r13: context.r13,
        r12: context.r12,
        rbp: context.rbp,
        rbx: context.rbx,
        r11: context.r11,
        r10: context.r10,
        r9: context.r9,
        r8: context.r8,
        rcx: context.rcx,
        rdx: context.rdx,
        rsi: context.rsi,
        rdi: context.rdi,
        rax: context.rax,
        rip: context.rip,
        rflags: context.rflags,
        rsp: context.rsp,
    };
    // SAFETY: the program was running, so its kernel stack is empty and the frame is free; cause
    // and area are this thread's; the host wrote `extended_size` valid bytes behind `fpstate`.
    unsafe {
        core::ptr::addr_of_mut!((*block.frame()).registers).write(registers);
        *block.cause.get() = cause;
        let area = block.xsave();
        core::ptr::write_bytes(area, 0, LEGACY_AND_HEADER);
        let len = extended_len(context.fpstate).min(XSAVE_LEN);
        core::ptr::copy_nonoverlapping(context.fpstate, area, len);
    }
    block.exact.store(1, Ordering::Relaxed);
    context.rip = entry::bannock_signal_entry as *const () as usize;
}

/// Bytes of the legacy area and the XSAVE header.
const LEGACY_AND_HEADER: usize = 576;
/// Where Linux describes the area inside of it (`struct _fpx_sw_bytes`), and its magic.
const SW_BYTES: usize = 464;
const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
/// Offset of `xstate_size` in those bytes.
const XSTATE_SIZE: usize = 16;

/// Length of the extended state in a host signal frame.
///
/// # Safety
/// `fpstate` comes from a host signal frame.
unsafe fn extended_len(fpstate: *const u8) -> usize {
    // SAFETY: the legacy area is always there.
    let word = |offset: usize| unsafe {
        fpstate
            .add(SW_BYTES + offset)
            .cast::<u32>()
            .read_unaligned()
    };
    if word(0) == FP_XSTATE_MAGIC1 {
        word(XSTATE_SIZE) as usize
    } else {
        512
    }
}

const _: () = assert!(size_of::<Context>() == 40 + 184 + 8 + 64 + 8);
const _: () = assert!(size_of::<Frame>() == 400);
