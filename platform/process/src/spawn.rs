//! New threads and processes.

use crate::block::{Block, Frame};
use crate::{interrupts, raw};
use bannock_platform::{Errno, Spawn, SpawnKind, host::process};
use core::sync::atomic::{AtomicU32, Ordering};
use linux_raw_sys::general as sys;

core::arch::global_asm!(
    r#"
    .section .text.bannock_clone, "ax"
    .globl bannock_clone
    # fn(flags, block, stack, cleared, begin) -> isize: clone(2) without a stack of its own, so that
    # both sides return with the caller's registers; the child leaves its creator's stack at once.
    .p2align 4
bannock_clone:
    push r12
    push r13
    push r14
    mov r12, rsi
    mov r13, rdx
    mov r14, r8
    mov r10, rcx
    xor esi, esi
    xor edx, edx
    xor r8d, r8d
    mov eax, 56
    syscall
    test rax, rax
    jz 1f
    pop r14
    pop r13
    pop r12
    ret
1:  wrgsbase r12
    mov rsp, r13
    xor ebp, ebp
    call r14
    ud2
"#
);

unsafe extern "C" {
    fn bannock_clone(
        flags: usize,
        block: *const Block,
        stack: usize,
        cleared: *const u32,
        begin: extern "C" fn() -> !,
    ) -> isize;
}

/// Flags of clone(2) for one more thread of a process.
const THREAD: u32 = sys::CLONE_VM
    | sys::CLONE_FS
    | sys::CLONE_FILES
    | sys::CLONE_SIGHAND
    | sys::CLONE_THREAD
    | sys::CLONE_SYSVSEM;

/// Makes a thread of execution that begins with `begin` on `block`; the word `cleared` becomes 0, and
/// who waits there is woken, when it has ended.
///
/// # Safety
/// The block is the new thread's alone, except in a forked copy; `cleared` stays valid until it is
/// cleared.
unsafe fn start(
    flags: u32,
    block: &Block,
    cleared: *const u32,
    begin: extern "C" fn() -> !,
) -> isize {
    // The thread's first instructions run on the creator's GS and without a signal stack.
    interrupts::block_all();
    let flags = (flags | sys::CLONE_CHILD_CLEARTID) as usize;
    let stack = block.frame() as usize & !63;
    // SAFETY: the child uses only its own block from its second instruction on; the rest is the
    // caller's promise.
    let id = unsafe { bannock_clone(flags, block, stack, cleared, begin) };
    interrupts::unblock();
    id
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
    let flags = match spawn.kind {
        SpawnKind::Thread => THREAD,
        // No exit signal: the supervisor waits with __WALL, and no process gets SIGCHLD.
        SpawnKind::Fork => parent_flag(),
        SpawnKind::Vfork => sys::CLONE_VM | parent_flag(),
    };
    // SAFETY: the block was just allocated, and its word lies in it.
    let id = unsafe { start(flags, block, block.used.as_ptr(), bannock_child) };
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

extern "C" fn bannock_child() -> ! {
    let block = Block::current();
    let (process, thread) = (process::process_id(), process::thread_id());
    let first = process == thread;
    block.set_host_ids(process, thread);
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

/// Work that two threads do at the same time, on the stack of the one that has it done.
struct Shared<'a> {
    work: &'a (dyn Fn() + Sync),
    /// 1 until the helper has ended.
    helping: AtomicU32,
}

/// Runs `work` here and on a thread of the host that lives only for it; see
/// [`bannock_platform::Platform::share_work`].
pub(crate) fn share_work(work: &(dyn Fn() + Sync)) {
    let Some(block) = Block::allocate() else {
        return work();
    };
    let shared = Shared {
        work,
        helping: AtomicU32::new(1),
    };
    // Whoever asks on whose behalf the kernel runs is answered as in the calling thread.
    let value = Block::current().value.load(Ordering::Relaxed);
    block.value.store(value, Ordering::Relaxed);
    let address = core::ptr::from_ref(&shared) as usize;
    block.shared_work.store(address, Ordering::Relaxed);
    // SAFETY: the block was just allocated; `shared` stays until the word has been cleared.
    let id = unsafe { start(THREAD, block, shared.helping.as_ptr(), bannock_helper) };
    work();
    if id > 0 {
        while shared.helping.load(Ordering::Acquire) != 0 {
            bannock_platform::host::futex_wait(&shared.helping, 1);
        }
    }
    block.release();
}

/// Begins with all signals blocked and keeps them so: the helper is nobody's to interrupt.
extern "C" fn bannock_helper() -> ! {
    let block = Block::current();
    block.set_host_ids(process::process_id(), process::thread_id());
    let shared = block.shared_work.load(Ordering::Relaxed) as *const Shared<'_>;
    // SAFETY: the creator keeps it until this thread has ended.
    unsafe { ((*shared).work)() };
    exit_thread()
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
