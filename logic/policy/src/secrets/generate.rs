//! Making values for the secrets of a session.

use bannock_crypto::random::{EntropyFault, Random};
use minicbor::bytes::ByteVec;
use zeroize::Zeroizing;

use super::certificate::{Issuer, Request, issue};
use super::{Entry, SecretValue, SecretValues, key};
use crate::ast::{CertificateRules, Secret, SecretKind, Session};
use crate::check::issuers;
use crate::values::{SecretBytes, SecretName};

/// What generated text consists of; 62 characters, so 5.95 bits each.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Why secrets could not be made.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// No randomness.
    #[error("secrets cannot be generated")]
    Entropy(#[from] EntropyFault),
    /// The certificate cannot be encoded or signed.
    #[error(
        "certificate `{name}` cannot be issued: its validity leaves the years that X.509 can express, or its issuer's key is unusable"
    )]
    Certificate {
        /// Which secret.
        name: String,
    },
}

impl SecretValues {
    /// Makes values for every secret of a new session; `now` is Unix time in seconds.
    ///
    /// # Errors
    /// [`GenerateError`]; nothing is kept then.
    pub fn generate(
        session: &Session,
        now: u64,
        random: &dyn Random,
    ) -> Result<Self, GenerateError> {
        Generator {
            session,
            old: None,
            now,
            random,
            made: Self::default(),
        }
        .run()
    }

    /// Makes the values of `session`, which replaces `old`, whose values `self` are.
    ///
    /// `ascii` and `binary` secrets are kept if kind and size are the same, `private-key` secrets
    /// if both sessions say `migrate: true`; a value that the new session gives wins. Certificates
    /// are issued anew, new secrets are made, removed ones are dropped.
    ///
    /// # Errors
    /// [`GenerateError`]; nothing has changed then.
    pub fn update(
        &self,
        old: &Session,
        session: &Session,
        now: u64,
        random: &dyn Random,
    ) -> Result<Self, GenerateError> {
        Generator {
            session,
            old: Some((old, self)),
            now,
            random,
            made: Self::default(),
        }
        .run()
    }

    fn insert(&mut self, name: &SecretName, value: SecretValue) {
        let entry = Entry {
            name: name.clone(),
            value,
        };
        match self.entries.binary_search_by(|entry| entry.name.cmp(name)) {
            // Names are unique in a checked session.
            Ok(_) => {}
            Err(at) => self.entries.insert(at, entry),
        }
    }
}

struct Generator<'a> {
    session: &'a Session,
    old: Option<(&'a Session, &'a SecretValues)>,
    now: u64,
    random: &'a dyn Random,
    made: SecretValues,
}

