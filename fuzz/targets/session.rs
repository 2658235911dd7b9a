//! Sessions: YAML from a person, CBOR from the store.
#![no_main]

use bannock_policy::{Session, Template};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Session::parse(bytes) {
        Ok(session) => {
            let again = Session::from_cbor(&session.to_cbor());
            let again = again.unwrap_or_else(|e| panic!("accepted, but not when stored: {e}"));
            assert!(
                session.hash() == again.hash(),
                "a stored session is another one"
            );
        }
        Err(diagnostics) => assert!(!diagnostics.to_string().is_empty()),
    }
    if let Ok(session) = Session::from_cbor(bytes) {
        assert!(
            session.to_cbor().as_slice() == bytes,
            "two byte strings for one session"
        );
    }
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = Template::parse(text);
    }
});
