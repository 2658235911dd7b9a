//! Directory entries (getdents64(2)) as the host gives them.
#![no_main]

use bannock_kernel::fs::host::parse_entries;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut entries = Vec::new();
    let parsed = parse_entries(bytes, &mut entries);
    if parsed.is_ok() {
        // The smallest record has 19 bytes and a name of one byte with its NUL.
        assert!(entries.len() <= bytes.len() / 21);
    }
    for entry in entries {
        let name = &*entry.name;
        assert!(!name.is_empty() && name.len() <= 255);
        assert!(!name.contains(&b'/') && !name.contains(&0));
        assert!(name != b"." && name != b"..");
    }
});
