//! Relations between the values of a session.
//!
//! Works on the session alone, so that text and CBOR pass the same checks; [`Origins`] leads back
//! to the text where there is one.

use std::collections::{BTreeMap, BTreeSet};

use crate::ast::{
    AccessRule, AttestationMode, CertificateRules, IgnoredAdvisories, Image, Secret, SecretKind,
    Service, Session, Tolerance,
};
use crate::diagnostic::Path;
use crate::format::Format;
use crate::lower::{HostValues, MAX_LANGUAGE, template};
use crate::problem::Problem;
use crate::secrets::key;
use crate::table::nearest;
use crate::template::{Escape, Template};
use crate::values::{AbsolutePath, SecretName};

/// Largest secret in bytes.
pub(crate) const MAX_SECRET_SIZE: u32 = 65_536;
/// Longest validity of a certificate: 100 years, in seconds.
pub(crate) const MAX_VALID_FOR: u64 = 100 * 365 * 24 * 60 * 60;

/// Which items of the text the session's items come from.
#[derive(Default)]
pub(crate) struct Origins {
    pub(crate) services: Vec<usize>,
    pub(crate) secrets: Vec<usize>,
    pub(crate) images: Vec<usize>,
    /// Names of secrets with problems of their own: references to them are not reported too.
    pub(crate) broken: BTreeSet<String>,
}

impl Origins {
    /// Of a session that was not read from text.
    pub(crate) fn identity(session: &Session) -> Self {
        Self {
            services: (0..session.services.len()).collect(),
            secrets: (0..session.secrets.len()).collect(),
            images: (0..session.images.len()).collect(),
            broken: BTreeSet::new(),
        }
    }
}

/// Finds everything that is wrong between values.
pub(crate) fn relations(session: &Session, origins: &Origins) -> Vec<(Path, Problem)> {
    let secrets = session
        .secrets
        .iter()
        .map(|secret| (secret.name.as_str(), secret))
        .collect();
    let mut check = Check {
        secrets,
        session,
        origins,
        found: Vec::new(),
    };
    check.names();
    let root = Path::default();
    for (service, index) in session.services.iter().zip(&origins.services) {
        check.service(service, &root.key("services").index(*index));
    }
    for (secret, index) in session.secrets.iter().zip(&origins.secrets) {
        let path = root.key("secrets").index(*index);
        if let Some(rules) = secret.kind.certificate() {
            check.certificate(&secret.name, rules, &path);
        }
    }
    for (image, index) in session.images.iter().zip(&origins.images) {
        check.image(image, &root.key("images").index(*index));
    }
    check.found
}

struct Check<'a> {
    secrets: BTreeMap<&'a str, &'a Secret>,
    session: &'a Session,
    origins: &'a Origins,
    found: Vec<(Path, Problem)>,
}

impl<'a> Check<'a> {
    fn names(&mut self) {
        let session = self.session;
        let services = session.services.iter().map(|service| service.name.as_str());
        let secrets = session.secrets.iter().map(|secret| secret.name.as_str());
        let images = session.images.iter().map(|image| image.name.as_str());
        self.unique("services", "service", services.zip(&self.origins.services));
        self.unique("secrets", "secret", secrets.zip(&self.origins.secrets));
        self.unique("images", "image", images.zip(&self.origins.images));
    }

