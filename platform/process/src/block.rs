//! What each thread has: its kernel stack, the program's saved state, and flags.
//!
//! Blocks are private to a process, at fixed places, so that a handler finds out with two
//! comparisons whether an address is one. GS points to the [`Block`] of the running thread.

use crate::{raw, regions, report};
use bannock_platform::Registers;
use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use linux_raw_sys::general as sys;

/// Bytes from one thread's block to the next.
pub const STRIDE: usize = 1 << 20;
/// Most threads of one process.
pub const MAX_THREADS: usize = 32768;
/// Kernel stack: from a guard page at the stride's start up to here.
const STACK_END: usize = 512 << 10;
/// Area for the program's extended state.
const XSAVE_OFFSET: usize = STACK_END;
/// Bytes of that area; AVX-512 with AMX needs about 11 KiB.
pub const XSAVE_LEN: usize = 32 << 10;
/// Stack on which host signal handlers run.
const SIGNAL_STACK_OFFSET: usize = XSAVE_OFFSET + XSAVE_LEN + PAGE;
/// Bytes of that stack.
pub const SIGNAL_STACK_LEN: usize = 128 << 10;
/// The block itself.
const BLOCK_OFFSET: usize = SIGNAL_STACK_OFFSET + SIGNAL_STACK_LEN;
const PAGE: usize = bannock_platform::PAGE;

/// What the entry code keeps of a program on the kernel stack.
#[repr(C, align(16))]
pub struct Frame {
    /// xmm0 to xmm15.
    pub xmm: [u128; 16],
    /// General-purpose registers.
    pub registers: Registers,
}
const _: () = assert!(size_of::<Frame>() == 256 + 144);

