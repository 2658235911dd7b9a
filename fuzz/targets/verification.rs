//! Verdicts over evidence: a quote, and collateral as JSON.
#![no_main]

use bannock_evidence::{Collateral, Evidence, TrustAnchors, TrustDomain, verify};
use bannock_fuzz::pieces;
use libfuzzer_sys::fuzz_target;

/// A day on which the seed is valid: 2025-06-20.
const NOW: u64 = 1_750_416_971;

fuzz_target!(|bytes: &[u8]| {
    let [quote, collateral] = pieces::split(bytes)[..] else {
        return;
    };
    let Ok(collateral) = Collateral::from_json(collateral) else {
        return;
    };
    let evidence = Evidence {
        quote: quote.to_vec(),
        collateral,
    };
    match verify(&evidence, &TrustAnchors::vendors(), NOW) {
        Ok(verdict) => {
            assert!(matches!(verdict.trust_domain, TrustDomain::Intel));
            // Of what Intel signed, the seed's quote is all that there is.
            assert!(verdict.report_data.starts_with(b"Hello, world!"));
        }
        Err(rejection) => assert!(!rejection.to_string().is_empty()),
    }
});
