//! Redirection of system-call sites in a program's code.
//!
//! What to change in a file is worked out once per content and kept in the shared heap; carrying
//! it out is writing a few hundred jumps into private pages. Trampolines are written before they
//! become executable and never change afterwards.

use crate::{entry, raw, regions};
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use bannock_platform::{CodeMapping, PAGE, page_ceil, page_floor, sync::Mutex};
use bannock_rewrite::{CALL_LEN, Chunk, Mapping, PatchTable, Write, apply, chunk_addresses, plan};
use core::sync::atomic::{AtomicUsize, Ordering};
use linux_raw_sys::general as sys;

/// What was found out about files, by content.
pub(crate) type Plans = Mutex<BTreeMap<u128, Arc<PatchTable>>>;

/// Room for one trampoline, on average; long ones are rare, and a full chunk is followed by another.
const TRAMPOLINE_LEN: usize = 48;
/// Largest file that is looked through.
const MAX_FILE: u64 = 512 << 20;
/// Most chunks of one process that handlers know of.
const MAX_CHUNKS: usize = 2048;

/// Chunks of this process: start and end, in the order of their making.
static CHUNKS: [(AtomicUsize, AtomicUsize); MAX_CHUNKS] =
    [const { (AtomicUsize::new(0), AtomicUsize::new(0)) }; MAX_CHUNKS];
static CHUNK_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Whether `rip` lies in a trampoline. A thread there is about to enter the kernel with its own
/// registers, or has just left it, within a few instructions.
pub(crate) fn before_entry(rip: usize) -> bool {
    let count = CHUNK_COUNT.load(Ordering::Acquire).min(MAX_CHUNKS);
    CHUNKS.iter().take(count).any(|(start, end)| {
        (start.load(Ordering::Relaxed)..end.load(Ordering::Relaxed)).contains(&rip)
    })
}

/// Where the program has to go on to make the call again that continues at `continuation`: in a
/// trampoline that enters the runtime, or at the `syscall` that traps, or that its window left in place.
pub(crate) fn call_site(continuation: usize) -> usize {
    const SYSCALL_LEN: usize = 2;
    let len = if before_entry(continuation) {
        CALL_LEN as usize
    } else {
        SYSCALL_LEN
    };
    continuation.wrapping_sub(len)
}

/// Redirects the sites of a mapping; what cannot be redirected is left to traps.
pub(crate) fn redirect(code: &CodeMapping<'_>) {
    let Some(table) = table(code) else { return };
    if table.patches().is_empty() || code.protection & sys::PROT_READ == 0 {
        return;
    }
    // SAFETY: the range was just mapped readable and private, and no thread runs there yet; the
    // reference ends before the range is written to.
    let text = || unsafe { core::slice::from_raw_parts(code.address as *const u8, code.len) };
    let mut from = 0;
    let mut windows = Vec::new();
    loop {
        let left = table.patches().len() - from;
        let Some(mut chunk) = new_chunk(code, left) else {
            break;
        };
        let mapping = Mapping {
            address: code.address as u64,
            offset: code.file_offset,
            text: text(),
        };
        let Ok(applied) = apply(&table, &mapping, &mut chunk, from) else {
            break;
        };
        write(&applied.trampolines);
        seal(&chunk);
        windows.extend(applied.windows);
        match applied.next {
            Some(next) if next > from => from = next,
            _ => break,
        }
    }
    if windows.is_empty() {
        return;
    }
    let start = page_floor(code.address);
    let Some(len) = page_ceil(code.address + code.len).map(|end| end - start) else {
        return;
    };
    if protect(start, len, sys::PROT_READ | sys::PROT_WRITE) {
        for window in &windows {
            write(window);
        }
        protect(start, len, code.protection);
    }
}

/// The table for the content of a mapping's file.
fn table(code: &CodeMapping<'_>) -> Option<Arc<PatchTable>> {
    let plans = regions::plans();
    if let Some(table) = plans.lock().get(&code.key) {
        return Some(Arc::clone(table));
    }
    let len = code.file.len();
    if len > MAX_FILE {
        return None;
    }
    // Not a program, or one that is not understood: everything traps, and works.
    let plan = match code.file.fixed() {
        Some(bytes) => plan(bytes),
        None => {
            let mut bytes = Scratch::new(len as usize)?;
            code.file.read_at(0, bytes.as_mut()).ok()?;
            plan(bytes.as_ref())
        }
    };
    let table = Arc::new(plan.ok()?.table);
    plans.lock().insert(code.key, Arc::clone(&table));
    Some(table)
}

