//! The checked session.
//!
//! Values of these types come out of [`Session::parse`](crate::Session::parse) or
//! [`Session::from_cbor`](crate::Session::from_cbor) only, both of which check everything. Field
//! numbers are the storage format: never reuse one.

use core::fmt;

use minicbor::{Decode, Encode};

use crate::template::Template;
use crate::values::{
    AbsolutePath, AdvisoryId, CommonName, Digest, EnvironmentName, Name, SecretBytes, SecretName,
    SessionName, SubjectAltName,
};

/// A policy: services, their secrets and images, and who may do what.
///
/// Its `Debug` shows the name only, since authors write secrets into policies.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Session {
    /// Minor number of the language: 0 for "0.3", n for "0.3.n".
    #[n(0)]
    pub(crate) language: u8,
    #[n(1)]
    pub(crate) name: SessionName,
    #[n(2)]
    pub(crate) predecessor: Option<Digest>,
    #[n(3)]
    pub(crate) services: Vec<Service>,
    #[n(4)]
    pub(crate) secrets: Vec<Secret>,
    #[n(5)]
    pub(crate) images: Vec<Image>,
    #[n(6)]
    pub(crate) access: AccessPolicy,
    #[n(7)]
    pub(crate) security: Security,
}

impl Session {
    /// The session's name.
    #[must_use]
    pub fn name(&self) -> &SessionName {
        &self.name
    }

    /// The hash of the session that this one replaces; absent for the first of its name.
    #[must_use]
    pub fn predecessor(&self) -> Option<&Digest> {
        self.predecessor.as_ref()
    }

    /// What may run.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The service of this name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services
            .iter()
            .find(|service| service.name.as_str() == name)
    }

    /// The secrets' descriptions.
    #[must_use]
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// The description of the secret of this name.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets
            .iter()
            .find(|secret| secret.name.as_str() == name)
    }

    /// The images.
    #[must_use]
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// Who may do what.
    #[must_use]
    pub fn access(&self) -> &AccessPolicy {
        &self.access
    }

    /// How strictly evidence is appraised.
    #[must_use]
    pub fn security(&self) -> &Security {
        &self.security
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Something that may run.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Service {
    /// Unique in the session.
    #[n(0)]
    pub name: Name,
    /// Program and arguments; at least one.
    #[n(1)]
    pub command: Vec<Template>,
    /// Sorted by name.
    #[n(2)]
    pub environment: Vec<Variable>,
    /// Names of variables whose host values are admitted; sorted.
    #[n(3)]
    pub host_environment: Vec<EnvironmentName>,
    /// Working directory.
    #[n(4)]
    pub pwd: Template,
    /// The image that holds its files.
    #[n(5)]
    pub image: Option<Name>,
    /// Alternatives: evidence must satisfy one.
    #[n(6)]
    pub attestation: Vec<Variant>,
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Variable {
    /// Its name.
    #[n(0)]
    pub name: EnvironmentName,
    /// Its value.
    #[n(1)]
    pub value: Template,
}

/// One alternative of a service's attestation; evidence must satisfy all of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Variant {
    /// Accepted MRENCLAVE values; empty accepts any.
    #[n(0)]
    pub measurements: Vec<Digest>,
    /// Who must have signed the enclave.
    #[n(1)]
    pub signer: Option<Signer>,
    /// SHA-256 of the DER of the simulated platform's root certificate. Absent: Intel's root only.
    #[n(2)]
    pub simulated: Option<Digest>,
    /// How far the LAS must have isolated a simulated instance.
    #[n(3)]
    pub isolation: IsolationRule,
}

/// The identity of an enclave's signer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Signer {
    /// MRSIGNER.
    #[n(0)]
    pub mrsigner: Digest,
    /// ISVPRODID.
    #[n(1)]
    pub isv_prod_id: u16,
    /// Smallest accepted ISVSVN.
    #[n(2)]
    pub isv_svn_min: u16,
    /// Largest accepted ISVSVN.
    #[n(3)]
    pub isv_svn_max: u16,
}

