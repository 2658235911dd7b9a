//! Evidence of simulated platforms, through the same path as Intel's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use bannock_evidence::{
    CertificateRole, Collateral, CollateralParts, CrlRole, Dated, Evidence, Rejection,
    SignedObject, TcbStatus, TrustAnchors, TrustDomain, Verdict,
    sgx::{Quote, QuoteFault},
    verify,
};
use bannock_simulated_platform::{Options, Platform, ReportRequest, TcbState};
use tempfile::TempDir;

/// 2026-11-24T00:00:00Z.
const NOW: u64 = 1_795_478_400;
const DAY: u64 = 24 * 60 * 60;

struct Simulated {
    platform: Platform,
    _dir: TempDir,
}

impl Simulated {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let platform =
            Platform::create(&dir.path().join("platform"), &Options::issued_at(NOW)).unwrap();
        Self {
            platform,
            _dir: dir,
        }
    }

    fn set(&mut self, change: impl FnOnce(&mut Options)) {
        let mut options = self.platform.options().clone();
        change(&mut options);
        self.platform.set(&options).unwrap();
    }

    fn evidence(&self) -> Evidence {
        Evidence {
            quote: self.platform.quote(&request()),
            collateral: self.platform.collateral(),
        }
    }

    fn anchors(&self) -> TrustAnchors {
        TrustAnchors::vendors().with_simulated_root(self.platform.root_sha256())
    }

    fn verify(&self) -> Result<Verdict, Rejection> {
        verify(&self.evidence(), &self.anchors(), NOW + DAY)
    }
}

fn request() -> ReportRequest {
    ReportRequest {
        measurement: [0x11; 32],
        signer: [0; 32],
        isv_prod_id: 3,
        isv_svn: 4,
        config_id: [0x22; 64],
        config_svn: 0x0605,
        report_data: [0x33; 64],
        debug: false,
    }
}

#[test]
fn the_verdict_says_what_was_asked_for() {
    let simulated = Simulated::new();
    let verdict = simulated.verify().unwrap();
    assert_eq!(
        verdict.trust_domain,
        TrustDomain::Simulated {
            root: simulated.platform.root_sha256()
        }
    );
    assert_eq!(verdict.measurement, [0x11; 32]);
    assert_eq!(verdict.signer, [0; 32]);
    assert_eq!((verdict.isv_prod_id, verdict.isv_svn), (3, 4));
    assert_eq!(
        (verdict.config_id, verdict.config_svn),
        ([0x22; 64], 0x0605)
    );
    assert_eq!(verdict.report_data, [0x33; 64]);
    assert!(verdict.kss && !verdict.debug);
    assert_eq!(verdict.tcb.status, TcbStatus::UpToDate);
    assert!(verdict.tcb.advisories.is_empty());
    assert_eq!(verdict.collateral_expiry, NOW + 30 * DAY);
    assert_eq!(verdict.collateral_issued, NOW);
}

#[test]
fn every_root_must_be_named() {
    let simulated = Simulated::new();
    let other = Simulated::new();
    for anchors in [TrustAnchors::vendors(), other.anchors()] {
        let rejection = verify(&simulated.evidence(), &anchors, NOW + DAY).unwrap_err();
        let Rejection::UnknownRoot {
            sha256,
            simulated: marked,
        } = rejection
        else {
            panic!("a root that was not named led to {rejection:?}");
        };
        assert_eq!(sha256, simulated.platform.root_sha256());
        assert!(marked);
    }
}

