//! New threads and processes.

use crate::block::{Block, Frame};
use crate::{interrupts, raw};
use bannock_platform::{Errno, Spawn, SpawnKind, host::process};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as sys;

core::arch::global_asm!(
    r#"
    .section .text.bannock_clone, "ax"
    .globl bannock_clone
    # fn(flags, block, stack, cleared) -> isize: clone(2) without a stack of its own, so that both
    # sides return with the caller's registers; the child leaves its creator's stack at once.
    .p2align 4
bannock_clone:
    push r12
    push r13
    mov r12, rsi
    mov r13, rdx
    mov r10, rcx
    xor esi, esi
    xor edx, edx
    xor r8d, r8d
    mov eax, 56
    syscall
    test rax, rax
    jz 1f
    pop r13
    pop r12
    ret
1:  wrgsbase r12
    mov rsp, r13
    xor ebp, ebp
    call bannock_child
    ud2
"#
);

unsafe extern "C" {
    fn bannock_clone(flags: usize, block: *const Block, stack: usize, cleared: *const u32)
    -> isize;
}

/// Starts what `spawn` describes; see [`bannock_platform::Platform::spawn`].
pub(crate) fn spawn(spawn: &Spawn<'_>) -> Result<i32, Errno> {
    let me = Block::current();
    let block = Block::allocate().ok_or(Errno::EAGAIN)?;
    block.value.store(spawn.value, Ordering::Relaxed);
    block
        .fs_base
        .store(spawn.fs_base.unwrap_or(0), Ordering::Relaxed);
    block
        .borrows
        .store(u32::from(spawn.kind == SpawnKind::Vfork), Ordering::Relaxed);
    let frame = block.frame();
    // SAFETY: the new block is ours until the thread exists; the creator's frame is its own, and
    // holds the program's xmm registers, which a new thread inherits.
    unsafe {
        core::ptr::addr_of_mut!((*frame).xmm).write(core::ptr::addr_of!((*me.frame()).xmm).read());
        core::ptr::addr_of_mut!((*frame).registers).write(*spawn.registers);
    }
    let flags = sys::CLONE_CHILD_CLEARTID
        | match spawn.kind {
            SpawnKind::Thread => {
                sys::CLONE_VM
                    | sys::CLONE_FS
                    | sys::CLONE_FILES
                    | sys::CLONE_SIGHAND
                    | sys::CLONE_THREAD
                    | sys::CLONE_SYSVSEM
            }
            // No exit signal: the supervisor waits with __WALL, and no process gets SIGCHLD.
            SpawnKind::Fork => parent_flag(),
            SpawnKind::Vfork => sys::CLONE_VM | parent_flag(),
        };
    // The thread's first instructions run on the creator's GS and without a signal stack.
    interrupts::block_all();
    let stack = frame as usize & !63;
    // SAFETY: the child uses only its own block from its second instruction on; see the entry code.
    let id = unsafe { bannock_clone(flags as usize, block, stack, block.used.as_ptr()) };
    interrupts::unblock();
    if id < 0 || spawn.kind == SpawnKind::Fork {
        // A forked child has its own copy of the block.
        block.release();
    }
    Errno::check(id).map(|id| id as i32)
}

/// All processes are the supervisor's children: it has to learn of every end.
fn parent_flag() -> u32 {
    if process::process_id() == crate::supervise::SUPERVISOR {
        0
    } else {
        sys::CLONE_PARENT
    }
}

#[unsafe(no_mangle)]
extern "C" fn bannock_child() -> ! {
    let block = Block::current();
    let first = process::process_id() == process::thread_id();
    block
        .host_process
        .store(process::process_id(), Ordering::Relaxed);
    block
        .host_thread
        .store(process::thread_id(), Ordering::Relaxed);
    let fs = block.fs_base.load(Ordering::Relaxed);
    if fs != 0 {
        // SAFETY: FS is the program's own, and FSGSBASE was checked at start.
        unsafe { core::arch::asm!("wrfsbase {}", in(reg) fs, options(nostack, preserves_flags)) };
    }
    if first && block.borrows.load(Ordering::Relaxed) == 0 {
        block.after_fork();
    }
    interrupts::arm();
    crate::entry::start_thread()
}

/// Ends the calling thread; the host frees its block afterwards (`CLONE_CHILD_CLEARTID`).
pub(crate) fn exit_thread() -> ! {
    interrupts::block_all();
    loop {
        // SAFETY: the thread owns nothing any more; the block stays until the host has let go.
        unsafe { raw::syscall(sys::__NR_exit, [0; 6]) };
    }
}

const _: () = assert!(align_of::<Frame>() == 16);
