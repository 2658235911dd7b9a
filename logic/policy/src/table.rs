//! Every key of the session language: the parser reads this table, and the reference is made of it.

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

const fn scone(
    section: &'static str,
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        section,
        name,
        kind,
        default,
        origin: Origin::Scone,
        meaning,
    }
}

const fn ours(
    section: &'static str,
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        section,
        name,
        kind,
        default,
        origin: Origin::Bannock,
        meaning,
    }
}

const fn absent(section: &'static str, name: &'static str) -> Key {
    Key {
        section,
        name,
        kind: "",
        default: "",
        origin: Origin::SconeUnsupported,
        meaning: "",
    }
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

/// All keys.
pub const KEYS: &[Key] = &[
    scone(
        TOP,
        "name",
        "session name",
        "required",
        "Name of the session; `/` nests it below another one.",
    ),
    scone(
        TOP,
        "version",
        "\"0.3\" to \"0.3.12\"",
        "required",
        "Version of the session language; write it in quotes.",
    ),
    scone(
        TOP,
        "predecessor",
        "64 hex digits",
        "none",
        "Hash of the session that this one replaces; an update names the current one, so that no change is lost.",
    ),
    scone(
        TOP,
        "creator",
        "anything",
        "filled by the CAS",
        "Who created the session. Accepted when a session is read back, ignored on input, not part of the hash.",
    ),
    scone(TOP, "services", "list", "empty", "What may run."),
    scone(
        TOP,
        "secrets",
        "list",
        "empty",
        "Secrets that the CAS generates or keeps.",
    ),
    scone(TOP, "images", "list", "empty", "The files of services."),
    scone(
        TOP,
        "access_policy",
        "mapping",
        "CREATOR for everything",
        "Who may read and change the session.",
    ),
    scone(
        TOP,
        "security",
        "mapping",
        "strict",
        "How strictly evidence is appraised.",
    ),
    absent(TOP, "namespace_hash"),
    absent(TOP, "salt"),
    absent(TOP, "secret_config"),
    absent(TOP, "volumes"),
    scone(
        SERVICE,
        "name",
        "name",
        "required",
        "Name of the service; `SESSION/SERVICE` is what an instance is started as.",
    ),
    scone(
        SERVICE,
        "command",
        "text or list of texts",
        "required",
        "Program and arguments. Text is split at blanks like in a POSIX shell ('…', \"…\", \\), and nothing is expanded. References to secrets are allowed.",
    ),
    scone(
        SERVICE,
        "environment",
        "mapping of texts",
        "empty",
        "Environment variables, given in the order of their names. References to secrets are allowed in values.",
    ),
    ours(
        SERVICE,
        "host_environment",
        "list of names",
        "empty",
        "Variables whose values the host may choose. Whatever stands there is under the host's control.",
    ),
    scone(
        SERVICE,
        "pwd",
        "absolute path",
        "`/`",
        "Working directory. References to secrets are allowed.",
    ),
    scone(
        SERVICE,
        "image_name",
        "name of an image",
        "no image",
        "The image that holds the service's files.",
    ),
    scone(
        SERVICE,
        "attestation",
        "variant or list of variants",
        "required",
        "Which evidence is accepted: all of one variant must hold.",
    ),
    scone(
        SERVICE,
        "mrenclaves",
        "64 hex digits or list",
        "none",
        "Older form of one variant with `mrenclave`.",
    ),
    absent(SERVICE, "fspf_path"),
    absent(SERVICE, "fspf_key"),
    absent(SERVICE, "fspf_tag"),
    absent(SERVICE, "fspf_update_policy"),
    absent(SERVICE, "one_time_password_shared_secret"),
    absent(SERVICE, "platforms"),
    absent(SERVICE, "tags"),
    scone(
        VARIANT,
        "mrenclave",
        "64 hex digits or list",
        "any, if `signer` is given",
        "Accepted measurements. On process platforms: SHA-256 of the runtime file.",
    ),
    scone(
        VARIANT,
        "signer",
        "mapping",
        "any, if `mrenclave` is given",
        "Who must have signed the enclave.",
    ),
    ours(
        VARIANT,
        "simulated",
        "mapping",
        "Intel's root",
        "Accept evidence of this simulated platform, and of no other one. Without a TEE nothing is protected from the host's root.",
    ),
    ours(
        VARIANT,
        "isolation",
        "`full` or `none`",
        "`full`",
        "How far the LAS must have isolated an instance on a simulated platform.",
    ),
    scone(
        SIGNER,
        "mrsigner",
        "64 hex digits",
        "required",
        "SHA-256 of the signer's key (Intel SDM vol. 3D, SIGSTRUCT).",
    ),
    scone(SIGNER, "isvprodid", "0 to 65535", "required", "Product ID."),
    scone(
        SIGNER,
        "isvsvn",
        "0 to 65535",
        "any",
        "The only accepted security version.",
    ),
    scone(
        SIGNER,
        "isvsvn_min",
        "0 to 65535",
        "0",
        "Smallest accepted security version.",
    ),
    scone(
        SIGNER,
        "isvsvn_max",
        "0 to 65535",
        "65535",
        "Largest accepted security version.",
    ),
    ours(
        SIMULATED,
        "root",
        "64 hex digits",
        "required",
        "SHA-256 of the DER of the platform's root certificate.",
    ),
    scone(
        SECRET,
        "name",
        "secret name",
        "required",
        "Name of the secret, as in `$$SCONE::NAME$$`.",
    ),
    scone(
        SECRET,
        "kind",
        "`ascii`, `binary`, `private-key`, `x509`, `x509-ca`",
        "required",
        "What the secret is.",
    ),
    scone(
        SECRET,
        "size",
        "1 to 65536",
        "20, or the size of `value`",
        "`ascii`: characters of A-Z a-z 0-9, each with equal probability. `binary`: bytes.",
    ),
    scone(
        SECRET,
        "value",
        "text",
        "generated",
        "`ascii`: the text. `binary`: hexadecimal digits. `private-key`: PKCS #8 in PEM.",
    ),
    scone(
        SECRET,
        "key_type",
        "`P-256`",
        "`P-256`",
        "`private-key`: the curve.",
    ),
    scone(
        SECRET,
        "migrate",
        "`true` or `false`",
        "`false`",
        "`private-key`: keep the key when the session is updated; must be `true` in the old and the new session.",
    ),
    scone(
        SECRET,
        "private_key",
        "name of a `private-key`",
        "a key of its own",
        "`x509`, `x509-ca`: the certificate's key.",
    ),
    scone(
        SECRET,
        "issuer",
        "name of an `x509-ca`",
        "self-signed",
        "`x509`, `x509-ca`: who signs the certificate.",
    ),
    scone(
        SECRET,
        "common_name",
        "1 to 64 characters",
        "the secret's name",
        "`x509`, `x509-ca`: the subject's common name.",
    ),
    scone(
        SECRET,
        "endpoint",
        "`server` or `client`",
        "both",
        "`x509`: extended key usage.",
    ),
    scone(
        SECRET,
        "san",
        "text or list of texts",
        "empty",
        "`x509`: subject alternative names, `dns:NAME` or `ip:ADDRESS`. TLS clients check these, not the common name.",
    ),
    scone(
        SECRET,
        "dns",
        "text or list of texts",
        "empty",
        "`x509`: older form of `san` with DNS names.",
    ),
    scone(
        SECRET,
        "valid_for",
        "duration",
        "`365 days`; `x509-ca`: `3650 days`",
        "`x509`, `x509-ca`: validity from the generation on, at most as long as the issuer's. Units: s, m, h, d, w, y (365 days) and their English names.",
    ),
    absent(SECRET, "export"),
    absent(SECRET, "export_public"),
    absent(SECRET, "import"),
    absent(SECRET, "import_akv"),
    absent(SECRET, "tenant_id"),
    absent(SECRET, "client_id"),
    absent(SECRET, "application_secret"),
    absent(SECRET, "certificate_thumbprint"),
    absent(SECRET, "signer"),
    absent(SECRET, "alg"),
    absent(SECRET, "validity"),
    absent(SECRET, "payload"),
    scone(IMAGE, "name", "name", "required", "Name of the image."),
    scone(
        IMAGE,
        "injection_files",
        "list",
        "empty",
        "Files that the CAS renders; they exist only inside the runtime.",
    ),
    ours(
        IMAGE,
        "trees",
        "list",
        "empty",
        "Measured trees of the host: admitted by digest, verified in memory.",
    ),
    ours(
        IMAGE,
        "mounts",
        "list",
        "empty",
        "Further mounts. Of nested paths the longest prefix wins.",
    ),
    absent(IMAGE, "volumes"),
    absent(IMAGE, "provide_secrets"),
    scone(
        INJECTION,
        "path",
        "absolute path",
        "required",
        "Where the file appears.",
    ),
    scone(
        INJECTION,
        "content",
        "text",
        "required",
        "What it contains. References to secrets are allowed, also to bytes.",
    ),
    scone(
        INJECTION,
        "permission",
        "0o000 to 0o777",
        "0o700",
        "Permission bits, in octal.",
    ),
    ours(
        TREE,
        "path",
        "absolute path",
        "required",
        "Where the tree appears.",
    ),
    ours(
        TREE,
        "digest",
        "64 hex digits",
        "required",
        "Root digest, as `bannock tree measure` prints it.",
    ),
    ours(
        TREE,
        "manifest",
        "absolute path",
        "the launcher finds it",
        "Where the host keeps the manifest: a hint, verified by the digest.",
    ),
    ours(
        MOUNT,
        "path",
        "absolute path",
        "required",
        "Where the mount appears.",
    ),
    ours(
        MOUNT,
        "kind",
        "`memory` or `host`",
        "required",
        "`memory`: empty at start, gone at the end. `host`: a directory that the host reads and changes at will.",
    ),
    ours(
        MOUNT,
        "source",
        "absolute path",
        "required for `host`",
        "`host`: the directory on the host.",
    ),
    ours(
        MOUNT,
        "read_only",
        "`true` or `false`",
        "`false`",
        "`host`: refuse every change by the service.",
    ),
    scone(
        ACCESS,
        "read",
        "text or list of texts",
        "`CREATOR`",
        "Who may read the session: `CREATOR`, `ANY`, `NONE`, a client certificate in PEM, or a key hash (SHA-256 of SubjectPublicKeyInfo, 64 hex digits).",
    ),
    scone(
        ACCESS,
        "update",
        "text or list of texts",
        "`CREATOR`",
        "Who may replace the session.",
    ),
    scone(
        ACCESS,
        "create_sessions",
        "text or list of texts",
        "as `update`",
        "Who may create sessions below this one's name.",
    ),
    absent(ACCESS, "list_sessions"),
    scone(
        SECURITY,
        "attestation",
        "mapping",
        "strict",
        "How strictly evidence is appraised.",
    ),
    absent(SECURITY, "singleton_enclaves"),
    absent(SECURITY, "service_access_token"),
    scone(
        ATTESTATION,
        "mode",
        "`hardware` or `none`",
        "`hardware`",
        "`none` demands no evidence; a CAS refuses it unless it was started to allow that.",
    ),
    scone(
        ATTESTATION,
        "tolerate",
        "list",
        "empty",
        "Accepted weaknesses: `debug-mode`, `hyperthreading`, `insecure-igpu`, `insecure-configuration` (TCB status ConfigurationNeeded, any of the three), `software-hardening-needed` (SWHardeningNeeded), `outdated-tcb` (OutOfDate), `aepic-leak` (advisory INTEL-SA-00657).",
    ),
    scone(
        ATTESTATION,
        "ignore_advisories",
        "`\"*\"` or list of IDs",
        "empty",
        "Accepted advisories; every advisory of a platform's TCB level must be listed. `\"*\"` needs `debug-mode` in `tolerate`.",
    ),
    absent(ATTESTATION, "must_be_sgx_local"),
    absent(ATTESTATION, "trusted_scone_qe_pubkeys"),
    absent(ATTESTATION, "url"),
    absent(ATTESTATION, "certificates"),
    absent(ATTESTATION, "min_rsa_signing_key_size"),
    absent(ATTESTATION, "one_time_password_shared_secret"),
];

/// The nearest of `candidates` to `text`, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(
    text: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    // Long texts are no typing errors, and the distance costs their product.
    if text.len() > 64 {
        return None;
    }
    let limit = (text.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|candidate| (distance(text, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) that lead from `a` to `b`; case does not count.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], k: usize| row.get(k).copied().unwrap_or(usize::MAX / 2);
            let mut cost = (at(&above, j) + usize::from(x != y))
                .min(at(&above, j + 1) + 1)
                .min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            row.push(cost);
        }
        before = core::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

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

    #[test]
    fn typing_errors_find_the_key_that_was_meant() {
        let top = || keys(TOP).map(|key| key.name);
        assert_eq!(nearest("serivces", top()), Some("services"));
        assert_eq!(nearest("Name", top()), Some("name"));
        assert_eq!(nearest("secret", top()), Some("secrets"));
        assert_eq!(nearest("hostname", top()), None);
        assert_eq!(nearest(&"a".repeat(1000), top()), None);
    }
}
