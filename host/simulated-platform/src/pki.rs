//! Certificates and revocation lists, shaped like Intel's (PCK Certificate and CRL Profile
//! Specification).

use std::time::Duration;

use p256::{ecdsa::DerSignature, pkcs8::EncodePublicKey};
use x509_cert::{
    Certificate, SubjectPublicKeyInfo, TbsCertificate,
    attr::AttributeTypeAndValue,
    builder::{self, Builder, CertificateBuilder, CrlBuilder, profile::BuilderProfile},
    crl::RevokedCert,
    der::{
        self, Any, DateTime, Encode, EncodePem, Tag,
        asn1::{GeneralizedTime, ObjectIdentifier, OctetString, Uint, UtcTime},
        pem::LineEnding,
    },
    ext::{
        Extension, ToExtension,
        pkix::{
            AuthorityKeyIdentifier, BasicConstraints, CrlNumber, KeyUsage, KeyUsages,
            SubjectKeyIdentifier,
        },
    },
    name::Name,
    serial_number::SerialNumber,
    spki::SubjectPublicKeyInfoRef,
    time::{Time, Validity},
};

use crate::{
    fault::PlatformFault,
    keys::{Key, Keys},
    options::Options,
};

/// Family and model of the simulated package; spells `SIM` so that nobody takes it for a real one.
pub const FMSPC: [u8; 6] = *b"SIM\0\0\0";
/// Security versions of the simulated CPU, CPUSVN.
pub(crate) const CPU_SVN: [u8; 16] = [7, 9, 3, 3, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Security version of the simulated provisioning certification enclave.
pub(crate) const PCE_SVN: u16 = 13;

const SGX_EXTENSION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1");
/// 20 years: a platform's certificates outlive every use of it.
const CERTIFICATE_LIFETIME: u64 = 20 * 365 * 24 * 60 * 60;
/// Hosts' clocks differ; certificates issued now must be valid on all of them.
const CLOCK_SKEW: u64 = 24 * 60 * 60;
/// The last second that UTCTime can express, the end of 2049 (RFC 5280, section 4.1.2.5).
const LAST_UTC_TIME: u64 = 2_524_607_999;

/// The certificates of a platform, as PEM.
pub(crate) struct Certificates {
    pub(crate) root: String,
    pub(crate) pck_ca: String,
    pub(crate) pck: String,
    pub(crate) tcb_signing: String,
}

/// Issues all certificates of a new platform.
pub(crate) fn issue_certificates(
    keys: &Keys,
    ppid: &[u8; 16],
    issued: u64,
) -> Result<Certificates, PlatformFault> {
    let root_name = name("SGX Root CA")?;
    let pck_ca_name = name("SGX PCK Processor CA")?;
    let issue = |object, key, signer, profile| {
        certificate(key, signer, profile, issued)
            .and_then(|certificate| Ok(certificate.to_pem(LineEnding::LF)?))
            .map_err(PlatformFault::issue(object))
    };
    let sgx_extension = sgx_extension(ppid).map_err(PlatformFault::issue("PCK certificate"))?;
    Ok(Certificates {
        root: issue(
            "root certificate",
            &keys.root,
            &keys.root,
            Profile {
                subject: root_name.clone(),
                issuer: root_name.clone(),
                kind: Kind::Ca { path_len: 1 },
            },
        )?,
        pck_ca: issue(
            "PCK CA certificate",
            &keys.pck_ca,
            &keys.root,
            Profile {
                subject: pck_ca_name.clone(),
                issuer: root_name.clone(),
                kind: Kind::Ca { path_len: 0 },
            },
        )?,
        pck: issue(
            "PCK certificate",
            &keys.pck,
            &keys.pck_ca,
            Profile {
                subject: name("SGX PCK Certificate")?,
                issuer: pck_ca_name,
                kind: Kind::Pck { sgx_extension },
            },
        )?,
        tcb_signing: issue(
            "TCB signing certificate",
            &keys.tcb_signing,
            &keys.root,
            Profile {
                subject: name("SGX TCB Signing")?,
                issuer: root_name,
                kind: Kind::Signer,
            },
        )?,
    })
}

/// Issues a revocation list, DER.
pub(crate) fn issue_crl(
    issuer: &Certificate,
    key: &Key,
    number: u64,
    options: &Options,
    revoked: Option<&Certificate>,
) -> Result<Vec<u8>, PlatformFault> {
    let build = || -> Result<Vec<u8>, builder::Error> {
        let this_update = time(options.issued)?;
        let number = CrlNumber(Uint::new(&number.to_be_bytes())?);
        let mut crl: CrlBuilder = CrlBuilder::new_with_this_update(issuer, number, this_update)?
            .with_next_update(Some(time(options.next_update)?));
        if let Some(certificate) = revoked {
            let entry = RevokedCert {
                serial_number: certificate.tbs_certificate().serial_number().clone(),
                revocation_date: this_update,
                crl_entry_extensions: None,
            };
            crl = crl.with_certificates(core::iter::once(entry));
        }
        Ok(crl.build::<_, DerSignature>(key.signer())?.to_der()?)
    };
    build().map_err(PlatformFault::issue("certificate revocation list"))
}

/// A date as in TCB info and QE identity, `2026-01-31T23:59:59Z`.
pub(crate) fn iso_date(unix: u64) -> Result<String, PlatformFault> {
    DateTime::from_unix_duration(Duration::from_secs(unix))
        .map(|date| date.to_string())
        .map_err(|_| PlatformFault::Options {
            problem: "a date lies beyond the year 9999",
        })
}

enum Kind {
    Ca { path_len: u8 },
    Signer,
    Pck { sgx_extension: Vec<u8> },
}

struct Profile {
    subject: Name,
    issuer: Name,
    kind: Kind,
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        issuer_key: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let (constraints, usage) = match self.kind {
            Kind::Ca { path_len } => (
                BasicConstraints {
                    ca: true,
                    path_len_constraint: Some(path_len),
                },
                KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign),
            ),
            Kind::Signer | Kind::Pck { .. } => (
                BasicConstraints {
                    ca: false,
                    path_len_constraint: None,
                },
                KeyUsage(KeyUsages::DigitalSignature | KeyUsages::NonRepudiation),
            ),
        };
        let subject = tbs.subject();
        let mut extensions = vec![
            AuthorityKeyIdentifier::try_from(issuer_key)?.to_extension(subject, &[])?,
            SubjectKeyIdentifier::try_from(key)?.to_extension(subject, &[])?,
            usage.to_extension(subject, &[])?,
            constraints.to_extension(subject, &[])?,
        ];
        if let Kind::Pck { sgx_extension } = &self.kind {
            extensions.push(Extension {
                extn_id: SGX_EXTENSION,
                critical: false,
                extn_value: OctetString::new(sgx_extension.as_slice())?,
            });
        }
        Ok(extensions)
    }
}

