//! Memory that all processes of a container share.
//!
//! The container's base address is random, chosen once. From it on:
//!
//! | offset | what |
//! |---|---|
//! | 0 | the relocated runtime image |
//! | 4 GiB | the kernel's heap, a sparse memory file |
//! | 1 TiB | the page cache, a sparse memory file |
//! | 9 TiB | thread blocks, private to each process |
//! | 10 TiB | end |

use crate::{raw, report};
use bannock_platform::{Layout, host::HostFd, sync::Mutex};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use linux_raw_sys::general as sys;

/// Host descriptor of the relocated runtime image, executed anew by every exec.
pub const IMAGE_FD: i32 = 4;
/// Host descriptor of the heap's memory file.
pub const HEAP_FD: i32 = 5;
/// Host descriptor of the page cache's memory file.
pub const CACHE_FD: i32 = 6;
/// First host descriptor that is not the platform's own.
pub const FIRST_FREE_FD: i32 = 7;

const HEAP_OFFSET: usize = 4 << 30;
/// Bytes of the heap's address space.
pub const HEAP_LEN: usize = 64 << 30;
const CACHE_OFFSET: usize = 1 << 40;
/// Bytes of the page cache's address space.
pub const CACHE_LEN: usize = 8 << 40;
/// Where thread blocks start, relative to the base.
pub const BLOCKS_OFFSET: usize = 9 << 40;
/// Bytes of everything.
pub const TOTAL_LEN: usize = 10 << 40;

/// The lowest base address, and the bytes of the range that bases are chosen from.
pub const BASE_RANGE: (usize, usize) = (0x1000_0000_0000, 0x1000_0000_0000);
/// Bases are multiples of this.
pub const BASE_ALIGN: usize = 2 << 20;

/// The base address that `random` chooses for an image of `len` bytes, so that all of it has one upper
/// half of addresses: the filter of host calls compares halves.
pub const fn base_from(random: usize, len: usize) -> usize {
    const HALF: usize = 1 << 32;
    let base = (BASE_RANGE.0 + random % BASE_RANGE.1) / BASE_ALIGN * BASE_ALIGN;
    // Executable segments are filled up to the end of a huge page.
    let image = len.next_multiple_of(BASE_ALIGN);
    let surplus = (base % HALF).saturating_sub(HALF.saturating_sub(image));
    base - surplus / BASE_ALIGN * BASE_ALIGN
}

// An image that would reach over the boundary moves below it; others stay.
const _: () = {
    let edge = BASE_RANGE.0 + (1 << 32);
    assert!(base_from((1 << 32) - BASE_ALIGN, 5 << 20) == edge - (6 << 20));
    assert!(base_from(1 << 32, 5 << 20) == edge);
    assert!(base_from(BASE_ALIGN + 1, 5 << 20) == BASE_RANGE.0 + BASE_ALIGN);
};

/// Programs live between these addresses, except where the container's own regions are; above are
/// the stack and the vDSO that the host gives each process.
const USER: (usize, usize) = (0x1_0000, 0x7e00_0000_0000);

const MAGIC: u64 = 0x6b63_6f6e_6e61_6231;

/// First page of the heap: what a process needs to find the rest.
#[repr(C)]
pub struct Header {
    magic: u64,
    /// 0 before the first process has set the container up, 1 afterwards.
    pub running: AtomicU32,
    /// Set when the container must end; processes stop at their next entry.
    pub dead: AtomicU32,
    /// Set when the host-call filter is installed in every process.
    pub audit: AtomicU32,
    /// Next free byte of the heap, relative to its start.
    pub brk: AtomicUsize,
    /// What was found out about programs' code, made by the first process.
    plans: AtomicPtr<crate::code::Plans>,
    /// Thread values of processes that are being replaced, by host process id.
    pub restarts: Mutex<[(i32, usize); MAX_RESTARTS]>,
}

/// Most processes that can be in the middle of an exec at one time.
pub const MAX_RESTARTS: usize = 1024;

unsafe extern "C" {
    static __ehdr_start: u8;
}

/// The container's base address: where this image was loaded.
#[must_use]
pub fn base() -> usize {
    // SAFETY: only the address is taken; the linker defines the symbol.
    unsafe { core::ptr::from_ref(&__ehdr_start) as usize }
}

/// Start of the heap.
#[must_use]
pub fn heap_start() -> usize {
    base() + HEAP_OFFSET
}

