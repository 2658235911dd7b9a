//! A platform of plain system calls, for unit tests of the crates above.
//!
//! Programs do not run on it: there is no entry, no threads are started, and faults are fatal.

use crate::{Errno, Layout, Platform, Spawn, host::HostFd};
use core::arch::asm;
use core::sync::atomic::{AtomicUsize, Ordering};
use linux_raw_sys::general as raw;

struct Hosted {
    layout: Layout,
}

static VALUE: AtomicUsize = AtomicUsize::new(0);
static INSTALL: crate::sync::Mutex<bool> = crate::sync::Mutex::new(false);

unsafe fn syscall(number: u32, args: [usize; 6]) -> isize {
    let ret: isize;
    let [a, b, c, d, e, f] = args;
    // SAFETY: the caller vouches for the call; the clobbers are those of `syscall`.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => ret, in("rdi") a, in("rsi") b,
             in("rdx") c, in("r10") d, in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _,
             options(nostack));
    }
    ret
}

/// Installs the platform for this test process, with a page cache of 1 GiB; safe to call often.
pub fn install() {
    let mut done = INSTALL_ONCE.lock();
    if *done {
        return;
    }
    const LEN: usize = 1 << 30;
    let name = c"test-cache";
    // SAFETY: plain calls with valid arguments; the mapping is new memory.
    let (fd, cache) = unsafe {
        let fd = syscall(
            raw::__NR_memfd_create,
            [name.as_ptr() as usize, 0, 0, 0, 0, 0],
        );
        syscall(raw::__NR_ftruncate, [fd as usize, LEN, 0, 0, 0, 0]);
        let flags = (raw::MAP_SHARED | raw::MAP_NORESERVE) as usize;
        let cache = syscall(raw::__NR_mmap, [0, LEN, 3, flags, fd as usize, 0]);
        (fd, cache as usize)
    };
    let layout = Layout {
        kernel_start: cache,
        kernel_end: cache + LEN,
        user_start: 0x1_0000,
        user_end: 0x7fff_ffff_f000,
        cache_start: cache,
        cache_len: LEN,
        cache_fd: HostFd::inherited(fd as i32),
    };
    let hosted: &'static Hosted =
        alloc::boxed::Box::leak(alloc::boxed::Box::new(Hosted { layout }));
    let dynamic: &'static dyn Platform = hosted;
    crate::install(alloc::boxed::Box::leak(alloc::boxed::Box::new(dynamic)));
    *done = true;
}

/// A spinning once-flag: the futex of [`crate::sync`] needs the platform that is being installed.
struct SpinOnce;
struct SpinGuard(crate::sync::MutexGuard<'static, bool>);
static INSTALL_ONCE: SpinOnce = SpinOnce;
impl SpinOnce {
    fn lock(&self) -> SpinGuard {
        loop {
            if let Some(guard) = INSTALL.try_lock() {
                return SpinGuard(guard);
            }
            core::hint::spin_loop();
        }
    }
}
impl core::ops::Deref for SpinGuard {
    type Target = bool;
    fn deref(&self) -> &bool {
        &self.0
    }
}
impl core::ops::DerefMut for SpinGuard {
    fn deref_mut(&mut self) -> &mut bool {
        &mut self.0
    }
}

// SAFETY: calls are made exactly as given; `copy` is a plain copy, which is sound for the valid
// pointers that tests use.
unsafe impl Platform for Hosted {
    fn layout(&self) -> &Layout {
        &self.layout
    }
    unsafe fn host_call(&self, number: u32, args: [usize; 6]) -> isize {
        // SAFETY: passed on.
        unsafe { syscall(number, args) }
    }
    unsafe fn host_call_interruptible(&self, number: u32, args: [usize; 6]) -> isize {
        // SAFETY: passed on.
        unsafe { syscall(number, args) }
    }
    unsafe fn copy(&self, dst: *mut u8, src: *const u8, len: usize) -> usize {
        // SAFETY: passed on; regions may overlap.
        unsafe { core::ptr::copy(src, dst, len) };
        0
    }
    unsafe fn compare_exchange_user(
        &self,
        address: usize,
        expected: u32,
        new: u32,
    ) -> Result<u32, Errno> {
        // SAFETY: tests pass the address of a live, aligned word.
        let word = unsafe { core::sync::atomic::AtomicU32::from_ptr(address as *mut u32) };
        Ok(word
            .compare_exchange(expected, new, Ordering::SeqCst, Ordering::SeqCst)
            .unwrap_or_else(|v| v))
    }
    fn thread_value(&self) -> usize {
        VALUE.load(Ordering::SeqCst)
    }
    fn set_thread_value(&self, value: usize) {
        VALUE.store(value, Ordering::SeqCst);
    }
    fn spawn(&self, _: &Spawn<'_>) -> Result<i32, Errno> {
        Err(Errno::ENOSYS)
    }
    fn exit_thread(&self) -> ! {
        self.exit_process(0)
    }
    fn exit_process(&self, code: i32) -> ! {
        loop {
            // SAFETY: ends the process.
            unsafe { syscall(raw::__NR_exit_group, [code as usize, 0, 0, 0, 0, 0]) };
        }
    }
    fn restart_process(&self) -> Errno {
        Errno::ENOSYS
    }
    fn interrupt(&self, _: i32, _: i32) {}
    fn take_interrupt(&self) -> u64 {
        0
    }
    fn host_ids(&self) -> (i32, i32) {
        (
            crate::host::process::process_id(),
            crate::host::process::thread_id(),
        )
    }
    fn fs_base(&self) -> usize {
        0
    }
    fn set_fs_base(&self, _: usize) {}
    fn fail_stop(&self, _: &str) -> ! {
        self.exit_process(crate::hosted::FAIL_STOP)
    }
    fn code_mapped(&self, _: &crate::CodeMapping<'_>) {}
    fn clock(&self, _: i32) -> Option<crate::host::time::Timespec> {
        None
    }
}

/// Exit code of [`Platform::fail_stop`] on this platform.
pub const FAIL_STOP: i32 = 99;
