//! Attacks on the decisions, with genuinely signed evidence of a simulated platform.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod world;

use bannock_cas_api::{ErrorCode, Hash};
use bannock_cas_core::{
    attest::{Configure, Refused, configure},
    audit::Outcome,
    session,
};
use bannock_simulated_platform::{Options, TcbState};
use bannock_wire::{
    binding::{Channel, Role},
    launch::{Isolation, LaunchIdentity},
};
use world::{CAS_KEY, CLIENT, EXPORTER, Launch, NOW, OWNER, STRANGER, World, session_text};

#[test]
fn the_service_itself_gets_its_configuration() {
    let world = World::with_session("s");
    let config = world
        .configure("s/db", &world.evidence(&Launch::of("s/db")))
        .unwrap();
    assert_eq!(config.argv, ["/bin/db"]);
    let key = &config.environment[0];
    assert_eq!((key.name.as_str(), key.value.len()), ("KEY", 20));
    let event = world.last_event();
    assert_eq!(event.outcome, Outcome::Permit);
    assert_eq!(event.measurement, Some(Hash([0xaa; 32])));
    assert!(!serde_json::to_string(&event).unwrap().contains(&key.value));
}

#[test]
fn a_secret_is_generated_once_and_kept_over_updates() {
    let world = World::with_session("s");
    let key = |world: &World| {
        let config = world
            .configure("s/db", &world.evidence(&Launch::of("s/db")))
            .unwrap();
        config.environment[0].value.clone()
    };
    let before = key(&world);
    let hash = world.read(OWNER, "s").unwrap().hash;
    let text = format!(
        "{}\npredecessor: {hash}\n",
        session_text("s", &world.root())
    );
    world.update(OWNER, "s", &text).unwrap();
    assert_eq!(key(&world), before);
}

#[test]
fn evidence_of_another_connection_is_refused() {
    let world = World::with_session("s");
    for launch in [
        Launch {
            exporter: [0x99; 32],
            ..Launch::of("s/db")
        },
        Launch {
            client: [0x99; 32],
            ..Launch::of("s/db")
        },
        Launch {
            role: Role::Server,
            ..Launch::of("s/db")
        },
        Launch {
            peer: [0x99; 32],
            ..Launch::of("s/db")
        },
    ] {
        let reason = world.denied("s/db", &world.evidence(&launch));
        assert!(reason.contains("not of this connection"), "{reason}");
    }
}

#[test]
fn evidence_without_a_client_key_is_refused() {
    let world = World::with_session("s");
    let evidence = world.evidence(&Launch::of("s/db"));
    let request = Configure {
        exporter: EXPORTER,
        client_key: None,
        config_id: "s/db",
        evidence: &evidence,
    };
    let decision = configure(&world.context(NOW), &world, &request).unwrap();
    assert!(matches!(decision.answer, Err(Refused::Denied(_))));
}

#[test]
fn a_program_launched_as_another_service_is_told_so() {
    let world = World::with_session("s");
    let reason = world.denied("s/db", &world.evidence(&Launch::of("attacker/evil")));
    assert!(reason.contains("launched as `attacker/evil`"), "{reason}");
}

/// The quote's CONFIGID is the launch's; only the claims beside it can be made up.
#[test]
fn claims_that_differ_from_the_quote_are_refused() {
    let world = World::with_session("s");
    let launch = Launch {
        signed: Some(Launch::of("attacker/evil").identity),
        ..Launch::of("s/db")
    };
    let reason = world.denied("s/db", &world.evidence(&launch));
    assert!(reason.contains("CONFIGID"), "{reason}");

    let mut swapped = world.evidence(&Launch::of("attacker/evil"));
    swapped.claims = world.evidence(&Launch::of("s/db")).claims;
    let reason = world.denied("s/db", &swapped);
    assert!(reason.contains("claims were changed"), "{reason}");
}

#[test]
fn isolation_cannot_be_claimed_beyond_what_was_signed() {
    let world = World::with_session("s");
    let launch = Launch {
        signed_isolation: Isolation::NONE,
        ..Launch::of("s/db")
    };
    let reason = world.denied("s/db", &world.evidence(&launch));
    assert!(reason.contains("CONFIGSVN"), "{reason}");
    let honest = Launch {
        isolation: Isolation::NONE,
        signed_isolation: Isolation::NONE,
        ..Launch::of("s/db")
    };
    let reason = world.denied("s/db", &world.evidence(&honest));
    assert!(reason.contains("isolation is incomplete"), "{reason}");
}

