//! What is permitted, and what denials say.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use bannock_policy::appraise::{Mismatch, Reason};
use bannock_policy::{
    Appraisal, Claims, Digest, Ground, Requester, Session, TcbStatus, TrustDomain, Unattested,
    appraise, may_create, may_read, may_update,
};
use common::{MARIADB, SCONE_STYLE, session};

const ROOT: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";
const RUNTIME: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const LAUNCH: [u8; 64] = [7; 64];

fn digest(text: &str) -> [u8; 32] {
    Digest::parse(text).unwrap().0
}

fn simulated() -> Claims {
    Claims {
        trust_domain: TrustDomain::Simulated { root: digest(ROOT) },
        measurement: digest(RUNTIME),
        signer: [0; 32],
        isv_prod_id: 0,
        isv_svn: 0,
        config_id: LAUNCH,
        config_svn: 0b1_1111,
        debug: false,
        tcb_status: TcbStatus::UpToDate,
        advisories: Vec::new(),
    }
}

fn ask(session: &Session, service: &str, claims: &Claims) -> Appraisal {
    appraise(session, service, Some(claims), &LAUNCH, Unattested::Refuse)
}

fn reasons(appraisal: Appraisal) -> Vec<Reason> {
    match appraisal {
        Appraisal::Permit(ground) => panic!("permitted: {ground:?}"),
        Appraisal::Deny(reasons) => {
            assert!(!reasons.is_empty());
            reasons
        }
    }
}

fn texts(appraisal: Appraisal) -> Vec<String> {
    reasons(appraisal).iter().map(ToString::to_string).collect()
}

#[test]
fn evidence_that_satisfies_one_variant_is_permitted() {
    let session = session(MARIADB);
    assert_eq!(
        ask(&session, "db", &simulated()),
        Appraisal::Permit(Ground::Variant(0))
    );
    let intel = Claims {
        trust_domain: TrustDomain::Intel,
        config_svn: 0,
        ..simulated()
    };
    assert_eq!(
        ask(&session, "db", &intel),
        Appraisal::Permit(Ground::Variant(1))
    );
}

#[test]
fn a_simulated_root_counts_only_in_the_variant_that_names_it() {
    let session = session(MARIADB);
    let other = Claims {
        trust_domain: TrustDomain::Simulated { root: [1; 32] },
        ..simulated()
    };
    assert_eq!(
        texts(ask(&session, "db", &other)),
        [
            format!(
                "attestation[0]: simulated root differs: wanted {ROOT}, found {}",
                "01".repeat(32)
            ),
            format!(
                "attestation[1]: the evidence comes from a simulated platform, which the variant does not name; wanted Intel's root, found simulated root {}",
                "01".repeat(32)
            ),
        ]
    );
    // The second variant accepts this measurement from Intel; a simulated one does not satisfy it.
    let wrong = Claims {
        measurement: digest(&RUNTIME.replacen("00", "0f", 1)),
        ..simulated()
    };
    let found = reasons(ask(&session, "db", &wrong));
    assert!(matches!(found[0].mismatch, Mismatch::Measurement { .. }));
    assert!(matches!(
        found[1].mismatch,
        Mismatch::SimulatedNotNamed { .. }
    ));
    assert_eq!(found.len(), 2);
}

#[test]
fn a_variant_for_a_simulated_root_does_not_accept_intel() {
    let text = MARIADB
        .replacen(
            "      - mrenclave:\n          - 0f11",
            "      - mrenclave:\n          - 1f11",
            1,
        )
        .replacen("          - 0011", "          - 1111", 1);
    let intel = Claims {
        trust_domain: TrustDomain::Intel,
        ..simulated()
    };
    let found = texts(ask(&session(&text), "db", &intel));
    assert_eq!(
        found[0],
        format!(
            "attestation[0]: the variant is for simulated root {ROOT} only, found Intel's root"
        )
    );
}

