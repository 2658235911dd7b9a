//! Malformed files and tables: a fault or a smaller result, never a panic.
#![allow(
    clippy::unwrap_used,
    reason = "a test that fails here should stop here"
)]

use std::fs;
use std::sync::LazyLock;

use bannock_rewrite::{Chunk, Mapping, PatchTable, TableFault, apply, chunk_addresses, plan};
use proptest::prelude::*;

static LOADER: LazyLock<Vec<u8>> =
    LazyLock::new(|| fs::read("/lib64/ld-linux-x86-64.so.2").unwrap());
static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| plan(&LOADER).unwrap().table.encode());

#[test]
fn a_table_survives_encoding() {
    for path in [
        "/lib64/ld-linux-x86-64.so.2",
        "/lib/x86_64-linux-gnu/libc.so.6",
    ] {
        let table = plan(&fs::read(path).unwrap()).unwrap().table;
        assert!(!table.patches().is_empty());
        assert_eq!(PatchTable::decode(&table.encode()), Ok(table));
    }
}

#[test]
fn truncated_surplus_and_newer_tables_are_refused() {
    for len in 0..TABLE.len() {
        assert!(PatchTable::decode(&TABLE[..len]).is_err(), "{len}");
    }
    let mut surplus = TABLE.clone();
    surplus.push(0);
    assert_eq!(
        PatchTable::decode(&surplus),
        Err(TableFault::Surplus { len: 1 })
    );
    let mut newer = TABLE.clone();
    newer[6] = 2;
    assert_eq!(
        PatchTable::decode(&newer),
        Err(TableFault::UnknownVersion { found: 2 })
    );
    let mut other = TABLE.clone();
    other[0] = b'X';
    assert_eq!(PatchTable::decode(&other), Err(TableFault::BadMagic));
}

#[test]
fn a_table_whose_windows_overlap_is_refused() {
    let table = plan(&LOADER).unwrap().table;
    let first = &table.patches()[0];
    // The header and the first patch, twice.
    let len = 20 + 11 + first.original().len() + 2 * first.moved().len();
    let mut twice = TABLE[..len].to_vec();
    twice.extend_from_slice(&TABLE[20..len]);
    twice[16..20].copy_from_slice(&2u32.to_le_bytes());
    assert!(matches!(
        PatchTable::decode(&twice),
        Err(TableFault::Patch { index: 1, .. })
    ));
}

/// Applies a table to a mapping and asks the map about every address of the chunk.
fn apply_anywhere(
    table: &PatchTable,
    text: &[u8],
    address: u64,
    offset: u64,
    chunk: u64,
    len: u32,
) {
    let Ok((mut chunk, _)) = Chunk::new(chunk, len, 1) else {
        return;
    };
    let mapping = Mapping {
        address,
        offset,
        text,
    };
    let Ok(applied) = apply(table, &mapping, &mut chunk, 0) else {
        return;
    };
    let end = address.saturating_add(text.len() as u64);
    for write in &applied.windows {
        let write_end = write.address + write.bytes.len() as u64;
        assert!(
            write.address >= address && write_end <= end,
            "a write outside the mapping"
        );
    }
    let trampolines = &applied.trampolines;
    let trampolines_end = trampolines.address + trampolines.bytes.len() as u64;
    assert!(trampolines.address >= chunk.address());
    assert!(trampolines_end <= chunk.address() + u64::from(chunk.len()));
    for rip in (trampolines.address..trampolines_end).step_by(7) {
        let _ = applied.map.locate(table, rip);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = plan(&bytes);
        let _ = PatchTable::decode(&bytes);
    }

    #[test]
    fn arbitrary_code_and_unwind_data_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>(), 0usize..8), 1..40),
        syscalls in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut file = LOADER.clone();
        for (at, value, zeroes) in edits {
            let at = at.index(file.len() - 8);
            file[at..at + 8].copy_from_slice(&(value >> (zeroes * 8)).to_le_bytes());
        }
        for at in syscalls {
            let at = at.index(file.len() - 2);
            file[at..at + 2].copy_from_slice(&[0x0f, 0x05]);
        }
        if let Ok(plan) = plan(&file) {
            prop_assert_eq!(PatchTable::decode(&plan.table.encode()), Ok(plan.table));
        }
    }

    #[test]
    fn a_damaged_table_is_refused_or_applies_within_bounds(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        address in any::<u64>(),
        near in -0x7fff_ffffi64..0x7fff_ffff,
        offset in 0u64..0x4_0000,
        len in 0u32..0x1_0000,
    ) {
        let mut bytes = TABLE.clone();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(table) = PatchTable::decode(&bytes) {
            prop_assert_eq!(table.encode(), bytes);
            let text = LOADER.get(offset as usize..).unwrap_or_default();
            apply_anywhere(&table, text, address, offset, address.wrapping_add_signed(near), len);
            apply_anywhere(&table, text, u64::MAX - 4096, offset, address, len);
        }
    }

    #[test]
    fn chunk_addresses_are_within_reach(
        address in any::<u64>(), len in any::<u64>(), chunk_len in any::<u32>(),
    ) {
        if let Some(range) = chunk_addresses(address, len, chunk_len) {
            for start in [*range.start(), *range.end()] {
                let end = start + u64::from(chunk_len);
                prop_assert!(end.saturating_sub(address) <= 0x7000_0000);
                prop_assert!((address + len).saturating_sub(start) <= 0x7000_0000);
            }
        }
    }
}
