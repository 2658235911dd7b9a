//! HTTP between the CAS and its owners: requests at the server, answers at the client.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some((_, used))) = bannock_cas::http::parse_head(bytes) {
        assert!(used <= bytes.len());
    }
    let _ = bannock_cas_client::http::parse(bytes);
});
