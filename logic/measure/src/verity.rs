//! Linux fs-verity file digests: SHA-256, 4 KiB blocks, no salt.
//!
//! The digest is the one that `fsverity digest` prints and that `FS_IOC_MEASURE_VERITY` returns
//! (Linux, Documentation/filesystems/fsverity.rst, "Merkle tree" and "fs-verity descriptor"), so
//! standard tools can check a manifest and a host with fs-verity enabled agrees with it.

use alloc::vec::Vec;
use sha2_xmm::{Digest, Sha256};

/// Bytes of a Merkle tree block, data and hash blocks alike.
pub const BLOCK: usize = 4096;

/// Bytes of a digest.
pub const DIGEST: usize = 32;

/// Bytes of `struct fsverity_descriptor`.
const DESCRIPTOR: usize = 256;

/// `FS_VERITY_HASH_ALG_SHA256`.
const ALGORITHM_SHA256: u8 = 1;

/// The digest of a file whose bytes arrive in pieces of any size.
///
/// ```
/// use bannock_measure::verity::{FileDigest, file_digest};
/// let mut digest = FileDigest::new();
/// digest.update(b"hello, ");
/// digest.update(b"world");
/// assert_eq!(digest.finish(), file_digest(b"hello, world"));
/// ```
#[derive(Clone, Default)]
pub struct FileDigest {
    size: u64,
    /// The data block that is being filled; shorter than [`BLOCK`].
    data: Vec<u8>,
    tree: BlockTree,
}

impl FileDigest {
    /// The digest of nothing so far.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            size: 0,
            data: Vec::new(),
            tree: BlockTree::new(),
        }
    }

    /// Appends `bytes` to the file.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if !self.data.is_empty() {
            let wanted = BLOCK - self.data.len();
            let (head, rest) = bytes.split_at(wanted.min(bytes.len()));
            self.data.extend_from_slice(head);
            bytes = rest;
            if self.data.len() == BLOCK {
                self.tree.push(block_hash(&self.data));
                self.data.clear();
            }
        }
        // Whole blocks are hashed where they lie.
        let mut blocks = bytes.chunks_exact(BLOCK);
        for block in &mut blocks {
            self.tree.push(block_hash(block));
        }
        self.data.extend_from_slice(blocks.remainder());
    }

    /// The digest of the whole file.
    #[must_use]
    pub fn finish(mut self) -> [u8; DIGEST] {
        if !self.data.is_empty() {
            self.tree.push(block_hash(&self.data));
        }
        self.tree.finish(self.size)
    }
}

/// The hash of a data block; the last one of a file may be shorter and is filled up with zeros.
///
/// Of more than [`BLOCK`] bytes only the first ones count.
#[must_use]
pub fn block_hash(block: &[u8]) -> [u8; DIGEST] {
    if block.len() == BLOCK {
        return Sha256::digest(block).into();
    }
    let mut padded = [0; BLOCK];
    for (to, from) in padded.iter_mut().zip(block) {
        *to = *from;
    }
    Sha256::digest(padded).into()
}

/// The Merkle tree over blocks that may have been hashed elsewhere, several at the same time.
///
/// ```
/// use bannock_measure::verity::{BLOCK, BlockTree, block_hash, file_digest};
/// let file = [7; 2 * BLOCK + 1];
/// let mut tree = BlockTree::new();
/// for block in file.chunks(BLOCK) {
///     tree.push(block_hash(block));
/// }
/// assert_eq!(tree.finish(file.len() as u64), file_digest(&file));
/// ```
#[derive(Clone, Default)]
pub struct BlockTree {
    levels: Vec<Level>,
}

/// The hash block that is being filled on one level, and how many hashes the level took.
#[derive(Clone)]
struct Level {
    block: Vec<u8>,
    hashes: u64,
}

impl BlockTree {
    /// The tree over nothing so far.
    #[must_use]
    pub const fn new() -> Self {
        Self { levels: Vec::new() }
    }

    /// Adds the hash of the next data block.
    pub fn push(&mut self, hash: [u8; DIGEST]) {
        self.push_at(0, hash);
    }

    /// Adds a hash to level `first`, and to those above of every hash block that it fills.
    fn push_at(&mut self, first: usize, mut hash: [u8; DIGEST]) {
        for number in first.. {
            if number == self.levels.len() {
                self.levels.push(Level {
                    block: Vec::with_capacity(BLOCK),
                    hashes: 0,
                });
            }
            let Some(level) = self.levels.get_mut(number) else {
                return;
            };
            level.block.extend_from_slice(&hash);
            level.hashes += 1;
            if level.block.len() < BLOCK {
                return;
            }
            hash = block_hash(&level.block);
            level.block.clear();
        }
    }

