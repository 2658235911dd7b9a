//! The one entry of system calls, and the ways back to the program.
//!
//! Rewritten sites and traps both arrive at `bannock_entry` with the registers of `syscall`,
//! except that rcx holds the address to continue at. The program's red zone and flags are left
//! alone: the stack is switched before anything is pushed.
//!
//! There are two ways back. The *simple* one restores what `syscall` preserves. The *exact* one
//! also restores rcx, r11 and the extended state, and is taken after signal handlers, exceptions
//! and interrupts. Both look for interrupts first, inside a window that is restartable: a handler
//! that finds the thread there sends it back to look again, so none is lost between looking and
//! leaving.

use crate::block::{Block, Cause, Frame};
use bannock_platform::{
    Errno,
    upcall::{Entry, ExtendedState, Fault},
};
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

unsafe extern "C" {
    /// Entry of system calls.
    pub fn bannock_entry();
    /// Entry after a host signal that found the program running.
    pub fn bannock_signal_entry();
    /// Entry of new threads, on their frame.
    fn bannock_return();
    /// Restartable windows of the ways back.
    static bannock_simple_begin: u8;
    static bannock_simple_end: u8;
    static bannock_exact_begin: u8;
    static bannock_exact_end: u8;
    /// Looks again for interrupts.
    pub fn bannock_recheck();
    /// `fn(number, args) -> isize`: a host call that an interrupt cuts short.
    pub fn bannock_call_interruptible(number: usize, args: *const usize) -> isize;
    static bannock_call_begin: u8;
    static bannock_call_end: u8;
    static bannock_call_abort: u8;
    /// `fn(dst, src, len) -> left`.
    pub fn bannock_copy(dst: *mut u8, src: *const u8, len: usize) -> usize;
    static bannock_copy_fault: u8;
    /// `fn(address, expected, new) -> found`; u64::MAX on a fault.
    pub fn bannock_exchange(address: usize, expected: u32, new: u32) -> u64;
    static bannock_exchange_fault: u8;
}