impl Generator<'_> {
    fn run(mut self) -> Result<SecretValues, GenerateError> {
        let session = self.session;
        for secret in &session.secrets {
            if let Some(value) = self.simple(secret)? {
                self.made.insert(&secret.name, value);
            }
        }
        for secret in &session.secrets {
            if let Some(rules) = secret.kind.certificate() {
                // The root first, so that every issuer is there when it is needed.
                for name in issuers(session, rules)
                    .unwrap_or_default()
                    .into_iter()
                    .rev()
                {
                    if let Some(issuer) = session.secret(name.as_str()) {
                        self.certificate(issuer)?;
                    }
                }
                self.certificate(secret)?;
            }
        }
        Ok(self.made)
    }

    /// The value of a secret that depends on no other; `None` for certificates.
    fn simple(&self, secret: &Secret) -> Result<Option<SecretValue>, GenerateError> {
        let kept = self.kept(secret);
        Ok(Some(match &secret.kind {
            SecretKind::Ascii {
                value: Some(value), ..
            } => SecretValue::Ascii(value.clone()),
            SecretKind::Binary {
                value: Some(value), ..
            } => SecretValue::Binary(value.clone()),
            SecretKind::PrivateKey {
                value: Some(value), ..
            } => SecretValue::PrivateKey(value.clone()),
            SecretKind::X509(_) | SecretKind::X509Ca(_) => return Ok(None),
            _ if kept.is_some() => return Ok(kept),
            SecretKind::Ascii { size, .. } => SecretValue::Ascii(text(length(*size), self.random)?),
            SecretKind::Binary { size, .. } => {
                let mut bytes = Zeroizing::new(vec![0; length(*size)]);
                self.random.fill(&mut bytes)?;
                SecretValue::Binary(SecretBytes::new(core::mem::take(&mut *bytes)))
            }
            SecretKind::PrivateKey { .. } => SecretValue::PrivateKey(key::generate(self.random)?),
        }))
    }

    /// The old value, if an update keeps it.
    fn kept(&self, secret: &Secret) -> Option<SecretValue> {
        let (session, values) = self.old?;
        let old = session.secret(secret.name.as_str())?;
        let value = values.get(secret.name.as_str())?;
        let kept = match (&old.kind, &secret.kind) {
            (SecretKind::Ascii { size: a, .. }, SecretKind::Ascii { size: b, .. })
            | (SecretKind::Binary { size: a, .. }, SecretKind::Binary { size: b, .. }) => a == b,
            (
                SecretKind::PrivateKey { migrate: a, .. },
                SecretKind::PrivateKey { migrate: b, .. },
            ) => *a && *b,
            _ => false,
        };
        kept.then(|| value.clone())
    }

    /// Issues a certificate whose issuer has been issued.
    fn certificate(&mut self, secret: &Secret) -> Result<(), GenerateError> {
        let (rules, is_ca) = match &secret.kind {
            SecretKind::X509(rules) => (rules, false),
            SecretKind::X509Ca(rules) => (rules, true),
            _ => return Ok(()),
        };
        if self.made.get(secret.name.as_str()).is_some() {
            return Ok(());
        }
        let key = self.certificate_key(secret, rules)?;
        let failed = || GenerateError::Certificate {
            name: secret.name.to_string(),
        };
        let mut issuers = Vec::new();
        let issuer = match &rules.issuer {
            None => None,
            Some(name) => match self.made.get(name.as_str()) {
                Some(SecretValue::Certificate { key, chain }) => {
                    issuers.clone_from(chain);
                    let certificate = chain.first().ok_or_else(failed)?;
                    Some(Issuer { key, certificate })
                }
                _ => return Err(failed()),
            },
        };
        let request = Request {
            name: &secret.name,
            rules,
            is_ca,
            key: &key,
            issuer,
            now: self.now,
        };
        let certificate = issue(&request, self.random)?;
        let mut chain = vec![ByteVec::from(certificate)];
        chain.append(&mut issuers);
        self.made
            .insert(&secret.name, SecretValue::Certificate { key, chain });
        Ok(())
    }

    fn certificate_key(
        &self,
        secret: &Secret,
        rules: &CertificateRules,
    ) -> Result<SecretBytes, GenerateError> {
        match &rules.private_key {
            None => Ok(key::generate(self.random)?),
            Some(name) => match self.made.get(name.as_str()) {
                Some(SecretValue::PrivateKey(scalar)) => Ok(scalar.clone()),
                _ => Err(GenerateError::Certificate {
                    name: secret.name.to_string(),
                }),
            },
        }
    }
}

fn length(size: u32) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// Draws characters of [`ALPHABET`], each with equal probability.
fn text(size: usize, random: &dyn Random) -> Result<SecretBytes, EntropyFault> {
    let mut text = Zeroizing::new(Vec::with_capacity(size));
    let mut bytes = Zeroizing::new([0_u8; 64]);
    // A good source fills far more than half of each round: one that does not is broken.
    for _ in 0..size.saturating_add(64) {
        random.fill(bytes.as_mut_slice())?;
        for byte in bytes.iter() {
            // 6 bits select one of 64; the two that have no character are drawn again.
            if let Some(character) = ALPHABET.get(usize::from(byte & 0x3f))
                && text.len() < size
            {
                text.push(*character);
            }
        }
        if text.len() == size {
            return Ok(SecretBytes::new(core::mem::take(&mut *text)));
        }
    }
    Err(EntropyFault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn every_character_is_equally_likely() {
        // A source in which every byte value is equally frequent must give equal frequencies.
        let state = AtomicU64::new(0);
        let counter = move |buffer: &mut [u8]| {
            for byte in buffer {
                *byte = u8::try_from(state.fetch_add(1, Ordering::Relaxed) % 256).unwrap();
            }
            Ok(())
        };
        let drawn = text(62 * 100, &counter).unwrap();
        for character in ALPHABET {
            let count = drawn
                .as_slice()
                .iter()
                .filter(|found| *found == character)
                .count();
            assert_eq!(count, 100, "{}", char::from(*character));
        }
    }

    #[test]
    fn a_broken_source_gives_an_error_and_no_secret() {
        let stuck = |buffer: &mut [u8]| {
            buffer.fill(0xff);
            Ok(())
        };
        assert!(text(20, &stuck).is_err(), "0x3f has no character");
        assert!(
            key::generate(&stuck).is_err(),
            "all ones is larger than the group's order"
        );
        let failing = |_: &mut [u8]| Err(EntropyFault);
        assert!(text(20, &failing).is_err());
        assert!(key::generate(&failing).is_err());
    }
}
