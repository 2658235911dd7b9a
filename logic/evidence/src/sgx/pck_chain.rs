//! The PCK certificate chain inside a quote, and the root certificate at its end.

use sha2::{Digest, Sha256};
use x509_cert::{
    Certificate,
    der::{
        Any, Decode,
        asn1::{PrintableStringRef, TeletexStringRef, Utf8StringRef},
        oid::{
            ObjectIdentifier,
            db::rfc4519::{COMMON_NAME, ORGANIZATION_NAME},
        },
        pem::{self, LineEnding},
    },
};

use crate::anchors::SIMULATED_MARKER;

const LABEL: &str = "CERTIFICATE";
const END: &str = "-----END CERTIFICATE-----\n";

/// Why the PCK certificate chain of a quote cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PckChainFault {
    /// Not ASCII text.
    #[error("the chain is not text")]
    NotText,
    /// Not PEM as Intel writes it: lines of 64 characters, ended by line feeds.
    #[error("certificate {index} is not a PEM certificate with lines of 64 characters")]
    Pem {
        /// Position in the chain, 0 for the leaf.
        index: usize,
    },
    /// Not exactly PCK certificate, PCK CA and root CA.
    #[error("the chain has {found} certificates instead of leaf, intermediate CA and root")]
    Count {
        /// Certificates found; counting stops at 4.
        found: usize,
    },
    /// A certificate does not name the next one as its issuer.
    #[error("certificate {index} names another issuer than the certificate after it")]
    Unlinked {
        /// Position in the chain, 0 for the leaf.
        index: usize,
    },
    /// The DER inside is not an X.509 certificate.
    #[error("certificate {index} is not an X.509 certificate")]
    Certificate {
        /// Position in the chain, 0 for the leaf.
        index: usize,
    },
}

/// PCK certificate, PCK CA and root CA as found in a quote: readable, but not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PckChain {
    pem: Vec<u8>,
    leaf: Certificate,
    intermediate: Certificate,
    root: RootCertificate,
}

impl PckChain {
    /// Parses the PEM chain. A single NUL at the end is accepted, as Intel's library writes one.
    ///
    /// PEM has many spellings of the same certificate; only Intel's is accepted, so that no byte
    /// of a verified quote can be changed without notice.
    ///
    /// # Errors
    /// [`PckChainFault`] says which certificate is wrong.
    pub fn parse(pem: &[u8]) -> Result<Self, PckChainFault> {
        let text = core::str::from_utf8(pem).map_err(|_| PckChainFault::NotText)?;
        let text = text.strip_suffix('\0').unwrap_or(text);
        let blocks: Vec<&str> = text.split_inclusive(END).take(4).collect();
        let [leaf, intermediate, root] = blocks[..] else {
            return Err(PckChainFault::Count {
                found: blocks.len(),
            });
        };
        let leaf = parse_certificate(&parse_pem(leaf, 0)?, 0)?;
        let intermediate = parse_certificate(&parse_pem(intermediate, 1)?, 1)?;
        let root = RootCertificate::parse(parse_pem(root, 2)?)?;
        check_links(&[&leaf, &intermediate, root.certificate()])?;
        Ok(Self {
            pem: pem.to_vec(),
            leaf,
            intermediate,
            root,
        })
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn as_pem(&self) -> &[u8] {
        &self.pem
    }

    /// The root certificate that the chain claims.
    #[must_use]
    pub fn root(&self) -> &RootCertificate {
        &self.root
    }

    pub(super) fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    pub(super) fn intermediate(&self) -> &Certificate {
        &self.intermediate
    }
}

/// A root certificate that evidence brought along. It counts for nothing until
/// [`crate::TrustAnchors`] admit it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootCertificate {
    der: Vec<u8>,
    certificate: Certificate,
}

impl RootCertificate {
    fn parse(der: Vec<u8>) -> Result<Self, PckChainFault> {
        let certificate = parse_certificate(&der, 2)?;
        Ok(Self { der, certificate })
    }

    /// The certificate's bytes.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of [`Self::der`], by which simulated roots are named.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    /// Whether organization or common name of the subject contain [`SIMULATED_MARKER`].
    #[must_use]
    pub fn says_simulated(&self) -> bool {
        self.certificate
            .tbs_certificate()
            .subject()
            .iter()
            .filter(|attribute| is_name(attribute.oid))
            .any(|attribute| {
                text_of(&attribute.value).is_some_and(|text| text.contains(SIMULATED_MARKER))
            })
    }

    pub(super) fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

fn is_name(oid: ObjectIdentifier) -> bool {
    oid == ORGANIZATION_NAME || oid == COMMON_NAME
}

fn text_of(value: &Any) -> Option<&str> {
    if let Ok(text) = value.decode_as::<Utf8StringRef<'_>>() {
        return Some(text.as_str());
    }
    if let Ok(text) = value.decode_as::<PrintableStringRef<'_>>() {
        return Some(text.as_str());
    }
    value
        .decode_as::<TeletexStringRef<'_>>()
        .ok()
        .map(|text| text.as_str())
}

fn parse_pem(block: &str, index: usize) -> Result<Vec<u8>, PckChainFault> {
    let fault = || PckChainFault::Pem { index };
    let (label, der) = pem::decode_vec(block.as_bytes()).map_err(|_| fault())?;
    if label != LABEL {
        return Err(fault());
    }
    let canonical = pem::encode_string(LABEL, LineEnding::LF, &der).map_err(|_| fault())?;
    // The last line feed of the chain may be missing.
    if canonical.trim_end_matches('\n') != block.strip_suffix('\n').unwrap_or(block) {
        return Err(fault());
    }
    Ok(der)
}

/// Whether each certificate names the next one as its issuer, and the last one itself.
///
/// The library that verifies signatures asserts this while it checks revocation, so it has to hold
/// before evidence gets there: a panic is no verdict.
pub(super) fn check_links(chain: &[&Certificate]) -> Result<(), PckChainFault> {
    for (index, certificate) in chain.iter().enumerate() {
        let issuer = chain.get(index + 1).unwrap_or(certificate);
        if certificate.tbs_certificate().issuer() != issuer.tbs_certificate().subject() {
            return Err(PckChainFault::Unlinked { index });
        }
    }
    Ok(())
}

fn parse_certificate(der: &[u8], index: usize) -> Result<Certificate, PckChainFault> {
    Certificate::from_der(der).map_err(|_| PckChainFault::Certificate { index })
}