global_asm!(
    r#"
    .section .text.bannock_entry, "ax"
    .globl bannock_entry, bannock_signal_entry, bannock_return, bannock_recheck
    .globl bannock_simple_begin, bannock_simple_end, bannock_exact_begin, bannock_exact_end
    .globl bannock_call_interruptible, bannock_call_begin, bannock_call_end, bannock_call_abort
    .globl bannock_copy, bannock_copy_fault, bannock_exchange, bannock_exchange_fault

    .p2align 6
bannock_entry:
    mov gs:[16], rsp
    mov rsp, gs:[8]
    push qword ptr gs:[16]
    pushfq
    push rcx
    push rax
    push rdi
    push rsi
    push rdx
    push rcx
    push r8
    push r9
    push r10
    push r11
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    sub rsp, 256
    movaps [rsp], xmm0
    movaps [rsp + 16], xmm1
    movaps [rsp + 32], xmm2
    movaps [rsp + 48], xmm3
    movaps [rsp + 64], xmm4
    movaps [rsp + 80], xmm5
    movaps [rsp + 96], xmm6
    movaps [rsp + 112], xmm7
    movaps [rsp + 128], xmm8
    movaps [rsp + 144], xmm9
    movaps [rsp + 160], xmm10
    movaps [rsp + 176], xmm11
    movaps [rsp + 192], xmm12
    movaps [rsp + 208], xmm13
    movaps [rsp + 224], xmm14
    movaps [rsp + 240], xmm15
    cld
    mov rdi, rsp
    call bannock_on_system_call
bannock_return:
    cmp dword ptr gs:[32], 0
    jne bannock_exact_begin

bannock_simple_begin:
    cmp dword ptr gs:[24], 0
    jne bannock_recheck
    movaps xmm0, [rsp]
    movaps xmm1, [rsp + 16]
    movaps xmm2, [rsp + 32]
    movaps xmm3, [rsp + 48]
    movaps xmm4, [rsp + 64]
    movaps xmm5, [rsp + 80]
    movaps xmm6, [rsp + 96]
    movaps xmm7, [rsp + 112]
    movaps xmm8, [rsp + 128]
    movaps xmm9, [rsp + 144]
    movaps xmm10, [rsp + 160]
    movaps xmm11, [rsp + 176]
    movaps xmm12, [rsp + 192]
    movaps xmm13, [rsp + 208]
    movaps xmm14, [rsp + 224]
    movaps xmm15, [rsp + 240]
    mov r15, [rsp + 256]
    mov r14, [rsp + 264]
    mov r13, [rsp + 272]
    mov r12, [rsp + 280]
    mov rbp, [rsp + 288]
    mov rbx, [rsp + 296]
    mov r10, [rsp + 312]
    mov r9, [rsp + 320]
    mov r8, [rsp + 328]
    mov rdx, [rsp + 344]
    mov rsi, [rsp + 352]
    mov rdi, [rsp + 360]
    mov rax, [rsp + 368]
    mov rcx, [rsp + 376]
    mov r11, [rsp + 384]
    push r11
    popfq
    mov rsp, [rsp + 392]
    jmp rcx
bannock_simple_end:

bannock_exact_begin:
    cmp dword ptr gs:[24], 0
    jne bannock_recheck
    mov r11, gs:[40]
    mov eax, -1
    mov edx, -1
    xrstor64 [r11]
    mov r15, [rsp + 256]
    mov r14, [rsp + 264]
    mov r13, [rsp + 272]
    mov r12, [rsp + 280]
    mov rbp, [rsp + 288]
    mov rbx, [rsp + 296]
    mov r11, [rsp + 304]
    mov r10, [rsp + 312]
    mov r9, [rsp + 320]
    mov r8, [rsp + 328]
    mov rcx, [rsp + 336]
    mov rdx, [rsp + 344]
    mov rsi, [rsp + 352]
    mov rdi, [rsp + 360]
    mov rax, [rsp + 376]
    mov gs:[48], rax
    mov rax, cs
    mov gs:[56], rax
    mov rax, [rsp + 384]
    mov gs:[64], rax
    mov rax, [rsp + 392]
    mov gs:[72], rax
    mov rax, ss
    mov gs:[80], rax
    mov rax, [rsp + 368]
    mov rsp, gs:[0]
    lea rsp, [rsp + 48]
    iretq
bannock_exact_end:

    .p2align 4
bannock_recheck:
    mov rsp, gs:[8]
    sub rsp, 400
    cld
    mov rdi, rsp
    call bannock_on_interrupt
    jmp bannock_return

    .p2align 4
bannock_signal_entry:
    mov rsp, gs:[8]
    sub rsp, 400
    cld
    mov rdi, rsp
    call bannock_on_signal
    jmp bannock_return

    .p2align 4
bannock_call_interruptible:
    mov rax, rdi
    mov r11, rsi
    mov rdi, [r11]
    mov rsi, [r11 + 8]
    mov rdx, [r11 + 16]
    mov r10, [r11 + 24]
    mov r8, [r11 + 32]
    mov r9, [r11 + 40]
bannock_call_begin:
    cmp dword ptr gs:[24], 0
    jne bannock_call_abort
    syscall
bannock_call_end:
    ret
bannock_call_abort:
    mov rax, -4
    ret

    .p2align 4
bannock_copy:
    mov rcx, rdx
bannock_copy_begin:
    rep movsb
    xor eax, eax
    ret
bannock_copy_fault:
    mov rax, rcx
    ret

    .p2align 4
bannock_exchange:
    mov eax, esi
bannock_exchange_begin:
    lock cmpxchg dword ptr [rdi], edx
    mov eax, eax
    ret
bannock_exchange_fault:
    mov rax, -1
    ret
"#
);

unsafe extern "C" {
    static bannock_copy_begin: u8;
    static bannock_exchange_begin: u8;
}

macro_rules! address {
    ($symbol:ident) => {
        // SAFETY: only the address of a label in the runtime's text is taken.
        unsafe { core::ptr::from_ref(&$symbol) as usize }
    };
}

/// Where a handler must send a thread that it found at `rip` inside the runtime, if anywhere.
#[must_use]
pub fn redirect_interrupted(rip: usize) -> Option<Redirect> {
    if is_leaving(rip) {
        return Some(Redirect(bannock_recheck as *const () as usize));
    }
    if (address!(bannock_call_begin)..address!(bannock_call_end)).contains(&rip) {
        return Some(Redirect(address!(bannock_call_abort)));
    }
    None
}

/// Whether `rip` is on one of the ways back to the program, with its frame still whole.
#[must_use]
pub fn is_leaving(rip: usize) -> bool {
    (address!(bannock_simple_begin)..address!(bannock_simple_end)).contains(&rip)
        || (address!(bannock_exact_begin)..address!(bannock_exact_end)).contains(&rip)
}

