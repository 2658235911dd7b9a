//! Generated secrets: what they are, what an update keeps, and that certificates are accepted.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::time::Duration;

use bannock_policy::{Format, SecretValue, SecretValues, Session};
use common::{MARIADB, NOW, SCONE_STYLE, random, session};
use pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

fn values(text: &str, seed: u64) -> (Session, SecretValues) {
    let session = session(text);
    let values = SecretValues::generate(&session, NOW, &random(seed)).unwrap();
    (session, values)
}

fn rendered(values: &SecretValues, name: &str, format: Format) -> Vec<u8> {
    values.get(name).unwrap().render(format).unwrap().to_vec()
}

/// Verifies a certificate against the last of its chain, at `now`.
fn verify(value: &SecretValue, usage: KeyUsage, name: &str, now: u64) -> Result<(), webpki::Error> {
    let chain: Vec<_> = value.certificates().map(CertificateDer::from).collect();
    let (root, rest) = chain.split_last().unwrap();
    let leaf = EndEntityCert::try_from(&rest[0])?;
    let anchor = anchor_from_trusted_cert(root)?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let algorithms = [webpki::ring::ECDSA_P256_SHA256];
    leaf.verify_for_usage(&algorithms, &[anchor], &rest[1..], now, usage, None, None)?;
    leaf.verify_is_valid_for_subject_name(&ServerName::try_from(name).unwrap())
}

#[test]
fn a_server_certificate_verifies_for_its_names_use_and_time_only() {
    let (_, values) = values(MARIADB, 1);
    let server = values.get("server").unwrap();
    let server_auth = KeyUsage::server_auth;
    assert_eq!(verify(server, server_auth(), "db.example.org", NOW), Ok(()));
    assert_eq!(verify(server, server_auth(), "127.0.0.1", NOW), Ok(()));
    assert!(verify(server, server_auth(), "other.example.org", NOW).is_err());
    assert!(verify(server, server_auth(), "127.0.0.2", NOW).is_err());
    assert!(verify(server, KeyUsage::client_auth(), "db.example.org", NOW).is_err());
    assert!(verify(server, server_auth(), "db.example.org", NOW - 61).is_err());
    assert_eq!(
        verify(server, server_auth(), "db.example.org", NOW + 90 * 86400),
        Ok(())
    );
    assert!(
        verify(
            server,
            server_auth(),
            "db.example.org",
            NOW + 90 * 86400 + 1
        )
        .is_err()
    );
}

#[test]
fn chains_have_intermediates_and_end_no_later_than_their_issuers() {
    let text = "
name: chain
version: '0.3'
secrets:
- {name: leaf, kind: x509, issuer: middle, san: 'dns:leaf', valid_for: 10y}
- {name: middle, kind: x509-ca, issuer: root, valid_for: 1y}
- {name: root, kind: x509-ca}
";
    let (_, values) = values(text, 2);
    let leaf = values.get("leaf").unwrap();
    assert_eq!(leaf.certificates().count(), 3);
    assert_eq!(verify(leaf, KeyUsage::server_auth(), "leaf", NOW), Ok(()));
    assert_eq!(verify(leaf, KeyUsage::client_auth(), "leaf", NOW), Ok(()));
    let year = 365 * 86400;
    assert_eq!(
        verify(leaf, KeyUsage::server_auth(), "leaf", NOW + year),
        Ok(())
    );
    assert!(verify(leaf, KeyUsage::server_auth(), "leaf", NOW + year + 1).is_err());
    let pem = String::from_utf8(rendered(&values, "leaf", Format::ChainPem)).unwrap();
    assert_eq!(pem.matches("-----BEGIN CERTIFICATE-----").count(), 3);
    // Every rendering of the leaf starts the chain.
    let own = String::from_utf8(rendered(&values, "leaf", Format::CertificatePem)).unwrap();
    assert!(pem.starts_with(&own));
    let der = rendered(&values, "leaf", Format::CertificateDer);
    assert_eq!(leaf.certificates().next().unwrap(), der);
}

#[test]
fn a_certificate_uses_the_key_that_it_names() {
    let (_, values) = values(SCONE_STYLE, 3);
    for format in [Format::PrivateKeyPem, Format::PrivateKeyDer] {
        assert_eq!(
            rendered(&values, "SERVER_CERT", format),
            rendered(&values, "SERVER_KEY", format)
        );
        assert_ne!(
            rendered(&values, "CA_CERT", format),
            rendered(&values, "SERVER_KEY", format)
        );
    }
    use p256::pkcs8::DecodePrivateKey;
    let key =
        p256::SecretKey::from_pkcs8_der(&rendered(&values, "SERVER_KEY", Format::PrivateKeyDer))
            .unwrap();
    let point = key.public_key().to_sec1_bytes();
    let certificate = rendered(&values, "SERVER_CERT", Format::CertificateDer);
    assert!(
        certificate
            .windows(point.len())
            .any(|window| *window == *point)
    );
}

