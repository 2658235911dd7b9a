//! The host's vDSO, as the kernel's way to read clocks without a host call.
//!
//! Programs do not see it: their clocks are the kernel's to protect.

use bannock_elf::{Elf, SegmentKind};
use core::sync::atomic::{AtomicUsize, Ordering};

static START: AtomicUsize = AtomicUsize::new(0);
static CLOCK: AtomicUsize = AtomicUsize::new(0);

/// Bytes that a vDSO has at most; Linux's has two or three pages.
const MAX_LEN: usize = 4 * bannock_platform::PAGE;

/// Whether `address` lies in the vDSO.
#[must_use]
pub(crate) fn contains(address: usize) -> bool {
    let start = START.load(Ordering::Relaxed);
    start != 0 && address.wrapping_sub(start) < MAX_LEN
}

/// Looks the vDSO at `start` through; without one, or with one that is not understood, clocks are
/// read by host calls.
pub(crate) fn find(start: usize) {
    if start == 0 {
        return;
    }
    START.store(start, Ordering::Relaxed);
    // SAFETY: the host maps the vDSO's image at the address it passes; its first page is there.
    let head = unsafe { core::slice::from_raw_parts(start as *const u8, bannock_platform::PAGE) };
    let Ok(elf) = Elf::parse(head, MAX_LEN as u64) else {
        return;
    };
    let Some(len) = elf
        .load_segments()
        .map(|s| s.vaddr.saturating_add(s.mem_len))
        .max()
    else {
        return;
    };
    if len as usize > MAX_LEN {
        return;
    }
    // SAFETY: the one load segment covers `len` bytes from the start.
    let image = unsafe { core::slice::from_raw_parts(start as *const u8, len as usize) };
    if let Some(value) = symbol(image, &elf, b"__vdso_clock_gettime") {
        CLOCK.store(start + value, Ordering::Relaxed);
    }
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let slice = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(slice.try_into().ok()?) as usize)
}

/// Value of a dynamic symbol (ELF gABI, "Symbol Table").
fn symbol(image: &[u8], elf: &Elf, name: &[u8]) -> Option<usize> {
    const SYMTAB: usize = 6;
    const STRTAB: usize = 5;
    let dynamic = elf.find(SegmentKind::Dynamic)?;
    let (mut symbols, mut strings) = (None, None);
    let mut at = dynamic.vaddr as usize;
    loop {
        let (tag, value) = (word(image, at)?, word(image, at + 8)?);
        match tag {
            0 => break,
            SYMTAB => symbols = Some(value),
            STRTAB => strings = Some(value),
            _ => {}
        }
        at += 16;
    }
    let (symbols, strings) = (symbols?, strings?);
    // Without counting hash chains: entries run until the string table, which follows them.
    for index in 0..64 {
        let entry = symbols + index * 24;
        let Some(info) = image.get(entry..entry + 24) else {
            break;
        };
        let name_at = strings + u32::from_le_bytes(info.get(..4)?.try_into().ok()?) as usize;
        let Some(found) = image.get(name_at..name_at + name.len() + 1) else {
            continue;
        };
        if found.starts_with(name) && found.ends_with(&[0]) {
            return word(image, entry + 8);
        }
    }
    None
}

/// Reads clock `id` through the vDSO; `None` where there is none or it does not know the clock.
pub(crate) fn clock(id: i32) -> Option<(i64, i64)> {
    let function = CLOCK.load(Ordering::Relaxed);
    if function == 0 {
        return None;
    }
    let mut time = [0i64; 2];
    // SAFETY: the symbol is `int __vdso_clock_gettime(clockid_t, struct timespec *)`.
    let call: extern "C" fn(i32, *mut i64) -> i32 = unsafe { core::mem::transmute(function) };
    (call(id, time.as_mut_ptr()) == 0).then_some((time[0], time[1]))
}
