//! What an attacker on the network or behind the address can try.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::sync::Arc;

use bannock_crypto::tls::client::{Connection, ConnectionFault, INCOMING_LIMIT, ServerTrust};
use common::*;
use proptest::prelude::*;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{CertificateError, Error, ServerConnection, SignatureAlgorithm, SignatureScheme};

fn pair(trust: ServerTrust, certified: CertifiedKey) -> Pair {
    let config = server_config(certified, |_| {});
    let server = ServerConnection::new(Arc::new(config)).unwrap();
    Pair::of(Connection::new(client_config(trust)).unwrap(), server)
}

/// Runs the handshake up to the client's verdict over the server's first flight.
fn verdict(pair: &mut Pair) -> Result<bool, ConnectionFault> {
    pair.deliver_to_server();
    pair.deliver_to_client(usize::MAX)
}

#[test]
fn another_key_than_the_pinned_one_is_named_together_with_the_pin() {
    let (pinned, other) = (ServerKey::new(KeyKind::P256), ServerKey::new(KeyKind::P256));
    let mut pair = pair(ServerTrust::Pinned(pinned.pin()), certified(&other));
    let expected = ConnectionFault::NotPinned {
        expected: pinned.pin(),
        found: other.pin(),
    };
    assert_eq!(verdict(&mut pair), Err(expected.clone()));
    let text = expected.to_string();
    assert!(text.contains(&pinned.pin().to_string()) && text.contains(&other.pin().to_string()));
    // The alert goes out, and the fault stays.
    assert!(!pair.client.to_send().is_empty());
    assert_eq!(pair.client.receive(b"more"), Err(expected));
    assert_eq!(pair.client.server_spki_sha256(), None);
}

#[test]
fn a_pin_does_not_care_about_dates_and_names() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let expired = ServerKey::certified(key, |params| {
        params.not_before = rcgen::date_time_ymd(1990, 1, 1);
        params.not_after = rcgen::date_time_ymd(1991, 1, 1);
        params.subject_alt_names.clear();
    });
    let mut pair = pair(ServerTrust::Pinned(expired.pin()), certified(&expired));
    pair.exchange().unwrap();
    assert!(!pair.client.is_handshaking());
}

#[test]
fn the_pinned_certificate_in_the_hands_of_another_key_is_refused() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
        let (pinned, thief) = (ServerKey::new(kind), ServerKey::new(kind));
        let stolen = CertifiedKey::new(vec![pinned.certificate.clone()], thief.signing_key());
        for trust in [
            ServerTrust::Pinned(pinned.pin()),
            ServerTrust::JudgedByEvidence,
        ] {
            let mut pair = pair(trust, stolen.clone());
            let refused = ConnectionFault::ServerRefused(CertificateError::BadSignature);
            assert_eq!(verdict(&mut pair), Err(refused), "{kind:?}");
            assert!(pair.client.is_handshaking());
        }
    }
}

/// Signs with the right key, and flips one bit of the signature.
#[derive(Debug)]
struct Flipping {
    key: Arc<dyn SigningKey>,
    byte: usize,
}

#[derive(Debug)]
struct FlippingSigner {
    signer: Box<dyn Signer>,
    byte: usize,
}