#[test]
fn each_claim_that_differs_is_named() {
    let session = session(MARIADB);
    let first = |claims: Claims| texts(ask(&session, "db", &claims)).remove(0);
    assert_eq!(
        first(Claims {
            measurement: [1; 32],
            ..simulated()
        }),
        format!(
            "attestation[0]: mrenclave differs: wanted {RUNTIME}, found {}",
            "01".repeat(32)
        )
    );
    assert_eq!(
        first(Claims {
            config_id: [8; 64],
            ..simulated()
        }),
        "launch identity differs: the instance was started as another service, or for another CAS"
    );
    assert_eq!(
        first(Claims {
            config_id: [0; 64],
            ..simulated()
        }),
        "launch identity differs: the instance was started as another service, or for another CAS"
    );
    assert_eq!(
        first(Claims {
            debug: true,
            ..simulated()
        }),
        "debug enclaves are not tolerated; add `debug-mode` to `tolerate` for tests"
    );
    assert_eq!(
        first(Claims {
            tcb_status: TcbStatus::OutOfDate,
            ..simulated()
        }),
        "TCB status OutOfDate is not tolerated; update the platform, or add to `tolerate`: `outdated-tcb`"
    );
    assert_eq!(
        first(Claims {
            advisories: vec!["INTEL-SA-00615".into(), "INTEL-SA-00828".into()],
            ..simulated()
        }),
        "advisory INTEL-SA-00828 applies to the platform and is not in `ignore_advisories`"
    );
    assert_eq!(
        first(Claims {
            config_svn: 0b0_0101,
            ..simulated()
        }),
        "attestation[0]: isolation is incomplete: missing pid-namespace, not-dumpable, no-new-privileges; use a LAS that isolates fully, or set `isolation: none`"
    );
    assert_eq!(
        texts(ask(&session, "web", &simulated())),
        ["session `examples/mariadb` has no service `web`"]
    );
    assert_eq!(
        texts(appraise(
            &session,
            "db",
            None,
            &LAUNCH,
            Unattested::AllowInsecurely
        )),
        ["no evidence was presented"]
    );
}

#[test]
fn isolation_none_accepts_any_flags() {
    let text = MARIADB.replacen(
        "- mrenclave: 0011",
        "- isolation: none\n        mrenclave: 0011",
        1,
    );
    let bare = Claims {
        config_svn: 0,
        ..simulated()
    };
    assert_eq!(
        ask(&session(&text), "db", &bare),
        Appraisal::Permit(Ground::Variant(0))
    );
}

#[test]
fn a_common_reason_denies_although_a_variant_matches() {
    // Were variants to override the common rules, this would be permitted.
    let session = session(MARIADB);
    let found = reasons(ask(
        &session,
        "db",
        &Claims {
            debug: true,
            ..simulated()
        },
    ));
    assert_eq!(found[0].variant, None);
}

#[test]
fn tcb_statuses_need_their_tolerances() {
    use TcbStatus::{
        ConfigurationAndSwHardeningNeeded, ConfigurationNeeded, OutOfDate,
        OutOfDateConfigurationNeeded, SwHardeningNeeded, UpToDate,
    };
    let all = [
        UpToDate,
        SwHardeningNeeded,
        ConfigurationNeeded,
        ConfigurationAndSwHardeningNeeded,
        OutOfDate,
        OutOfDateConfigurationNeeded,
    ];
    for (tolerate, accepted) in [
        ("", &[UpToDate][..]),
        ("software-hardening-needed", &[UpToDate, SwHardeningNeeded]),
        ("insecure-configuration", &[UpToDate, ConfigurationNeeded]),
        ("hyperthreading", &[UpToDate, ConfigurationNeeded]),
        ("insecure-igpu", &[UpToDate, ConfigurationNeeded]),
        ("outdated-tcb", &[UpToDate, OutOfDate]),
        ("debug-mode", &[UpToDate]),
        ("aepic-leak", &[UpToDate]),
        (
            "hyperthreading, software-hardening-needed",
            &[
                UpToDate,
                SwHardeningNeeded,
                ConfigurationNeeded,
                ConfigurationAndSwHardeningNeeded,
            ],
        ),
        (
            "hyperthreading, outdated-tcb",
            &[
                UpToDate,
                ConfigurationNeeded,
                OutOfDate,
                OutOfDateConfigurationNeeded,
            ],
        ),
    ] {
        let text = MARIADB.replacen(
            "software-hardening-needed, insecure-configuration",
            tolerate,
            1,
        );
        let session = session(&text);
        for status in all {
            let permitted = ask(
                &session,
                "db",
                &Claims {
                    tcb_status: status,
                    ..simulated()
                },
            );
            let permitted = matches!(permitted, Appraisal::Permit(_));
            assert_eq!(
                permitted,
                accepted.contains(&status),
                "{status} with [{tolerate}]"
            );
        }
    }
}

