//! Signature verification, of handshakes and of certificates.

use core::fmt;

use der::asn1::UintRef;
use der::{Decode as _, Sequence};
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use sha2::{Digest, Sha256, Sha384, Sha512};
use signature::Verifier as _;
use signature::hazmat::PrehashVerifier as _;

/// RSA moduli from 2048 to 4096 bits, in bytes: shorter ones are weak, longer ones cost an attacker nothing and us time.
const RSA_MODULUS_LEN: core::ops::RangeInclusive<usize> = 256..=512;

/// Everything a certificate or handshake may be signed with.
///
/// TLS 1.3 uses only the first algorithm of each scheme, so the curve that the scheme names comes first (RFC 8446
/// §4.2.3); the other curve is for certificates, where X.509 binds no curve to a hash.
pub static SIGNATURE_ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: ALL,
    mapping: &[
        (
            SignatureScheme::ECDSA_NISTP384_SHA384,
            &[&P384_SHA384, &P256_SHA384],
        ),
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[&P256_SHA256, &P384_SHA256],
        ),
        (SignatureScheme::ED25519, &[&ED25519]),
        (SignatureScheme::RSA_PSS_SHA512, &[&RSA_PSS_SHA512]),
        (SignatureScheme::RSA_PSS_SHA384, &[&RSA_PSS_SHA384]),
        (SignatureScheme::RSA_PSS_SHA256, &[&RSA_PSS_SHA256]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[&RSA_PKCS1_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[&RSA_PKCS1_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[&RSA_PKCS1_SHA256]),
    ],
};

/// Checks `signature` over `message` under the contents of the SPKI's bit string; `None` means refused.
type Check = fn(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()>;

struct Algorithm {
    name: &'static str,
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    check: Check,
}

impl SignatureVerificationAlgorithm for Algorithm {
    fn verify_signature(
        &self,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        (self.check)(key, message, signature).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! algorithms {
    ($($name:ident = $key:ident, $signature:ident, $check:expr;)*) => {
        $(static $name: Algorithm = Algorithm {
            name: stringify!($name),
            key: alg_id::$key,
            signature: alg_id::$signature,
            check: $check,
        };)*
        static ALL: &[&dyn SignatureVerificationAlgorithm] = &[$(&$name),*];
    };
}

algorithms! {
    P256_SHA256 = ECDSA_P256, ECDSA_SHA256, p256::<Sha256>;
    P256_SHA384 = ECDSA_P256, ECDSA_SHA384, p256::<Sha384>;
    P384_SHA256 = ECDSA_P384, ECDSA_SHA256, p384::<Sha256>;
    P384_SHA384 = ECDSA_P384, ECDSA_SHA384, p384::<Sha384>;
    ED25519 = ED25519, ED25519, ed25519;
    RSA_PSS_SHA256 = RSA_ENCRYPTION, RSA_PSS_SHA256, rsa_pss_sha256;
    RSA_PSS_SHA384 = RSA_ENCRYPTION, RSA_PSS_SHA384, rsa_pss_sha384;
    RSA_PSS_SHA512 = RSA_ENCRYPTION, RSA_PSS_SHA512, rsa_pss_sha512;
    RSA_PKCS1_SHA256 = RSA_ENCRYPTION, RSA_PKCS1_SHA256, rsa_pkcs1_sha256;
    RSA_PKCS1_SHA384 = RSA_ENCRYPTION, RSA_PKCS1_SHA384, rsa_pkcs1_sha384;
    RSA_PKCS1_SHA512 = RSA_ENCRYPTION, RSA_PKCS1_SHA512, rsa_pkcs1_sha512;
}

fn p256<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = p256::ecdsa::Signature::from_der(signature).ok()?;
    key.verify_prehash(&D::digest(message), &signature).ok()
}

fn p384<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = p384::ecdsa::Signature::from_der(signature).ok()?;
    key.verify_prehash(&D::digest(message), &signature).ok()
}

fn ed25519(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
    let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
    key.verify_strict(message, &signature).ok()
}

/// RFC 8017 appendix A.1.1.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

fn rsa_key(key: &[u8]) -> Option<rsa::RsaPublicKey> {
    let key = RsaPublicKey::from_der(key).ok()?;
    if !RSA_MODULUS_LEN.contains(&key.modulus.as_bytes().len()) {
        return None;
    }
    let integer = rsa::BoxedUint::from_be_slice_vartime;
    rsa::RsaPublicKey::new(
        integer(key.modulus.as_bytes()),
        integer(key.exponent.as_bytes()),
    )
    .ok()
}

macro_rules! rsa_checks {
    ($($pss:ident, $pkcs1:ident, $digest:ty;)*) => {$(
        fn $pss(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
            let signature = rsa::pss::Signature::try_from(signature).ok()?;
            rsa::pss::VerifyingKey::<$digest>::new(rsa_key(key)?).verify(message, &signature).ok()
        }

        fn $pkcs1(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
            let signature = rsa::pkcs1v15::Signature::try_from(signature).ok()?;
            let key = rsa::pkcs1v15::VerifyingKey::<$digest>::new(rsa_key(key)?);
            key.verify(message, &signature).ok()
        }
    )*};
}

rsa_checks! {
    rsa_pss_sha256, rsa_pkcs1_sha256, Sha256;
    rsa_pss_sha384, rsa_pkcs1_sha384, Sha384;
    rsa_pss_sha512, rsa_pkcs1_sha512, Sha512;
}
