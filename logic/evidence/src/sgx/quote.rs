//! Strict parser for DCAP quotes (Intel SGX ECDSA Quote Library Reference, appendix A.4).

use super::{
    pck_chain::{PckChain, PckChainFault},
    report::{REPORT_BODY_LEN, ReportBody, laid_out},
};
use crate::reader::{Reader, Truncated};

/// Longest quote accepted, in bytes. Real ones with a PCK chain have about 5 KiB.
pub const MAX_QUOTE_LEN: usize = 32 * 1024;

/// Offset of the report body in a quote, and thus the length of the header, in bytes.
pub const REPORT_OFFSET: usize = 48;

/// Vendor id of Intel's quoting enclave.
pub const INTEL_QE_VENDOR_ID: [u8; 16] = [
    0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07,
];

/// Certification data type of a PEM chain of PCK certificate, PCK CA and root CA.
pub const CERTIFICATION_DATA_PCK_CHAIN: u16 = 5;

const VERSION: u16 = 3;
const TEE_TYPE_SGX: u32 = 0;
const ATTESTATION_KEY_ECDSA_P256: u16 = 2;
/// The quoting enclave writes exactly this much; verifiers hash a buffer of fixed length.
const QE_AUTHENTICATION_DATA_LEN: usize = 32;

/// Why bytes are not an SGX quote that this crate can verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuoteFault {
    /// More bytes than any real quote has.
    #[error("the quote of {len} bytes is longer than the {MAX_QUOTE_LEN} accepted")]
    TooLong {
        /// Length of the input in bytes.
        len: usize,
    },
    /// The input ends inside a field.
    #[error("{field} needs {needed} bytes, but {available} are left")]
    Truncated {
        /// Name of the field.
        field: &'static str,
        /// Length of the field in bytes.
        needed: usize,
        /// Bytes left.
        available: usize,
    },
    /// Bytes are left over after the quote or after its signature section.
    #[error("{len} bytes follow the {section}")]
    TrailingBytes {
        /// The part that should have been the last.
        section: &'static str,
        /// How many bytes are left over.
        len: usize,
    },
    /// A format version other than 3.
    #[error("quote version {0} is not supported, only version {VERSION} is")]
    Version(u16),
    /// A TEE other than SGX.
    #[error("TEE type {0:#x} is not supported, only SGX (0) is")]
    TeeType(u32),
    /// An attestation key other than ECDSA P-256.
    #[error("attestation key type {0} is not supported, only ECDSA P-256 (2) is")]
    AttestationKeyType(u16),
    /// A quoting enclave that is not Intel's.
    #[error("quoting enclave vendor {} is not Intel", hex::encode(.0))]
    QeVendor([u8; 16]),
    /// Reserved bytes that are not zero.
    #[error("{field}: not zero")]
    ReservedBits {
        /// Which reserved bytes.
        field: &'static str,
    },
    /// Authentication data of an unusual length.
    #[error("QE authentication data has {0} bytes instead of {QE_AUTHENTICATION_DATA_LEN}")]
    QeAuthenticationData(u16),
    /// Certification data other than a PCK certificate chain.
    #[error(
        "certification data type {0} is not supported, only the PCK certificate chain \
         ({CERTIFICATION_DATA_PCK_CHAIN}) is"
    )]
    CertificationData(u16),
    /// The PCK certificate chain cannot be read.
    #[error("the PCK certificate chain cannot be read")]
    PckChain(#[source] PckChainFault),
}

impl From<Truncated> for QuoteFault {
    fn from(fault: Truncated) -> Self {
        let Truncated {
            field,
            needed,
            available,
        } = fault;
        Self::Truncated {
            field,
            needed,
            available,
        }
    }
}

/// The fields of a quote's header that vary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Format version; 3.
    pub version: u16,
    /// Security version of the quoting enclave.
    pub qe_svn: u16,
    /// Security version of the provisioning certification enclave.
    pub pce_svn: u16,
    /// Vendor-defined; Intel's quoting enclave puts its QE id into the first 16 bytes.
    pub user_data: [u8; 20],
}

/// A well-formed quote. Nothing in it is authentic before [`crate::verify`] has said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The header.
    pub header: Header,
    /// What the CPU says about the attesting enclave.
    pub report: ReportBody,
    /// Signature by the attestation key over header and report, raw `r ‖ s`.
    pub signature: [u8; 64],
    /// The attestation key, raw `x ‖ y`.
    pub attestation_key: [u8; 64],
    /// What the CPU says about the quoting enclave; its report data binds the attestation key.
    pub qe_report: ReportBody,
    /// Signature by the PCK over the quoting enclave's report, raw `r ‖ s`.
    pub qe_report_signature: [u8; 64],
    /// Bound by the quoting enclave's report together with the attestation key.
    pub qe_authentication_data: [u8; QE_AUTHENTICATION_DATA_LEN],
    /// The certificates of the PCK.
    pub pck_chain: PckChain,
}

