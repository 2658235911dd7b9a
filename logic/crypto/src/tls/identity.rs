//! A P-256 key pair and the self-signed certificate that carries it, made without std.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr as _;
use core::time::Duration;

use der::Encode as _;
use der::asn1::{GeneralizedTime, ObjectIdentifier, OctetString, UtcTime};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use spki::{EncodePublicKey as _, SubjectPublicKeyInfoRef};
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder as _, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::ext::{Extension, ToExtension as _};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};

use super::provider::{P256SigningKey, p256_secret};
use super::spki::SpkiSha256;
use crate::random::{EntropyFault, Random};
use crate::secret::Secret;

/// Length of a certificate's serial number in bytes: RFC 5280 §4.1.2.2 allows 20, and 16 leave 126 random bits.
const SERIAL_LEN: usize = 16;

/// A P-256 private key and its SubjectPublicKeyInfo; the key is wiped with the last clone.
#[derive(Clone)]
pub struct KeyPair {
    key: Arc<p256::ecdsa::SigningKey>,
    spki_der: Vec<u8>,
}

impl KeyPair {
    /// Draws a fresh key.
    pub fn generate(random: &dyn Random) -> Result<Self, IdentityFault> {
        Self::of(p256_secret(random)?)
    }

    /// Restores a key from its scalar, big-endian, as [`to_scalar`](Self::to_scalar) gave it out to be sealed.
    pub fn from_scalar(scalar: &Secret<32>) -> Result<Self, IdentityFault> {
        let key = p256::SecretKey::from_slice(scalar.expose());
        Self::of(key.map_err(|_| IdentityFault::NotAScalar)?)
    }

    fn of(key: p256::SecretKey) -> Result<Self, IdentityFault> {
        let key = p256::ecdsa::SigningKey::from(key);
        let spki = key.verifying_key().to_public_key_der();
        let spki_der = spki
            .map_err(|_| IdentityFault::Encoding)?
            .as_bytes()
            .to_vec();
        Ok(Self {
            key: Arc::new(key),
            spki_der,
        })
    }

    /// The private scalar, big-endian: for sealing, never for the wire.
    pub fn to_scalar(&self) -> Secret<32> {
        Secret::new(self.key.to_bytes().into())
    }

    /// The DER-encoded SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// SHA-256 of [`spki_der`](Self::spki_der).
    pub fn spki_sha256(&self) -> SpkiSha256 {
        SpkiSha256::of_spki(&self.spki_der)
    }

    /// The key as rustls signs with it.
    pub fn signing_key(&self) -> P256SigningKey {
        P256SigningKey::new(self.key.clone())
    }

    /// Issues a certificate for the key, signed by the key itself.
    pub fn self_signed(
        &self,
        profile: &CertificateProfile<'_>,
        random: &dyn Random,
    ) -> Result<Identity, IdentityFault> {
        let mut serial = [0; SERIAL_LEN];
        random.fill(&mut serial)?;
        // RFC 5280 §4.1.2.2: positive, and DER integers must not begin with a zero byte.
        serial[0] = serial[0] & 0x7f | 0x40;
        let name = Name::from_str(profile.subject).map_err(|_| IdentityFault::Subject)?;
        let validity = Validity::new(time(profile.not_before)?, time(profile.not_after)?);
        let spki = der::Decode::from_der(&self.spki_der).map_err(|_| IdentityFault::Encoding)?;
        let serial = SerialNumber::new(&serial).map_err(|_| IdentityFault::Encoding)?;
        let mut extensions = vec![];
        for extension in profile.extensions {
            extensions.push(extension.encode()?);
        }
        let profile = SelfSigned { name, extensions };
        let certificate = CertificateBuilder::new(profile, serial, validity, spki)
            .and_then(|builder| builder.build::<_, p256::ecdsa::DerSignature>(&*self.key))
            .map_err(|_| IdentityFault::Encoding)?;
        let certificate_der = certificate.to_der().map_err(|_| IdentityFault::Encoding)?;
        Ok(Identity {
            key_pair: self.clone(),
            certificate_der,
        })
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair(public {})", self.spki_sha256())
    }
}

/// What a self-signed certificate says beside its key.
#[derive(Clone, Copy, Debug)]
pub struct CertificateProfile<'a> {
    /// The subject and issuer as RFC 4514 writes names: `CN=service`.
    pub subject: &'a str,
    /// Start of validity in seconds since the Unix epoch.
    pub not_before: u64,
    /// End of validity in seconds since the Unix epoch.
    pub not_after: u64,
    /// Further extensions; every certificate already says that it is no authority.
    pub extensions: &'a [CertificateExtension<'a>],
}

