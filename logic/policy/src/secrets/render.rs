//! Writing the value of a secret in a format.

use base64ct::{Base64, Base64Url, Encoding};
use zeroize::Zeroizing;

use super::{SecretValue, certificate, key};
use crate::format::Format;
use crate::values::SecretBytes;

/// A value that has no such format: values and session do not belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stored value of the secret has no format {0:?}; values and session do not belong together"
)]
pub struct RenderError(pub Format);

impl SecretValue {
    /// Writes the value in `format`.
    ///
    /// # Errors
    /// [`RenderError`] if values of this kind have no such format.
    pub fn render(&self, format: Format) -> Result<Zeroizing<Vec<u8>>, RenderError> {
        let rendered = match (self, format) {
            (Self::Ascii(bytes), Format::Text) | (Self::Binary(bytes), Format::Bin) => {
                Some(Zeroizing::new(bytes.as_slice().to_vec()))
            }
            (Self::Binary(bytes), format) => encoded(bytes, format),
            (Self::PrivateKey(key) | Self::Certificate { key, .. }, Format::PrivateKeyPem) => {
                key::to_pem(key)
            }
            (Self::PrivateKey(key) | Self::Certificate { key, .. }, Format::PrivateKeyDer) => {
                key::to_der(key)
            }
            (Self::Certificate { chain, .. }, Format::CertificateDer) => {
                chain.first().map(|der| Zeroizing::new(der.to_vec()))
            }
            (Self::Certificate { chain, .. }, Format::CertificatePem) => {
                let pem = chain.first().and_then(|der| certificate::to_pem(der));
                pem.map(|pem| Zeroizing::new(pem.into_bytes()))
            }
            (Self::Certificate { chain, .. }, Format::ChainPem) => {
                let pems = chain.iter().map(|der| certificate::to_pem(der));
                let pem: Option<String> = pems.collect();
                pem.map(|pem| Zeroizing::new(pem.into_bytes()))
            }
            _ => None,
        };
        rendered.ok_or(RenderError(format))
    }
}

fn encoded(bytes: &SecretBytes, format: Format) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = bytes.as_slice();
    let text = match format {
        Format::Hex => Zeroizing::new(hex::encode(bytes)),
        Format::Base64 => Zeroizing::new(Base64::encode_string(bytes)),
        Format::Base64Url => Zeroizing::new(Base64Url::encode_string(bytes)),
        Format::Base32 => base32(bytes, true),
        Format::Base32NoPad => base32(bytes, false),
        _ => return None,
    };
    Some(Zeroizing::new(text.as_bytes().to_vec()))
}

/// RFC 4648, section 6.
fn base32(bytes: &[u8], padded: bool) -> Zeroizing<String> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = Zeroizing::new(String::with_capacity(
        bytes.len().div_ceil(5).saturating_mul(8),
    ));
    for chunk in bytes.chunks(5) {
        let group = (0..5).fold(0_u64, |group, at| {
            group << 8 | chunk.get(at).copied().map_or(0, u64::from)
        });
        let digits = (chunk.len() * 8).div_ceil(5);
        for at in 0..8 {
            let digit = usize::try_from(group >> (35 - 5 * at) & 0x1f).unwrap_or_default();
            match ALPHABET.get(digit) {
                Some(digit) if at < digits => text.push(char::from(*digit)),
                _ if padded => text.push('='),
                _ => {}
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_matches_the_vectors_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY======"),
            ("fo", "MZXQ===="),
            ("foo", "MZXW6==="),
            ("foob", "MZXW6YQ="),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI======"),
        ] {
            assert_eq!(*base32(bytes.as_bytes(), true), text);
            assert_eq!(*base32(bytes.as_bytes(), false), text.trim_end_matches('='));
        }
    }

    #[test]
    fn binary_has_its_formats_and_no_others() {
        let value = SecretValue::Binary(SecretBytes::new(vec![0xfb, 0xff, 0x00]));
        let text = |format| {
            value
                .render(format)
                .map(|text| String::from_utf8(text.to_vec()).unwrap())
        };
        assert_eq!(text(Format::Hex).as_deref(), Ok("fbff00"));
        assert_eq!(text(Format::Base64).as_deref(), Ok("+/8A"));
        assert_eq!(text(Format::Base64Url).as_deref(), Ok("-_8A"));
        assert_eq!(
            value.render(Format::Bin).unwrap().as_slice(),
            [0xfb, 0xff, 0]
        );
        assert_eq!(text(Format::Text), Err(RenderError(Format::Text)));
        assert_eq!(
            text(Format::PrivateKeyPem),
            Err(RenderError(Format::PrivateKeyPem))
        );
    }
}
