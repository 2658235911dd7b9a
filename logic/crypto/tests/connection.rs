//! The connection's life after and around the handshake, in memory, against another implementation.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::io::Write as _;

use bannock_crypto::tls::client::{
    Connection, ConnectionFault, INCOMING_LIMIT, OUTGOING_LIMIT, PLAINTEXT_LIMIT, ServerTrust,
};
use bannock_crypto::tls::exporter::ExporterFault;
use common::*;

fn key() -> ServerKey {
    ServerKey::new(KeyKind::P256)
}

#[test]
fn records_may_arrive_byte_by_byte() {
    let mut pair = Pair::new(&key());
    while pair.deliver_to_server() | pair.deliver_to_client(1).unwrap() {}
    pair.server.writer().write_all(b"answer").unwrap();
    pair.deliver_to_client(1).unwrap();
    assert_eq!(pair.read_client(), b"answer");
}

#[test]
fn keys_are_updated_on_the_servers_request() {
    let mut pair = Pair::connected(&key());
    for round in 0..3 {
        pair.server.refresh_traffic_keys().unwrap();
        pair.server.writer().write_all(b"down").unwrap();
        pair.exchange().unwrap();
        assert_eq!(pair.read_client(), b"down", "round {round}");
        assert_eq!(pair.client.write(b"up").unwrap(), 2);
        pair.exchange().unwrap();
        assert_eq!(pair.read_server(), b"up", "round {round}");
    }
}

#[test]
fn a_close_right_after_a_key_update_still_reaches_the_server() {
    let mut pair = Pair::connected(&key());
    pair.server.refresh_traffic_keys().unwrap();
    pair.exchange().unwrap();
    pair.client.close().unwrap();
    pair.deliver_to_server();
    assert!(pair.server.process_new_packets().unwrap().peer_has_closed());
}

#[test]
fn each_side_closes_its_own_direction() {
    let mut pair = Pair::connected(&key());
    pair.client.close().unwrap();
    pair.client.close().unwrap();
    assert_eq!(pair.client.write(b"late"), Err(ConnectionFault::Closed));
    pair.exchange().unwrap();
    assert!(pair.server.process_new_packets().unwrap().peer_has_closed());
    assert!(!pair.client.peer_closed());

    pair.server.writer().write_all(b"still here").unwrap();
    pair.server.send_close_notify();
    pair.exchange().unwrap();
    assert!(pair.client.peer_closed());
    assert_eq!(pair.read_client(), b"still here");
    assert_eq!(pair.client.receive_end(), Ok(()));
}

#[test]
fn writing_goes_on_after_the_server_closed() {
    let mut pair = Pair::connected(&key());
    pair.server.send_close_notify();
    pair.exchange().unwrap();
    assert!(pair.client.peer_closed());
    assert_eq!(pair.client.receive(b"ignored"), Ok(7));
    assert_eq!(pair.client.write(b"last words"), Ok(10));
    pair.exchange().unwrap();
    assert_eq!(pair.read_server(), b"last words");
}

#[test]
fn a_cut_stream_is_a_fault_and_what_came_before_is_readable() {
    let mut pair = Pair::connected(&key());
    pair.server.writer().write_all(b"half of it").unwrap();
    pair.exchange().unwrap();
    assert_eq!(pair.client.receive_end(), Err(ConnectionFault::Truncated));
    assert_eq!(pair.client.fault(), Some(&ConnectionFault::Truncated));
    assert_eq!(pair.client.write(b"more"), Err(ConnectionFault::Truncated));
    assert_eq!(pair.read_client(), b"half of it");
}

#[test]
fn a_cut_handshake_is_a_fault() {
    let mut client = Connection::new(client_config(ServerTrust::JudgedByEvidence)).unwrap();
    assert_eq!(client.receive_end(), Err(ConnectionFault::Truncated));
}