/// An extension of a certificate (RFC 5280 §4.2), such as the evidence of RA-TLS.
#[derive(Clone, Copy, Debug)]
pub struct CertificateExtension<'a> {
    /// The object identifier in dotted form.
    pub oid: &'a str,
    /// Whether those who do not know the extension must refuse the certificate.
    pub critical: bool,
    /// The contents, which the extension's definition usually wants in DER.
    pub value: &'a [u8],
}

impl CertificateExtension<'_> {
    fn encode(&self) -> Result<Extension, IdentityFault> {
        Ok(Extension {
            extn_id: ObjectIdentifier::new(self.oid).map_err(|_| IdentityFault::Extension)?,
            critical: self.critical,
            extn_value: OctetString::new(self.value).map_err(|_| IdentityFault::Extension)?,
        })
    }
}

/// A key pair with a certificate: what one end of a connection shows and proves.
#[derive(Clone, Debug)]
pub struct Identity {
    key_pair: KeyPair,
    certificate_der: Vec<u8>,
}

impl Identity {
    /// Combines a key with a certificate that someone else issued for it.
    pub fn new(key_pair: KeyPair, certificate_der: Vec<u8>) -> Result<Self, IdentityFault> {
        match SpkiSha256::of_certificate(&certificate_der) {
            Ok(hash) if hash == key_pair.spki_sha256() => Ok(Self {
                key_pair,
                certificate_der,
            }),
            Ok(_) => Err(IdentityFault::OtherKey),
            Err(_) => Err(IdentityFault::Encoding),
        }
    }

    /// The key pair.
    pub fn key_pair(&self) -> &KeyPair {
        &self.key_pair
    }

    /// The DER-encoded certificate.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate_der
    }

    /// SHA-256 of the key's SubjectPublicKeyInfo.
    pub fn spki_sha256(&self) -> SpkiSha256 {
        self.key_pair.spki_sha256()
    }

    /// What rustls configurations take, on the client's side and on the server's.
    pub fn certified_key(&self) -> CertifiedKey {
        let chain = vec![CertificateDer::from(self.certificate_der.clone())];
        CertifiedKey::new(chain, Arc::new(self.key_pair.signing_key()))
    }
}

/// Why no key or certificate was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdentityFault {
    /// No randomness.
    #[error("cannot make a key pair or serial number")]
    Entropy(#[from] EntropyFault),
    /// Zero, or not below the order of P-256.
    #[error("the stored private key is not a scalar of P-256")]
    NotAScalar,
    /// The subject is no distinguished name.
    #[error("the certificate's subject is not a name in RFC 4514 form, such as `CN=service`")]
    Subject,
    /// X.509 cannot express the time.
    #[error("the certificate's validity ends after the year 9999, which X.509 cannot express")]
    Validity,
    /// The extension has no valid object identifier, or is too large.
    #[error("a certificate extension has no valid object identifier, or is too large for DER")]
    Extension,
    /// The certificate is for another key.
    #[error("the certificate was issued for another key than the private one at hand")]
    OtherKey,
    /// The certificate could not be written or read.
    #[error("the key or certificate cannot be expressed in DER")]
    Encoding,
}

/// Seconds since the Unix epoch as RFC 5280 §4.1.2.5 wants them: UTCTime until 2049, GeneralizedTime from then on.
fn time(seconds: u64) -> Result<Time, IdentityFault> {
    let since_epoch = Duration::from_secs(seconds);
    if let Ok(time) = UtcTime::from_unix_duration(since_epoch) {
        return Ok(time.into());
    }
    let time = GeneralizedTime::from_unix_duration(since_epoch);
    time.map(Into::into).map_err(|_| IdentityFault::Validity)
}

struct SelfSigned {
    name: Name,
    extensions: Vec<Extension>,
}

impl BuilderProfile for SelfSigned {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.name.clone()
    }

    fn build_extensions(
        &self,
        _subject_key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        certificate: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let end_entity = BasicConstraints {
            ca: false,
            path_len_constraint: None,
        };
        let mut extensions = vec![end_entity.to_extension(certificate.subject(), &[])?];
        extensions.extend_from_slice(&self.extensions);
        Ok(extensions)
    }
}