/// The attacker has a platform of their own and puts the named root's certificate into the quote.
#[test]
fn borrowing_the_certificate_of_a_named_root_does_not_help() {
    let victim = Simulated::new();
    let attacker = Simulated::new();
    let victims_root = Quote::parse(&victim.evidence().quote).unwrap().pck_chain;
    let attackers = Quote::parse(&attacker.evidence().quote).unwrap();

    let pem = |chain: &[u8]| String::from_utf8(chain.to_vec()).unwrap();
    const END: &str = "-----END CERTIFICATE-----\n";
    let attackers_pem = pem(attackers.pck_chain.as_pem());
    let victims_pem = pem(victims_root.as_pem());
    let mut certificates: Vec<&str> = attackers_pem.split_inclusive(END).collect();
    certificates[2] = victims_pem.split_inclusive(END).nth(2).unwrap();
    let mut forged = attackers.clone();
    forged.pck_chain =
        bannock_evidence::sgx::PckChain::parse(certificates.concat().as_bytes()).unwrap();

    for collateral in [victim.platform.collateral(), attacker.platform.collateral()] {
        let evidence = Evidence {
            quote: forged.to_bytes(),
            collateral,
        };
        let rejection = verify(&evidence, &victim.anchors(), NOW + DAY).unwrap_err();
        assert!(
            matches!(
                rejection,
                Rejection::CertificateChain(_) | Rejection::Crl { .. }
            ),
            "{rejection:?}"
        );
    }
}

#[test]
fn collateral_of_another_platform_is_rejected() {
    let simulated = Simulated::new();
    let evidence = Evidence {
        quote: simulated.evidence().quote,
        collateral: Simulated::new().platform.collateral(),
    };
    let rejection = verify(&evidence, &simulated.anchors(), NOW + DAY).unwrap_err();
    assert!(matches!(rejection, Rejection::Crl { .. }), "{rejection:?}");
}

#[test]
fn intels_evidence_with_simulated_collateral_is_rejected() {
    let simulated = Simulated::new();
    let evidence = Evidence {
        quote: include_bytes!("data/sgx_quote").to_vec(),
        collateral: simulated.platform.collateral(),
    };
    let rejection = verify(&evidence, &simulated.anchors(), NOW + DAY).unwrap_err();
    assert!(matches!(rejection, Rejection::Crl { .. }), "{rejection:?}");
}

#[test]
fn simulated_evidence_with_intels_collateral_is_rejected() {
    let simulated = Simulated::new();
    let evidence = Evidence {
        quote: simulated.evidence().quote,
        collateral: Collateral::from_json(include_bytes!("data/sgx_quote_collateral.json"))
            .unwrap(),
    };
    let rejection = verify(&evidence, &simulated.anchors(), NOW + DAY).unwrap_err();
    assert!(matches!(rejection, Rejection::Crl { .. }), "{rejection:?}");
}

#[test]
fn every_tcb_state_comes_out_as_it_went_in() {
    let mut simulated = Simulated::new();
    for state in TcbState::ALL {
        simulated.set(|options| {
            options.tcb = state;
            options.advisories = vec!["SIM-SA-00001".to_owned()];
            options.tcb_evaluation_data_number += 1;
        });
        match simulated.verify() {
            Ok(verdict) => {
                assert_eq!(verdict.tcb.status.as_str(), state.as_str());
                assert_eq!(verdict.tcb.advisories, ["SIM-SA-00001"]);
                assert_eq!(
                    verdict.tcb.evaluation_data_number,
                    simulated.platform.options().tcb_evaluation_data_number
                );
                assert_ne!(state, TcbState::Revoked);
            }
            Err(rejection) => {
                assert_eq!(state, TcbState::Revoked);
                assert!(matches!(rejection, Rejection::RevokedTcb), "{rejection:?}");
            }
        }
    }
}

#[test]
fn a_revoked_pck_is_rejected_by_name_and_accepted_when_reinstated() {
    let mut simulated = Simulated::new();
    simulated.set(|options| options.pck_revoked = true);
    let rejection = simulated.verify().unwrap_err();
    let Rejection::RevokedCertificate {
        certificate,
        serial,
    } = rejection
    else {
        panic!("a revoked PCK led to {rejection:?}");
    };
    assert_eq!(certificate, CertificateRole::Pck);
    assert_eq!(serial.len(), 16);
    simulated.set(|options| options.pck_revoked = false);
    simulated.verify().unwrap();
}

#[test]
fn expiry_is_exact_to_the_second() {
    let mut simulated = Simulated::new();
    simulated.set(|options| options.next_update = NOW + DAY + 1);
    simulated.verify().unwrap();
    simulated.set(|options| options.next_update = NOW + DAY - 1);
    let rejection = simulated.verify().unwrap_err();
    let Rejection::Expired {
        what,
        not_after,
        now,
    } = rejection
    else {
        panic!("expired collateral led to {rejection:?}");
    };
    // All parts expire together; the root's own revocation status is what is looked at first.
    assert_eq!(what, Dated::Crl(CrlRole::Root));
    assert_eq!((not_after, now), (NOW + DAY - 1, NOW + DAY));
}

