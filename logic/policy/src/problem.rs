//! The kinds of problems that a session can have, and what to do about each.

use std::borrow::Cow;

/// One kind of problem.
///
/// Messages quote names and keys that the author wrote, never the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's message is its documentation")]
pub enum Problem {
    // The text.
    #[error("the session is not UTF-8")]
    NotUtf8,
    #[error("the session is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("not YAML: {message}")]
    NotYaml { message: String },
    #[error("the session is empty")]
    Empty,
    #[error("a second YAML document starts here")]
    SecondDocument,
    #[error("nested deeper than {limit} levels")]
    TooDeep { limit: usize },
    #[error("more than {limit} values")]
    TooManyValues { limit: usize },
    #[error("YAML anchors and aliases are not part of the session language")]
    AnchorOrAlias,
    #[error("YAML tags are not part of the session language")]
    Tag,
    #[error("key `{key}` appears twice in one mapping")]
    DuplicateKey { key: String },
    #[error("a key must be text")]
    KeyNotText,

    // The shape.
    #[error("expected {wanted}, found {found}")]
    WrongShape {
        wanted: &'static str,
        found: &'static str,
    },
    #[error("missing key `{key}`")]
    MissingKey {
        key: &'static str,
        help: &'static str,
    },
    #[error("unknown key `{}`", .key.escape_debug())]
    UnknownKey {
        key: String,
        nearest: Option<&'static str>,
    },
    #[error("known key `{key}`, not supported by this version")]
    UnsupportedKey { key: &'static str },
    #[error("key `{key}` does not apply to secrets of kind `{kind}`")]
    KeyOfOtherKind {
        key: &'static str,
        kind: &'static str,
    },
    #[error("key `{key}` applies to mounts of kind `host` only")]
    KeyOfOtherMount { key: &'static str },
    #[error("unknown {what} `{}`", .value.escape_debug())]
    UnknownValue {
        what: &'static str,
        value: String,
        allowed: &'static [&'static str],
        nearest: Option<&'static str>,
    },
    #[error("known {what} `{value}`, not supported by this version")]
    UnsupportedValue {
        what: &'static str,
        value: &'static str,
        supported: &'static [&'static str],
    },
    #[error("injection file `{}` has no content", .path.escape_debug())]
    InjectionWithoutContent { path: String },
    #[error("signers and quorums in `access_policy` are not supported by this version")]
    UnsupportedAccessEntry,
    #[error("unknown session language version `{}`", .value.escape_debug())]
    UnknownVersion { value: String },
    #[error("the list is empty")]
    EmptyList { help: &'static str },

    // Single values.
    #[error("`{}` is not a valid {what}", .value.escape_debug())]
    InvalidName {
        what: &'static str,
        value: String,
        rule: &'static str,
    },
    #[error("expected {digits} hexadecimal digits")]
    NotHex { digits: usize },
    #[error("expected an even number of hexadecimal digits")]
    NotHexBytes,
    #[error("expected a number from {min} to {max}")]
    NotInRange { min: u64, max: u64 },
    #[error("expected permission bits in octal, from 0o000 to 0o777")]
    NotPermission,
    #[error("expected a duration")]
    NotDuration,
    #[error("`{}` is not an absolute, normalized path", .value.escape_debug())]
    NotAbsolutePath { value: String },
    #[error("a file cannot be injected at `/`")]
    InjectedRoot,
    #[error("the text contains a NUL byte")]
    ContainsNul,
    #[error("the command cannot be split into words: {reason}")]
    NotWords { reason: &'static str },
    #[error("the command has no words")]
    EmptyCommand,
    #[error("host arguments are not supported yet: `{}`", .reference.escape_debug())]
    HostArgument { reference: String },
    #[error("`$$SCONE::` is not closed by `$$`")]
    OpenReference,
    #[error("unknown filter `|{}`", .filter.escape_debug())]
    UnknownFilter { filter: String },
    #[error("`isvsvn` excludes `isvsvn_min` and `isvsvn_max`")]
    SvnTwice,
    #[error("`isvsvn_min` is larger than `isvsvn_max`: no enclave satisfies this")]
    SvnRangeEmpty,
    #[error("the value has {found} bytes, `size` says {wanted}")]
    SizeDiffers { wanted: u64, found: u64 },
    #[error("the value must have 1 to {max} bytes")]
    ValueSize { max: u32 },
    #[error("not a P-256 private key as PKCS #8 in PEM")]
    NotPrivateKey,
    #[error("not an X.509 certificate in PEM")]
    NotCertificate,
    #[error("neither `CREATOR`, `ANY`, `NONE`, a PEM certificate nor a key hash")]
    NotAccessEntry,
    #[error("`NONE` cannot be combined with other entries")]
    NoneWithOthers,
    #[error("`*` ignores every advisory, which needs `debug-mode` in `tolerate`")]
    AllAdvisoriesWithoutDebug,
    #[error("`{}` is not an advisory ID", .value.escape_debug())]
    NotAdvisory { value: String },

    // Relations between values.
    #[error("{what} `{name}` is defined twice")]
    DefinedTwice { what: &'static str, name: String },
    #[error("no {what} `{name}` in this session")]
    NotDefined {
        what: &'static str,
        name: String,
        nearest: Option<String>,
    },
    #[error("secret `{name}` is of kind `{kind}`, wanted `{wanted}`")]
    WrongKind {
        name: String,
        kind: &'static str,
        wanted: &'static str,
    },
    #[error("secret `{name}` of kind `{kind}` has no format `{}`", .format.escape_debug())]
    NoSuchFormat {
        name: String,
        kind: &'static str,
        format: String,
        allowed: &'static str,
    },
    #[error("format `{format}` of secret `{name}` is not supported by this version")]
    UnsupportedFormat { name: String, format: String },
    #[error("secret `{name}` is rendered as bytes here, but only text can stand here")]
    BytesAsText { name: String },
    #[error("variable `{name}` is in `environment` and in `host_environment`")]
    VariableTwice { name: String },
    #[error("the issuers of certificate `{name}` never end at a root")]
    IssuerCycle { name: String },
    #[error("`{path}` is used twice in this image")]
    PathTwice { path: String },
    #[error("this variant accepts any enclave")]
    VariantAcceptsAll,
    #[error("this service has no attestation")]
    NoAttestation,
    #[error("`attestation` and `mrenclaves` say the same thing twice")]
    AttestationTwice,
}

impl Problem {
    /// What the author can do, where the message alone does not say it.
    #[must_use]
    pub fn help(&self) -> Option<Cow<'_, str>> {
        let help: Cow<'_, str> = match self {
            Self::TooLarge { .. } => "move large contents into a measured tree".into(),
            Self::AnchorOrAlias => "write the value out in each place".into(),
            Self::Tag => "remove the `!` tag, or quote the value".into(),
            Self::SecondDocument => "put each session into a file of its own".into(),
            Self::NotYaml { .. } | Self::KeyNotText => "quote text that contains `: `, ` #` or starts with a YAML indicator".into(),
            Self::WrongShape { wanted: "text", found: "null" } => "write `\"\"` for empty text".into(),
            Self::MissingKey { help, .. } | Self::EmptyList { help } => (*help).into(),
            Self::UnknownKey { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?").into(),
            Self::UnsupportedKey { key } => format!("remove `{key}`; it is never ignored silently").into(),
            Self::UnknownValue { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?").into(),
            Self::UnknownValue { allowed, .. } => format!("write one of: {}", allowed.join(", ")).into(),
            Self::UnsupportedValue { supported, .. } => {
                format!("this version supports: {}", supported.join(", ")).into()
            }
            Self::InjectionWithoutContent { .. } => "it would come from the image; write a mapping with `path` and `content`".into(),
            Self::UnsupportedAccessEntry => "list CREATOR, ANY, NONE, PEM certificates or key hashes".into(),
            Self::UnknownVersion { .. } => "this version reads \"0.3\" to \"0.3.12\"".into(),
            Self::InvalidName { rule, .. } => (*rule).into(),
            Self::NotPermission => "write for example `permission: 0o600`".into(),
            Self::NotDuration => "write a number and a unit, for example `30 days`, `12h` or `1 year`".into(),
            Self::NotAbsolutePath { .. } => "start with `/`; no `.`, `..`, empty component or `/` at the end".into(),
            Self::NotWords { .. } => "write the command as a list of arguments".into(),
            Self::HostArgument { .. } => "write the value into the session, or admit a host variable with `host_environment`".into(),
            Self::OpenReference => "write `$$SCONE::NAME$$` or `$$SCONE::NAME:FORMAT$$`".into(),
            Self::UnknownFilter { .. } => "the only filter is `|escape(json)`".into(),
            Self::SvnTwice => "keep either the exact value or the range".into(),
            Self::SizeDiffers { .. } => "remove `size`: it follows from the value".into(),
            Self::NotPrivateKey => "`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` writes one".into(),
            Self::NotAccessEntry => "a key hash is the SHA-256 of the certificate's SubjectPublicKeyInfo, 64 hexadecimal digits".into(),
            Self::NotAdvisory { .. } => "write IDs such as `INTEL-SA-00615`".into(),
            Self::NotDefined { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?").into(),
            Self::NoSuchFormat { allowed, .. } => format!("formats of this kind: {allowed}").into(),
            Self::BytesAsText { .. } => "name a text format, for example `:hex` or `:pem`".into(),
            Self::IssuerCycle { .. } => "one certificate signs itself: it has no `issuer`; at most 8 others lie between it and this one".into(),
            Self::VariableTwice { .. } => "remove it from one of them: either the session or the host decides".into(),
            Self::PathTwice { .. } => "nested paths are fine, the longest prefix wins; equal ones are ambiguous".into(),
            Self::VariantAcceptsAll => "name `mrenclave` or `signer`".into(),
            Self::NoAttestation => "add `attestation` with `mrenclave` or `signer`: nothing could ever run as this service".into(),
            Self::AttestationTwice => "keep `attestation`".into(),
            _ => return None,
        };
        Some(help)
    }
}