#[test]
fn nothing_is_written_exported_or_named_before_the_handshake_is_complete() {
    let mut pair = Pair::new(&key());
    assert_eq!(
        pair.client.write(b"secret"),
        Err(ConnectionFault::HandshakeIncomplete)
    );
    assert_eq!(
        pair.client.close(),
        Err(ConnectionFault::HandshakeIncomplete)
    );
    let refused = ConnectionFault::Exporter(ExporterFault::HandshakeIncomplete);
    assert_eq!(pair.client.export(LABEL, CONTEXT), Err(refused));
    assert_eq!(pair.client.server_spki_sha256(), None);
    pair.exchange().unwrap();
    assert_eq!(pair.client.write(b"secret"), Ok(6));
}

#[test]
fn a_reader_that_is_slow_is_not_buried() {
    let mut pair = Pair::connected(&key());
    pair.server.set_buffer_limit(None);
    let data: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
    pair.server.writer().write_all(&data).unwrap();
    let bytes = pair.take_from_server();
    let (mut rest, mut read) = (&bytes[..], vec![]);
    while !rest.is_empty() {
        let taken = pair.client.receive(rest).unwrap();
        assert!(pair.client.readable() <= PLAINTEXT_LIMIT + INCOMING_LIMIT);
        rest = &rest[taken..];
        assert!(
            rest.is_empty() || pair.client.receive(rest) == Ok(0),
            "the client went on taking"
        );
        read.extend(pair.read_client());
    }
    assert!(read == data);
}

#[test]
fn a_writer_that_is_fast_is_held_back() {
    let mut pair = Pair::connected(&key());
    let data = vec![7; 1_000_000];
    let taken = pair.client.write(&data).unwrap();
    assert!(
        (OUTGOING_LIMIT - 1024..2 * OUTGOING_LIMIT).contains(&taken),
        "{taken} bytes"
    );
    assert_eq!(pair.client.write(&data), Ok(0));
    pair.exchange().unwrap();
    assert_eq!(pair.read_server(), &data[..taken]);
}

#[test]
fn protocols_are_negotiated() {
    let key = key();
    let mut config = server_config(certified(&key), |_| {});
    config.alpn_protocols = vec![b"bannock".to_vec()];
    let server = rustls::ServerConnection::new(std::sync::Arc::new(config)).unwrap();
    let mut config = client_config(ServerTrust::Pinned(key.pin()));
    config.alpn = vec![b"other".to_vec(), b"bannock".to_vec()];
    let mut pair = Pair::of(Connection::new(config).unwrap(), server);
    pair.exchange().unwrap();
    assert_eq!(pair.client.alpn(), Some(&b"bannock"[..]));
}

#[test]
fn a_server_name_is_sent_only_when_there_is_one() {
    let key = key();
    for name in [Some("cas.example"), None] {
        let mut config = client_config(ServerTrust::Pinned(key.pin()));
        config.server_name = name.map(Into::into);
        let mut pair = Pair::of(Connection::new(config).unwrap(), server(&key));
        pair.exchange().unwrap();
        assert_eq!(pair.server.server_name(), name);
    }
    let mut config = client_config(ServerTrust::Pinned(key.pin()));
    config.server_name = Some("not a name".into());
    let refused = Connection::new(config).unwrap_err();
    assert_eq!(refused, ConnectionFault::ServerName("not a name".into()));
}

#[test]
fn connections_are_never_resumed() {
    let key = key();
    let config = std::sync::Arc::new(server_config(certified(&key), |_| {}));
    let client = client_config(ServerTrust::Pinned(key.pin()));
    for _ in 0..2 {
        let server = rustls::ServerConnection::new(config.clone()).unwrap();
        let mut pair = Pair::of(Connection::new(client.clone()).unwrap(), server);
        pair.exchange().unwrap();
        assert_eq!(
            pair.server.handshake_kind(),
            Some(rustls::HandshakeKind::Full)
        );
    }
}
