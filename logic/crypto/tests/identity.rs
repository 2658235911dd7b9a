//! Keys and certificates, read by another implementation.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use bannock_crypto::random::EntropyFault;
use bannock_crypto::secret::Secret;
use bannock_crypto::tls::identity::{
    CertificateExtension, CertificateProfile, Identity, IdentityFault, KeyPair,
};
use bannock_crypto::tls::spki::{SpkiSha256, spki_of_certificate};
use common::*;
use der::{Decode as _, Encode as _};
use x509_cert::Certificate;

const PROFILE: CertificateProfile<'static> = CertificateProfile {
    subject: "CN=service",
    not_before: NOW,
    not_after: NOW + 60,
    extensions: &[],
};

#[test]
fn a_certificate_carries_the_key_the_name_the_time_and_the_extensions() {
    let extension = CertificateExtension {
        oid: "2.23.133.5.4.9",
        critical: false,
        value: b"\x05\0",
    };
    let profile = CertificateProfile {
        extensions: &[extension],
        ..PROFILE
    };
    let key = KeyPair::generate(&random).unwrap();
    let identity = key.self_signed(&profile, &random).unwrap();
    let certificate = Certificate::from_der(identity.certificate_der()).unwrap();
    let body = certificate.tbs_certificate();
    assert_eq!(
        body.subject_public_key_info().to_der().unwrap(),
        key.spki_der()
    );
    assert_eq!(body.subject().to_string(), "CN=service");
    assert_eq!(body.issuer().to_string(), "CN=service");
    assert_eq!(body.validity().not_before.to_unix_duration().as_secs(), NOW);
    assert_eq!(
        body.validity().not_after.to_unix_duration().as_secs(),
        NOW + 60
    );
    let extensions = body.extensions().unwrap();
    let found = extensions
        .iter()
        .find(|e| e.extn_id.to_string() == "2.23.133.5.4.9")
        .unwrap();
    assert_eq!(
        (found.critical, found.extn_value.as_bytes()),
        (false, &b"\x05\0"[..])
    );
    assert_eq!(identity.spki_sha256(), key.spki_sha256());
    assert_eq!(
        spki_of_certificate(identity.certificate_der()).unwrap(),
        key.spki_der()
    );
}

#[test]
fn a_key_survives_sealing() {
    let key = KeyPair::generate(&random).unwrap();
    let restored = KeyPair::from_scalar(&key.to_scalar()).unwrap();
    assert_eq!(restored.spki_der(), key.spki_der());
}

#[test]
fn bad_input_is_refused_by_name() {
    let key = KeyPair::generate(&random).unwrap();
    let refused = |profile: CertificateProfile<'_>| key.self_signed(&profile, &random).err();
    let subject = CertificateProfile {
        subject: "service",
        ..PROFILE
    };
    assert_eq!(refused(subject), Some(IdentityFault::Subject));
    let validity = CertificateProfile {
        not_after: u64::MAX,
        ..PROFILE
    };
    assert_eq!(refused(validity), Some(IdentityFault::Validity));
    let extension = CertificateExtension {
        oid: "no oid",
        critical: true,
        value: b"",
    };
    let extension = CertificateProfile {
        extensions: &[extension],
        ..PROFILE
    };
    assert_eq!(refused(extension), Some(IdentityFault::Extension));
    for scalar in [[0; 32], [0xff; 32]] {
        let refused = KeyPair::from_scalar(&Secret::new(scalar)).err();
        assert_eq!(refused, Some(IdentityFault::NotAScalar));
    }
    let broken = |_: &mut [u8]| Err(EntropyFault);
    assert_eq!(
        KeyPair::generate(&broken).err(),
        Some(IdentityFault::Entropy(EntropyFault))
    );
}

#[test]
fn a_certificate_for_another_key_is_refused() {
    let (mine, other) = (identity("CN=a"), identity("CN=b"));
    let certificate = mine.certificate_der().to_vec();
    assert!(Identity::new(mine.key_pair().clone(), certificate.clone()).is_ok());
    let refused = Identity::new(other.key_pair().clone(), certificate).err();
    assert_eq!(refused, Some(IdentityFault::OtherKey));
}

#[test]
fn nothing_private_is_printed() {
    let identity = identity("CN=service");
    let scalar = hex::encode(identity.key_pair().to_scalar().expose());
    let printed = format!(
        "{identity:?} {:?} {:?}",
        identity.key_pair(),
        identity.certified_key()
    );
    assert!(!printed.contains(&scalar));
    let decimal = format!("{:?}", identity.key_pair().to_scalar().expose());
    assert!(!printed.contains(decimal.trim_matches(['[', ']'])));
}

#[test]
fn every_truncation_of_a_certificate_is_refused() {
    let identity = identity("CN=service");
    let der = identity.certificate_der();
    for len in 0..der.len() {
        assert!(
            SpkiSha256::of_certificate(&der[..len]).is_err(),
            "{len} bytes"
        );
    }
}
