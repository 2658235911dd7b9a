//! The CAS's identity: a P-256 key, generated once and stored sealed, with a self-signed
//! certificate that is only its envelope.

use bannock_cas_api::Hash;
use bannock_cas_core::audit::{Sign, SignFault, Verify};
use bannock_cas_store::{Store, StoreFault, Write};
use bannock_crypto::digest::sha256;
use minicbor::{Decode, Encode};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
        UnparsedPublicKey,
    },
};
use rustls::{
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    server::ParsedCertificate,
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Name of the record that holds the identity.
const RECORD: &str = "identity";

/// The CAS's identity.
pub struct Identity {
    pkcs8: Zeroizing<Vec<u8>>,
    certificate: CertificateDer<'static>,
    signer: EcdsaKeyPair,
    random: SystemRandom,
    key_hash: Hash,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum NoIdentity {
    /// The store failed.
    #[error("cannot load the CAS's identity from the store")]
    Store(#[from] StoreFault),
    /// What is stored is not an identity.
    #[error("the stored identity of the CAS is damaged")]
    Malformed,
    /// Key or certificate cannot be made.
    #[error("cannot generate the CAS's identity key")]
    Generate(#[source] Box<dyn std::error::Error + Send + Sync>),
}

#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
struct Stored {
    #[cbor(n(0), with = "minicbor::bytes")]
    pkcs8: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    certificate: Vec<u8>,
}

impl Identity {
    /// Loads the identity from `store`; generates and stores it the first time.
    ///
    /// # Errors
    /// [`NoIdentity`].
    pub fn load_or_generate(store: &dyn Store) -> Result<Self, NoIdentity> {
        if let Some(record) = store.get(RECORD)? {
            let stored: Stored = bannock_wire::decode("identity", &record.value)
                .map_err(|_| NoIdentity::Malformed)?;
            return Self::from_stored(&stored);
        }
        let stored = generate()?;
        let identity = Self::from_stored(&stored)?;
        store.commit(&[Write {
            key: RECORD.into(),
            expected: 0,
            value: Zeroizing::new(bannock_wire::encode(&stored)),
        }])?;
        Ok(identity)
    }

    fn from_stored(stored: &Stored) -> Result<Self, NoIdentity> {
        let random = SystemRandom::new();
        let signer =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &stored.pkcs8, &random)
                .map_err(|_| NoIdentity::Malformed)?;
        let certificate = CertificateDer::from(stored.certificate.clone());
        let key_hash = key_hash(&certificate).ok_or(NoIdentity::Malformed)?;
        Ok(Self {
            pkcs8: Zeroizing::new(stored.pkcs8.clone()),
            certificate,
            signer,
            random,
            key_hash,
        })
    }

    /// SHA-256 of the key's SubjectPublicKeyInfo: what clients and services pin.
    #[must_use]
    pub fn key_hash(&self) -> Hash {
        self.key_hash
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    pub(crate) fn private_key(&self) -> PrivatePkcs8KeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.pkcs8.to_vec())
    }
}

fn generate() -> Result<Stored, NoIdentity> {
    let failed = |source: rcgen::Error| NoIdentity::Generate(Box::new(source));
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let certificate = rcgen::CertificateParams::new(vec!["bannock-cas".to_owned()])
        .and_then(|parameters| parameters.self_signed(&key))
        .map_err(failed)?;
    Ok(Stored {
        pkcs8: key.serialize_der(),
        certificate: certificate.der().to_vec(),
    })
}

/// SHA-256 of the SubjectPublicKeyInfo of `certificate`; nothing when it cannot be parsed.
pub(crate) fn key_hash(certificate: &CertificateDer<'_>) -> Option<Hash> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    Some(Hash(sha256(&parsed.subject_public_key_info())))
}

impl Sign for Identity {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignFault> {
        self.signer
            .sign(&self.random, message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| SignFault)
    }
}

impl Verify for Identity {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.signer.public_key().as_ref())
            .verify(message, signature)
            .is_ok()
    }
}