/// Which isolation a variant demands on a simulated platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum IsolationRule {
    /// Every flag of the LAS.
    #[default]
    #[n(0)]
    Full,
    /// None: other processes of the host may read and change the instance.
    #[n(1)]
    None,
}

/// A description of a secret; its value is a [`SecretValue`](crate::SecretValue).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Secret {
    /// Unique in the session.
    #[n(0)]
    pub name: SecretName,
    /// What it is.
    #[n(1)]
    pub kind: SecretKind,
}

/// The kinds of secrets with their parameters.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum SecretKind {
    /// Text.
    #[n(0)]
    Ascii {
        /// Characters.
        #[n(0)]
        size: u32,
        /// Given by the author.
        #[n(1)]
        value: Option<SecretBytes>,
    },
    /// Bytes.
    #[n(1)]
    Binary {
        /// Bytes.
        #[n(0)]
        size: u32,
        /// Given by the author.
        #[n(1)]
        value: Option<SecretBytes>,
    },
    /// A P-256 private key.
    #[n(2)]
    PrivateKey {
        /// Whether an update of the session keeps it.
        #[n(0)]
        migrate: bool,
        /// Given by the author: the scalar, 32 bytes, big-endian.
        #[n(1)]
        value: Option<SecretBytes>,
    },
    /// An end-entity certificate.
    #[n(3)]
    X509(#[n(0)] CertificateRules),
    /// A certificate of a certification authority.
    #[n(4)]
    X509Ca(#[n(0)] CertificateRules),
}

impl SecretKind {
    /// The kind's name in the session language.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ascii { .. } => "ascii",
            Self::Binary { .. } => "binary",
            Self::PrivateKey { .. } => "private-key",
            Self::X509(_) => "x509",
            Self::X509Ca(_) => "x509-ca",
        }
    }

    pub(crate) const fn certificate(&self) -> Option<&CertificateRules> {
        match self {
            Self::X509(rules) | Self::X509Ca(rules) => Some(rules),
            _ => None,
        }
    }
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CertificateRules {
    /// The secret that holds its key; absent: a key of its own.
    #[n(0)]
    pub private_key: Option<SecretName>,
    /// The `x509-ca` secret that signs it; absent: it signs itself.
    #[n(1)]
    pub issuer: Option<SecretName>,
    /// The subject's common name.
    #[n(2)]
    pub common_name: CommonName,
    /// What it may be used for.
    #[n(3)]
    pub endpoint: Endpoint,
    /// Whom it is for.
    #[n(4)]
    pub san: Vec<SubjectAltName>,
    /// Validity in seconds from its generation on.
    #[n(5)]
    pub valid_for: u64,
}

/// The extended key usage of a certificate (RFC 5280, section 4.2.1.12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Endpoint {
    /// serverAuth and clientAuth.
    #[default]
    #[n(0)]
    Both,
    /// serverAuth.
    #[n(1)]
    Server,
    /// clientAuth.
    #[n(2)]
    Client,
}

/// The files of services.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Image {
    /// Unique in the session.
    #[n(0)]
    pub name: Name,
    /// Rendered by the CAS.
    #[n(1)]
    pub injection_files: Vec<InjectionFile>,
    /// Measured trees of the host.
    #[n(2)]
    pub trees: Vec<Tree>,
    /// Further mounts.
    #[n(3)]
    pub mounts: Vec<Mount>,
}

/// A file that exists only inside the runtime.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct InjectionFile {
    /// Where.
    #[n(0)]
    pub path: AbsolutePath,
    /// What.
    #[n(1)]
    pub content: Template,
    /// Permission bits, 0 to 0o777.
    #[n(2)]
    pub permission: u16,
}

/// A measured tree of the host.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Tree {
    /// Where it appears.
    #[n(0)]
    pub path: AbsolutePath,
    /// The root digest of its manifest.
    #[n(1)]
    pub digest: Digest,
    /// Where the host keeps the manifest: a hint.
    #[n(2)]
    pub manifest: Option<AbsolutePath>,
}

