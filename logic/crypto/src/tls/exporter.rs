//! Keying-material exporters (RFC 8446 §7.5): values that both ends of one connection, and nobody else, can compute.
//!
//! The unbuffered connections of rustls offer no exporter. They do report their secrets to a key log, so each connection
//! gets a log of its own that keeps the exporter's secret and never sees another.

use alloc::boxed::Box;
use core::fmt;

use hmac::EagerHash;
use once_cell::race::OnceBox;
use rustls::KeyLog;

use crate::digest::{SHA256_LEN, SHA384_LEN, sha256, sha384};
use crate::secret::{Secret, SecretBytes};

/// The longest label (RFC 8446 §7.1: 255 bytes less the prefix `tls13 `).
pub const MAX_LABEL_LEN: usize = 249;

/// What the key log calls the secret that exporters derive from.
const EXPORTER_SECRET: &str = "EXPORTER_SECRET";

/// Why there is no exported value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ExporterFault {
    /// Exporters exist once the server's Finished was verified.
    #[error("the TLS handshake is not complete, so nothing can be exported from the connection")]
    HandshakeIncomplete,
    /// The label does not fit its length field.
    #[error("the exporter label has {len} bytes, more than the {MAX_LABEL_LEN} that TLS allows")]
    LabelTooLong {
        /// The length of the label in bytes.
        len: usize,
    },
    /// The secret belongs to no hash that our suites use.
    #[error("the connection's exporter secret has {len} bytes, which no supported suite gives it")]
    UnknownHash {
        /// The length of the secret in bytes.
        len: usize,
    },
}

/// Keeps the exporter secret of one connection; give every connection its own.
#[derive(Default)]
pub struct ExporterLog(OnceBox<SecretBytes>);

impl ExporterLog {
    /// A log for one connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Derives 32 bytes for `label` and `context`; in TLS 1.3 an absent context and an empty one are the same.
    pub fn export(&self, label: &[u8], context: &[u8]) -> Result<[u8; 32], ExporterFault> {
        let secret = self.0.get().ok_or(ExporterFault::HandshakeIncomplete)?;
        if label.len() > MAX_LABEL_LEN {
            return Err(ExporterFault::LabelTooLong { len: label.len() });
        }
        let unknown = ExporterFault::UnknownHash { len: secret.len() };
        match secret.len() {
            SHA256_LEN => export::<sha2::Sha256, SHA256_LEN>(secret, label, context, sha256),
            SHA384_LEN => export::<sha2::Sha384, SHA384_LEN>(secret, label, context, sha384),
            _ => None,
        }
        .ok_or(unknown)
    }
}

impl KeyLog for ExporterLog {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if label == EXPORTER_SECRET {
            // A second secret would be another connection's; the first one stays, and the other is wiped.
            let _ = self.0.set(Box::new(SecretBytes::from(secret)));
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label == EXPORTER_SECRET
    }
}

impl fmt::Debug for ExporterLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExporterLog(redacted)")
    }
}

/// RFC 8446 §7.5 for one hash: Derive-Secret over the label, then HKDF-Expand-Label over the context.
fn export<D: EagerHash, const N: usize>(
    secret: &SecretBytes,
    label: &[u8],
    context: &[u8],
    hash: fn(&[u8]) -> [u8; N],
) -> Option<[u8; 32]> {
    let derived = Secret::<N>::fill_with(|out| {
        expand_label::<D>(secret.expose(), label, &hash(b""), out).ok_or(())
    })
    .ok()?;
    let mut exported = [0; 32];
    expand_label::<D>(derived.expose(), b"exporter", &hash(context), &mut exported)?;
    Some(exported)
}

/// HKDF-Expand-Label (RFC 8446 §7.1).
fn expand_label<D: EagerHash>(
    secret: &[u8],
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> Option<()> {
    const PREFIX: &[u8] = b"tls13 ";
    let length = u16::try_from(out.len()).ok()?.to_be_bytes();
    let label_len = [u8::try_from(PREFIX.len() + label.len()).ok()?];
    let context_len = [u8::try_from(context.len()).ok()?];
    let info = [
        &length[..],
        &label_len,
        PREFIX,
        label,
        &context_len,
        context,
    ];
    hkdf::Hkdf::<D>::from_prk(secret)
        .ok()?
        .expand_multi_info(&info, out)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(secret: &[u8]) -> ExporterLog {
        let log = ExporterLog::new();
        log.log(EXPORTER_SECRET, &[0; 32], secret);
        log
    }

    #[test]
    fn nothing_is_exported_before_the_handshake_is_complete() {
        let log = ExporterLog::new();
        log.log("SERVER_HANDSHAKE_TRAFFIC_SECRET", &[0; 32], &[1; 32]);
        assert_eq!(
            log.export(b"label", b""),
            Err(ExporterFault::HandshakeIncomplete)
        );
        assert!(!log.will_log("CLIENT_TRAFFIC_SECRET_0"));
    }

    #[test]
    fn the_first_secret_stays() {
        let log = log_of(&[1; 32]);
        let first = log.export(b"label", b"").unwrap();
        log.log(EXPORTER_SECRET, &[0; 32], &[2; 32]);
        assert_eq!(log.export(b"label", b""), Ok(first));
    }

    #[test]
    fn label_context_secret_and_hash_all_count() {
        let exported = log_of(&[1; 32]).export(b"label", b"context").unwrap();
        assert_ne!(
            log_of(&[2; 32]).export(b"label", b"context").unwrap(),
            exported
        );
        assert_ne!(
            log_of(&[1; 48]).export(b"label", b"context").unwrap(),
            exported
        );
        assert_ne!(
            log_of(&[1; 32]).export(b"labels", b"context").unwrap(),
            exported
        );
        assert_ne!(log_of(&[1; 32]).export(b"label", b"").unwrap(), exported);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(log_of(&[1; 32]).export(&[b'x'; MAX_LABEL_LEN], b"").is_ok());
        let refused = log_of(&[1; 32]).export(&[b'x'; MAX_LABEL_LEN + 1], b"");
        assert_eq!(refused, Err(ExporterFault::LabelTooLong { len: 250 }));
        let refused = log_of(&[1; 64]).export(b"label", b"");
        assert_eq!(refused, Err(ExporterFault::UnknownHash { len: 64 }));
    }
}
