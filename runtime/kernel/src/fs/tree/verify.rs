//! Copies of host files that are hashed on the way.

use alloc::{format, string::String, vec::Vec};
use bannock_measure::verity::{BLOCK, BlockTree, DIGEST, block_hash};
use bannock_platform::cache::Extent;
use bannock_platform::host::{self, HostFd, file::Wait};
use bannock_platform::{Errno, platform, sync::Mutex};
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are read from the host, hashed and kept at a time: they stay in the processor's cache.
const CHUNK: usize = 256 << 10;
const _: () = assert!(CHUNK.is_multiple_of(BLOCK));

/// Bytes whose hashes are kept at a time (64 MiB, 512 KiB of hashes).
const WINDOW: u64 = 64 << 20;
const _: () = assert!(WINDOW.is_multiple_of(CHUNK as u64));

/// Files of this size are worth a second thread, which costs as much as some 64 KiB.
const WORTH_SHARING: u64 = 1 << 20;

type Hash = [u8; DIGEST];

/// Why there is no verified copy.
pub(super) enum Difference {
    /// The host's file is another.
    Content(String),
    /// It could not be found out.
    Resources(Errno),
}

/// Fills `extent` with the `size` bytes of `file`, whose fs-verity digest must be `digest`.
pub(super) fn copy_and_check(
    extent: &Extent,
    file: HostFd,
    size: u64,
    digest: &Hash,
) -> Result<(), Difference> {
    let mut tree = BlockTree::new();
    let mut at = 0;
    while at < size {
        let end = size.min(at.saturating_add(WINDOW));
        for hash in copy_window(extent, file, at..end)? {
            tree.push(hash);
        }
        at = end;
    }
    let mut beyond = [0u8; 1];
    if read(file, size, &mut beyond)? != 0 {
        return Err(Difference::Content(format!(
            "it is longer than {size} bytes"
        )));
    }
    if tree.finish(size) == *digest {
        Ok(())
    } else {
        Err(Difference::Content(String::from("its digest differs")))
    }
}

/// Copies a part of the file, and gives the hashes of its blocks.
fn copy_window(extent: &Extent, file: HostFd, range: Range<u64>) -> Result<Vec<Hash>, Difference> {
    let size = range.end - range.start;
    let blocks = usize::try_from(size.div_ceil(BLOCK as u64))
        .map_err(|_| Difference::Resources(Errno::EFBIG))?;
    let next = AtomicU64::new(range.start);
    let outcome = Mutex::new(Ok(alloc::vec![[0; DIGEST]; blocks]));
    let work = || {
        let mut buffer = alloc::vec![0u8; usize::try_from(size).unwrap_or(CHUNK).min(CHUNK)];
        loop {
            let at = next.fetch_add(CHUNK as u64, Ordering::Relaxed);
            if at >= range.end {
                return;
            }
            let len = usize::try_from(range.end - at).unwrap_or(CHUNK).min(CHUNK);
            let Some(chunk) = buffer.get_mut(..len) else {
                return;
            };
            let copied = copy_chunk(extent, file, at, chunk);
            let mut outcome = outcome.lock();
            match (copied, outcome.as_mut()) {
                (Ok(hashes), Ok(all)) => {
                    let first = (at - range.start) as usize / BLOCK;
                    let places = all.get_mut(first..).unwrap_or_default();
                    for (place, hash) in places.iter_mut().zip(hashes) {
                        *place = hash;
                    }
                }
                (Err(why), Ok(_)) => {
                    *outcome = Err(why);
                    next.store(range.end, Ordering::Relaxed);
                    return;
                }
                (_, Err(_)) => return,
            }
        }
    };
    if size >= WORTH_SHARING {
        platform().share_work(&work);
    } else {
        work();
    }
    outcome.into_inner()
}

/// Copies the `chunk.len()` bytes at `at`, by way of `chunk`.
///
/// What is hashed and what is kept is one copy, which the host's file no longer changes.
fn copy_chunk(
    extent: &Extent,
    file: HostFd,
    at: u64,
    chunk: &mut [u8],
) -> Result<Vec<Hash>, Difference> {
    let mut done = 0;
    while let Some(rest) = chunk.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let place = at + done as u64;
        match read(file, place, rest)? {
            0 => {
                return Err(Difference::Content(format!("it ends after {place} bytes")));
            }
            count => done += count,
        }
    }
    extent.fill(at, chunk).map_err(Difference::Resources)?;
    Ok(chunk.chunks(BLOCK).map(block_hash).collect())
}

fn read(file: HostFd, at: u64, into: &mut [u8]) -> Result<usize, Difference> {
    host::file::read(
        file,
        host::Into::Kernel(into),
        Some(at),
        Wait::Uninterruptible,
    )
    .map_err(|e| Difference::Content(format!("reading it failed ({e})")))
}