/// Where a fault at `rip` inside the runtime continues, when it is one that is provided for.
#[must_use]
pub fn redirect_fault(rip: usize) -> Option<Redirect> {
    if rip == address!(bannock_copy_begin) {
        return Some(Redirect(address!(bannock_copy_fault)));
    }
    if rip == address!(bannock_exchange_begin) {
        return Some(Redirect(address!(bannock_exchange_fault)));
    }
    None
}

/// An instruction address for a handler to continue at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect(pub usize);

/// XCR0: the extended state that the host has enabled.
static FEATURES: AtomicU64 = AtomicU64::new(0);
/// Bytes of an XSAVE area with all of it.
static AREA_LEN: AtomicUsize = AtomicUsize::new(0);

/// Bytes of the XSAVE header and the legacy area before it (Intel SDM vol. 1, 13.4).
const LEGACY_LEN: usize = 512;
const HEADER_LEN: usize = 64;
/// Offset of MXCSR in the legacy area.
const MXCSR_OFFSET: usize = 24;
/// Offset of xmm0 in the legacy area.
const XMM_OFFSET: usize = 160;
/// x87 and SSE: always present.
const X87: u64 = 1;
const SSE: u64 = 2;

/// Reads what the processor saves; returns false when it needs more room than a block has.
#[must_use]
pub fn detect_extended_state() -> bool {
    let (low, high): (u32, u32);
    // SAFETY: OSXSAVE is set on every kernel that enables FSGSBASE.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nostack, nomem))
    };
    let leaf = core::arch::x86_64::__cpuid_count(0xd, 0);
    FEATURES.store(u64::from(high) << 32 | u64::from(low), Ordering::Relaxed);
    AREA_LEN.store(leaf.ebx as usize, Ordering::Relaxed);
    leaf.ebx as usize <= crate::block::XSAVE_LEN
}

/// Extended state of the program on the calling thread's block.
struct Extended<'a> {
    block: &'a Block,
}

impl Extended<'_> {
    /// The area as bytes.
    fn area(&mut self) -> &mut [u8] {
        // SAFETY: the area is part of the block, `AREA_LEN` bytes fit (checked at start), and only
        // this thread uses it while it is in the kernel.
        unsafe {
            core::slice::from_raw_parts_mut(self.block.xsave(), AREA_LEN.load(Ordering::Relaxed))
        }
    }

    /// Saves the live registers into the area, unless they are there already.
    fn capture(&mut self) {
        if self.block.exact.load(Ordering::Relaxed) != 0 {
            return;
        }
        let area = self.block.xsave();
        // SAFETY: the area is 64-byte aligned and large enough; the header must start as zeroes.
        unsafe {
            core::ptr::write_bytes(area.add(LEGACY_LEN), 0, HEADER_LEN);
            asm!("xsave64 [{}]", in(reg) area, in("eax") u32::MAX, in("edx") u32::MAX, options(nostack));
        }
        // The xmm registers hold the kernel's values by now; the program's are in the frame.
        // SAFETY: source and destination are ours, do not overlap, and are long enough.
        unsafe {
            let xmm = core::ptr::addr_of!((*self.block.frame()).xmm).cast::<u8>();
            core::ptr::copy_nonoverlapping(xmm, area.add(XMM_OFFSET), 256);
        }
        let features = self.header() | X87 | SSE;
        self.set_header(features);
    }

    fn header(&mut self) -> u64 {
        let mut word = [0u8; 8];
        if let Some(bytes) = self.area().get(LEGACY_LEN..LEGACY_LEN + 8) {
            word.copy_from_slice(bytes);
        }
        u64::from_le_bytes(word)
    }

    fn set_header(&mut self, features: u64) {
        if let Some(header) = self.area().get_mut(LEGACY_LEN..LEGACY_LEN + HEADER_LEN) {
            header.fill(0);
            if let Some(first) = header.get_mut(..8) {
                first.copy_from_slice(&features.to_le_bytes());
            }
        }
    }
}

