//! A connection to the CAS that is no runtime's: whoever has evidence for it gets what the evidence
//! entitles to.

use bannock_cas_client::OwnerIdentity;
use bannock_crypto::tls::peer::AnyServerKey;
use bannock_wire::binding::{Channel, EXPORTER_LABEL, Role};
use bannock_wire::channel::Evidence;
use bannock_wire::{PROTOCOL_VERSION, cas, frame};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// The connection.
pub(crate) struct Relay {
    stream: StreamOwned<ClientConnection, TcpStream>,
    /// What evidence has to be bound to.
    pub(crate) channel: Channel,
}

impl Relay {
    /// Connects to the CAS at `address` that holds the key `cas_key`.
    pub(crate) fn connect(address: &str, cas_key: [u8; 32]) -> Self {
        let (pem, identity) = OwnerIdentity::generate().unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServerKey::any()))
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap()),
            )
            .unwrap();
        config.alpn_protocols = vec![cas::ALPN.to_vec()];
        let name = ServerName::try_from("cas").unwrap();
        let socket = TcpStream::connect(address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        let exporter = stream
            .conn
            .export_keying_material([0; 32], EXPORTER_LABEL, None)
            .unwrap();
        let channel = Channel {
            role: Role::Client,
            exporter,
            attester_key: identity.hash().0,
            peer_key: cas_key,
        };
        Self { stream, channel }
    }

    /// Asks for the configuration of `config_id` with this evidence.
    pub(crate) fn configure(&mut self, config_id: &str, evidence: Evidence) -> cas::Reply {
        let request = cas::Request::Configure {
            version: PROTOCOL_VERSION,
            config_id: config_id.to_owned(),
            evidence,
        };
        self.stream.write_all(&framed(&request)).unwrap();
        self.stream.flush().unwrap();
        let mut prefix = [0; frame::PREFIX];
        self.stream.read_exact(&mut prefix).unwrap();
        let mut reply = vec![0; frame::length(prefix, frame::MAX_FRAME).unwrap()];
        self.stream.read_exact(&mut reply).unwrap();
        bannock_wire::decode("CAS reply", &reply).unwrap()
    }
}

/// A message as one frame.
pub(crate) fn framed<T: bannock_wire::minicbor::Encode<()>>(message: &T) -> Vec<u8> {
    let body = bannock_wire::encode(message);
    let mut bytes = frame::prefix(body.len()).unwrap().to_vec();
    bytes.extend(body);
    bytes
}

/// The message of a frame in hex.
pub(crate) fn unframed<T>(what: &'static str, hex: &str) -> T
where
    T: for<'b> bannock_wire::minicbor::Decode<'b, ()> + bannock_wire::minicbor::Encode<()>,
{
    let bytes = hex::decode(hex).unwrap();
    bannock_wire::decode(what, &bytes[frame::PREFIX..]).unwrap()
}