fn certificate(
    key: &Key,
    signer: &Key,
    profile: Profile,
    issued: u64,
) -> Result<Certificate, builder::Error> {
    let public = key
        .signer()
        .verifying_key()
        .to_public_key_der()
        .map_err(builder::Error::from)?;
    let validity = Validity::new(
        time(issued.saturating_sub(CLOCK_SKEW))?,
        time(issued.saturating_add(CERTIFICATE_LIFETIME))?,
    );
    // Unique per issuer, as each platform issues one certificate per key: the key's own first
    // bytes, made positive.
    let mut serial = [0; 16];
    serial.copy_from_slice(&key.public()[..16]);
    serial[0] = serial[0] & 0x7f | 0x40;
    CertificateBuilder::new(
        profile,
        SerialNumber::new(&serial)?,
        validity,
        SubjectPublicKeyInfo::try_from(public.as_bytes())?,
    )?
    .build::<_, DerSignature>(signer.signer())
}

fn name(common_name: &str) -> Result<Name, PlatformFault> {
    format!("CN=SIMULATED {common_name},O=SIMULATED - NOT INTEL,C=US")
        .parse()
        .map_err(PlatformFault::issue("certificate name"))
}

fn time(unix: u64) -> Result<Time, der::Error> {
    let duration = Duration::from_secs(unix);
    if unix <= LAST_UTC_TIME {
        Ok(Time::UtcTime(UtcTime::from_unix_duration(duration)?))
    } else {
        Ok(Time::GeneralTime(GeneralizedTime::from_unix_duration(
            duration,
        )?))
    }
}

/// The SGX extension of a PCK certificate: PPID, TCB, PCEID, FMSPC, SGX type.
fn sgx_extension(ppid: &[u8; 16]) -> Result<Vec<u8>, der::Error> {
    let octets = |bytes: &[u8]| Any::encode_from(&OctetString::new(bytes)?);
    let entry = |parent: ObjectIdentifier, arc: u32, value: Any| -> Result<_, der::Error> {
        let oid = parent
            .push_arc(arc)
            .map_err(|_| der::ErrorKind::OidMalformed)?;
        Ok(AttributeTypeAndValue { oid, value })
    };
    let tcb_oid = SGX_EXTENSION
        .push_arc(2)
        .map_err(|_| der::ErrorKind::OidMalformed)?;
    let mut tcb = Vec::with_capacity(18);
    for (arc, svn) in (1..).zip(CPU_SVN) {
        tcb.push(entry(tcb_oid, arc, Any::encode_from(&svn)?)?);
    }
    tcb.push(entry(tcb_oid, 17, Any::encode_from(&PCE_SVN)?)?);
    tcb.push(entry(tcb_oid, 18, octets(&CPU_SVN)?)?);
    let standard_sgx = Any::new(Tag::Enumerated, vec![0])?;
    vec![
        entry(SGX_EXTENSION, 1, octets(ppid)?)?,
        entry(SGX_EXTENSION, 2, Any::encode_from(&tcb)?)?,
        entry(SGX_EXTENSION, 3, octets(&[0, 0])?)?,
        entry(SGX_EXTENSION, 4, octets(&FMSPC)?)?,
        entry(SGX_EXTENSION, 5, standard_sgx)?,
    ]
    .to_der()
}