/// A further mount.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Mount {
    /// Where it appears.
    #[n(0)]
    pub path: AbsolutePath,
    /// What is there.
    #[n(1)]
    pub kind: MountKind,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum MountKind {
    /// Ephemeral memory, empty at start.
    #[n(0)]
    Memory,
    /// A directory of the host, which the host reads and changes at will.
    #[n(1)]
    Host {
        /// Where on the host.
        #[n(0)]
        source: AbsolutePath,
        /// Whether changes are refused.
        #[n(1)]
        read_only: bool,
    },
}

/// Who may do what with a session; by default its creator may do everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct AccessPolicy {
    /// May read it.
    #[n(0)]
    pub read: AccessRule,
    /// May replace it.
    #[n(1)]
    pub update: AccessRule,
    /// May create sessions below its name.
    #[n(2)]
    pub create_sessions: AccessRule,
}

/// Who passes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum AccessRule {
    /// Nobody.
    #[n(0)]
    None,
    /// Everybody.
    #[n(1)]
    Any,
    /// Those listed.
    #[n(2)]
    Listed {
        /// The session's creator.
        #[n(0)]
        creator: bool,
        /// Those whose client key (SHA-256 of SubjectPublicKeyInfo) is among these; sorted.
        #[n(1)]
        keys: Vec<Digest>,
    },
}

impl Default for AccessRule {
    fn default() -> Self {
        Self::Listed {
            creator: true,
            keys: Vec::new(),
        }
    }
}

/// How strictly evidence is appraised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Security {
    /// Whether evidence is needed.
    #[n(0)]
    pub mode: AttestationMode,
    /// What is accepted nevertheless; sorted.
    #[n(1)]
    pub tolerate: Vec<Tolerance>,
    /// Which advisories are accepted.
    #[n(2)]
    pub ignore_advisories: IgnoredAdvisories,
}

/// Whether evidence is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum AttestationMode {
    /// Evidence is appraised.
    #[default]
    #[n(0)]
    Hardware,
    /// None; refused unless the CAS was started to allow it.
    #[n(1)]
    None,
}

/// A weakness that a session accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Tolerance {
    /// Enclaves that the host can read.
    #[n(0)]
    DebugMode,
    /// ConfigurationNeeded because of hyper-threading.
    #[n(1)]
    Hyperthreading,
    /// ConfigurationNeeded because of the integrated GPU.
    #[n(2)]
    InsecureIgpu,
    /// SWHardeningNeeded.
    #[n(3)]
    SoftwareHardeningNeeded,
    /// Advisory INTEL-SA-00657.
    #[n(4)]
    AepicLeak,
    /// ConfigurationNeeded.
    #[n(5)]
    InsecureConfiguration,
    /// OutOfDate.
    #[n(6)]
    OutdatedTcb,
}

impl Tolerance {
    /// The name in the session language.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DebugMode => "debug-mode",
            Self::Hyperthreading => "hyperthreading",
            Self::InsecureIgpu => "insecure-igpu",
            Self::SoftwareHardeningNeeded => "software-hardening-needed",
            Self::AepicLeak => "aepic-leak",
            Self::InsecureConfiguration => "insecure-configuration",
            Self::OutdatedTcb => "outdated-tcb",
        }
    }

    pub(crate) const NAMES: [&'static str; Self::ALL.len()] = {
        let mut names = [""; Self::ALL.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = Self::ALL[at].name();
            at += 1;
        }
        names
    };

    pub(crate) const ALL: [Self; 7] = [
        Self::DebugMode,
        Self::Hyperthreading,
        Self::InsecureIgpu,
        Self::SoftwareHardeningNeeded,
        Self::AepicLeak,
        Self::InsecureConfiguration,
        Self::OutdatedTcb,
    ];
}

/// Which advisories a session accepts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum IgnoredAdvisories {
    /// These; sorted.
    #[n(0)]
    Listed(#[n(0)] Vec<AdvisoryId>),
    /// All of them; only together with [`Tolerance::DebugMode`].
    #[n(1)]
    All,
}

impl Default for IgnoredAdvisories {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}
