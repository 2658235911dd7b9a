//! A quote and collateral that Intel issued, through the public interface.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use bannock_evidence::{
    CertificateRole, Collateral, CollateralParts, CrlRole, Dated, Evidence, Rejection,
    SignedObject, TcbStatus, Tee, TrustAnchors, TrustDomain, Verdict,
    sgx::{INTEL_ROOT_CA_DER, Quote, QuoteFault},
    verify,
};
use sha2::{Digest, Sha256};

const QUOTE: &[u8] = include_bytes!("data/sgx_quote");
const COLLATERAL: &[u8] = include_bytes!("data/sgx_quote_collateral.json");

/// Issue date of the TCB info, 2025-06-19T10:56:11Z.
const ISSUED: u64 = 1_750_330_571;
/// Its next update, 2025-07-19T10:56:11Z.
const NEXT_UPDATE: u64 = 1_752_922_571;
const DAY: u64 = 24 * 60 * 60;

fn collateral() -> Collateral {
    Collateral::from_json(COLLATERAL).unwrap()
}

fn verify_with(quote: &[u8], collateral: Collateral, now: u64) -> Result<Verdict, Rejection> {
    let evidence = Evidence {
        quote: quote.to_vec(),
        collateral,
    };
    verify(&evidence, &TrustAnchors::vendors(), now)
}

fn reject_changed(change: impl FnOnce(&mut CollateralParts)) -> Rejection {
    let mut parts = CollateralParts::from(collateral());
    change(&mut parts);
    verify_with(QUOTE, parts.into(), ISSUED + DAY).unwrap_err()
}

#[test]
fn genuine_evidence_verifies() {
    let verdict = verify_with(QUOTE, collateral(), ISSUED + DAY).unwrap();
    assert_eq!(verdict.trust_domain, TrustDomain::Intel);
    assert_eq!(verdict.tee, Tee::Sgx);
    assert_eq!(
        hex::encode(verdict.measurement),
        "33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb"
    );
    assert_eq!(
        hex::encode(verdict.signer),
        "815f42f11cf64430c30bab7816ba596a1da0130c3b028b673133a66cf9a3e0e6"
    );
    assert_eq!(&verdict.report_data[..13], b"Hello, world!");
    assert_eq!(verdict.config_id, [0; 64]);
    assert!(!verdict.debug && !verdict.kss);
    assert_eq!(
        verdict.tcb.status,
        TcbStatus::ConfigurationAndSwHardeningNeeded
    );
    assert_eq!(verdict.tcb.advisories, ["INTEL-SA-00289", "INTEL-SA-00615"]);
    assert_eq!(verdict.tcb.evaluation_data_number, 17);
    assert_eq!(hex::encode(verdict.platform_id.fmspc), "00a067110000");
    assert_eq!(verdict.platform_id.ppid.len(), 16);
    assert_eq!(verdict.quote_version, 3);
    assert!(verdict.collateral_issued <= ISSUED);
    assert!(verdict.collateral_expiry > ISSUED + DAY && verdict.collateral_expiry <= NEXT_UPDATE);
}

#[test]
fn the_built_in_root_is_the_one_intel_publishes() {
    assert_eq!(
        hex::encode(Sha256::digest(INTEL_ROOT_CA_DER)),
        "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"
    );
}

#[test]
fn naming_a_simulated_root_changes_nothing_for_intel() {
    let anchors = TrustAnchors::vendors().with_simulated_root([7; 32]);
    let evidence = Evidence {
        quote: QUOTE.to_vec(),
        collateral: collateral(),
    };
    let verdict = verify(&evidence, &anchors, ISSUED + DAY).unwrap();
    assert_eq!(verdict.trust_domain, TrustDomain::Intel);
}

#[test]
fn intels_root_named_as_simulated_is_still_intels() {
    let anchors =
        TrustAnchors::vendors().with_simulated_root(Sha256::digest(INTEL_ROOT_CA_DER).into());
    let evidence = Evidence {
        quote: QUOTE.to_vec(),
        collateral: collateral(),
    };
    let verdict = verify(&evidence, &anchors, ISSUED + DAY).unwrap();
    assert_eq!(verdict.trust_domain, TrustDomain::Intel);
}