    /// The digest of a file of `size` bytes with these blocks.
    #[must_use]
    pub fn finish(mut self, size: u64) -> [u8; DIGEST] {
        let root = self.root();
        let mut descriptor = [0u8; DESCRIPTOR];
        let fields: [(usize, &[u8]); 3] = [
            // version, hash_algorithm, log_blocksize, salt_size
            (0, &[1, ALGORITHM_SHA256, 12, 0]),
            (8, &size.to_le_bytes()),
            (16, &root),
        ];
        for (offset, bytes) in fields {
            descriptor[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        Sha256::digest(descriptor).into()
    }

    /// The root hash: the only hash of the first level that holds just one; zeros for no data.
    fn root(&mut self) -> [u8; DIGEST] {
        let mut number = 0;
        while let Some(level) = self.levels.get_mut(number) {
            if level.hashes == 1
                && let Ok(root) = <[u8; DIGEST]>::try_from(level.block.as_slice())
            {
                return root;
            }
            if !level.block.is_empty() {
                let block = core::mem::take(&mut level.block);
                self.push_at(number + 1, block_hash(&block));
            }
            number += 1;
        }
        [0; DIGEST]
    }
}

/// The digest of a file that is in memory.
#[must_use]
pub fn file_digest(bytes: &[u8]) -> [u8; DIGEST] {
    let mut digest = FileDigest::new();
    digest.update(bytes);
    digest.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// The kernel's definition, level by level over whole buffers; shares nothing with the code.
    fn by_definition(data: &[u8]) -> [u8; 32] {
        fn level(bytes: &[u8]) -> Vec<u8> {
            let mut out = Vec::new();
            for chunk in bytes.chunks(4096) {
                let mut block = chunk.to_vec();
                block.resize(4096, 0);
                out.extend_from_slice(&Sha256::digest(&block));
            }
            out
        }
        let root = if data.is_empty() {
            vec![0; 32]
        } else {
            let mut hashes = level(data);
            while hashes.len() > 32 {
                hashes = level(&hashes);
            }
            hashes
        };
        let mut descriptor = vec![1u8, 1, 12, 0, 0, 0, 0, 0];
        descriptor.extend_from_slice(&(data.len() as u64).to_le_bytes());
        descriptor.extend_from_slice(&root);
        descriptor.resize(256, 0);
        Sha256::digest(&descriptor).into()
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..length)
            .map(|i| (i as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3])
            .collect()
    }

    #[test]
    fn agrees_with_the_definition_around_every_block_boundary() {
        let hash_block = BLOCK * (BLOCK / DIGEST);
        for length in [
            0,
            1,
            BLOCK - 1,
            BLOCK,
            BLOCK + 1,
            2 * BLOCK,
            hash_block - 1,
            hash_block,
            hash_block + 1,
            hash_block + BLOCK + 5,
            3 * hash_block,
        ] {
            let data = pattern(length);
            assert_eq!(file_digest(&data), by_definition(&data), "{length} bytes");
        }
    }

    #[test]
    fn agrees_with_the_standard_tool() {
        // Printed by `fsverity digest` (fsverity-utils 1.5).
        let long: Vec<u8> = (0..BLOCK * 129 + 5)
            .map(|i| ((i * 7 + i / 251) & 255) as u8)
            .collect();
        for (data, expected) in [
            (
                &b""[..],
                "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95",
            ),
            (
                b"hello, world",
                "bf82626ce0a500579aa6f172567cbb608f77b47bc91c6df79c1913eb57397f54",
            ),
            (
                &long,
                "dfafc4631f3d771600bbe02c80b29d1384eca3f77d1242b30b1c76b728fc6c59",
            ),
        ] {
            assert_eq!(hex::encode(file_digest(data)), expected);
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_digest() {
        let data = pattern(3 * BLOCK + 77);
        let whole = file_digest(&data);
        for piece in [1, 7, 4095, 4096, 4097, 10_000] {
            let mut digest = FileDigest::new();
            for chunk in data.chunks(piece) {
                digest.update(chunk);
            }
            assert_eq!(digest.finish(), whole, "pieces of {piece} bytes");
        }
    }

    #[test]
    fn trailing_zeros_are_part_of_the_file() {
        assert_ne!(file_digest(b"a"), file_digest(b"a\0"));
        assert_ne!(file_digest(b""), file_digest(&[0; BLOCK]));
    }
}
