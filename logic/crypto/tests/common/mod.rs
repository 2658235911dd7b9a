//! A server from another implementation (rustls over ring), to which the client speaks over memory or sockets.
#![allow(dead_code, reason = "every test binary uses its own part")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use bannock_crypto::random::EntropyFault;
use bannock_crypto::tls::client::{ClientConfig, Connection, ConnectionFault, ServerTrust};
use bannock_crypto::tls::identity::{CertificateProfile, Identity, KeyPair};
use bannock_crypto::tls::peer::AnyClientKey;
use bannock_crypto::tls::provider::TlsProvider;
use bannock_crypto::tls::spki::SpkiSha256;
use bannock_crypto::tls::stream::Transport;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection};

pub(crate) const LABEL: &[u8] = b"EXPORTER-test";
pub(crate) const CONTEXT: &[u8] = b"context";

/// Any moment within the validity of the test certificates.
pub(crate) const NOW: u64 = 1_700_000_000;

/// Randomness for tests, from the ring provider.
pub(crate) fn random(buffer: &mut [u8]) -> Result<(), EntropyFault> {
    ring::default_provider()
        .secure_random
        .fill(buffer)
        .map_err(|_| EntropyFault)
}

pub(crate) fn provider() -> TlsProvider {
    TlsProvider::new(&random)
}

pub(crate) fn identity(name: &str) -> Identity {
    let profile = CertificateProfile {
        subject: name,
        not_before: NOW - 3600,
        not_after: NOW + 3600,
        extensions: &[],
    };
    KeyPair::generate(&random)
        .unwrap()
        .self_signed(&profile, &random)
        .unwrap()
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyKind {
    P256,
    P384,
    Ed25519,
    Rsa2048,
}

pub(crate) const KEY_KINDS: [KeyKind; 4] = [
    KeyKind::P256,
    KeyKind::P384,
    KeyKind::Ed25519,
    KeyKind::Rsa2048,
];

/// A server's certificate and its key.
pub(crate) struct ServerKey {
    pub(crate) certificate: CertificateDer<'static>,
    key: rcgen::KeyPair,
}

impl ServerKey {
    pub(crate) fn new(kind: KeyKind) -> Self {
        let key = match kind {
            KeyKind::P256 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyKind::P384 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyKind::Ed25519 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519),
            KeyKind::Rsa2048 => {
                let der = include_bytes!("../fixtures/rsa-2048.pk8.der");
                let der = PrivatePkcs8KeyDer::from(&der[..]);
                rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_RSA_SHA256)
            }
        };
        Self::certified(key.unwrap(), |_| {})
    }

    pub(crate) fn certified(key: rcgen::KeyPair, edit: fn(&mut rcgen::CertificateParams)) -> Self {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        edit(&mut params);
        Self {
            certificate: params.self_signed(&key).unwrap().der().clone(),
            key,
        }
    }

    pub(crate) fn pin(&self) -> SpkiSha256 {
        SpkiSha256::of_certificate(&self.certificate).unwrap()
    }

    pub(crate) fn private(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.serialize_der().into())
    }

    pub(crate) fn signing_key(&self) -> Arc<dyn rustls::sign::SigningKey> {
        ring::sign::any_supported_type(&self.private()).unwrap()
    }
}

/// A server configuration for `certified`, narrowed by `edit`.
pub(crate) fn server_config(
    certified: CertifiedKey,
    edit: impl FnOnce(&mut rustls::crypto::CryptoProvider),
) -> ServerConfig {
    let mut provider = ring::default_provider();
    edit(&mut provider);
    let verifier = AnyClientKey::any_with(provider.signature_verification_algorithms);
    ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)))
}

pub(crate) fn certified(key: &ServerKey) -> CertifiedKey {
    CertifiedKey::new(vec![key.certificate.clone()], key.signing_key())
}

pub(crate) fn server(key: &ServerKey) -> ServerConnection {
    ServerConnection::new(Arc::new(server_config(certified(key), |_| {}))).unwrap()
}

