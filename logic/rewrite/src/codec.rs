//! The patch table as bytes.
//!
//! All integers are little-endian. Header: the magic `BNKRWT`, version (2), length of the file (8),
//! number of patches (4). Patch: site (8), flags (1: kind in bits 0–1, falls through in bit 2), window
//! length (1), number of moved instructions (1), the window's bytes, and per instruction its length (1)
//! and fix-up (1: 0 none, 1 conditional jump, 2 jump, `0x10` + position of a RIP-relative displacement).

use alloc::vec::Vec;

use thiserror::Error;

use crate::table::{Fixup, MovedInstruction, Patch, PatchKind, PatchTable};

/// Version of the encoding; another one is refused.
pub const VERSION: u16 = 1;

const MAGIC: &[u8; 6] = b"BNKRWT";
/// Least number of bytes of a patch.
const PATCH_MIN_LEN: usize = 11;
const FALLS_THROUGH: u8 = 4;
const RIP_RELATIVE: u8 = 0x10;

/// Why bytes are not a patch table.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TableFault {
    /// The bytes do not start with the magic.
    #[error("not a patch table: it does not start with `BNKRWT`")]
    BadMagic,
    /// The table was written by another version.
    #[error(
        "patch table of version {found}, only version {VERSION} is supported; plan the file again"
    )]
    UnknownVersion {
        /// The version that it names.
        found: u16,
    },
    /// The table ends early.
    #[error("truncated patch table")]
    Truncated,
    /// Bytes follow the table.
    #[error("patch table with {len} surplus bytes at its end")]
    Surplus {
        /// How many.
        len: usize,
    },
    /// A patch is not one that planning produces.
    #[error("patch {index} of the table is malformed: {reason}")]
    Patch {
        /// Position in the table.
        index: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl PatchTable {
    /// Encodes the table.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(20 + self.patches().len() * 24);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.file_len().to_le_bytes());
        out.extend_from_slice(&(self.patches().len() as u32).to_le_bytes());
        for patch in self.patches() {
            let kind = match patch.kind {
                PatchKind::MovEax => 0,
                PatchKind::Before => 1,
                PatchKind::After => 2,
            };
            let flags = kind
                | if patch.falls_through {
                    FALLS_THROUGH
                } else {
                    0
                };
            out.extend_from_slice(&patch.site.to_le_bytes());
            // Windows and instruction counts are bounded well below 256 by `Patch::check`.
            out.extend_from_slice(&[flags, patch.window.len() as u8, patch.moved.len() as u8]);
            out.extend_from_slice(&patch.window);
            for moved in &patch.moved {
                let fixup = match moved.fixup {
                    Fixup::None => 0,
                    Fixup::ConditionalJump => 1,
                    Fixup::Jump => 2,
                    Fixup::RipRelative { displacement } => RIP_RELATIVE | displacement,
                };
                out.extend_from_slice(&[moved.len, fixup]);
            }
        }
        out
    }

    /// Decodes a table, accepting nothing but what [`PatchTable::encode`] produces.
    ///
    /// # Errors
    /// Fails on another version, on truncated or surplus bytes, and on any patch that planning cannot
    /// produce.
    pub fn decode(bytes: &[u8]) -> Result<Self, TableFault> {
        let mut reader = Reader(bytes);
        if reader.array()? != *MAGIC {
            return Err(TableFault::BadMagic);
        }
        let found = u16::from_le_bytes(reader.array()?);
        if found != VERSION {
            return Err(TableFault::UnknownVersion { found });
        }
        let file_len = u64::from_le_bytes(reader.array()?);
        let count = u32::from_le_bytes(reader.array()?);
        let count = usize::try_from(count).map_err(|_| TableFault::Truncated)?;
        if count > reader.0.len() / PATCH_MIN_LEN {
            return Err(TableFault::Truncated);
        }
        let mut patches = Vec::with_capacity(count);
        for index in 0..count {
            patches.push(reader.patch(index)?);
        }
        if !reader.0.is_empty() {
            return Err(TableFault::Surplus {
                len: reader.0.len(),
            });
        }
        Self::new(file_len, patches).map_err(|(index, reason)| TableFault::Patch { index, reason })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], TableFault> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(TableFault::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TableFault> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(TableFault::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn patch(&mut self, index: usize) -> Result<Patch, TableFault> {
        let fault = |reason| TableFault::Patch { index, reason };
        let site = u64::from_le_bytes(self.array()?);
        let [flags, window_len, moved_count] = self.array()?;
        let kind = match flags & !FALLS_THROUGH {
            0 => PatchKind::MovEax,
            1 => PatchKind::Before,
            2 => PatchKind::After,
            _ => return Err(fault("its kind is unknown")),
        };
        let window = self.take(window_len.into())?.into();
        let mut moved = Vec::with_capacity(moved_count.into());
        for _ in 0..moved_count {
            let [len, fixup] = self.array()?;
            let fixup = match fixup {
                0 => Fixup::None,
                1 => Fixup::ConditionalJump,
                2 => Fixup::Jump,
                0x10..=0x1f => Fixup::RipRelative {
                    displacement: fixup & !RIP_RELATIVE,
                },
                _ => return Err(fault("what changes in an instruction is unknown")),
            };
            moved.push(MovedInstruction { len, fixup });
        }
        let falls_through = flags & FALLS_THROUGH != 0;
        Ok(Patch {
            site,
            kind,
            window,
            moved: moved.into(),
            falls_through,
        })
    }
}
