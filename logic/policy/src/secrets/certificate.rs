//! X.509 certificates (RFC 5280) over P-256 keys.

use core::time::Duration;

use bannock_crypto::random::Random;
use p256::ecdsa::{DerSignature, SigningKey};
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::{Any, GeneralizedTime, Ia5String};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::pem::{LineEnding, encode_string};
use x509_cert::der::{Decode, DecodePem, Encode, Tag};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
    SubjectAltName as SubjectAltNames, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use x509_cert::time::{Time, Validity};

use super::generate::GenerateError;
use super::key;
use crate::ast::{CertificateRules, Endpoint};
use crate::problem::Problem;
use crate::values::{Digest, SecretBytes, SecretName, SubjectAltName};

/// X.520 commonName.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// RFC 5280, section 4.2.1.12.
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// Clocks of peers may be behind: a certificate is valid from this many seconds before its making.
const BACKDATE: u64 = 60;

/// SHA-256 of the SubjectPublicKeyInfo of a certificate in PEM.
pub(crate) fn key_hash_of_pem(pem: &str) -> Result<Digest, Problem> {
    let certificate = Certificate::from_pem(pem.trim()).map_err(|_| Problem::NotCertificate)?;
    let spki = certificate.tbs_certificate().subject_public_key_info();
    let der = spki.to_der().map_err(|_| Problem::NotCertificate)?;
    Ok(Digest(Sha256::digest(&der).into()))
}

pub(super) fn is_certificate(der: &[u8]) -> bool {
    Certificate::from_der(der).is_ok()
}

pub(super) fn to_pem(der: &[u8]) -> Option<String> {
    encode_string("CERTIFICATE", LineEnding::LF, der).ok()
}

/// Who signs a certificate.
pub(super) struct Issuer<'a> {
    pub(super) key: &'a SecretBytes,
    /// In DER.
    pub(super) certificate: &'a [u8],
}

/// What to issue.
pub(super) struct Request<'a> {
    pub(super) name: &'a SecretName,
    pub(super) rules: &'a CertificateRules,
    pub(super) is_ca: bool,
    pub(super) key: &'a SecretBytes,
    /// Absent: self-signed.
    pub(super) issuer: Option<Issuer<'a>>,
    /// Unix time in seconds.
    pub(super) now: u64,
}

/// Issues a certificate; in DER.
pub(super) fn issue(request: &Request<'_>, random: &dyn Random) -> Result<Vec<u8>, GenerateError> {
    let failed = || GenerateError::Certificate {
        name: request.name.to_string(),
    };
    // RFC 5280, section 4.1.2.2: positive, at most 20 bytes. The first bit keeps it positive, the
    // second from being short.
    let mut serial = [0; 16];
    random.fill(&mut serial)?;
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    build(request, &serial).ok_or_else(failed)
}

fn build(request: &Request<'_>, serial: &[u8]) -> Option<Vec<u8>> {
    let subject = name(request.rules.common_name.as_str())?;
    let mut not_after = request.now.checked_add(request.rules.valid_for)?;
    let (issuer, signer) = match &request.issuer {
        None => (subject.clone(), request.key),
        Some(issuer) => {
            let certificate = Certificate::from_der(issuer.certificate).ok()?;
            let tbs = certificate.tbs_certificate();
            not_after = not_after.min(tbs.validity().not_after.to_unix_duration().as_secs());
            (tbs.subject().clone(), issuer.key)
        }
    };
    let validity = Validity::new(
        time(request.now.saturating_sub(BACKDATE))?,
        time(not_after)?,
    );
    let public = key::parse(request.key)?.public_key();
    let profile = Profile {
        issuer,
        subject,
        is_ca: request.is_ca,
        endpoint: request.rules.endpoint,
        san: request
            .rules
            .san
            .iter()
            .map(general_name)
            .collect::<Option<_>>()?,
    };
    let serial = SerialNumber::new(serial).ok()?;
    let spki = SubjectPublicKeyInfo::from_key(&public).ok()?;
    let builder = CertificateBuilder::new(profile, serial, validity, spki).ok()?;
    let signer = SigningKey::from(&key::parse(signer)?);
    builder
        .build::<_, DerSignature>(&signer)
        .ok()?
        .to_der()
        .ok()
}

fn time(unix: u64) -> Option<Time> {
    let time = GeneralizedTime::from_unix_duration(Duration::from_secs(unix)).ok()?;
    Some(Time::GeneralTime(time))
}

fn name(common_name: &str) -> Option<Name> {
    let value = Any::new(Tag::Utf8String, common_name.as_bytes()).ok()?;
    let attribute = AttributeTypeAndValue {
        oid: COMMON_NAME,
        value,
    };
    let mut names = RdnSequence::default();
    names.push(RelativeDistinguishedName::try_from(vec![attribute]).ok()?);
    Name::from_der(&names.to_der().ok()?).ok()
}

fn general_name(name: &SubjectAltName) -> Option<GeneralName> {
    match name {
        SubjectAltName::Dns(name) => Ia5String::new(name).ok().map(GeneralName::DnsName),
        SubjectAltName::Ip(address) => Some(GeneralName::from(*address)),
    }
}

struct Profile {
    issuer: Name,
    subject: Name,
    is_ca: bool,
    endpoint: Endpoint,
    san: Vec<GeneralName>,
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, _: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        spki: SubjectPublicKeyInfoRef<'_>,
        issuer_spki: SubjectPublicKeyInfoRef<'_>,
        _: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let mut extensions = Vec::new();
        let subject = &self.subject;
        let constraints = BasicConstraints {
            ca: self.is_ca,
            path_len_constraint: None,
        };
        extensions.push((true, &constraints).to_extension(subject, &extensions)?);
        let usage = match self.is_ca {
            true => KeyUsages::KeyCertSign | KeyUsages::CRLSign,
            false => KeyUsages::DigitalSignature.into(),
        };
        extensions.push((true, &KeyUsage(usage)).to_extension(subject, &extensions)?);
        if !self.is_ca {
            let purposes = match self.endpoint {
                Endpoint::Both => vec![SERVER_AUTH, CLIENT_AUTH],
                Endpoint::Server => vec![SERVER_AUTH],
                Endpoint::Client => vec![CLIENT_AUTH],
            };
            extensions
                .push((false, &ExtendedKeyUsage(purposes)).to_extension(subject, &extensions)?);
        }
        if !self.san.is_empty() {
            let names = SubjectAltNames(self.san.clone());
            extensions.push((false, &names).to_extension(subject, &extensions)?);
        }
        let key_id = SubjectKeyIdentifier::try_from(spki)?;
        extensions.push((false, &key_id).to_extension(subject, &extensions)?);
        let authority = AuthorityKeyIdentifier::try_from(issuer_spki)?;
        extensions.push((false, &authority).to_extension(subject, &extensions)?);
        Ok(extensions)
    }
}
