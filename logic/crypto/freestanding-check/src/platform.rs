//! What std and libc would otherwise bring: entry, relocation, memory, randomness and the `mem*` functions.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicUsize, Ordering};

const SYS_GETRANDOM: usize = 318;
const SYS_EXIT_GROUP: usize = 231;

/// An allocator that never frees: the check ends before it needs to.
struct Arena {
    used: AtomicUsize,
}

const ARENA_LEN: usize = 16 << 20;

#[repr(align(4096))]
struct ArenaMemory(core::cell::UnsafeCell<[u8; ARENA_LEN]>);

// SAFETY: parts of the memory are only reached through pointers that `Arena` gives out once each.
unsafe impl Sync for ArenaMemory {}

static MEMORY: ArenaMemory = ArenaMemory(core::cell::UnsafeCell::new([0; ARENA_LEN]));

#[global_allocator]
static ARENA: Arena = Arena {
    used: AtomicUsize::new(0),
};

// SAFETY: each call claims its own range of `MEMORY` by an atomic addition, aligned and inside, or returns null.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > 4096 {
            return core::ptr::null_mut();
        }
        let claim = layout.size() + layout.align();
        let start = self
            .used
            .fetch_add(claim, Ordering::Relaxed)
            .next_multiple_of(layout.align());
        if start + layout.size() > ARENA_LEN {
            return core::ptr::null_mut();
        }
        // SAFETY: `start` was just checked to lie inside the memory.
        unsafe { MEMORY.0.get().cast::<u8>().add(start) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

/// Fills `buffer` from the host's generator: this is a check, not a platform.
pub(crate) fn random(buffer: &mut [u8]) -> bool {
    let written: usize;
    // SAFETY: getrandom writes at most `buffer.len()` bytes at `buffer`, and clobbers what is declared.
    unsafe {
        asm!("syscall", inlateout("rax") SYS_GETRANDOM => written, in("rdi") buffer.as_mut_ptr(),
            in("rsi") buffer.len(), in("rdx") 0, lateout("rcx") _, lateout("r11") _);
    }
    written == buffer.len()
}

fn exit(status: i32) -> ! {
    // SAFETY: exit_group takes an integer and does not return.
    unsafe { asm!("syscall", in("rax") SYS_EXIT_GROUP, in("rdi") status, options(noreturn)) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(99)
}

#[unsafe(no_mangle)]
extern "C" fn freestanding_main() -> ! {
    exit(crate::check())
}

// Applies the R_X86_64_RELATIVE relocations (the only kind here), which a dynamic loader would otherwise do, and
// enters Rust. It is assembly because code that addresses data through relocations must not run before them.
// The unwinding symbols are referenced by the precompiled `core`, which unwinds, and never called: panics abort.
global_asm!(
    r#"
.globl _start
_start:
    xor  ebp, ebp
    and  rsp, -16
    lea  rdi, [rip + __ehdr_start]
    lea  rsi, [rip + _DYNAMIC]
    xor  edx, edx
    xor  ecx, ecx
1:  mov  rax, [rsi]
    test rax, rax
    jz   3f
    cmp  rax, 7
    cmove rdx, [rsi + 8]
    cmp  rax, 8
    cmove rcx, [rsi + 8]
    add  rsi, 16
    jmp  1b
3:  add  rdx, rdi
    add  rcx, rdx
4:  cmp  rdx, rcx
    jae  5f
    cmp  dword ptr [rdx + 8], 8
    jne  6f
    mov  rax, [rdx]
    mov  r8, [rdx + 16]
    add  r8, rdi
    mov  [rdi + rax], r8
    add  rdx, 24
    jmp  4b
5:  call freestanding_main
6:  ud2

.globl rust_eh_personality, _Unwind_Resume
rust_eh_personality:
_Unwind_Resume:
    ud2

.globl memcpy, memmove, memset, memcmp, bcmp, strlen
memmove:
    mov  rax, rdi
    mov  rcx, rdx
    mov  r8, rdi
    sub  r8, rsi
    cmp  r8, rdx
    jae  7f
    lea  rdi, [rdi + rdx - 1]
    lea  rsi, [rsi + rdx - 1]
    std
    rep  movsb
    cld
    ret
memcpy:
    mov  rax, rdi
    mov  rcx, rdx
7:  rep  movsb
    ret
memset:
    mov  r8, rdi
    mov  eax, esi
    mov  rcx, rdx
    rep  stosb
    mov  rax, r8
    ret
bcmp:
memcmp:
    xor  ecx, ecx
8:  cmp  rcx, rdx
    je   9f
    movzx eax, byte ptr [rdi + rcx]
    movzx r8d, byte ptr [rsi + rcx]
    inc  rcx
    sub  eax, r8d
    je   8b
    ret
9:  xor  eax, eax
    ret
strlen:
    xor  eax, eax
10: cmp  byte ptr [rdi + rax], 0
    je   11f
    inc  rax
    jmp  10b
11: ret
"#
);