impl Quote {
    /// Parses a quote. Every byte must belong to a field, and every length must fit exactly.
    ///
    /// # Errors
    /// [`QuoteFault`] says which field is wrong. The parser never panics.
    pub fn parse(bytes: &[u8]) -> Result<Self, QuoteFault> {
        if bytes.len() > MAX_QUOTE_LEN {
            return Err(QuoteFault::TooLong { len: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        let header = read_header(&mut reader)?;
        let report = ReportBody::read(&mut reader)?;

        let section_len = reader.u32("signature section length")?;
        // A length beyond the address space is beyond the input as well.
        let section_len = usize::try_from(section_len).unwrap_or(usize::MAX);
        let section = reader.take(section_len, "signature section")?;
        end_of(&reader, "quote")?;

        let mut reader = Reader::new(section);
        let signature = reader.array("signature")?;
        let attestation_key = reader.array("attestation key")?;
        let qe_report = ReportBody::read(&mut reader)?;
        let qe_report_signature = reader.array("QE report signature")?;
        let authentication_len = reader.u16("QE authentication data length")?;
        if usize::from(authentication_len) != QE_AUTHENTICATION_DATA_LEN {
            return Err(QuoteFault::QeAuthenticationData(authentication_len));
        }
        let qe_authentication_data = reader.array("QE authentication data")?;
        let certification_type = reader.u16("certification data type")?;
        if certification_type != CERTIFICATION_DATA_PCK_CHAIN {
            return Err(QuoteFault::CertificationData(certification_type));
        }
        let certification_len = reader.u32("certification data length")?;
        let certification_len = usize::try_from(certification_len).unwrap_or(usize::MAX);
        let certification_data = reader.take(certification_len, "certification data")?;
        end_of(&reader, "signature section")?;
        let pck_chain = PckChain::parse(certification_data).map_err(QuoteFault::PckChain)?;

        Ok(Self {
            header,
            report,
            signature,
            attestation_key,
            qe_report,
            qe_report_signature,
            qe_authentication_data,
            pck_chain,
        })
    }

    /// The quote's bytes; the inverse of [`Self::parse`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut section = Vec::with_capacity(8 * 1024);
        section.extend_from_slice(&self.signature);
        section.extend_from_slice(&self.attestation_key);
        section.extend_from_slice(&self.qe_report.to_bytes());
        section.extend_from_slice(&self.qe_report_signature);
        section.extend_from_slice(&(QE_AUTHENTICATION_DATA_LEN as u16).to_le_bytes());
        section.extend_from_slice(&self.qe_authentication_data);
        let chain = self.pck_chain.as_pem();
        section.extend_from_slice(&CERTIFICATION_DATA_PCK_CHAIN.to_le_bytes());
        section.extend_from_slice(&len_u32(chain).to_le_bytes());
        section.extend_from_slice(chain);

        let mut out = self.header_and_report().to_vec();
        out.extend_from_slice(&len_u32(&section).to_le_bytes());
        out.extend_from_slice(&section);
        out
    }

    /// The bytes that [`Self::signature`] covers.
    #[must_use]
    pub fn header_and_report(&self) -> [u8; REPORT_OFFSET + REPORT_BODY_LEN] {
        laid_out(&[
            (0, &self.header.version.to_le_bytes()),
            (2, &ATTESTATION_KEY_ECDSA_P256.to_le_bytes()),
            (4, &TEE_TYPE_SGX.to_le_bytes()),
            (8, &self.header.qe_svn.to_le_bytes()),
            (10, &self.header.pce_svn.to_le_bytes()),
            (12, &INTEL_QE_VENDOR_ID),
            (28, &self.header.user_data),
            (REPORT_OFFSET, &self.report.to_bytes()),
        ])
    }
}

/// The length of a part of a quote, all of which are far below 4 GiB.
fn len_u32(part: &[u8]) -> u32 {
    u32::try_from(part.len()).unwrap_or(u32::MAX)
}

fn read_header(reader: &mut Reader<'_>) -> Result<Header, QuoteFault> {
    let version = reader.u16("version")?;
    if version != VERSION {
        return Err(QuoteFault::Version(version));
    }
    let attestation_key_type = reader.u16("attestation key type")?;
    if attestation_key_type != ATTESTATION_KEY_ECDSA_P256 {
        return Err(QuoteFault::AttestationKeyType(attestation_key_type));
    }
    let tee_type = reader.u32("TEE type")?;
    if tee_type != TEE_TYPE_SGX {
        return Err(QuoteFault::TeeType(tee_type));
    }
    let qe_svn = reader.u16("QE SVN")?;
    let pce_svn = reader.u16("PCE SVN")?;
    let vendor = reader.array("QE vendor id")?;
    if vendor != INTEL_QE_VENDOR_ID {
        return Err(QuoteFault::QeVendor(vendor));
    }
    let user_data = reader.array("user data")?;
    Ok(Header {
        version,
        qe_svn,
        pce_svn,
        user_data,
    })
}

fn end_of(reader: &Reader<'_>, section: &'static str) -> Result<(), QuoteFault> {
    match reader.remaining() {
        0 => Ok(()),
        len => Err(QuoteFault::TrailingBytes { section, len }),
    }
}
