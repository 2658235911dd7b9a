//! The client against another implementation over loopback sockets: every suite, group and kind of server key.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use bannock_crypto::tls::client::{ClientConfig, ServerTrust};
use bannock_crypto::tls::provider::{
    AES_128_GCM_SHA256, AES_256_GCM_SHA384, CHACHA20_POLY1305_SHA256,
};
use bannock_crypto::tls::stream::Stream;
use common::*;
use rustls::NamedGroup;
use rustls::crypto::ring::kx_group;

const REQUEST: &[u8] = b"request";

fn reply() -> Vec<u8> {
    (0..200_000u32).map(|i| ((i * 31) >> 3) as u8).collect()
}

fn read_to_end(stream: &mut Stream<Socket>) -> Vec<u8> {
    let mut data = vec![];
    let mut buffer = [0; 5000];
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => return data,
            count => data.extend_from_slice(&buffer[..count]),
        }
    }
}

#[test]
fn every_suite_group_and_server_key_works_with_client_certificate_and_exporter() {
    let base = provider();
    for kind in KEY_KINDS {
        let key = ServerKey::new(kind);
        for suite in [
            AES_256_GCM_SHA384,
            AES_128_GCM_SHA256,
            CHACHA20_POLY1305_SHA256,
        ] {
            for group in [NamedGroup::X25519, NamedGroup::secp256r1] {
                let what = format!("{kind:?} {:?} {group:?}", suite.suite());
                let (socket, server) = serve(server_config(certified(&key), |_| {}), reply());
                let me = identity("CN=client");
                let config = ClientConfig {
                    provider: base.restricted(|p| {
                        p.cipher_suites = vec![suite];
                        p.kx_groups.retain(|offered| offered.name() == group);
                    }),
                    identity: Some(me.clone()),
                    ..client_config(ServerTrust::Pinned(key.pin()))
                };
                let mut stream = Stream::connect(config, Socket(socket)).unwrap();
                stream.write_all(REQUEST).unwrap();
                stream.close().unwrap();
                assert_eq!(read_to_end(&mut stream), reply(), "{what}");

                let connection = stream.connection();
                let seen = server.join().unwrap();
                assert_eq!(connection.cipher_suite(), Some(suite.suite()), "{what}");
                assert_eq!(connection.group(), Some(group), "{what}");
                assert_eq!(connection.server_spki_sha256(), Some(key.pin()), "{what}");
                assert_eq!(
                    connection.export(LABEL, CONTEXT).unwrap(),
                    seen.exported,
                    "{what}"
                );
                assert_eq!(seen.client, Some(me.spki_sha256()), "{what}");
                assert_eq!(seen.received, REQUEST, "{what}");
            }
        }
    }
}

#[test]
fn a_server_that_wants_another_group_first_asks_again() {
    let key = ServerKey::new(KeyKind::P256);
    let config = server_config(certified(&key), |p| p.kx_groups = vec![kx_group::SECP256R1]);
    let (socket, server) = serve(config, reply());
    let config = client_config(ServerTrust::Pinned(key.pin()));
    assert_eq!(
        config.provider.rustls().kx_groups[0].name(),
        NamedGroup::X25519
    );
    let mut stream = Stream::connect(config, Socket(socket)).unwrap();
    stream.close().unwrap();
    assert_eq!(read_to_end(&mut stream), reply());
    assert_eq!(stream.connection().group(), Some(NamedGroup::secp256r1));
    assert_eq!(
        stream.connection().export(LABEL, CONTEXT).unwrap(),
        server.join().unwrap().exported
    );
}

#[test]
fn large_data_goes_both_ways() {
    let key = ServerKey::new(KeyKind::P256);
    let (socket, server) = serve(server_config(certified(&key), |_| {}), reply());
    let config = client_config(ServerTrust::Pinned(key.pin()));
    let mut stream = Stream::connect(config, Socket(socket)).unwrap();
    let data: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    stream.write_all(&data).unwrap();
    stream.close().unwrap();
    assert_eq!(read_to_end(&mut stream), reply());
    let seen = server.join().unwrap();
    assert!(
        seen.received == data,
        "{} bytes arrived",
        seen.received.len()
    );
    assert_eq!(seen.client, None);
}
