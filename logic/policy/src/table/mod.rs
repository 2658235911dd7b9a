//! Every key of the session language: the parser reads this table, and the reference is made of it.

mod keys;
mod nearest;

pub use keys::KEYS;
pub(crate) use nearest::nearest;

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// SCONE's session language 0.3, supported here.
    Scone,
    /// SCONE's session language 0.3, refused by this version.
    SconeUnsupported,
    /// An addition of Bannock's.
    Bannock,
}

/// A key of a mapping of the language.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The mapping that it belongs to, as in `services[].attestation[]`.
    pub section: &'static str,
    /// The key.
    pub name: &'static str,
    /// The type of its value.
    pub kind: &'static str,
    /// What holds when it is absent.
    pub default: &'static str,
    /// Where it comes from.
    pub origin: Origin,
    /// What it means.
    pub meaning: &'static str,
}

/// The keys of `section`, in the order of the reference.
pub fn keys(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section == section)
}

/// The mapping at the top of a session.
pub const TOP: &str = "";
/// One service.
pub const SERVICE: &str = "services[]";
/// One attestation variant.
pub const VARIANT: &str = "services[].attestation[]";
/// The signer of a variant.
pub const SIGNER: &str = "services[].attestation[].signer";
/// The simulated platform of a variant.
pub const SIMULATED: &str = "services[].attestation[].simulated";
/// One secret.
pub const SECRET: &str = "secrets[]";
/// One image.
pub const IMAGE: &str = "images[]";
/// One injected file.
pub const INJECTION: &str = "images[].injection_files[]";
/// One measured tree.
pub const TREE: &str = "images[].trees[]";
/// One mount.
pub const MOUNT: &str = "images[].mounts[]";
/// Who may do what.
pub const ACCESS: &str = "access_policy";
/// Security settings.
pub const SECURITY: &str = "security";
/// How strictly evidence is appraised.
pub const ATTESTATION: &str = "security.attestation";

/// The sections, in the order of the reference.
pub const SECTIONS: [&str; 13] = [
    TOP,
    SERVICE,
    VARIANT,
    SIGNER,
    SIMULATED,
    SECRET,
    IMAGE,
    INJECTION,
    TREE,
    MOUNT,
    ACCESS,
    SECURITY,
    ATTESTATION,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_keys_agree_and_keys_are_unique() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(SECTIONS.contains(&key.section), "{}", key.name);
            let twice = KEYS
                .iter()
                .skip(at + 1)
                .any(|k| (k.section, k.name) == (key.section, key.name));
            assert!(!twice, "{}{}", key.section, key.name);
        }
    }
}
