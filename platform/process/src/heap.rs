//! The allocator of the shared heap.
//!
//! Objects are allocated by one process and freed by another, so all of its state is in the heap
//! itself. Sizes are rounded to classes, four per doubling; each class has a free list with a lock
//! of its own. Memory is never given back: the heap holds the kernel's objects, not file content.

use crate::regions;
use bannock_platform::sync::Mutex;
use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};

const CLASSES: usize = 160;
const MIN: usize = 16;

/// Free lists, in the heap's pages after the header.
#[repr(C)]
struct Lists {
    heads: [Mutex<usize>; CLASSES],
}

/// The allocator.
pub struct Heap;

/// Bump allocation before the shared heap exists (in the published image, before it executes the
/// relocated one): start and next free byte.
static EARLY: AtomicUsize = AtomicUsize::new(0);
static EARLY_END: AtomicUsize = AtomicUsize::new(0);

/// Serves allocations from `[start, end)` until the process executes again.
pub(crate) fn start_early(start: usize, end: usize) {
    EARLY_END.store(end, Ordering::Relaxed);
    EARLY.store(start, Ordering::Relaxed);
}

fn lists() -> &'static Lists {
    // SAFETY: the heap is attached before the first allocation; the pages behind the header are
    // reserved for the lists (see `attach`), and zeroes are open locks around empty lists.
    unsafe { &*((regions::heap_start() + LISTS_OFFSET) as *const Lists) }
}

/// The lists start here, relative to the heap.
const LISTS_OFFSET: usize = 4096 * 12;
const _: () = assert!(size_of::<Lists>() <= 4096 * 4);
const _: () = assert!(size_of::<regions::Header>() <= LISTS_OFFSET);

/// Asks for the huge pages that the break has just come to: [`regions::attach`] has asked for the
/// first one.
fn enter_huge_pages(from: usize, to: usize) {
    let first = from.next_multiple_of(regions::HUGE_PAGE);
    for at in (first..to).step_by(regions::HUGE_PAGE) {
        let page = regions::heap_start() + at;
        // A range without any page is not made huge.
        // SAFETY: the break has just passed this byte: the allocation that it lies in is not in use
        // yet, or it is padding. Nothing is in it but zeros.
        unsafe { (page as *mut u8).write_volatile(0) };
        regions::prefer_huge_pages(page, regions::HUGE_PAGE);
    }
}

/// Class index and rounded size for `size` bytes.
fn class(size: usize) -> (usize, usize) {
    let size = size.max(MIN);
    let power = usize::BITS as usize - 1 - (size - 1).leading_zeros() as usize;
    // Sizes in (2^power, 2^(power+1)] in four steps; small ones in steps of 16 bytes.
    let step = ((1usize << power) >> 2).max(MIN);
    let rounded = size.div_ceil(step) * step;
    let quarter = (rounded - (1 << power)).div_ceil(step).min(4);
    (power * 4 + quarter, rounded)
}

// SAFETY: each block is handed out once until it is freed: lists are changed under their locks and
// the break moves atomically. Blocks are aligned as asked (see `alloc`).
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let early = EARLY.load(Ordering::Relaxed);
        if early != 0 {
            let at = early.next_multiple_of(layout.align());
            if at + layout.size() > EARLY_END.load(Ordering::Relaxed) {
                return core::ptr::null_mut();
            }
            EARLY.store(at + layout.size(), Ordering::Relaxed);
            return at as *mut u8;
        }
        let (index, size) = sized(layout);
        let Some(head) = lists().heads.get(index) else {
            return core::ptr::null_mut();
        };
        {
            let mut head = head.lock();
            if *head != 0 {
                let block = *head;
                // SAFETY: blocks on the list are free, and hold the next block's address.
                *head = unsafe { *(block as *const usize) };
                return block as *mut u8;
            }
        }
        let brk = &regions::header().brk;
        let align = if size >= 4096 {
            4096
        } else {
            size & size.wrapping_neg()
        }
        .max(MIN)
        .max(layout.align());
        let mut at = brk.load(Ordering::Relaxed);
        loop {
            let start = at.next_multiple_of(align);
            let end = start + size;
            if end > regions::HEAP_LEN {
                return core::ptr::null_mut();
            }
            match brk.compare_exchange_weak(at, end, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    enter_huge_pages(at, end);
                    return (regions::heap_start() + start) as *mut u8;
                }
                Err(now) => at = now,
            }
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if EARLY.load(Ordering::Relaxed) != 0 {
            return;
        }
        let (index, _) = sized(layout);
        let Some(head) = lists().heads.get(index) else {
            return;
        };
        let mut head = head.lock();
        // SAFETY: the block was allocated here with this layout, is at least 16 bytes long, and is
        // the caller's no more.
        unsafe { *(pointer.cast::<usize>()) = *head };
        *head = pointer as usize;
    }
}

/// Class and size for a layout: alignments over 16 take power-of-two classes, which are aligned to
/// themselves up to a page.
fn sized(layout: Layout) -> (usize, usize) {
    if layout.align() > MIN {
        class(layout.size().max(layout.align()).next_power_of_two())
    } else {
        class(layout.size())
    }
}
