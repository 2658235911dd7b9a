//! The two ends of the PCS-shaped collateral service.
#![no_main]

use bannock_simulated_platform::pcs::{parse_request, parse_response};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = parse_request(bytes);
    let _ = parse_response(bytes);
});
