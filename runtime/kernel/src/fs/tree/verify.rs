//! Copies of host files that are hashed on the way.

use alloc::{format, string::String, vec::Vec};
use bannock_measure::verity::{BLOCK, BlockTree, DIGEST, block_hash};
use bannock_platform::host::{self, HostFd, file::Wait};
use bannock_platform::{Errno, platform, sync::Mutex};

/// Bytes that are read from the host and hashed at a time: they stay in the processor's cache.
const CHUNK: usize = 256 << 10;
const _: () = assert!(CHUNK.is_multiple_of(BLOCK));

/// Bytes whose hashes are kept at a time (64 MiB, 512 KiB of hashes).
const WINDOW: usize = 64 << 20;
const _: () = assert!(WINDOW.is_multiple_of(CHUNK));

/// Files of this size are worth a second thread, which costs as much as some 64 KiB.
const WORTH_SHARING: usize = 1 << 20;

type Hash = [u8; DIGEST];

/// Why there is no verified copy.
pub(super) enum Difference {
    /// The host's file is another.
    Content(String),
    /// It could not be found out.
    Resources(Errno),
}

impl From<Errno> for Difference {
    fn from(error: Errno) -> Self {
        Self::Resources(error)
    }
}

/// Fills `bytes` from `file`, which must be as long and have the fs-verity digest `digest`.
///
/// What is hashed and what is kept is one copy, which the host's file no longer changes.
pub(super) fn copy_and_check(
    bytes: &mut [u8],
    file: HostFd,
    digest: &Hash,
) -> Result<(), Difference> {
    let size = bytes.len() as u64;
    let mut tree = BlockTree::new();
    for (at, window) in (0..).step_by(WINDOW).zip(bytes.chunks_mut(WINDOW)) {
        for hash in copy_window(window, file, at)? {
            tree.push(hash);
        }
    }
    if read(file, size, &mut [0])? != 0 {
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

/// Fills `window` with the bytes at `start`, and gives the hashes of its blocks.
fn copy_window(window: &mut [u8], file: HostFd, start: u64) -> Result<Vec<Hash>, Difference> {
    let share = window.len() >= WORTH_SHARING;
    let mut hashes = alloc::vec![[0; DIGEST]; window.len().div_ceil(BLOCK)];
    let places = hashes.chunks_mut(CHUNK / BLOCK);
    let pieces = (start..)
        .step_by(CHUNK)
        .zip(window.chunks_mut(CHUNK).zip(places));
    let state = Mutex::new((pieces, Ok(())));
    let work = || {
        loop {
            let piece = state.lock().0.next();
            let Some((at, (chunk, places))) = piece else {
                return;
            };
            if let Err(why) = copy_chunk(chunk, places, file, at) {
                let mut state = state.lock();
                // The rest is of no use any more.
                while state.0.next().is_some() {}
                state.1 = Err(why);
                return;
            }
        }
    };
    if share {
        platform().share_work(&work);
    } else {
        work();
    }
    state.into_inner().1?;
    Ok(hashes)
}

/// Fills `chunk` with the bytes at `at`, and `hashes` with the hashes of its blocks.
fn copy_chunk(
    chunk: &mut [u8],
    hashes: &mut [Hash],
    file: HostFd,
    at: u64,
) -> Result<(), Difference> {
    let mut done = 0;
    while let Some(rest) = chunk.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let place = at + done as u64;
        match read(file, place, rest)? {
            0 => return Err(Difference::Content(format!("it ends after {place} bytes"))),
            count => done += count,
        }
    }
    for (hash, block) in hashes.iter_mut().zip(chunk.chunks(BLOCK)) {
        *hash = block_hash(block);
    }
    Ok(())
}

fn read(file: HostFd, at: u64, into: &mut [u8]) -> Result<usize, Difference> {
    let into = host::Into::Kernel(into);
    host::file::read(file, into, Some(at), Wait::Uninterruptible).map_err(|error| match error {
        // The host has no page for what it read.
        Errno::EFAULT | Errno::ENOMEM => Difference::Resources(Errno::ENOMEM),
        error => Difference::Content(format!("reading it failed ({error})")),
    })
}
