//! The platform as the kernel sees it.

use crate::block::Block;
use crate::{code, entry, interrupts, raw, regions, report, spawn, vdso};
use bannock_platform::{
    CodeMapping, Errno, Layout, Platform, Spawn, host::time::Timespec, upcall::Kernel,
};
use core::cell::UnsafeCell;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as sys;

/// The process platform.
pub(crate) struct Process;

/// The process platform, for [`bannock_platform::install`].
pub static PROCESS: &dyn Platform = &Process;

struct Static<T>(UnsafeCell<Option<T>>);
// SAFETY: written once in each process before it has a second thread.
unsafe impl<T: Sync> Sync for Static<T> {}

static LAYOUT: Static<Layout> = Static(UnsafeCell::new(None));
static KERNEL: Static<&'static dyn Kernel> = Static(UnsafeCell::new(None));

/// Chooses the kernel of this process; the start code calls it before any program runs.
pub fn set_kernel(kernel: &'static dyn Kernel) {
    // SAFETY: the process has one thread, which is not inside the kernel.
    unsafe { *KERNEL.0.get() = Some(kernel) };
}

/// Fixes the layout of this process.
pub(crate) fn set_layout(layout: Layout) {
    // SAFETY: the process has one thread; nobody holds a reference yet.
    unsafe { *LAYOUT.0.get() = Some(layout) };
}

pub(crate) fn kernel() -> &'static dyn Kernel {
    // SAFETY: not written after start.
    match unsafe { *KERNEL.0.get() } {
        Some(kernel) => kernel,
        None => die(),
    }
}

/// Ends the container: its state can no longer be trusted.
pub(crate) fn die() -> ! {
    regions::header().dead.store(1, Ordering::SeqCst);
    // SAFETY: -1 means all processes of the PID namespace but its first, which ends the container
    // when it learns of the code below.
    unsafe {
        raw::syscall(
            sys::__NR_kill,
            [usize::MAX, sys::SIGKILL as usize, 0, 0, 0, 0],
        )
    };
    raw::exit(regions::bannock_exit_failed())
}

// SAFETY: calls are made exactly as given, from the runtime's text; `copy` recovers from faults;
// the layout's regions stay mapped for the life of the process.
unsafe impl Platform for Process {
    fn layout(&self) -> &Layout {
        // SAFETY: not written after start.
        match unsafe { &*LAYOUT.0.get() } {
            Some(layout) => layout,
            None => die(),
        }
    }

    unsafe fn host_call(&self, number: u32, args: [usize; 6]) -> isize {
        loop {
            // SAFETY: passed on to the caller.
            let ret = unsafe { raw::syscall(number, args) };
            // An interrupt is noted by its handler; calls that do not wait for anything are
            // simply made again. close(2) has closed even when it was interrupted.
            if ret != -(linux_raw_sys::errno::EINTR as isize) || number == sys::__NR_close {
                return ret;
            }
        }
    }

    unsafe fn host_call_interruptible(&self, number: u32, args: [usize; 6]) -> isize {
        // SAFETY: passed on to the caller; the array outlives the call.
        unsafe { entry::bannock_call_interruptible(number as usize, args.as_ptr()) }
    }

    unsafe fn copy(&self, dst: *mut u8, src: *const u8, len: usize) -> usize {
        // SAFETY: passed on to the caller; faults end the copy early.
        unsafe { entry::bannock_copy(dst, src, len) }
    }

    unsafe fn compare_exchange_user(
        &self,
        address: usize,
        expected: u32,
        new: u32,
    ) -> Result<u32, Errno> {
        // SAFETY: passed on to the caller; a fault is recovered from.
        let found = unsafe { entry::bannock_exchange(address, expected, new) };
        u32::try_from(found).map_err(|_| Errno::EFAULT)
    }

    fn thread_value(&self) -> usize {
        Block::current().value.load(Ordering::Relaxed)
    }

    fn set_thread_value(&self, value: usize) {
        Block::current().value.store(value, Ordering::Relaxed);
    }

    fn spawn(&self, request: &Spawn<'_>) -> Result<i32, Errno> {
        spawn::spawn(request)
    }

    fn share_work(&self, work: &(dyn Fn() + Sync)) {
        spawn::share_work(work);
    }

    fn exit_thread(&self) -> ! {
        spawn::exit_thread()
    }

    fn exit_process(&self, code: i32) -> ! {
        raw::exit(code)
    }

    fn restart_process(&self) -> Errno {
        let me = bannock_platform::host::process::process_id();
        let value = self.thread_value();
        let free = |slots: &mut [(i32, usize)]| {
            slots
                .iter_mut()
                .find(|(process, _)| *process == 0)
                .map(|slot| *slot = (me, value))
        };
        if free(&mut *regions::header().restarts.lock()).is_none() {
            return Errno::EAGAIN;
        }
        // Until the new image has handlers, an interrupt would end the process.
        interrupts::block_all();
        let argv = [c"bannock-runtime".as_ptr() as usize, 0];
        let environment = [0];
        // SAFETY: both arrays end with a null; they and the string outlive the call.
        let ret = unsafe { raw::execute(regions::IMAGE_FD, argv.as_ptr(), environment.as_ptr()) };
        let _ = regions::take_restart(me);
        interrupts::unblock();
        Errno::check(ret).err().unwrap_or(Errno::EIO)
    }

    fn interrupt(&self, host_process: i32, host_thread: i32) {
        let args = [
            host_process as usize,
            host_thread as usize,
            interrupts::INTERRUPT as usize,
            0,
            0,
            0,
        ];
        // SAFETY: the handler of every process of the container expects the signal. A thread that
        // has ended meanwhile is no error.
        unsafe { raw::syscall(sys::__NR_tgkill, args) };
    }

    fn take_interrupt(&self) -> u64 {
        let block = Block::current();
        // Handlers of this thread are all that set it, after the signals: where it is clear, nothing
        // has arrived, and looking is cheaper than taking.
        if block.interrupt.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        block.interrupt.store(0, Ordering::SeqCst);
        block.outside.swap(0, Ordering::SeqCst)
    }

    fn host_ids(&self) -> (i32, i32) {
        let block = Block::current();
        (
            block.host_process.load(Ordering::Relaxed),
            block.host_thread.load(Ordering::Relaxed),
        )
    }

    fn fs_base(&self) -> usize {
        let value: usize;
        // SAFETY: FSGSBASE was checked at start.
        unsafe {
            core::arch::asm!("rdfsbase {}", out(reg) value, options(nostack, preserves_flags, nomem))
        };
        value
    }

    fn set_fs_base(&self, value: usize) {
        // The processor refuses non-canonical addresses with an exception: leave those to nobody.
        if value >= self.layout().user_end.max(1 << 47) {
            return;
        }
        // SAFETY: FS is the program's own; the value is canonical.
        unsafe {
            core::arch::asm!("wrfsbase {}", in(reg) value, options(nostack, preserves_flags))
        };
    }

    fn fail_stop(&self, why: &str) -> ! {
        report::line(format_args!("the container ends: {why}"));
        die()
    }

    fn code_mapped(&self, mapping: &CodeMapping<'_>) {
        code::redirect(mapping);
    }

    fn call_site(&self, continuation: usize) -> usize {
        code::call_site(continuation)
    }

    fn clock(&self, id: i32) -> Option<Timespec> {
        vdso::clock(id).map(|(seconds, nanoseconds)| Timespec {
            seconds,
            nanoseconds,
        })
    }
}