impl SigningKey for Flipping {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = self.key.choose_scheme(offered)?;
        Some(Box::new(FlippingSigner {
            signer,
            byte: self.byte,
        }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

impl Signer for FlippingSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = self.signer.sign(message)?;
        let last = signature.len() - 1;
        signature[self.byte.min(last)] ^= 1;
        Ok(signature)
    }

    fn scheme(&self) -> SignatureScheme {
        self.signer.scheme()
    }
}

#[test]
fn a_flipped_bit_in_the_handshake_signature_is_noticed() {
    for kind in KEY_KINDS {
        let key = ServerKey::new(kind);
        for byte in [0, 1, 8, 40, usize::MAX] {
            let flipping = Flipping {
                key: key.signing_key(),
                byte,
            };
            let certified = CertifiedKey::new(vec![key.certificate.clone()], Arc::new(flipping));
            let mut pair = pair(ServerTrust::Pinned(key.pin()), certified);
            let refused = ConnectionFault::ServerRefused(CertificateError::BadSignature);
            assert_eq!(verdict(&mut pair), Err(refused), "{kind:?}, byte {byte}");
        }
    }
}

#[test]
fn no_flipped_bit_of_the_servers_flight_goes_unnoticed() {
    let key = ServerKey::new(KeyKind::P256);
    let mut position = 0;
    loop {
        let mut pair = pair(ServerTrust::Pinned(key.pin()), certified(&key));
        pair.deliver_to_server();
        let mut flight = pair.take_from_server();
        let ignored = is_record_version(&flight, position);
        let Some(byte) = flight.get_mut(position) else {
            break;
        };
        *byte ^= 1 << (position % 8);
        // Whether the client fails at once or waits for more: it must not take the server for the right one.
        let _ = pair.client.receive(&flight);
        assert!(
            ignored || pair.client.is_handshaking(),
            "byte {position} was flipped unnoticed"
        );
        position += 5;
    }
    assert!(position > 500, "the flight was only {position} bytes long");
}

/// Whether a position holds the version of a record, which is ignored by decree (RFC 8446 §5.1).
fn is_record_version(flight: &[u8], position: usize) -> bool {
    let mut start = 0;
    while let Some(header) = flight.get(start..start + 5) {
        if (start + 1..start + 3).contains(&position) {
            return true;
        }
        start += 5 + usize::from(u16::from_be_bytes([header[3], header[4]]));
    }
    false
}

/// What reaches the client instead of two records.
type Attack = fn(Vec<u8>, Vec<u8>) -> Vec<u8>;

#[test]
fn flipped_replayed_and_reordered_records_are_noticed() {
    let key = ServerKey::new(KeyKind::P256);
    let attacks: [(&str, Attack); 3] = [
        ("flip", |mut first, _| {
            *first.last_mut().unwrap() ^= 1;
            first
        }),
        ("replay", |first, _| [first.clone(), first].concat()),
        ("reorder", |first, second| [second, first].concat()),
    ];
    for (name, attack) in attacks {
        let mut pair = Pair::connected(&key);
        let mut record = |text: &[u8]| {
            std::io::Write::write_all(&mut pair.server.writer(), text).unwrap();
            pair.take_from_server()
        };
        let (first, second) = (record(b"first"), record(b"second"));
        let refused = ConnectionFault::Protocol(Error::DecryptError);
        assert_eq!(
            pair.client.receive(&attack(first, second)),
            Err(refused),
            "{name}"
        );
    }
}

#[test]
fn an_alert_is_reported_as_the_servers() {
    let key = ServerKey::new(KeyKind::P256);
    let mut pair = Pair::new(&key);
    let fatal_handshake_failure = [21, 3, 3, 0, 2, 2, 40];
    let refused = pair.client.receive(&fatal_handshake_failure);
    assert_eq!(
        refused,
        Err(ConnectionFault::Alert(
            rustls::AlertDescription::HandshakeFailure
        ))
    );
}

#[test]
fn an_endless_handshake_message_is_refused_before_the_buffer_is_full() {
    let mut client = Connection::new(client_config(ServerTrust::JudgedByEvidence)).unwrap();
    // A ServerHello that claims 16 MiB, then records of it without end.
    let mut record = vec![22, 3, 3, 0x40, 0, 2, 0xff, 0xff, 0xff];
    record.resize(5 + 0x4000, 0);
    let mut sent = 0;
    let fault = loop {
        match client.receive(&record) {
            Ok(taken) => sent += taken,
            Err(fault) => break fault,
        }
        assert!(sent <= INCOMING_LIMIT, "{sent} bytes were buffered");
        record[5..9].fill(0);
    };
    let expected = matches!(
        fault,
        ConnectionFault::Protocol(_) | ConnectionFault::MessageTooLong { .. }
    );
    assert!(expected, "{fault:?}");
}

fn records() -> impl Strategy<Value = Vec<u8>> {
    let record = (
        20u8..25,
        any::<bool>(),
        prop::collection::vec(any::<u8>(), 0..400),
    )
        .prop_map(|(kind, honest, body)| {
            let len = if honest { body.len() } else { body.len() + 7 } as u16;
            [&[kind, 3, 3][..], &len.to_be_bytes(), &body].concat()
        });
    prop::collection::vec(record, 0..6).prop_map(|records| records.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn garbage_before_the_handshake_never_completes_it(bytes in records(), piece in 1usize..500) {
        let mut client = Connection::new(client_config(ServerTrust::JudgedByEvidence)).unwrap();
        for piece in bytes.chunks(piece) {
            if client.receive(piece).is_err() {
                break;
            }
        }
        prop_assert!(client.is_handshaking());
        prop_assert_eq!(client.readable(), 0);
    }

    #[test]
    fn garbage_after_the_handshake_is_never_delivered(bytes in records(), piece in 1usize..500) {
        let mut pair = Pair::connected(&ServerKey::new(KeyKind::P256));
        for piece in bytes.chunks(piece) {
            if pair.client.receive(piece).is_err() {
                break;
            }
        }
        prop_assert_eq!(pair.client.readable(), 0);
    }
}