#[test]
fn debug_is_reported() {
    let mut simulated = Simulated::new();
    let asked = ReportRequest {
        debug: true,
        ..request()
    };
    let evidence = Evidence {
        quote: simulated.platform.quote(&asked),
        collateral: simulated.platform.collateral(),
    };
    assert!(
        verify(&evidence, &simulated.anchors(), NOW + DAY)
            .unwrap()
            .debug
    );
    assert!(!simulated.verify().unwrap().debug);
    simulated.set(|options| options.debug = true);
    assert!(simulated.verify().unwrap().debug);
}

#[test]
fn every_field_of_the_report_is_signed() {
    let simulated = Simulated::new();
    let genuine = Quote::parse(&simulated.evidence().quote).unwrap();
    let changes: [fn(&mut Quote); 9] = [
        |quote| quote.header.qe_svn += 1,
        |quote| quote.report.attributes.flags ^= 1 << 1,
        |quote| quote.report.mr_enclave[0] ^= 1,
        |quote| quote.report.mr_signer[0] ^= 1,
        |quote| quote.report.isv_prod_id ^= 1,
        |quote| quote.report.isv_svn ^= 1,
        |quote| quote.report.config_id[63] ^= 0x80,
        |quote| quote.report.config_svn ^= 1,
        |quote| quote.report.report_data[63] ^= 0x80,
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut quote = genuine.clone();
        change(&mut quote);
        let evidence = Evidence {
            quote: quote.to_bytes(),
            collateral: simulated.platform.collateral(),
        };
        let rejection = verify(&evidence, &simulated.anchors(), NOW + DAY).unwrap_err();
        assert!(
            matches!(rejection, Rejection::Signature(SignedObject::Quote)),
            "change {index}: {rejection:?}"
        );
    }
}

/// The attacker owns an attestation key and splices it into a genuine quote.
#[test]
fn an_attestation_key_of_another_platform_is_rejected() {
    let victim = Simulated::new();
    let attacker = Simulated::new();
    let mut forged = Quote::parse(&attacker.evidence().quote).unwrap();
    let genuine = Quote::parse(&victim.evidence().quote).unwrap();
    forged.qe_report = genuine.qe_report;
    forged.qe_report_signature = genuine.qe_report_signature;
    forged.pck_chain = genuine.pck_chain;
    let evidence = Evidence {
        quote: forged.to_bytes(),
        collateral: victim.platform.collateral(),
    };
    let rejection = verify(&evidence, &victim.anchors(), NOW + DAY).unwrap_err();
    assert!(
        matches!(rejection, Rejection::AttestationKey),
        "{rejection:?}"
    );
}

/// Yesterday's healthy TCB info, together with today's signature, and the other way round.
#[test]
fn signed_statements_of_different_days_cannot_be_mixed() {
    let mut simulated = Simulated::new();
    let healthy = CollateralParts::from(simulated.platform.collateral());
    simulated.set(|options| options.tcb = TcbState::OutOfDate);
    let mut mixed = CollateralParts::from(simulated.platform.collateral());
    mixed.tcb_info = healthy.tcb_info;
    let evidence = Evidence {
        quote: simulated.evidence().quote,
        collateral: mixed.into(),
    };
    let rejection = verify(&evidence, &simulated.anchors(), NOW + DAY).unwrap_err();
    assert!(
        matches!(rejection, Rejection::Signature(SignedObject::TcbInfo)),
        "{rejection:?}"
    );
}

#[test]
fn pem_that_is_spelled_differently_is_refused() {
    let simulated = Simulated::new();
    let genuine = simulated.evidence().quote;
    let at = genuine
        .windows(5)
        .position(|bytes| bytes == b"-----")
        .unwrap();
    let end_of_line = at
        + genuine[at..]
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap();
    let mut quote = genuine;
    quote[end_of_line] = b'\r';
    assert!(matches!(Quote::parse(&quote), Err(QuoteFault::PckChain(_))));
}