/// Memory of this process for a moment, in huge pages where the host has them: a large file is read
/// into it without thousands of page faults.
struct Scratch {
    start: usize,
    /// Bytes asked for.
    len: usize,
    /// Bytes mapped.
    mapped: usize,
}

impl Scratch {
    /// `len` zeroed bytes; `None` where the host has none.
    fn new(len: usize) -> Option<Self> {
        let mapped = page_ceil(len.max(1))?;
        let prot = (sys::PROT_READ | sys::PROT_WRITE) as usize;
        let flags = (sys::MAP_PRIVATE | sys::MAP_ANONYMOUS) as usize;
        // SAFETY: a new mapping, at an address that the host chooses outside of all others.
        let at = unsafe { raw::syscall(sys::__NR_mmap, [0, mapped, prot, flags, usize::MAX, 0]) };
        let start = usize::try_from(at).ok()?;
        // SAFETY: advice on a range of ours. Where it is not taken, pages are small.
        unsafe {
            raw::syscall(
                sys::__NR_madvise,
                [start, mapped, sys::MADV_HUGEPAGE as usize, 0, 0, 0],
            )
        };
        Some(Self { start, len, mapped })
    }
}

impl AsRef<[u8]> for Scratch {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the mapping is at least `len` bytes long, readable, and ours alone until it is dropped.
        unsafe { core::slice::from_raw_parts(self.start as *const u8, self.len) }
    }
}

impl AsMut<[u8]> for Scratch {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and writable; the exclusive borrow makes this the only reference.
        unsafe { core::slice::from_raw_parts_mut(self.start as *mut u8, self.len) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no reference into it outlives this.
        unsafe { raw::syscall(sys::__NR_munmap, [self.start, self.mapped, 0, 0, 0, 0]) };
    }
}

/// Maps a chunk for about `patches` trampolines.
fn new_chunk(code: &CodeMapping<'_>, patches: usize) -> Option<Chunk> {
    let len = page_ceil(patches.checked_mul(TRAMPOLINE_LEN)?.checked_add(PAGE)?)?;
    let window = chunk_addresses(
        code.address as u64,
        code.len as u64,
        u32::try_from(len).ok()?,
    )?;
    let end = (*window.end() as usize).checked_add(len)?;
    let start = (code.reserve)(*window.start() as usize..end, len)?;
    let prot = (sys::PROT_READ | sys::PROT_WRITE) as usize;
    let flags = (sys::MAP_PRIVATE | sys::MAP_ANONYMOUS | sys::MAP_FIXED) as usize;
    // SAFETY: the kernel has just reserved the range for the runtime.
    let at = unsafe { raw::syscall(sys::__NR_mmap, [start, len, prot, flags, usize::MAX, 0]) };
    if at as usize != start {
        return None;
    }
    let entry = entry::bannock_entry as *const () as u64;
    let (chunk, header) = Chunk::new(start as u64, len as u32, entry).ok()?;
    write(&header);
    Some(chunk)
}

/// Makes a finished chunk executable, and known to handlers.
fn seal(chunk: &Chunk) {
    let start = chunk.address() as usize;
    if !protect(start, chunk.len() as usize, sys::PROT_READ | sys::PROT_EXEC) {
        return;
    }
    let index = CHUNK_COUNT.fetch_add(1, Ordering::AcqRel);
    if let Some((from, to)) = CHUNKS.get(index) {
        to.store(start + chunk.len() as usize, Ordering::Relaxed);
        from.store(start, Ordering::Release);
    }
}

fn protect(start: usize, len: usize, protection: u32) -> bool {
    // SAFETY: the range is a mapping of the program's or a chunk, where no Rust object lives.
    unsafe {
        raw::syscall(
            sys::__NR_mprotect,
            [start, len, protection as usize, 0, 0, 0],
        ) == 0
    }
}

fn write(write: &Write) {
    // SAFETY: the destination is a writable chunk or mapping in the program's part; the copy
    // survives if it is not.
    unsafe {
        entry::bannock_copy(
            write.address as *mut u8,
            write.bytes.as_ptr(),
            write.bytes.len(),
        )
    };
}