#[test]
fn an_instance_launched_for_another_cas_is_refused() {
    let world = World::with_session("s");
    let launch = Launch {
        identity: LaunchIdentity::Service {
            config_id: "s/db".into(),
            cas_key: [0x99; 32],
        },
        ..Launch::of("s/db")
    };
    let reason = world.denied("s/db", &world.evidence(&launch));
    assert!(reason.contains(&Hash([0x99; 32]).to_string()), "{reason}");
    assert!(reason.contains(&Hash(CAS_KEY).to_string()), "{reason}");
}

#[test]
fn stand_alone_instances_and_other_cases_get_nothing() {
    let world = World::with_session("s");
    for identity in [LaunchIdentity::Standalone, LaunchIdentity::Cas] {
        let launch = Launch {
            identity,
            ..Launch::of("s/db")
        };
        world.denied("s/db", &world.evidence(&launch));
    }
}

#[test]
fn another_measurement_is_told_which_claim_differs() {
    let world = World::with_session("s");
    let launch = Launch {
        measurement: [0xbb; 32],
        ..Launch::of("s/db")
    };
    let reason = world.denied("s/db", &world.evidence(&launch));
    for part in ["mrenclave", &"aa".repeat(32), &"bb".repeat(32)] {
        assert!(reason.contains(part), "{reason}");
    }
    let event = world.last_event();
    assert_eq!(event.measurement, Some(Hash([0xbb; 32])));
    assert_eq!(event.outcome, Outcome::Deny);
}

/// A stranger with a platform of its own learns nothing: a missing session, a missing service and a
/// session that does not name its root give one answer. The log tells them apart.
#[test]
fn strangers_cannot_tell_what_exists() {
    let world = World::with_session("s");
    let stranger = World::new();
    let mut told = Vec::new();
    let mut logged = Vec::new();
    for config_id in ["s/db", "s/no", "no/db"] {
        let evidence = stranger.evidence(&Launch::of(config_id));
        told.push(world.denied(config_id, &evidence).replace(config_id, "*"));
        logged.push(world.last_event().reason);
    }
    assert!(told.iter().all(|reason| reason == &told[0]), "{told:?}");
    assert!(told[0].contains(&stranger.root()), "{}", told[0]);
    assert_eq!(
        logged
            .iter()
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        3
    );
}

#[test]
fn a_request_without_evidence_gets_nothing_and_learns_nothing() {
    let world = World::with_session("s");
    let mut none = world.evidence(&Launch::of("s/db"));
    none.quote.clear();
    let exists = world.denied("s/db", &none);
    let missing = world.denied("n/db", &none);
    assert_eq!(exists.replace("s/db", "*"), missing.replace("n/db", "*"));
}

#[test]
fn unattested_sessions_are_served_only_where_that_was_allowed() {
    let mut world = World::new();
    let text = format!(
        "{}\nsecurity:\n  attestation:\n    mode: none\n",
        session_text("open", &world.root())
    );
    world.create(OWNER, "open", &text).unwrap();
    let mut none = world.evidence(&Launch::of("open/db"));
    none.quote.clear();
    let reason = world.denied("open/db", &none);
    assert!(reason.contains("insecure-allow-unattested"), "{reason}");
    world.allow_unattested = true;
    assert!(world.configure("open/db", &none).is_ok());
}

#[test]
fn tampered_quotes_and_garbage_are_refused() {
    let world = World::with_session("s");
    let good = world.evidence(&Launch::of("s/db"));
    for at in (0..good.quote.len()).step_by(97) {
        let mut bad = good.clone();
        bad.quote[at] ^= 0x10;
        world.denied("s/db", &bad);
    }
    for field in 0..3 {
        let mut bad = good.clone();
        match field {
            0 => bad.quote = vec![7; 100],
            1 => bad.collateral = b"{}".to_vec(),
            _ => bad.claims = vec![0xff; 9],
        }
        world.denied("s/db", &bad);
    }
    for config_id in ["", "/", "s", "s/", "/db", "\u{1b}[2J/x", &"a/".repeat(4000)] {
        let reason = world.denied(config_id, &good);
        assert!(!reason.contains('\u{1b}') && reason.len() < 8192);
    }
}

