//! Planning where system calls are rewritten, and stored plans.
#![no_main]

use bannock_rewrite::{PatchTable, plan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(plan) = plan(bytes) {
        let stored = plan.table.encode();
        assert!(
            PatchTable::decode(&stored).is_ok(),
            "planned, but not accepted when read back"
        );
    }
    if let Ok(table) = PatchTable::decode(bytes) {
        assert_eq!(table.encode(), bytes, "two byte strings for one table");
    }
});