/// Why a thread was taken into the kernel by a host signal.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Cause {
    /// Signal of an exception; 0 for an interrupt.
    pub signal: u32,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`.
    pub address: usize,
    /// Trap number.
    pub trap: usize,
    /// Error code.
    pub error: usize,
}

/// A thread's block. The entry code knows the offsets of the first fields.
#[repr(C)]
pub struct Block {
    /// Address of this block (offset 0).
    this: usize,
    /// Where the kernel stack starts (offset 8); the program's frame lies right below.
    stack: usize,
    /// The program's stack pointer, during entry (offset 16).
    scratch: usize,
    /// Non-zero when the thread should look at its interrupts (offset 24).
    pub interrupt: AtomicU32,
    /// Non-zero while a host thread uses the block (offset 28); cleared by the host when it ends.
    pub used: AtomicU32,
    /// Non-zero when the program's extended state is in the XSAVE area, not in the registers
    /// (offset 32).
    pub exact: AtomicU32,
    pad: u32,
    /// Address of the XSAVE area (offset 40).
    xsave: usize,
    /// rip, cs, rflags, rsp, ss for the exact way back (offset 48).
    pub iret: UnsafeCell<[usize; 5]>,
    /// Signals from outside of the container, as bits.
    pub outside: AtomicU64,
    /// The kernel's value for the thread.
    pub value: AtomicUsize,
    /// Host process id.
    pub host_process: AtomicI32,
    /// Host thread id.
    pub host_thread: AtomicI32,
    /// FS base to start with; 0 keeps the creator's.
    pub fs_base: AtomicUsize,
    /// Non-zero when the thread is a process that borrows its creator's memory.
    pub borrows: AtomicU32,
    /// Why the thread was taken into the kernel.
    pub cause: UnsafeCell<Cause>,
    /// Address of what a thread without a program does.
    pub shared_work: AtomicUsize,
}

/// Blocks of this process that were ever mapped.
static MAPPED: AtomicUsize = AtomicUsize::new(0);

fn slot(index: usize) -> usize {
    regions::base() + regions::BLOCKS_OFFSET + index * STRIDE
}

fn block_at(index: usize) -> *mut Block {
    (slot(index) + BLOCK_OFFSET) as *mut Block
}

impl Block {
    /// Takes a free block of this process.
    ///
    /// Returns `None` when there are too many threads or the host has no memory.
    #[must_use]
    pub fn allocate() -> Option<&'static Self> {
        for index in 0..MAX_THREADS {
            if index >= MAPPED.load(Ordering::Acquire) {
                // Another thread may map the same slot; whoever does it second changes nothing.
                Self::map(index)?;
                MAPPED.fetch_max(index + 1, Ordering::AcqRel);
            }
            // SAFETY: the slot is mapped, and zeroes or earlier contents are a valid block.
            let block = unsafe { &*block_at(index) };
            if block
                .used
                .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
            {
                // SAFETY: the block is this thread's alone until it is given to a new thread.
                unsafe { Self::reset(block_at(index), index) };
                return Some(block);
            }
        }
        None
    }

    fn map(index: usize) -> Option<()> {
        let start = slot(index) + PAGE;
        let prot = (sys::PROT_READ | sys::PROT_WRITE) as usize;
        let flags =
            sys::MAP_PRIVATE | sys::MAP_ANONYMOUS | sys::MAP_NORESERVE | sys::MAP_FIXED_NOREPLACE;
        let args = [start, STRIDE - PAGE, prot, flags as usize, usize::MAX, 0];
        // SAFETY: the range is reserved for this block, and is not replaced if it exists.
        let at = unsafe { raw::syscall(sys::__NR_mmap, args) };
        if at == -(linux_raw_sys::errno::EEXIST as isize) {
            return Some(());
        }
        if at as usize != start {
            return None;
        }
        let guard = [slot(index) + SIGNAL_STACK_OFFSET - PAGE, PAGE, 0, 0, 0, 0];
        // SAFETY: the guard page lies inside the range that was just mapped.
        unsafe {
            raw::syscall(sys::__NR_mprotect, guard);
            raw::syscall(
                sys::__NR_madvise,
                [start, STRIDE - PAGE, sys::MADV_DONTDUMP as usize, 0, 0, 0],
            );
        }
        Some(())
    }

    /// Prepares a block for a new thread.
    ///
    /// # Safety
    /// Nobody else uses the block.
    unsafe fn reset(block: *mut Self, index: usize) {
        // SAFETY: the caller has the block for itself; all writes stay inside it.
        unsafe {
            (*block).this = block as usize;
            (*block).stack = slot(index) + STACK_END;
            (*block).scratch = 0;
            (*block).interrupt.store(0, Ordering::Relaxed);
            (*block).exact.store(0, Ordering::Relaxed);
            (*block).xsave = slot(index) + XSAVE_OFFSET;
            (*block).outside.store(0, Ordering::Relaxed);
            (*block).value.store(0, Ordering::Relaxed);
            (*block).fs_base.store(0, Ordering::Relaxed);
            (*block).borrows.store(0, Ordering::Relaxed);
        }
    }

    /// Marks all blocks of a fresh copy of a process free, except the calling thread's.
    pub fn after_fork(&self) {
        for index in 0..MAPPED.load(Ordering::Relaxed) {
            // SAFETY: the slot is mapped; the process has only this thread.
            let other = unsafe { &*block_at(index) };
            if !core::ptr::eq(other, self) {
                other.used.store(0, Ordering::Relaxed);
            }
        }
    }

    /// Ends the use of a block that no thread was started on.
    pub fn release(&self) {
        self.used.store(0, Ordering::Release);
    }

    /// The program's frame, at the start of the kernel stack.
    #[must_use]
    pub const fn frame(&self) -> *mut Frame {
        (self.stack - size_of::<Frame>()) as *mut Frame
    }

    /// Address of the area for the program's extended state (64-byte aligned).
    #[must_use]
    pub const fn xsave(&self) -> *mut u8 {
        self.xsave as *mut u8
    }

    /// Start of the stack for host signal handlers.
    #[must_use]
    pub const fn signal_stack(&self) -> usize {
        self.xsave + XSAVE_LEN + PAGE
    }

    /// Notes under which ids the host knows the thread that runs on the block.
    pub fn set_host_ids(&self, process: i32, thread: i32) {
        self.host_process.store(process, Ordering::Relaxed);
        self.host_thread.store(thread, Ordering::Relaxed);
    }

    /// Makes GS point to the block.
    ///
    /// # Safety
    /// The calling thread runs on this block from now on.
    pub unsafe fn enter(&self) {
        // SAFETY: FSGSBASE is checked at start; GS is the platform's own.
        unsafe { asm!("wrgsbase {}", in(reg) self.this, options(nostack, preserves_flags)) };
    }

    /// The calling thread's block.
    #[inline]
    #[must_use]
    pub fn current() -> &'static Self {
        let this: *const Self;
        // SAFETY: every thread that runs Rust code of the relocated image has entered its block,
        // which begins with its own address and stays mapped.
        unsafe {
            asm!("mov {}, gs:[0]", out(reg) this, options(nostack, preserves_flags, readonly));
            &*this
        }
    }
}

// SAFETY: the cells are used by the block's own thread only, in the kernel or in a handler that
// interrupted the program (never the kernel).
unsafe impl Sync for Block {}

/// Ends the process for want of a first block.
pub fn first() -> &'static Block {
    match Block::allocate() {
        Some(block) => block,
        None => {
            report::line(format_args!("the host has no memory for a thread's stacks"));
            raw::exit(regions::bannock_exit_failed())
        }
    }
}
