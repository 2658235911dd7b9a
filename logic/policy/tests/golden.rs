//! Whole sessions: their hashes are fixed, and what a service is given is what was written.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use bannock_policy::{DecodeError, SecretValues, Session, provision};
use bannock_wire::config::MountKind;
use common::{MARIADB, MINIMAL, NOW, SCONE_STYLE, compare, random, session};

#[test]
fn hashes_are_pinned() {
    let mut found = String::new();
    for (name, text) in [
        ("minimal", MINIMAL),
        ("mariadb", MARIADB),
        ("scone-style", SCONE_STYLE),
    ] {
        let session = session(text);
        found += &format!(
            "{name} {} {}\n",
            session.hash(),
            hex::encode(session.to_cbor())
        );
        let decoded = Session::from_cbor(&session.to_cbor()).unwrap();
        assert!(decoded == session, "{name}");
        assert_eq!(decoded.hash(), session.hash());
    }
    compare("tests/data/sessions.hash", &found);
}

#[test]
fn layout_and_order_of_keys_do_not_change_the_hash() {
    let plain = session(
        "name: a\nversion: \"0.3\"\nservices:\n- name: s\n  command: /a b\n  environment: {B: 1, A: 2}\n  mrenclaves: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\nsecrets: []\n",
    );
    let other = session(
        "# comment\n\"version\": '0.3'\nservices: [{environment: {\"A\": \"2\", B: '1'}, attestation: {isolation: full, mrenclave: [00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff]}, command: [/a, b], name: s, pwd: /}]\nname: a\ncreator: me\naccess_policy: {read: CREATOR}\n",
    );
    assert_eq!(plain.hash(), other.hash());
}

#[test]
fn every_meaningful_change_changes_the_hash() {
    let base = session(MARIADB).hash();
    for (from, to) in [
        ("name: examples/mariadb", "name: examples/mariadc"),
        ("version: \"0.3.12\"", "version: \"0.3.11\""),
        (
            "access_policy:",
            "predecessor: abababababababababababababababababababababababababababababababab\naccess_policy:",
        ),
        ("TZ: UTC", "TZ: CET"),
        ("[HOSTNAME]", "[HOSTNAME, TERM]"),
        ("pwd: /var/lib/mysql", "pwd: /var/lib"),
        (
            "- mrenclave: 0011",
            "- isolation: none\n        mrenclave: 0011",
        ),
        ("size: 43", "size: 44"),
        ("migrate: true", "migrate: false"),
        ("endpoint: server", "endpoint: client"),
        ("digest: abab", "digest: acab"),
        ("permission: 0o444", "permission: 0o644"),
        ("kind: memory", "kind: host, source: /tmp"),
        ("source: /srv/mysql", "source: /srv/mysql, read_only: true"),
        ("create_sessions: NONE", "create_sessions: ANY"),
        ("software-hardening-needed, ", ""),
        ("[INTEL-SA-00615, ", "["),
    ] {
        assert!(MARIADB.contains(from), "{from}");
        assert_ne!(
            session(&MARIADB.replacen(from, to, 1)).hash(),
            base,
            "{from} → {to}"
        );
    }
}