#[test]
fn expired_collateral_and_revoked_platforms_are_refused() {
    let mut world = World::with_session("s");
    let evidence = world.evidence(&Launch::of("s/db"));
    let late = NOW + 400 * 86_400;
    let reason = world.denied_at(late, "s/db", &evidence);
    assert!(reason.contains("expired"), "{reason}");

    let healthy = Options::issued_at(NOW);
    world
        .platform
        .set(&Options {
            pck_revoked: true,
            ..healthy.clone()
        })
        .unwrap();
    let reason = world.denied("s/db", &world.evidence(&Launch::of("s/db")));
    assert!(reason.contains("revoked"), "{reason}");

    let outdated = Options {
        tcb: TcbState::OutOfDate,
        ..healthy
    };
    world.platform.set(&outdated).unwrap();
    let reason = world.denied("s/db", &world.evidence(&Launch::of("s/db")));
    assert!(reason.contains("OutOfDate"), "{reason}");
}

/// A host that turns its clock back to when collateral was valid does not turn back ours.
#[test]
fn time_and_tcb_evaluation_never_go_back() {
    let mut world = World::with_session("s");
    let day = 86_400;
    let old = world.evidence(&Launch::of("s/db"));
    assert!(world.configure("s/db", &old).is_ok());

    let newer = Options {
        tcb_evaluation_data_number: 5,
        ..Options::issued_at(NOW + 20 * day)
    };
    world.platform.set(&newer).unwrap();
    let evidence = world.evidence(&Launch::of("s/db"));
    world
        .configure_at(NOW + 21 * day, "s/db", &evidence)
        .unwrap();

    let reason = world.denied_at(NOW + 21 * day, "s/db", &old);
    assert!(
        reason.contains("evaluation data number 1, but 5"),
        "{reason}"
    );

    let short = Options {
        tcb_evaluation_data_number: 5,
        next_update: NOW + 10 * day,
        ..Options::issued_at(NOW)
    };
    world.platform.set(&short).unwrap();
    let expired = world.evidence(&Launch::of("s/db"));
    let reason = world.denied_at(NOW, "s/db", &expired);
    assert!(reason.contains("expired"), "{reason}");
}

/// Whoever owns a simulated platform can sign any date; that must not touch other domains.
#[test]
fn one_domain_cannot_move_the_time_of_another() {
    let world = World::with_session("s");
    let mut future = World::new();
    let text = session_text("own", &future.root());
    world.create(STRANGER, "own", &text).unwrap();
    let far = Options {
        tcb_evaluation_data_number: 999,
        ..Options::issued_at(NOW + 20 * 86_400)
    };
    future.platform.set(&far).unwrap();
    let evidence = future.evidence(&Launch::of("own/db"));
    world
        .configure_at(NOW + 21 * 86_400, "own/db", &evidence)
        .unwrap();
    assert!(
        world
            .configure("s/db", &world.evidence(&Launch::of("s/db")))
            .is_ok()
    );
}

#[test]
fn a_stranger_does_not_make_the_store_grow() {
    let world = World::with_session("s");
    let before = world.records();
    let stranger = World::new();
    world.denied("s/db", &stranger.evidence(&Launch::of("s/db")));
    assert_eq!(world.records(), before);
}

#[test]
fn another_owner_neither_reads_nor_updates_nor_learns_that_the_session_exists() {
    let world = World::with_session("s");
    let there = world.read(STRANGER, "s").unwrap_err();
    let missing = world.read(STRANGER, "n").unwrap_err();
    assert_eq!(there.code, ErrorCode::NotFoundOrDenied);
    assert_eq!(
        there.message.replace("`s`", "*"),
        missing.message.replace("`n`", "*")
    );
    assert_eq!(
        (there.help, there.stored_hash),
        (missing.help, missing.stored_hash)
    );
    let text = session_text("s", &world.root());
    let update = world.update(STRANGER, "s", &text).unwrap_err();
    assert_eq!(update.code, ErrorCode::NotFoundOrDenied);
    assert!(update.stored_hash.is_none());
    assert!(world.last_event().reason.contains("access_policy.update"));
}