impl ExtendedState for Extended<'_> {
    fn len(&self) -> usize {
        AREA_LEN.load(Ordering::Relaxed)
    }

    fn features(&self) -> u64 {
        FEATURES.load(Ordering::Relaxed)
    }

    fn store(&mut self, address: usize) -> Result<(), Errno> {
        self.capture();
        let len = self.len();
        bannock_platform::user::UserSlice::new(address, len)?.write(self.area())
    }

    fn load(&mut self, address: usize) -> Result<(), Errno> {
        self.block.exact.store(1, Ordering::Relaxed);
        if address == 0 {
            self.area().fill(0);
            // Initial control words: all exceptions masked (Intel SDM vol. 1, 8.1.5 and 10.2.3).
            if let Some(fcw) = self.area().get_mut(..2) {
                fcw.copy_from_slice(&0x037fu16.to_le_bytes());
            }
            if let Some(mxcsr) = self.area().get_mut(MXCSR_OFFSET..MXCSR_OFFSET + 4) {
                mxcsr.copy_from_slice(&0x1f80u32.to_le_bytes());
            }
            self.set_header(X87 | SSE);
            return Ok(());
        }
        let len = self.len();
        bannock_platform::user::UserSlice::new(address, len)?.read(self.area())?;
        // XRSTOR raises #GP for reserved bits of the header and of MXCSR (SDM vol. 1, 13.8.1):
        // features that are not enabled are dropped, the rest of the header is ours.
        let features = self.header() & self.features();
        self.set_header(features);
        if let Some(mxcsr) = self.area().get_mut(MXCSR_OFFSET..MXCSR_OFFSET + 4) {
            // Bits 16 to 31 are reserved (10.2.3); DAZ (bit 6) exists on all supported processors.
            let mut word = [0u8; 4];
            word.copy_from_slice(mxcsr);
            mxcsr.copy_from_slice(&(u32::from_le_bytes(word) & 0xffff).to_le_bytes());
        }
        Ok(())
    }
}

/// Runs `f` on the program's state in `frame` and arranges the way back that it asked for.
fn enter(frame: &mut Frame, f: impl FnOnce(&mut Entry<'_>)) {
    let block = Block::current();
    let mut extended = Extended { block };
    let exact = block.exact.load(Ordering::Relaxed) != 0;
    let mut entry = Entry {
        registers: &mut frame.registers,
        extended: &mut extended,
        exact,
    };
    f(&mut entry);
    if entry.exact && !exact {
        // Exactness was asked for without loading a state: the live one is meant.
        extended.capture();
        block.exact.store(1, Ordering::Relaxed);
    } else if !entry.exact {
        block.exact.store(0, Ordering::Relaxed);
    }
    // User-changeable flags, plus the always-one bit and interrupts enabled (SDM vol. 1, 3.4.3).
    const USER_FLAGS: usize = 0x0024_0dd5;
    frame.registers.rflags = frame.registers.rflags & USER_FLAGS | 0x202;
}

#[unsafe(no_mangle)]
extern "C" fn bannock_on_system_call(frame: &mut Frame) {
    // SAFETY: the entry code passes the frame at the start of this thread's kernel stack.
    Block::current().exact.store(0, Ordering::Relaxed);
    enter(frame, |entry| crate::process::kernel().system_call(entry));
}

#[unsafe(no_mangle)]
extern "C" fn bannock_on_interrupt(frame: &mut Frame) {
    enter(frame, |entry| crate::process::kernel().interrupted(entry));
}

#[unsafe(no_mangle)]
extern "C" fn bannock_on_signal(frame: &mut Frame) {
    // SAFETY: the handler that sent the thread here wrote the cause, and is over.
    let cause: Cause = unsafe { *Block::current().cause.get() };
    enter(frame, |entry| {
        if cause.signal == 0 {
            crate::process::kernel().interrupted(entry);
        } else {
            let fault = Fault {
                signal: cause.signal as u8,
                code: cause.code,
                address: cause.address,
                trap: cause.trap,
                error: cause.error,
            };
            crate::process::kernel().fault(entry, fault);
        }
    });
}

/// Starts the program of a new thread from the frame of its block; the caller runs on it.
pub fn start_thread() -> ! {
    let block = Block::current();
    // SAFETY: the frame belongs to this thread, which is not in it yet.
    let frame = unsafe { &mut *block.frame() };
    enter(frame, |entry| crate::process::kernel().started(entry));
    // SAFETY: jumps to the way back with the stack pointer on the frame; nothing on the present
    // stack is needed any more.
    unsafe {
        asm!(
            "mov rsp, {frame}",
            "jmp {ret}",
            frame = in(reg) core::ptr::from_mut(frame),
            ret = sym bannock_return,
            options(noreturn),
        );
    }
}