pub(crate) fn client_config(trust: ServerTrust) -> ClientConfig {
    ClientConfig {
        provider: provider(),
        trust,
        identity: None,
        server_name: Some("localhost".into()),
        alpn: vec![],
        now: NOW,
    }
}

/// Client and server in one memory.
pub(crate) struct Pair {
    pub(crate) client: Connection,
    pub(crate) server: ServerConnection,
    /// What the server has decrypted.
    received: Vec<u8>,
}

impl Pair {
    pub(crate) fn of(client: Connection, server: ServerConnection) -> Self {
        Self {
            client,
            server,
            received: vec![],
        }
    }

    pub(crate) fn new(key: &ServerKey) -> Self {
        let client = Connection::new(client_config(ServerTrust::Pinned(key.pin()))).unwrap();
        Self::of(client, server(key))
    }

    pub(crate) fn connected(key: &ServerKey) -> Self {
        let mut pair = Self::new(key);
        pair.exchange().unwrap();
        assert!(!pair.client.is_handshaking() && !pair.server.is_handshaking());
        pair
    }

    /// Moves bytes both ways until nobody has any.
    pub(crate) fn exchange(&mut self) -> Result<(), ConnectionFault> {
        while self.deliver_to_server() | self.deliver_to_client(usize::MAX)? {}
        Ok(())
    }

    pub(crate) fn deliver_to_server(&mut self) -> bool {
        let bytes = self.client.to_send().to_vec();
        self.client.sent(bytes.len());
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            self.server.read_tls(&mut rest).unwrap();
            let readable = self
                .server
                .process_new_packets()
                .unwrap()
                .plaintext_bytes_to_read();
            let start = self.received.len();
            self.received.resize(start + readable, 0);
            self.server
                .reader()
                .read_exact(&mut self.received[start..])
                .unwrap();
        }
        !bytes.is_empty()
    }

    pub(crate) fn take_from_server(&mut self) -> Vec<u8> {
        let mut bytes = vec![];
        while self.server.wants_write() {
            self.server.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    /// Delivers what the server sent in pieces of at most `piece` bytes.
    pub(crate) fn deliver_to_client(&mut self, piece: usize) -> Result<bool, ConnectionFault> {
        let bytes = self.take_from_server();
        for piece in bytes.chunks(piece.min(bytes.len().max(1))) {
            let mut rest = piece;
            while !rest.is_empty() {
                let taken = self.client.receive(rest)?;
                assert!(taken > 0, "the client stopped receiving");
                rest = &rest[taken..];
            }
        }
        Ok(!bytes.is_empty())
    }

    pub(crate) fn read_client(&mut self) -> Vec<u8> {
        let mut data = vec![0; self.client.readable()];
        let count = self.client.read(&mut data);
        assert_eq!(count, data.len());
        data
    }

    pub(crate) fn read_server(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.received)
    }
}

/// A socket as the client's transport.
pub(crate) struct Socket(pub TcpStream);

impl Transport for Socket {
    type Error = std::io::Error;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, std::io::Error> {
        self.0.read(buffer)
    }

    fn write(&mut self, data: &[u8]) -> Result<usize, std::io::Error> {
        self.0.write(data)
    }
}

/// What a server saw of one connection.
pub(crate) struct Seen {
    pub(crate) exported: [u8; 32],
    pub(crate) client: Option<SpkiSha256>,
    pub(crate) received: Vec<u8>,
}

/// Serves one connection on loopback: reads until close_notify, answers with `reply`, closes.
pub(crate) fn serve(config: ServerConfig, reply: Vec<u8>) -> (TcpStream, JoinHandle<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let thread = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, socket);
        let mut received = vec![];
        stream.read_to_end(&mut received).unwrap();
        stream.write_all(&reply).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        let exported = [0; 32];
        let exported = stream
            .conn
            .export_keying_material(exported, LABEL, Some(CONTEXT))
            .unwrap();
        let client = stream
            .conn
            .peer_certificates()
            .and_then(|chain| chain.first());
        let client = client.map(|certificate| SpkiSha256::of_certificate(certificate).unwrap());
        Seen {
            exported,
            client,
            received,
        }
    });
    (socket, thread)
}
