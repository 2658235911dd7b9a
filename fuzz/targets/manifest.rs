//! Manifests of measured trees.
#![no_main]

use bannock_measure::tree::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::parse(bytes) {
        // One tree, one text: the root digest would otherwise not name it.
        assert_eq!(manifest.encode().as_bytes(), bytes);
        for entry in manifest.entries() {
            assert!(manifest.get(&entry.path).is_some());
        }
    }
});
