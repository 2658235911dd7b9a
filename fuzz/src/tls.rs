//! A TLS client without any randomness, so that a recorded server speaks to it as to the first.

use bannock_crypto::{
    random::EntropyFault,
    tls::{
        client::{ClientConfig, Connection, ConnectionFault, ServerTrust},
        provider::TlsProvider,
    },
};

/// Within the validity of the recorded server's certificate, in seconds since the Unix epoch.
pub const NOW: u64 = 1_750_000_000;

/// The same bytes each time.
pub fn constant(buffer: &mut [u8]) -> Result<(), EntropyFault> {
    buffer.fill(0x5a);
    Ok(())
}

/// The client, its first message ready to be sent.
///
/// # Errors
/// As for [`Connection::new`].
pub fn client() -> Result<Connection, ConnectionFault> {
    Connection::new(ClientConfig {
        provider: TlsProvider::new(&constant),
        trust: ServerTrust::JudgedByEvidence,
        identity: None,
        server_name: None,
        alpn: vec![b"fuzz".to_vec()],
        now: NOW,
    })
}