#[test]
fn expired_collateral_is_rejected_with_the_times() {
    let now = NEXT_UPDATE + 1;
    let rejection = verify_with(QUOTE, collateral(), now).unwrap_err();
    let Rejection::Expired {
        what,
        not_after,
        now: at,
    } = rejection
    else {
        panic!("expired collateral led to {rejection:?}");
    };
    assert_eq!(what, Dated::TcbInfo);
    assert_eq!((not_after, at), (NEXT_UPDATE, now));
    let text = Rejection::Expired {
        what,
        not_after,
        now: at,
    }
    .to_string();
    assert!(
        text.contains(&NEXT_UPDATE.to_string()) && text.contains(&now.to_string()),
        "{text}"
    );
}

#[test]
fn an_expired_crl_is_named() {
    let verdict = verify_with(QUOTE, collateral(), ISSUED + DAY).unwrap();
    let now = verdict.collateral_expiry + 1;
    let rejection = verify_with(QUOTE, collateral(), now).unwrap_err();
    let Rejection::Expired {
        what, not_after, ..
    } = rejection
    else {
        panic!("expired collateral led to {rejection:?}");
    };
    assert_eq!(not_after, verdict.collateral_expiry);
    assert!(
        matches!(what, Dated::Crl(CrlRole::Pck) | Dated::QeIdentity),
        "{what:?}"
    );
}

#[test]
fn collateral_of_the_future_is_rejected() {
    let rejection = verify_with(QUOTE, collateral(), ISSUED - 1).unwrap_err();
    assert!(
        matches!(
            rejection,
            Rejection::NotYetValid {
                what: Dated::TcbInfo,
                not_before: ISSUED,
                ..
            }
        ),
        "{rejection:?}"
    );
}

#[test]
fn a_root_that_is_not_yet_valid_is_rejected() {
    let rejection = verify_with(QUOTE, collateral(), 0).unwrap_err();
    assert!(
        matches!(
            rejection,
            Rejection::NotYetValid {
                what: Dated::Certificate(CertificateRole::Root),
                now: 0,
                ..
            }
        ),
        "{rejection:?}"
    );
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    let collateral = collateral();
    // A step that is no multiple of 8 visits every bit position of a byte.
    for bit in (0..QUOTE.len() * 8).step_by(211) {
        let mut quote = QUOTE.to_vec();
        quote[bit / 8] ^= 1 << (bit % 8);
        let outcome = verify_with(&quote, collateral.clone(), ISSUED + DAY);
        assert!(outcome.is_err(), "bit {bit} can be flipped unnoticed");
    }
}

#[test]
fn signed_parts_are_told_apart() {
    // The first byte of the report data: signed by the attestation key.
    let rejection = flipped(48 + 320);
    assert!(
        matches!(rejection, Rejection::Signature(SignedObject::Quote)),
        "{rejection:?}"
    );
    // The first byte of the attestation key: bound by the quoting enclave's report.
    let rejection = flipped(436 + 64);
    assert!(
        matches!(rejection, Rejection::AttestationKey),
        "{rejection:?}"
    );
    // The first byte of the quoting enclave's report: signed by the PCK.
    let rejection = flipped(436 + 128);
    assert!(
        matches!(rejection, Rejection::Signature(SignedObject::QeReport)),
        "{rejection:?}"
    );
}

fn flipped(offset: usize) -> Rejection {
    let mut quote = QUOTE.to_vec();
    quote[offset] ^= 1;
    verify_with(&quote, collateral(), ISSUED + DAY).unwrap_err()
}

