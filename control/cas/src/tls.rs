//! TLS 1.3 for both protocols: no resumption, no early data, any client key.

use crate::identity::{Identity, key_hash};
use bannock_cas_api::Hash;
use bannock_crypto::tls::peer::AnyClientKey;
use bannock_wire::binding::EXPORTER_LABEL;
use rustls::{
    Error, ServerConfig, ServerConnection, crypto::ring, pki_types::PrivateKeyDer,
    server::NoServerSessionStorage,
};
use std::sync::Arc;

/// The server's configuration.
///
/// # Errors
/// When the identity's key and certificate do not fit together.
pub(crate) fn config(identity: &Identity) -> Result<ServerConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    // First contact has no key yet, and status and checks need none.
    let verifier = Arc::new(AnyClientKey::any_with(
        provider.signature_verification_algorithms,
    ));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![identity.certificate()],
            PrivateKeyDer::Pkcs8(identity.private_key()),
        )?;
    // Evidence is bound to a full handshake: a resumed connection would have skipped the keys.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.alpn_protocols = vec![
        bannock_wire::cas::ALPN.to_vec(),
        bannock_cas_api::ALPN.to_vec(),
    ];
    Ok(config)
}

/// The key of the other end of `connection`, proved by its CertificateVerify.
pub(crate) fn peer_key(connection: &ServerConnection) -> Option<Hash> {
    key_hash(connection.peer_certificates()?.first()?)
}

/// The exporter that binds evidence to `connection`.
///
/// # Errors
/// Before the handshake is complete.
pub(crate) fn exporter(connection: &ServerConnection) -> Result<[u8; 32], Error> {
    connection.export_keying_material([0; 32], EXPORTER_LABEL, None)
}
