//! The trait of a platform.

use crate::{Errno, Registers};
use core::sync::atomic::{AtomicPtr, Ordering};

/// Addresses that the platform fixed for this container.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// First address of the platform's and kernel's own regions.
    pub kernel_start: usize,
    /// First address after them.
    pub kernel_end: usize,
    /// First address that programs may use.
    pub user_start: usize,
    /// First address after those that programs may use.
    pub user_end: usize,
    /// Start of the window onto the page cache, within the kernel's regions.
    pub cache_start: usize,
    /// Bytes of that window.
    pub cache_len: usize,
    /// The memory file behind that window.
    pub cache_fd: crate::host::HostFd,
}

/// How a new thread of execution relates to its creator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnKind {
    /// A thread in the same address space.
    Thread,
    /// A process with a copy of the address space.
    Fork,
    /// A process that borrows the address space; the creator sleeps until it ends or executes.
    Vfork,
}

/// A new thread of execution.
pub struct Spawn<'a> {
    /// Its relation to the creator.
    pub kind: SpawnKind,
    /// Registers it starts the program with; `rax` is 0 by convention.
    pub registers: &'a Registers,
    /// FS base (thread-local storage), where it differs from the creator's.
    pub fs_base: Option<usize>,
    /// The kernel's own pointer-sized value for the new thread, found again by
    /// [`Platform::thread_value`].
    pub value: usize,
}

/// A platform.
///
/// # Safety
/// Implementations uphold what each method promises; safe code above relies on it for memory
/// safety: `copy` never faults, `host_call` performs exactly the call given, and memory handed out
/// stays mapped.
pub unsafe trait Platform: Sync {
    /// The addresses of this container.
    fn layout(&self) -> &Layout;

    /// Calls the host; returns its raw result, which the caller checks.
    ///
    /// # Safety
    /// Pointers among `args` must be valid for what the call does with them, and the call must not
    /// change mappings, threads or signal state that Rust code relies on.
    unsafe fn host_call(&self, number: u32, args: [usize; 6]) -> isize;

    /// Like [`Self::host_call`], but returns `-EINTR` without calling when an interrupt is pending
    /// for this thread, and is cut short by one that arrives ([`Self::interrupt`]).
    ///
    /// # Safety
    /// As for [`Self::host_call`].
    unsafe fn host_call_interruptible(&self, number: u32, args: [usize; 6]) -> isize;

    /// Copies `len` bytes; returns how many could not be copied because a page was not accessible.
    ///
    /// # Safety
    /// Each of `dst` and `src` lies either in memory that the caller owns or in the program's part
    /// of the address space.
    unsafe fn copy(&self, dst: *mut u8, src: *const u8, len: usize) -> usize;

    /// Atomically replaces the 32-bit word at `address` in the program's memory when it is
    /// `expected`; returns the word found. `address` is a multiple of 4.
    ///
    /// # Errors
    /// `EFAULT` where the word is not accessible.
    ///
    /// # Safety
    /// `address` lies in the program's part of the address space.
    unsafe fn compare_exchange_user(
        &self,
        address: usize,
        expected: u32,
        new: u32,
    ) -> Result<u32, Errno>;

    /// The kernel's value for the calling thread.
    fn thread_value(&self) -> usize;

    /// Replaces the kernel's value for the calling thread.
    fn set_thread_value(&self, value: usize);

    /// Starts a new thread of execution; returns its host thread id.
    ///
    /// # Errors
    /// What the host said: `EAGAIN` or `ENOMEM`.
    fn spawn(&self, spawn: &Spawn<'_>) -> Result<i32, Errno>;

    /// Runs `work` on the calling thread and, where the platform has another thread for it, on that one
    /// too at the same time; returns once every run has returned.
    ///
    /// `work` takes what is left to do piece by piece, and returns when nothing is left: one run alone
    /// does all of it. It makes no interruptible host calls.
    fn share_work(&self, work: &(dyn Fn() + Sync)) {
        work();
    }

    /// Ends the calling thread; when it is the last of its process, the process.
    fn exit_thread(&self) -> !;

    /// Ends the calling process with all of its threads, at once.
    fn exit_process(&self, code: i32) -> !;

    /// Replaces the calling process by a fresh one of the same runtime that finds the same shared
    /// kernel; only this thread survives. Returns only on failure.
    fn restart_process(&self) -> Errno;

    /// Makes a thread look at its pending interrupts: cuts interruptible host calls short, and
    /// takes a running program into the kernel.
    fn interrupt(&self, host_process: i32, host_thread: i32);

    /// Clears the calling thread's pending interrupt; returns the set of signals that arrived from
    /// outside of the container since the last call (bit n-1 for signal n).
    fn take_interrupt(&self) -> u64;

    /// Host process and thread id of the calling thread.
    fn host_ids(&self) -> (i32, i32);

    /// FS base of the calling thread.
    fn fs_base(&self) -> usize;

    /// Sets the FS base of the calling thread.
    fn set_fs_base(&self, value: usize);

    /// Ends the whole container because the kernel's state can no longer be trusted.
    fn fail_stop(&self, why: &str) -> !;

    /// Called after a program's executable mapping of file content appeared, before the program
    /// knows of it, so that its system-call sites are redirected.
    fn code_mapped(&self, code: &CodeMapping<'_>);

    /// Where the program has to go on to make the system call again that it would continue after at
    /// `continuation`.
    ///
    /// For a `syscall` instruction (2 bytes) that is the instruction.
    fn call_site(&self, continuation: usize) -> usize {
        continuation.wrapping_sub(2)
    }

    /// Reads clock `id` without a host call; `None` where that is not possible.
    fn clock(&self, id: i32) -> Option<crate::host::time::Timespec>;
}

/// An executable mapping of file content.
pub struct CodeMapping<'a> {
    /// First address.
    pub address: usize,
    /// Bytes, all within the file.
    pub len: usize,
    /// Offset in the file of the first byte.
    pub file_offset: u64,
    /// Protection of the mapping, as `PROT_*`.
    pub protection: u32,
    /// Names the file's content, so that what was found out about it can be reused.
    pub key: u128,
    /// The file.
    pub file: &'a dyn FileBytes,
    /// Reserves address space for the runtime near the mapping: a window and a length in bytes.
    pub reserve: &'a dyn Fn(core::ops::Range<usize>, usize) -> Option<usize>,
}

/// Whole-file access for [`CodeMapping::file`].
pub trait FileBytes {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads exactly `into.len()` bytes at `offset`.
    ///
    /// # Errors
    /// `EIO` where the file ends before.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Errno>;

    /// The whole file, where it lies in memory that nobody can write to.
    fn fixed(&self) -> Option<&[u8]> {
        None
    }
}

static INSTALLED: AtomicPtr<&'static dyn Platform> = AtomicPtr::new(core::ptr::null_mut());

/// Chooses the platform of this process; the assembler binary calls it once, first thing.
pub fn install(platform: &'static &'static dyn Platform) {
    INSTALLED.store(core::ptr::from_ref(platform).cast_mut(), Ordering::Release);
}

/// The platform of this process.
#[inline]
#[must_use]
pub fn platform() -> &'static dyn Platform {
    let pointer = INSTALLED.load(Ordering::Relaxed);
    if pointer.is_null() {
        // Nothing can be said without a platform to say it on.
        loop {
            core::hint::spin_loop();
        }
    }
    // SAFETY: the pointer came from a `&'static` in `install`, and is never changed to another
    // kind of value; `install` happens before any other thread of the process exists.
    unsafe { *pointer }
}