#[test]
fn given_values_are_used() {
    let (_, values) = values(SCONE_STYLE, 3);
    assert_eq!(rendered(&values, "TOKEN", Format::Hex), b"00ff10");
    assert_eq!(
        rendered(&values, "PLAIN", Format::Text),
        b"written by the author"
    );
    let pem = String::from_utf8(rendered(&values, "CA_KEY", Format::PrivateKeyPem)).unwrap();
    let indented = pem.replace('\n', "\n    ");
    let text = format!(
        "name: a\nversion: '0.3'\nsecrets:\n- name: k\n  kind: private-key\n  value: |\n    {indented}\n"
    );
    let (session, given) = self::values(&text, 4);
    assert_eq!(rendered(&given, "k", Format::PrivateKeyPem), pem.as_bytes());
    let decoded = Session::from_cbor(&session.to_cbor()).unwrap();
    assert!(decoded == session);
}

#[test]
fn generated_secrets_have_their_sizes_and_differ() {
    let text = "name: a\nversion: '0.3'\nsecrets:\n- {name: a, kind: ascii}\n- {name: b, kind: binary}\n- {name: c, kind: binary, size: 65536}\n";
    let (_, one) = values(text, 5);
    let (_, two) = values(text, 6);
    for (name, format, size) in [
        ("a", Format::Text, 20),
        ("b", Format::Bin, 20),
        ("c", Format::Bin, 65536),
    ] {
        assert_eq!(rendered(&one, name, format).len(), size);
        assert_ne!(rendered(&one, name, format), rendered(&two, name, format));
    }
}

#[test]
fn an_update_keeps_what_it_must_and_nothing_else() {
    let old_text = "
name: a
version: '0.3'
secrets:
- {name: kept-ascii, kind: ascii}
- {name: kept-binary, kind: binary}
- {name: both, kind: private-key, migrate: true}
- {name: old-only, kind: private-key, migrate: true}
- {name: new-only, kind: private-key}
- {name: resized, kind: binary, size: 20}
- {name: other-kind, kind: ascii}
- {name: given, kind: ascii}
- {name: removed, kind: ascii}
- {name: cert, kind: x509, private_key: both}
";
    let new_text = "
name: a
version: '0.3'
secrets:
- {name: kept-ascii, kind: ascii}
- {name: kept-binary, kind: binary}
- {name: both, kind: private-key, migrate: true}
- {name: old-only, kind: private-key}
- {name: new-only, kind: private-key, migrate: true}
- {name: resized, kind: binary, size: 32}
- {name: other-kind, kind: binary}
- {name: given, kind: ascii, value: mine}
- {name: cert, kind: x509, private_key: both}
- {name: added, kind: ascii}
";
    let (old_session, old) = values(old_text, 7);
    let new_session = session(new_text);
    let new = old
        .update(&old_session, &new_session, NOW + 1, &random(8))
        .unwrap();
    for name in ["kept-ascii", "kept-binary", "both"] {
        assert!(old.get(name) == new.get(name), "{name} is kept");
    }
    for name in [
        "old-only",
        "new-only",
        "resized",
        "other-kind",
        "given",
        "cert",
    ] {
        assert!(old.get(name) != new.get(name), "{name} is made anew");
    }
    assert_eq!(rendered(&new, "given", Format::Text), b"mine");
    assert_eq!(
        rendered(&new, "cert", Format::PrivateKeyDer),
        rendered(&old, "both", Format::PrivateKeyDer)
    );
    assert!(new.get("removed").is_none() && new.get("added").is_some());
    assert_eq!(new.names().count(), 10);
}

#[test]
fn values_survive_storage_and_nothing_else_is_read() {
    let (_, values) = values(SCONE_STYLE, 9);
    let stored = values.to_cbor();
    assert!(SecretValues::from_cbor(&stored).unwrap() == values);
    for cut in 0..stored.len() {
        assert!(SecretValues::from_cbor(&stored[..cut]).is_err());
    }
    let mut longer = stored.to_vec();
    longer.push(0);
    assert!(SecretValues::from_cbor(&longer).is_err());
    // A key that is not in the group.
    let key = rendered(&values, "CA_KEY", Format::PrivateKeyDer);
    let scalar = &key[36..68];
    let at = stored
        .windows(32)
        .position(|window| window == scalar)
        .unwrap();
    let mut broken = stored.to_vec();
    broken[at..at + 32].fill(0);
    assert!(SecretValues::from_cbor(&broken).is_err());
}

#[test]
fn secrets_are_not_shown() {
    let (session, values) = values(SCONE_STYLE, 10);
    let shown = format!("{session:?} {:?} {values:?} {values:#?}", session.secrets());
    assert!(!shown.contains("written") && !shown.contains("00ff10") && !shown.contains("255"));
    assert!(shown.contains("PLAIN") && shown.contains("[secret]"));
}

#[test]
fn a_time_that_certificates_cannot_express_is_an_error() {
    let session = session(MARIADB);
    for now in [u64::MAX, 253_402_300_799] {
        let error = SecretValues::generate(&session, now, &random(1)).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("certificate `ca` cannot be issued"),
            "{error}"
        );
    }
}
