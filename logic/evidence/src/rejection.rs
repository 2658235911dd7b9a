//! Why evidence was rejected.

use core::fmt;

use crate::sgx::QuoteFault;

/// What a library said about a failure; kept as the source of a [`Rejection`].
pub type Cause = Box<dyn core::error::Error + Send + Sync + 'static>;

/// A certificate's place in the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateRole {
    /// The root CA.
    Root,
    /// The CA that issued the PCK certificate.
    PckCa,
    /// The certificate of the platform's provisioning certification key.
    Pck,
    /// The signer of the TCB info.
    TcbInfoSigner,
    /// The signer of the QE identity.
    QeIdentitySigner,
    /// One of the above; the library did not say which.
    Unidentified,
}

impl fmt::Display for CertificateRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root CA certificate",
            Self::PckCa => "PCK CA certificate",
            Self::Pck => "PCK certificate",
            Self::TcbInfoSigner => "TCB info signing certificate",
            Self::QeIdentitySigner => "QE identity signing certificate",
            Self::Unidentified => "certificate",
        })
    }
}

/// A certificate revocation list in the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CrlRole {
    /// Issued by the root CA.
    Root,
    /// Issued by the PCK CA.
    Pck,
    /// One of the two; the library did not say which.
    Unidentified,
}

impl fmt::Display for CrlRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root CA CRL",
            Self::Pck => "PCK CRL",
            Self::Unidentified => "CRL",
        })
    }
}

/// A part of the evidence that is valid for a limited time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dated {
    /// A certificate: notBefore and notAfter.
    Certificate(CertificateRole),
    /// A revocation list: thisUpdate and nextUpdate.
    Crl(CrlRole),
    /// The TCB info: issueDate and nextUpdate.
    TcbInfo,
    /// The QE identity: issueDate and nextUpdate.
    QeIdentity,
}

impl fmt::Display for Dated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(role) => role.fmt(f),
            Self::Crl(role) => role.fmt(f),
            Self::TcbInfo => f.write_str("TCB info"),
            Self::QeIdentity => f.write_str("QE identity"),
        }
    }
}

/// A part of the evidence that carries a signature of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignedObject {
    /// Signed by the TCB info signing certificate.
    TcbInfo,
    /// Signed by the QE identity signing certificate.
    QeIdentity,
    /// The quoting enclave's report, signed by the PCK.
    QeReport,
    /// Header and report of the attesting enclave, signed by the attestation key.
    Quote,
}

impl fmt::Display for SignedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TcbInfo => "TCB info",
            Self::QeIdentity => "QE identity",
            Self::QeReport => "quoting enclave's report",
            Self::Quote => "quote",
        })
    }
}

/// The first step of verification that failed, and on what.
///
/// Times are Unix seconds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The quote is not one that can be verified.
    #[error("the quote cannot be parsed")]
    MalformedQuote(#[source] QuoteFault),
    /// The quote's chain ends in a root that is neither a vendor's nor named.
    #[error(
        "the quote's root certificate (sha-256 {}) is not trusted: it is not Intel's and no \
         attestation variant names it{}",
        hex::encode(sha256),
        if *simulated { "; it is a simulated platform's root" } else { "" }
    )]
    UnknownRoot {
        /// SHA-256 of the root certificate's DER.
        sha256: [u8; 32],
        /// Whether its subject says that it is simulated.
        simulated: bool,
    },
    /// The quote's root was named as a simulated one, but does not call itself simulated.
    #[error(
        "the quote's root certificate (sha-256 {}) was named as a simulated root, but neither \
         organization nor common name of its subject contains `SIMULATED`",
        hex::encode(sha256)
    )]
    UnmarkedSimulatedRoot {
        /// SHA-256 of the root certificate's DER.
        sha256: [u8; 32],
    },
    /// Something is not valid any more.
    #[error("the {what} expired at {not_after}, and it is {now} now (Unix seconds)")]
    Expired {
        /// What expired.
        what: Dated,
        /// The last second at which it was valid.
        not_after: u64,
        /// The time of verification.
        now: u64,
    },
    /// Something is not valid yet.
    #[error("the {what} is valid from {not_before} on, and it is {now} now (Unix seconds)")]
    NotYetValid {
        /// What is not valid yet.
        what: Dated,
        /// The first second at which it is valid.
        not_before: u64,
        /// The time of verification.
        now: u64,
    },
    /// A certificate was revoked by its issuer.
    #[error(
        "the {certificate} with serial number {} is revoked",
        hex::encode(serial)
    )]
    RevokedCertificate {
        /// Which certificate.
        certificate: CertificateRole,
        /// Its serial number, big-endian; empty if the library did not say which one.
        serial: Vec<u8>,
    },
    /// A revocation list cannot be read, or was not signed by the CA that it should come from.
    #[error("the {crl} of the collateral is not a valid list of its issuer")]
    Crl {
        /// Which list.
        crl: CrlRole,
        /// What the library said.
        #[source]
        source: Cause,
    },
    /// A certificate chain does not lead to the admitted root.
    #[error("a certificate chain does not verify up to the quote's root certificate")]
    CertificateChain(#[source] Cause),
    /// The TCB info cannot be read or is not meant for this kind of quote.
    #[error("the TCB info of the collateral cannot be used")]
    TcbInfo(#[source] Cause),
    /// The QE identity cannot be read or is not meant for this kind of quote.
    #[error("the QE identity of the collateral cannot be used")]
    QeIdentity(#[source] Cause),
    /// The PCK certificate says nothing usable about the platform.
    #[error("the PCK certificate's SGX extension cannot be used")]
    PckExtension(#[source] Cause),
    /// A signature is wrong: the object was changed, or another key signed it.
    #[error("the signature of the {0} is invalid")]
    Signature(SignedObject),
    /// The quoting enclave vouches for another attestation key than the one that signed.
    #[error("the quoting enclave's report does not vouch for the quote's attestation key")]
    AttestationKey,
    /// The quoting enclave is not the one that the QE identity describes.
    #[error("the quoting enclave is not the one that the QE identity describes")]
    QuotingEnclave(#[source] Cause),
    /// The collateral is for another model of platform.
    #[error(
        "the TCB info is for platforms with FMSPC {collateral}, the quote comes from one with {}",
        hex::encode_upper(quote)
    )]
    FmspcMismatch {
        /// FMSPC in the PCK certificate.
        quote: [u8; 6],
        /// FMSPC in the TCB info.
        collateral: String,
    },
    /// The platform is older than every level of the TCB info.
    #[error("the platform's security versions are below every TCB level of the TCB info")]
    NoMatchingTcbLevel,
    /// The platform's TCB level is revoked: its keys may be known to others.
    #[error("the platform's TCB level is revoked")]
    RevokedTcb,
    /// The status is not one that this TEE can have.
    #[error("TCB status `{0}` does not exist for this kind of quote")]
    UnexpectedTcbStatus(String),
    /// Verification failed in a way that has no name here.
    #[error("the quote does not verify")]
    Unclassified(#[source] Cause),
}