#[test]
fn aepic_leak_ignores_its_advisory_only() {
    let text = MARIADB.replacen("software-hardening-needed,", "aepic-leak,", 1);
    let session = session(&text);
    let with = |advisory: &str| {
        ask(
            &session,
            "db",
            &Claims {
                advisories: vec![advisory.into()],
                ..simulated()
            },
        )
    };
    assert!(matches!(with("INTEL-SA-00657"), Appraisal::Permit(_)));
    assert!(
        matches!(with("INTEL-SA-00289"), Appraisal::Permit(_)),
        "listed"
    );
    assert!(matches!(with("INTEL-SA-00658"), Appraisal::Deny(_)));
    assert!(matches!(with("*"), Appraisal::Deny(_)));
}

#[test]
fn signers_are_compared_in_every_part() {
    let session = session(SCONE_STYLE);
    let good = Claims {
        trust_domain: TrustDomain::Intel,
        signer: digest(&"b6c14ae0".repeat(8)),
        isv_prod_id: 41316,
        isv_svn: 5,
        debug: true,
        advisories: vec!["INTEL-SA-99999".into()],
        ..simulated()
    };
    assert_eq!(
        ask(&session, "signed", &good),
        Appraisal::Permit(Ground::Variant(0))
    );
    for (claims, text) in [
        (
            Claims {
                signer: [0; 32],
                ..good.clone()
            },
            format!(
                "attestation[0]: mrsigner differs: wanted {}, found {}",
                "b6c14ae0".repeat(8),
                "00".repeat(32)
            ),
        ),
        (
            Claims {
                isv_prod_id: 1,
                ..good.clone()
            },
            "attestation[0]: isvprodid differs: wanted 41316, found 1".to_owned(),
        ),
        (
            Claims {
                isv_svn: 4,
                ..good.clone()
            },
            "attestation[0]: isvsvn differs: wanted 5 to 65535, found 4".to_owned(),
        ),
    ] {
        assert_eq!(texts(ask(&session, "signed", &claims)), [text]);
    }
}

#[test]
fn sessions_without_attestation_are_refused_unless_allowed() {
    let text = "name: a\nversion: \"0.3\"\nservices: [{name: s, command: /a}]\nsecurity: {attestation: {mode: none}}\n";
    let session = session(text);
    for evidence in [None, Some(&simulated())] {
        let refused = appraise(&session, "s", evidence, &LAUNCH, Unattested::Refuse);
        assert_eq!(reasons(refused)[0].mismatch, Mismatch::UnattestedRefused);
    }
    let allowed = appraise(&session, "s", None, &LAUNCH, Unattested::AllowInsecurely);
    assert_eq!(allowed, Appraisal::Permit(Ground::Unattested));
    let other = appraise(&session, "t", None, &LAUNCH, Unattested::AllowInsecurely);
    assert!(matches!(other, Appraisal::Deny(_)));
}

#[test]
fn access_is_by_creator_or_listed_key() {
    let session = session(MARIADB);
    let creator = Digest([1; 32]);
    let listed =
        Digest::parse("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08").unwrap();
    let who = |key_hash| Requester { key_hash };
    assert!(may_read(&session, &creator, &who(creator)).is_permitted());
    assert!(!may_read(&session, &creator, &who(listed)).is_permitted());
    assert!(may_update(&session, &creator, &who(listed)).is_permitted());
    assert!(
        !may_create(&session, &creator, &who(creator)).is_permitted(),
        "NONE admits nobody"
    );
    assert_eq!(
        may_read(&session, &creator, &who(Digest([2; 32]))).to_string(),
        format!(
            "denied by `access_policy.read` of session `examples/mariadb`: it does not list key {}",
            "02".repeat(32)
        )
    );
    let any = MARIADB.replacen("  read:\n    - CREATOR\n", "  read: ANY\n", 1);
    let stranger = may_read(&common::session(&any), &creator, &who(Digest([2; 32])));
    assert!(stranger.is_permitted());
}

#[test]
fn create_sessions_follows_update_unless_written() {
    let text = MARIADB.replacen("  create_sessions: NONE\n", "", 1);
    let key =
        Digest::parse("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08").unwrap();
    assert!(
        may_create(
            &session(&text),
            &Digest([1; 32]),
            &Requester { key_hash: key }
        )
        .is_permitted()
    );
}
