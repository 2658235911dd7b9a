//! Connections to a CAS.

use crate::{ClientFault, OwnerIdentity};
use bannock_cas_api::Hash;
use bannock_crypto::tls::{
    peer::{AnyServerKey, PinnedServer},
    spki::SpkiSha256,
};
use rustls::{
    ClientConfig, ClientConnection, StreamOwned,
    client::{Resumption, danger::ServerCertVerifier},
    crypto::ring,
    pki_types::ServerName,
};
use std::{
    io,
    net::{TcpStream, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

/// Time for connecting, and for each answer of the peer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A TLS connection to a CAS, its handshake complete.
pub(crate) type Connection = StreamOwned<ClientConnection, TcpStream>;

/// Whom to accept.
pub(crate) enum Peer {
    /// Whoever answers: its key is judged afterwards.
    Any,
    /// The holder of this key.
    Pinned(Hash),
}

/// Connects to `address` (`HOST:PORT`).
pub(crate) fn connect(
    address: &str,
    peer: &Peer,
    identity: Option<&OwnerIdentity>,
    alpn: &[u8],
) -> Result<Connection, ClientFault> {
    let tls_fault = |source| ClientFault::Tls {
        address: address.to_owned(),
        source,
    };
    let pinned = match peer {
        Peer::Any => None,
        Peer::Pinned(key) => Some(Arc::new(PinnedServer::new(SpkiSha256::new(key.0)))),
    };
    let verifier: Arc<dyn ServerCertVerifier> = match &pinned {
        Some(pinned) => pinned.clone(),
        None => Arc::new(AnyServerKey::any()),
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls_fault)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => builder
            .with_client_auth_cert(vec![identity.certificate()], identity.private_key())
            .map_err(tls_fault)?,
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    // The peer is known by its key: a name would only tell the network whom one talks to.
    config.enable_sni = false;
    config.alpn_protocols = vec![alpn.to_vec()];

    let name = ServerName::try_from("bannock-cas").map_err(|_| {
        tls_fault(rustls::Error::General(
            "the server's name is malformed".into(),
        ))
    })?;
    let tls = ClientConnection::new(Arc::new(config), name).map_err(tls_fault)?;
    let socket = open(address).map_err(|source| ClientFault::Unreachable {
        address: address.to_owned(),
        source,
    })?;
    let mut connection = StreamOwned::new(tls, socket);
    while connection.conn.is_handshaking() {
        if let Err(error) = connection.conn.complete_io(&mut connection.sock) {
            if let (Some(found), Peer::Pinned(pinned)) =
                (pinned.as_ref().and_then(|it| it.refused()), peer)
            {
                return Err(ClientFault::NotPinned {
                    address: address.to_owned(),
                    pinned: *pinned,
                    found: Hash(*found.as_bytes()),
                });
            }
            return Err(broken(address, error));
        }
    }
    Ok(connection)
}

/// An error on an open connection.
pub(crate) fn broken(address: &str, error: io::Error) -> ClientFault {
    let address = address.to_owned();
    match error.downcast::<rustls::Error>() {
        Ok(source) => ClientFault::Tls { address, source },
        Err(source) => ClientFault::Broken { address, source },
    }
}

fn open(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                socket.set_read_timeout(Some(TIMEOUT))?;
                socket.set_write_timeout(Some(TIMEOUT))?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// SHA-256 of the peer's SubjectPublicKeyInfo.
pub(crate) fn peer_key(connection: &Connection) -> Option<Hash> {
    let certificate = connection.conn.peer_certificates()?.first()?;
    let hash = SpkiSha256::of_certificate(certificate).ok()?;
    Some(Hash(*hash.as_bytes()))
}