#[test]
fn truncated_and_extended_quotes_are_refused() {
    for len in (0..QUOTE.len()).step_by(7) {
        assert!(
            Quote::parse(&QUOTE[..len]).is_err(),
            "{len} bytes are not a quote"
        );
    }
    let mut longer = QUOTE.to_vec();
    longer.push(0);
    assert_eq!(
        Quote::parse(&longer),
        Err(QuoteFault::TrailingBytes {
            section: "quote",
            len: 1
        })
    );
    // The same byte inside the signature section.
    let mut inner = longer.clone();
    let section_len = u32::try_from(QUOTE.len() - 436 + 1).unwrap();
    inner[432..436].copy_from_slice(&section_len.to_le_bytes());
    assert_eq!(
        Quote::parse(&inner),
        Err(QuoteFault::TrailingBytes {
            section: "signature section",
            len: 1
        })
    );
    longer.resize(1 << 20, 0);
    assert_eq!(
        Quote::parse(&longer),
        Err(QuoteFault::TooLong { len: 1 << 20 })
    );
}

#[test]
fn foreign_headers_are_refused_by_name() {
    let with = |offset: usize, value: u8| {
        let mut quote = QUOTE.to_vec();
        quote[offset] = value;
        Quote::parse(&quote).unwrap_err()
    };
    assert_eq!(with(0, 4), QuoteFault::Version(4));
    assert_eq!(with(2, 3), QuoteFault::AttestationKeyType(3));
    assert_eq!(with(4, 0x81), QuoteFault::TeeType(0x81));
    assert!(matches!(with(12, 0), QuoteFault::QeVendor(_)));
    assert!(matches!(with(48 + 21, 1), QuoteFault::ReservedBits { .. }));
}

#[test]
fn a_parsed_quote_gives_back_its_bytes() {
    assert_eq!(Quote::parse(QUOTE).unwrap().to_bytes(), QUOTE);
}

#[test]
fn changed_collateral_is_rejected_by_the_step_that_guards_it() {
    let rejection = reject_changed(|parts| {
        parts.tcb_info = parts
            .tcb_info
            .replace("\"SWHardeningNeeded\"", "\"UpToDate\"");
    });
    assert!(
        matches!(rejection, Rejection::Signature(SignedObject::TcbInfo)),
        "{rejection:?}"
    );
    let rejection = reject_changed(|parts| {
        parts.qe_identity = parts.qe_identity.replace("\"isvsvn\":8", "\"isvsvn\":0");
    });
    assert!(
        matches!(rejection, Rejection::Signature(SignedObject::QeIdentity)),
        "{rejection:?}"
    );
    let rejection = reject_changed(|parts| parts.tcb_info = "{}".into());
    assert!(matches!(rejection, Rejection::TcbInfo(_)), "{rejection:?}");
    let rejection = reject_changed(|parts| parts.qe_identity = "[]".into());
    assert!(
        matches!(rejection, Rejection::QeIdentity(_)),
        "{rejection:?}"
    );
    let rejection = reject_changed(|parts| parts.root_ca_crl.clear());
    assert!(
        matches!(
            rejection,
            Rejection::Crl {
                crl: CrlRole::Root,
                ..
            }
        ),
        "{rejection:?}"
    );
    let rejection = reject_changed(|parts| parts.pck_crl.truncate(20));
    assert!(
        matches!(
            rejection,
            Rejection::Crl {
                crl: CrlRole::Pck,
                ..
            }
        ),
        "{rejection:?}"
    );
    let rejection = reject_changed(|parts| {
        core::mem::swap(&mut parts.pck_crl, &mut parts.root_ca_crl);
    });
    assert!(matches!(rejection, Rejection::Crl { .. }), "{rejection:?}");
    let rejection = reject_changed(|parts| parts.tcb_info_issuer_chain.clear());
    assert!(matches!(rejection, Rejection::TcbInfo(_)), "{rejection:?}");
    let rejection = reject_changed(|parts| {
        parts.tcb_info_issuer_chain = parts.pck_crl_issuer_chain.clone();
    });
    assert!(
        matches!(rejection, Rejection::CertificateChain(_)),
        "{rejection:?}"
    );
}

#[test]
fn a_rejection_never_repeats_its_source() {
    let rejection = reject_changed(|parts| parts.tcb_info = "{}".into());
    let source = core::error::Error::source(&rejection).expect("a source");
    assert!(!rejection.to_string().contains(&source.to_string()));
}