    fn unique<'n>(
        &mut self,
        key: &str,
        what: &'static str,
        names: impl Iterator<Item = (&'n str, &'n usize)>,
    ) {
        let mut seen = BTreeSet::new();
        for (name, index) in names {
            if !name.is_empty() && !seen.insert(name) {
                let path = Path::default().key(key).index(*index).key("name");
                self.found.push((
                    path,
                    Problem::DefinedTwice {
                        what,
                        name: name.to_owned(),
                    },
                ));
            }
        }
    }

    fn service(&mut self, service: &Service, path: &Path) {
        let command = path.key("command");
        for (index, word) in service.command.iter().enumerate() {
            self.references(word, &command.index(index), Place::Text);
        }
        for variable in &service.environment {
            let path = path.key("environment").key(variable.name.as_str());
            self.references(&variable.value, &path, Place::Text);
            if service.host_environment.contains(&variable.name) {
                let problem = Problem::VariableTwice {
                    name: variable.name.to_string(),
                };
                self.found.push((path, problem));
            }
        }
        self.references(&service.pwd, &path.key("pwd"), Place::Text);
        if let Some(image) = &service.image {
            let images = || self.session.images.iter().map(|image| image.name.as_str());
            if !images().any(|name| name == image.as_str()) {
                let nearest = nearest(image.as_str(), images()).map(str::to_owned);
                let problem = Problem::NotDefined {
                    what: "image",
                    name: image.to_string(),
                    nearest,
                };
                self.found.push((path.key("image_name"), problem));
            }
        }
        let wanted = self.session.security.mode == AttestationMode::Hardware;
        if wanted && service.attestation.is_empty() {
            self.found.push((path.clone(), Problem::NoAttestation));
        }
        for (index, variant) in service.attestation.iter().enumerate() {
            if let Some(signer) = &variant.signer
                && signer.isv_svn_min > signer.isv_svn_max
            {
                let path = path.key("attestation").index(index).key("signer");
                self.found.push((path, Problem::SvnRangeEmpty));
            }
        }
    }

    fn references(&mut self, template: &Template, path: &Path, place: Place) {
        for reference in template.references() {
            let Some(kind) = self.secret(&reference.name, path) else {
                continue;
            };
            match Format::resolve(&reference.name, kind, reference.format.as_deref()) {
                Err(problem) => self.found.push((path.clone(), problem)),
                Ok(format) => {
                    let text = place == Place::Text || reference.escape == Some(Escape::Json);
                    if text && !format.is_text() {
                        let name = reference.name.to_string();
                        self.found
                            .push((path.clone(), Problem::BytesAsText { name }));
                    }
                }
            }
        }
    }

    /// The kind of a secret; reports if there is none of this name.
    fn secret(&mut self, name: &SecretName, path: &Path) -> Option<&'a SecretKind> {
        if let Some(secret) = self.secrets.get(name.as_str()) {
            return Some(&secret.kind);
        }
        if !self.origins.broken.contains(name.as_str()) {
            let names = self
                .session
                .secrets
                .iter()
                .map(|secret| secret.name.as_str());
            let broken = self.origins.broken.iter().map(String::as_str);
            // A suggestion costs time for every secret: a text full of errors gets none.
            let few = self.found.len() < 100;
            let names = names.chain(broken).filter(|_| few);
            let nearest = nearest(name.as_str(), names).map(str::to_owned);
            let problem = Problem::NotDefined {
                what: "secret",
                name: name.to_string(),
                nearest,
            };
            self.found.push((path.clone(), problem));
        }
        None
    }

    fn certificate(&mut self, name: &SecretName, rules: &CertificateRules, path: &Path) {
        let keys = [
            (&rules.private_key, "private_key", "private-key"),
            (&rules.issuer, "issuer", "x509-ca"),
        ];
        for (target, key, wanted) in keys {
            let Some(target) = target else { continue };
            let path = path.key(key);
            if let Some(kind) = self.secret(target, &path).map(SecretKind::name)
                && kind != wanted
            {
                let problem = Problem::WrongKind {
                    name: target.to_string(),
                    kind,
                    wanted,
                };
                self.found.push((path, problem));
            }
        }
        if issuers(self.session, rules).is_none() {
            let problem = Problem::IssuerCycle {
                name: name.to_string(),
            };
            self.found.push((path.key("issuer"), problem));
        }
    }

    fn image(&mut self, image: &Image, path: &Path) {
        for (index, file) in image.injection_files.iter().enumerate() {
            let path = path.key("injection_files").index(index);
            self.references(&file.content, &path.key("content"), Place::Bytes);
            if file.path.as_str() == "/" {
                self.found.push((path.key("path"), Problem::InjectedRoot));
            }
        }
        let files = image
            .injection_files
            .iter()
            .map(|file| &file.path)
            .enumerate();
        let trees = image.trees.iter().map(|tree| &tree.path).enumerate();
        let mounts = image.mounts.iter().map(|mount| &mount.path).enumerate();
        let all = (trees.map(|item| ("trees", item)))
            .chain(mounts.map(|item| ("mounts", item)))
            .chain(files.map(|item| ("injection_files", item)));
        let mut seen: BTreeMap<&AbsolutePath, ()> = BTreeMap::new();
        for (key, (index, target)) in all {
            if !target.is_absent() && seen.insert(target, ()).is_some() {
                let problem = Problem::PathTwice {
                    path: target.to_string(),
                };
                self.found
                    .push((path.key(key).index(index).key("path"), problem));
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The result must be text without NUL.
    Text,
    /// The result may be any bytes.
    Bytes,
}

/// Longest chain of issuers.
const MAX_ISSUERS: usize = 8;

/// The issuers of a certificate, nearest first; `None` if they form a cycle or are too many.
pub(crate) fn issuers<'s>(
    session: &'s Session,
    rules: &'s CertificateRules,
) -> Option<Vec<&'s SecretName>> {
    let mut chain = Vec::new();
    let mut next = rules.issuer.as_ref();
    while let Some(name) = next {
        if chain.len() >= MAX_ISSUERS || chain.contains(&name) {
            return None;
        }
        chain.push(name);
        let issuer = session
            .secret(name.as_str())
            .and_then(|secret| secret.kind.certificate());
        next = issuer.and_then(|rules| rules.issuer.as_ref());
    }
    Some(chain)
}

