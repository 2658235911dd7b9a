//! The platform's private keys.

use p256::{
    SecretKey,
    ecdsa::{Signature, SigningKey, signature::Signer},
    elliptic_curve::Generate,
};
use zeroize::Zeroizing;

use crate::{fault::PlatformFault, store::Store};

const SEED_FILE: &str = "sealing.seed";
const SCALAR_LEN: usize = 32;

/// A P-256 signing key, erased from memory when dropped.
pub(crate) struct Key(SigningKey);

impl Key {
    fn generate() -> Result<Self, PlatformFault> {
        let secret =
            SecretKey::try_generate().map_err(|error| PlatformFault::Entropy(Box::new(error)))?;
        Ok(Self(SigningKey::from(&secret)))
    }

    fn load(store: &Store, name: &str) -> Result<Self, PlatformFault> {
        let damaged = || PlatformFault::Damaged {
            path: store.path(name),
            problem: "it is not a P-256 private key of 32 bytes",
        };
        let scalar = store.read(name, SCALAR_LEN)?;
        // The library would pad a shorter one, and a cut-off key would become another key.
        if scalar.len() != SCALAR_LEN {
            return Err(damaged());
        }
        SigningKey::from_slice(&scalar)
            .map(Self)
            .map_err(|_| damaged())
    }

    fn save(&self, store: &Store, name: &str) -> Result<(), PlatformFault> {
        let mut scalar = Zeroizing::new([0; SCALAR_LEN]);
        scalar.copy_from_slice(&Zeroizing::new(self.0.to_bytes())[..]);
        store.write(name, &scalar[..])
    }

    pub(crate) fn signer(&self) -> &SigningKey {
        &self.0
    }

    /// Raw `r ‖ s` over SHA-256 of `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature: Signature = self.0.sign(message);
        signature.to_bytes().into()
    }

    /// Raw `x ‖ y`.
    pub(crate) fn public(&self) -> [u8; 64] {
        let point = self.0.verifying_key().to_sec1_point(false);
        let mut raw = [0; 64];
        // SEC 1 puts a format byte in front.
        raw.iter_mut()
            .zip(point.as_bytes().iter().skip(1))
            .for_each(|(to, from)| *to = *from);
        raw
    }
}

/// All private keys of a platform.
pub(crate) struct Keys {
    pub(crate) root: Key,
    pub(crate) pck_ca: Key,
    pub(crate) pck: Key,
    pub(crate) tcb_signing: Key,
    pub(crate) attestation: Key,
    pub(crate) seed: Zeroizing<[u8; 32]>,
}

impl Keys {
    pub(crate) fn generate() -> Result<Self, PlatformFault> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut seed[..]).map_err(|error| PlatformFault::Entropy(Box::new(error)))?;
        Ok(Self {
            root: Key::generate()?,
            pck_ca: Key::generate()?,
            pck: Key::generate()?,
            tcb_signing: Key::generate()?,
            attestation: Key::generate()?,
            seed,
        })
    }

    pub(crate) fn load(store: &Store) -> Result<Self, PlatformFault> {
        let bytes = store.read(SEED_FILE, SCALAR_LEN)?;
        if bytes.len() != SCALAR_LEN {
            return Err(PlatformFault::Damaged {
                path: store.path(SEED_FILE),
                problem: "it does not have 32 bytes",
            });
        }
        let mut seed = Zeroizing::new([0; SCALAR_LEN]);
        seed.copy_from_slice(&bytes);
        Ok(Self {
            root: Key::load(store, "root.key")?,
            pck_ca: Key::load(store, "pck-ca.key")?,
            pck: Key::load(store, "pck.key")?,
            tcb_signing: Key::load(store, "tcb-signing.key")?,
            attestation: Key::load(store, "attestation.key")?,
            seed,
        })
    }

    pub(crate) fn save(&self, store: &Store) -> Result<(), PlatformFault> {
        self.root.save(store, "root.key")?;
        self.pck_ca.save(store, "pck-ca.key")?;
        self.pck.save(store, "pck.key")?;
        self.tcb_signing.save(store, "tcb-signing.key")?;
        self.attestation.save(store, "attestation.key")?;
        store.write(SEED_FILE, &self.seed[..])
    }
}