#[test]
fn a_reader_who_may_not_update_is_told_which_rule_says_so() {
    let world = World::new();
    let text = format!(
        "{}\naccess_policy:\n  read: [ANY]\n",
        session_text("open", &world.root())
    );
    world.create(OWNER, "open", &text).unwrap();
    assert!(world.read(STRANGER, "open").is_ok());
    let error = world.update(STRANGER, "open", &text).unwrap_err();
    assert_eq!(error.code, ErrorCode::Denied);
    assert!(
        error.message.contains("access_policy.update"),
        "{}",
        error.message
    );
}

#[test]
fn a_stale_predecessor_is_refused_with_both_hashes() {
    let world = World::with_session("s");
    let first = world.read(OWNER, "s").unwrap().hash;
    let text = format!(
        "{}\npredecessor: {first}\n",
        session_text("s", &world.root())
    );
    let second = world.update(OWNER, "s", &text).unwrap().hash;
    for bad in [text.clone(), session_text("s", &world.root())] {
        let error = world.update(OWNER, "s", &bad).unwrap_err();
        assert_eq!(error.code, ErrorCode::StalePredecessor);
        assert_eq!(error.stored_hash.as_deref(), Some(&second));
        assert!(error.message.contains(&second.to_string()));
    }
    let error = world.update(OWNER, "s", &text).unwrap_err();
    assert!(
        error.message.contains(&first.to_string()),
        "{}",
        error.message
    );
    assert_eq!(world.read(OWNER, "s").unwrap().hash, second);
}

#[test]
fn a_name_is_given_once() {
    let world = World::with_session("s");
    let text = session_text("s", &world.root());
    let error = world.create(STRANGER, "s", &text).unwrap_err();
    assert_eq!(error.code, ErrorCode::Exists);
    assert_eq!(world.read(OWNER, "s").unwrap().creator, OWNER);
}

#[test]
fn the_name_in_the_path_must_be_the_session_s() {
    let world = World::new();
    let text = session_text("s", &world.root());
    let error = world.create(OWNER, "t", &text).unwrap_err();
    assert_eq!(error.code, ErrorCode::NameMismatch);
}

#[test]
fn creating_below_a_session_is_its_creators_to_allow() {
    let world = World::with_session("team");
    let text = session_text("team/db", &world.root());
    let denied = world.create(STRANGER, "team/db", &text).unwrap_err();
    assert_eq!(denied.code, ErrorCode::NotFoundOrDenied);
    let orphan = session_text("none/db", &world.root());
    let missing = world.create(STRANGER, "none/db", &orphan).unwrap_err();
    assert_eq!(
        denied.message.replace("team", "*"),
        missing.message.replace("none", "*")
    );
    world.create(OWNER, "team/db", &text).unwrap();
}

#[test]
fn all_problems_of_a_session_come_at_once_and_nothing_is_stored() {
    let world = World::new();
    let before = world.records();
    let text = "name: bad\nversion: \"0.3\"\nservcies: []\nsecrets:\n  - name: x\n    kind: asci\n";
    let error = world.create(OWNER, "bad", text).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidSession);
    assert!(error.details.len() >= 2, "{error}");
    assert!(error.details.iter().all(|problem| problem.line > 0));
    assert_eq!(world.records(), before);
    assert!(session::check(text.as_bytes()).is_err());
}

#[test]
fn a_successor_of_nothing_is_not_a_first_session() {
    let world = World::new();
    let text = format!(
        "{}\npredecessor: {}\n",
        session_text("s", &world.root()),
        Hash([1; 32])
    );
    assert_eq!(
        world.create(OWNER, "s", &text).unwrap_err().code,
        ErrorCode::InvalidSession
    );
}

/// Both ends of the formula are computed here from the connection that is really there.
#[test]
fn the_channel_of_the_tests_is_the_one_of_the_cas() {
    let world = World::with_session("s");
    let channel = Channel {
        role: Role::Client,
        exporter: EXPORTER,
        attester_key: CLIENT,
        peer_key: CAS_KEY,
    };
    let launch = Launch::of("s/db");
    assert_eq!(launch.channel(), channel);
    assert!(world.configure("s/db", &world.evidence(&launch)).is_ok());
}