/// Finds what the types alone do not exclude in a session that did not come from text: everything
/// that lowering reports or puts into order.
pub(crate) fn values(session: &Session) -> Result<(), &'static str> {
    fn ascending<T: Ord>(items: &[T]) -> bool {
        items.windows(2).all(|pair| matches!(pair, [a, b] if a < b))
    }
    let rule = |condition: bool, broken: &'static str| if condition { Ok(()) } else { Err(broken) };
    let text = |source: &Template, host| template(source.source(), host).is_ok();

    rule(session.language <= MAX_LANGUAGE, "unknown language version")?;
    for service in &session.services {
        let names: Vec<_> = service
            .environment
            .iter()
            .map(|variable| &variable.name)
            .collect();
        rule(ascending(&names), "environment is not in order")?;
        rule(
            ascending(&service.host_environment),
            "host_environment is not in order",
        )?;
        let program = service
            .command
            .first()
            .is_some_and(|word| !word.source().is_empty());
        rule(program, "command without program")?;
        let words = service
            .command
            .iter()
            .chain(service.environment.iter().map(|v| &v.value));
        let mut words = words.chain([&service.pwd]);
        rule(
            words.all(|word| text(word, HostValues::Refused)),
            "forbidden text in a service",
        )?;
        let fixed = service.pwd.references().next().is_none();
        let absolute = AbsolutePath::parse(service.pwd.source()).is_ok();
        rule(!fixed || absolute, "pwd is not an absolute path")?;
        for variant in &service.attestation {
            let names_one = !variant.measurements.is_empty() || variant.signer.is_some();
            rule(names_one, "variant accepts any enclave")?;
            rule(
                ascending(&variant.measurements),
                "measurements are not in order",
            )?;
        }
    }
    for secret in &session.secrets {
        let sized = |size: u32| (1..=MAX_SECRET_SIZE).contains(&size);
        match &secret.kind {
            SecretKind::Ascii { size, value } | SecretKind::Binary { size, value } => {
                let given = value.as_ref().map(|value| value.as_slice());
                let fits = given.is_none_or(|value| u32::try_from(value.len()) == Ok(*size));
                rule(sized(*size) && fits, "wrong size of a secret")?;
                let is_text = matches!(secret.kind, SecretKind::Ascii { .. });
                let good =
                    |value| core::str::from_utf8(value).is_ok_and(|text| !text.contains('\0'));
                rule(
                    !is_text || given.is_none_or(good),
                    "ascii secret is not text",
                )?;
            }
            SecretKind::PrivateKey { value, .. } => {
                let good = value
                    .as_ref()
                    .is_none_or(|value| key::is_scalar(value.as_slice()));
                rule(good, "not a P-256 private key")?;
            }
            SecretKind::X509(rules) | SecretKind::X509Ca(rules) => {
                rule(
                    (1..=MAX_VALID_FOR).contains(&rules.valid_for),
                    "validity out of range",
                )?;
            }
        }
    }
    for image in &session.images {
        for file in &image.injection_files {
            rule(file.permission <= 0o777, "permission out of range")?;
            rule(
                text(&file.content, HostValues::Ordinary),
                "forbidden text in a file",
            )?;
        }
    }
    let access = &session.access;
    for access in [&access.read, &access.update, &access.create_sessions] {
        if let AccessRule::Listed { creator, keys } = access {
            rule(*creator || !keys.is_empty(), "empty access rule")?;
            rule(ascending(keys), "access keys are not in order")?;
        }
    }
    rule(
        ascending(&session.security.tolerate),
        "tolerances are not in order",
    )?;
    match &session.security.ignore_advisories {
        IgnoredAdvisories::Listed(list) => rule(ascending(list), "advisories are not in order"),
        IgnoredAdvisories::All => rule(
            session.security.tolerate.contains(&Tolerance::DebugMode),
            "all advisories ignored without debug-mode",
        ),
    }
}
