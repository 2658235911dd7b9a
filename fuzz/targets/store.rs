//! A CAS's store whose backend says what it likes.
#![no_main]

use bannock_cas_store::{SealedStore, Store};
use bannock_fuzz::store::{Host, RECORDS, sealing_key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let host = Host::from_input(bytes);
    let empty = host.is_empty();
    let Ok(store) = SealedStore::open(host, &sealing_key()) else {
        return;
    };
    let names = store.keys("").expect("an open store lists its records");
    if empty {
        assert!(names.is_empty());
        return;
    }
    // What opens and is not new is the genuine store, all of it.
    assert!(names.iter().eq(RECORDS.iter().map(|(name, ..)| name)));
    for (name, version, value) in RECORDS {
        // A backend may change its mind after the store was opened; that is noticed.
        if let Ok(stored) = store.get(name) {
            let stored = stored.expect("a record that is listed is there");
            assert_eq!((stored.version, &stored.value[..]), (version, value));
        }
    }
});
