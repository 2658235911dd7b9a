//! How the value of a secret is written into text or a file.

use crate::ast::SecretKind;
use crate::problem::Problem;
use crate::values::SecretName;

/// A format of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The text of an `ascii` secret.
    Text,
    /// The bytes of a `binary` secret.
    Bin,
    /// Lower-case hexadecimal.
    Hex,
    /// RFC 4648, section 4, padded.
    Base64,
    /// RFC 4648, section 5, padded.
    Base64Url,
    /// RFC 4648, section 6, padded.
    Base32,
    /// RFC 4648, section 6, without padding.
    Base32NoPad,
    /// The private key as PKCS #8 (RFC 5958) in PEM.
    PrivateKeyPem,
    /// The private key as PKCS #8 in DER.
    PrivateKeyDer,
    /// The certificate in PEM.
    CertificatePem,
    /// The certificate in DER.
    CertificateDer,
    /// The certificate and its issuers up to and including the root, in PEM.
    ChainPem,
}

impl Format {
    /// Finds the format that `text` names for a secret of this kind; `None` is the default one.
    ///
    /// # Errors
    /// [`Problem::NoSuchFormat`], or [`Problem::UnsupportedFormat`] for those of the language
    /// that this version does not render.
    pub fn resolve(
        name: &SecretName,
        kind: &SecretKind,
        text: Option<&str>,
    ) -> Result<Self, Problem> {
        let (found, allowed) = match kind {
            SecretKind::Ascii { .. } => (text.is_none().then_some(Self::Text), "none"),
            SecretKind::Binary { .. } => (
                match text {
                    None | Some("bin") => Some(Self::Bin),
                    Some("hex" | ".hex") => Some(Self::Hex),
                    Some("base64") => Some(Self::Base64),
                    Some("base64url") => Some(Self::Base64Url),
                    Some("base32") => Some(Self::Base32),
                    Some("base32nopad") => Some(Self::Base32NoPad),
                    _ => None,
                },
                ":bin, :hex, :base64, :base64url, :base32, :base32nopad",
            ),
            SecretKind::PrivateKey { .. } => (
                match text {
                    None | Some("pem" | "pkcs8:pem" | ".key") => Some(Self::PrivateKeyPem),
                    Some("der" | "pkcs8:der") => Some(Self::PrivateKeyDer),
                    _ => None,
                },
                ":pem, :pkcs8:pem, :der, :pkcs8:der",
            ),
            SecretKind::X509(_) | SecretKind::X509Ca(_) => (
                match text {
                    None | Some("crt" | "crt:pem" | ".crt") => Some(Self::CertificatePem),
                    Some("crt:der") => Some(Self::CertificateDer),
                    Some("chain" | ".chain") => Some(Self::ChainPem),
                    Some("privatekey" | "privatekey:pem" | "privatekey:pkcs8:pem" | ".key") => {
                        Some(Self::PrivateKeyPem)
                    }
                    Some("privatekey:der" | "privatekey:pkcs8:der") => Some(Self::PrivateKeyDer),
                    Some("pkcs12-with-private-key") => {
                        return Err(Problem::UnsupportedFormat {
                            name: name.to_string(),
                            format: ":pkcs12-with-private-key".to_owned(),
                        });
                    }
                    _ => None,
                },
                ":crt, :crt:pem, :crt:der, :chain, :privatekey, :privatekey:pem, :privatekey:pkcs8:pem, :privatekey:der, :privatekey:pkcs8:der",
            ),
        };
        found.ok_or_else(|| Problem::NoSuchFormat {
            name: name.to_string(),
            kind: kind.name(),
            format: text.unwrap_or_default().to_owned(),
            allowed,
        })
    }

    /// Whether the result is always text.
    #[must_use]
    pub const fn is_text(self) -> bool {
        !matches!(self, Self::Bin | Self::PrivateKeyDer | Self::CertificateDer)
    }

    /// Whether the result contains a private key.
    #[must_use]
    pub const fn is_private_key(self) -> bool {
        matches!(self, Self::PrivateKeyPem | Self::PrivateKeyDer)
    }
}
