//! Evidence and what comes with it: quotes, certificate chains, collateral.
#![no_main]

use bannock_evidence::{
    Collateral,
    sgx::{PckChain, Quote},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(quote) = Quote::parse(bytes) {
        assert_eq!(quote.to_bytes(), bytes, "two byte strings for one quote");
    }
    if let Ok(chain) = PckChain::parse(bytes) {
        let _ = chain.root().says_simulated();
        assert!(PckChain::parse(chain.as_pem()).is_ok());
    }
    if let Ok(collateral) = Collateral::from_json(bytes) {
        let json = collateral.to_json().expect("read, so it can be written");
        assert_eq!(
            Collateral::from_json(&json).expect("written, so it can be read"),
            collateral
        );
    }
});