/// The header.
#[must_use]
pub fn header() -> &'static Header {
    // SAFETY: `attach` has mapped the heap, whose first page holds the header, for good; all bit
    // patterns that the processes of the container leave there are valid.
    unsafe { &*(heap_start() as *const Header) }
}

/// Takes the thread value that `process` left for its next image.
pub(crate) fn take_restart(process: i32) -> Option<usize> {
    let mut slots = header().restarts.lock();
    let slot = slots.iter_mut().find(|(p, _)| *p == process)?;
    let (_, value) = core::mem::take(slot);
    Some(value)
}

/// Makes the container's store of patch tables.
pub(crate) fn create_plans() {
    let plans =
        alloc::boxed::Box::new(crate::code::Plans::new(alloc::collections::BTreeMap::new()));
    header()
        .plans
        .store(alloc::boxed::Box::into_raw(plans), Ordering::Release);
}

/// The container's store of patch tables.
pub(crate) fn plans() -> &'static crate::code::Plans {
    // SAFETY: made by the first process before it starts any other, in the shared heap, for good.
    unsafe { &*header().plans.load(Ordering::Acquire) }
}

/// The addresses of this container.
#[must_use]
pub fn layout() -> Layout {
    Layout {
        kernel_start: base(),
        kernel_end: base() + TOTAL_LEN,
        user_start: USER.0,
        user_end: USER.1,
        cache_start: base() + CACHE_OFFSET,
        cache_len: CACHE_LEN,
        cache_fd: HostFd::inherited(CACHE_FD),
    }
}

/// Maps the shared regions into this process. Ends the process when that fails: without them
/// nothing can be done.
pub fn attach() {
    let prot = (sys::PROT_READ | sys::PROT_WRITE) as usize;
    let flags = (sys::MAP_SHARED | sys::MAP_FIXED_NOREPLACE | sys::MAP_NORESERVE) as usize;
    for (offset, len, fd) in [
        (HEAP_OFFSET, HEAP_LEN, HEAP_FD),
        (CACHE_OFFSET, CACHE_LEN, CACHE_FD),
    ] {
        let start = base() + offset;
        // SAFETY: the range is reserved for this purpose and is not replaced if something is there.
        let at = unsafe { raw::syscall(sys::__NR_mmap, [start, len, prot, flags, fd as usize, 0]) };
        if at as usize != start {
            report::line(format_args!(
                "cannot map the container's shared memory (error {at})"
            ));
            raw::exit(bannock_exit_failed());
        }
        // Keys live here: never into a core file.
        // SAFETY: the range was just mapped.
        unsafe {
            raw::syscall(
                sys::__NR_madvise,
                [start, len, sys::MADV_DONTDUMP as usize, 0, 0, 0],
            )
        };
    }
    let header = heap_start() as *mut Header;
    // SAFETY: the page is mapped and zeroed by the host when fresh; the magic is written once, by
    // the container's first process, before any other exists.
    unsafe {
        match (*header).magic {
            0 => {
                (*header).magic = MAGIC;
                (*header).brk.store(4096 * 16, Ordering::Relaxed);
                prefer_huge_pages(heap_start(), HUGE_PAGE);
            }
            MAGIC => {}
            _ => {
                report::line(format_args!(
                    "the container's shared memory has another version"
                ));
                raw::exit(bannock_exit_failed());
            }
        }
    }
}
const _: () = assert!(size_of::<Header>() <= 4096 * 16);

/// Bytes of a huge page.
pub(crate) const HUGE_PAGE: usize = bannock_platform::cache::HUGE_PAGE as usize;

/// Has the whole huge pages of a mapping be huge pages, as far as the host has some: the kernel's
/// code and objects are used between any two calls of a program, and small pages of them would
/// have to be looked up each time.
pub(crate) fn prefer_huge_pages(start: usize, len: usize) {
    let end = start.saturating_add(len) / HUGE_PAGE * HUGE_PAGE;
    let start = start.next_multiple_of(HUGE_PAGE);
    for at in (start..end).step_by(HUGE_PAGE) {
        // SAFETY: advice that changes no content, on memory of ours. Where it is not taken, pages
        // are small.
        unsafe {
            raw::syscall(
                sys::__NR_madvise,
                [at, HUGE_PAGE, sys::MADV_COLLAPSE as usize, 0, 0, 0],
            )
        };
    }
}

/// Exit code for a runtime that cannot go on; the same number as `bannock_wire::exit::FAILED`,
/// which this crate does not see.
#[must_use]
pub const fn bannock_exit_failed() -> i32 {
    122
}
