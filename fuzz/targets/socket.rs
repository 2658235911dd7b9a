//! Socket addresses and ancillary data, from programs and from the host.
#![no_main]

use bannock_kernel::net::{
    address::{Address, MAX_LOCAL},
    control,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(address) = Address::parse(bytes) {
        let encoded = address.encode();
        // As on Linux, a path that fills its field is returned with a NUL more than is accepted.
        let full = encoded.len() > 2 + MAX_LOCAL;
        assert!(
            full || Address::parse(&encoded) == Ok(address),
            "an address changes on its way"
        );
    }
    if let Ok(messages) = control::parse(bytes) {
        for message in &messages {
            if let Ok(descriptors) = message.descriptors() {
                assert!(descriptors.len() <= control::MAX_DESCRIPTORS);
            }
        }
        let (built, truncated) = control::build(&messages, bytes.len().next_multiple_of(8));
        assert!(!truncated, "what came cannot be passed on");
        assert_eq!(control::parse(&built), Ok(messages));
    }
});