#[test]
fn other_bytes_do_not_decode() {
    let good = session(MARIADB).to_cbor();
    assert!(matches!(
        Session::from_cbor(&[0x82, 0x02, 0x80]),
        Err(DecodeError::Newer { found: 2 })
    ));
    assert!(matches!(
        Session::from_cbor(&[]),
        Err(DecodeError::Malformed(_))
    ));
    let mut longer = good.to_vec();
    longer.push(0);
    assert!(matches!(
        Session::from_cbor(&longer),
        Err(DecodeError::NotDeterministic)
    ));
    // The version in two bytes means the same, but is not the shortest encoding.
    let mut wide = vec![good[0], 0x18, 0x01];
    wide.extend_from_slice(&good[2..]);
    assert!(matches!(
        Session::from_cbor(&wide),
        Err(DecodeError::NotDeterministic)
    ));
    for cut in 0..good.len() {
        assert!(Session::from_cbor(&good[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn decoding_checks_relations_again() {
    // The same length, so that only the reference breaks.
    let good = session(MARIADB).to_cbor().to_vec();
    for (from, to) in [
        ("$$SCONE::table-key:hex$$", "$$SCONE::table-kex:hex$$"),
        ("/tmp", "/t/."),
        ("/srv/mysql", "/srv/../ql"),
    ] {
        let at = good
            .windows(from.len())
            .position(|window| window == from.as_bytes())
            .unwrap();
        let mut bad = good.clone();
        bad[at..at + to.len()].copy_from_slice(to.as_bytes());
        assert!(Session::from_cbor(&bad).is_err(), "{from}");
    }
}

#[test]
fn a_service_is_given_what_the_session_says() {
    let session = session(MARIADB);
    let values = SecretValues::generate(&session, NOW, &random(1)).unwrap();
    let config = provision(&session, "db", &values).unwrap();
    assert_eq!(
        config.argv,
        [
            "/usr/sbin/mariadbd",
            "--defaults-file=/etc/mysql/my.cnf",
            "--init-file=/run/secrets/init file.sql"
        ]
    );
    let names: Vec<_> = config
        .environment
        .iter()
        .map(|variable| variable.name.as_str())
        .collect();
    assert_eq!(names, ["DB_PASSWORD", "LANG", "TZ"]);
    let password = &config.environment[0].value;
    assert_eq!(password.len(), 43);
    assert!(password.bytes().all(|b| b.is_ascii_alphanumeric()));
    assert_eq!(config.pwd, "/var/lib/mysql");
    assert_eq!(config.host_environment, ["HOSTNAME"]);
    assert_eq!(config.trees[0].digest, [0xab; 32]);
    assert_eq!(
        config.trees[0].manifest.as_deref(),
        Some("/srv/mariadb.tree")
    );
    assert!(matches!(config.mounts[0].kind, MountKind::Memory));
    assert!(
        matches!(&config.mounts[1].kind, MountKind::Host { source, read_only: false } if source == "/srv/mysql")
    );
    let file = |path: &str| {
        let file = config.files.iter().find(|file| file.path == path).unwrap();
        (file.mode, String::from_utf8(file.content.clone()).unwrap())
    };
    let (mode, keys) = file("/run/secrets/keys");
    assert_eq!((mode, keys.len()), (0o400, 2 + 64 + 1));
    assert!(keys.starts_with("1;") && keys[2..66].bytes().all(|b| b.is_ascii_hexdigit()));
    let (mode, chain) = file("/run/secrets/server.pem");
    assert_eq!(
        (mode, chain.matches("BEGIN CERTIFICATE").count()),
        (0o700, 2)
    );
    let (mode, key) = file("/run/secrets/server.key");
    assert!(mode == 0o400 && key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let (_, init) = file("/run/secrets/init file.sql");
    assert_eq!(
        init,
        format!("ALTER USER root@localhost IDENTIFIED BY '{password}';")
    );
    assert_eq!(file("/etc/mysql/my.cnf").0, 0o444);
}

#[test]
fn older_forms_render_too() {
    let session = session(SCONE_STYLE);
    let values = SecretValues::generate(&session, NOW, &random(1)).unwrap();
    let render = provision(&session, "render", &values).unwrap();
    assert_eq!(
        render.argv,
        ["python3", "/app/render.py", "two words", "--ca=/tls/ca.crt"]
    );
    let json = render
        .environment
        .iter()
        .find(|variable| variable.name == "JSON")
        .unwrap();
    assert_eq!(json.value, r#"{"token": "AP8Q"}"#);
    let signed = provision(&session, "signed", &values).unwrap();
    assert_eq!(signed.argv, ["/usr/bin/signed", "--key", "00ff10"]);
    assert_eq!((signed.pwd.as_str(), signed.files.len()), ("/", 0));
    assert!(provision(&session, "other", &values).is_err());
    assert!(provision(&session, "render", &SecretValues::default()).is_err());
}
