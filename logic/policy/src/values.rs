//! Values that are correct once they exist: names, digests, paths.
//!
//! Each type is parsed from text once; decoding from CBOR runs the same parser.

use core::fmt;
use core::net::IpAddr;

use minicbor::data::Type;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::problem::Problem;

/// A text type with a parser, encoded as a CBOR text string.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Parses `text`, or says which rule it breaks.
            ///
            /// # Errors
            /// The [`Problem`] that describes the rule.
            pub fn parse(text: &str) -> Result<Self, Problem> {
                let check: fn(&str) -> Result<(), Problem> = $parse;
                check(text).map(|()| Self(text.to_owned()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Stands where parsing failed and a problem was reported; never leaves the crate.
            #[allow(dead_code, reason = "not every text type is optional in the syntax")]
            pub(crate) fn absent() -> Self {
                Self(String::new())
            }

            #[allow(dead_code, reason = "see `absent`")]
            pub(crate) fn is_absent(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: encode::Write>(
                &self,
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), encode::Error<W::Error>> {
                e.str(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
                Self::parse(d.str()?).map_err(decode::Error::message)
            }
        }
    };
}

fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.~".contains(&b))
        && text != "."
        && text != ".."
}

checked_text!(
    /// The name of a session: components of `[A-Za-z0-9_.~-]{1,128}` separated by `/`, at most
    /// 512 bytes.
    SessionName,
    |text| {
        if text.len() <= 512 && text.split('/').all(is_name) {
            return Ok(());
        }
        Err(Problem::InvalidName {
            what: "session name",
            value: text.to_owned(),
            rule: "components of A-Z a-z 0-9 _ . ~ - (1 to 128 each) separated by `/`, at most 512 bytes",
        })
    }
);

checked_text!(
    /// The name of a service or image: `[A-Za-z0-9_.~-]{1,128}`.
    Name,
    |text| {
        if is_name(text) {
            return Ok(());
        }
        Err(Problem::InvalidName {
            what: "name",
            value: text.to_owned(),
            rule: "1 to 128 of A-Z a-z 0-9 _ . ~ -",
        })
    }
);

/// Old forms of formats, written behind the name with a dot instead of a colon.
pub(crate) const LEGACY_SUFFIXES: [&str; 4] = [".hex", ".crt", ".key", ".chain"];

checked_text!(
    /// The name of a secret: `[A-Za-z0-9_.-]{1,128}`, not ending in `.hex`, `.crt`, `.key` or
    /// `.chain`, so that a reference with such an ending has one meaning.
    SecretName,
    |text| {
        let plain = (1..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if plain && !LEGACY_SUFFIXES.iter().any(|suffix| text.ends_with(suffix)) {
            return Ok(());
        }
        Err(Problem::InvalidName {
            what: "secret name",
            value: text.to_owned(),
            rule: "1 to 128 of A-Z a-z 0-9 _ . -, not ending in .hex, .crt, .key or .chain",
        })
    }
);

checked_text!(
    /// The name of an environment variable: not empty, without `=`, NUL and control characters.
    EnvironmentName,
    |text| {
        let long = text.len() > 4096;
        if !text.is_empty() && !long && !text.chars().any(|c| c == '=' || c.is_control()) {
            return Ok(());
        }
        Err(Problem::InvalidName {
            what: "environment variable name",
            value: text.to_owned(),
            rule: "1 to 4096 bytes without `=` and control characters",
        })
    }
);

checked_text!(
    /// A file-system path that starts with `/` and has no `.`, `..`, empty component, control
    /// character or trailing `/`; at most 4095 bytes (PATH_MAX without its NUL).
    AbsolutePath,
    |text| {
        let normal = match text.strip_prefix('/') {
            None => false,
            Some("") => true,
            Some(rest) => rest.split('/').all(|part| !matches!(part, "" | "." | "..")),
        };
        if normal && text.len() <= 4095 && !text.chars().any(char::is_control) {
            return Ok(());
        }
        Err(Problem::NotAbsolutePath { value: text.to_owned() })
    }
);

checked_text!(
    /// The common name of a certificate's subject: 1 to 64 characters (RFC 5280, appendix A.1,
    /// ub-common-name) without control characters.
    CommonName,
    |text| {
        if (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
            return Ok(());
        }
        Err(Problem::InvalidName {
            what: "common name",
            value: text.to_owned(),
            rule: "1 to 64 characters without control characters; set `common_name`",
        })
    }
);

checked_text!(
    /// The ID of an Intel security advisory, as in `INTEL-SA-00615`.
    AdvisoryId,
    |text| {
        let digits = text.strip_prefix("INTEL-SA-").unwrap_or_default();
        if (5..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(());
        }
        Err(Problem::NotAdvisory { value: text.to_owned() })
    }
);

/// A name that a certificate is for: `dns:NAME` or `ip:ADDRESS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectAltName {
    /// A DNS name (RFC 1123 labels; the first may be `*`).
    Dns(String),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
}

impl SubjectAltName {
    /// Parses `dns:NAME` or `ip:ADDRESS`.
    ///
    /// # Errors
    /// [`Problem::InvalidName`] if it is neither.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let parsed = match text.split_once(':') {
            Some(("dns", name)) => is_dns_name(name).then(|| Self::Dns(name.to_owned())),
            Some(("ip", address)) => address.parse().ok().map(Self::Ip),
            _ => None,
        };
        parsed.ok_or_else(|| Problem::InvalidName {
            what: "subject alternative name",
            value: text.to_owned(),
            rule: "write `dns:NAME` or `ip:ADDRESS`",
        })
    }
}

fn is_dns_name(name: &str) -> bool {
    let labels = name.strip_prefix("*.").unwrap_or(name);
    name.len() <= 253
        && labels.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

impl fmt::Display for SubjectAltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Ip(address) => write!(f, "ip:{address}"),
        }
    }
}

impl<C> Encode<C> for SubjectAltName {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.str(&self.to_string())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for SubjectAltName {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        Self::parse(d.str()?).map_err(decode::Error::message)
    }
}

/// 32 bytes that identify something: a measurement, a key hash, a tree's root digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Digest(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

impl Digest {
    /// Parses 64 hexadecimal digits of either case.
    ///
    /// # Errors
    /// [`Problem::NotHex`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| Problem::NotHex { digits: 64 })?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Secret bytes: wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<C> Encode<C> for SecretBytes {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for SecretBytes {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        match d.datatype()? {
            Type::Bytes => Ok(Self(d.bytes()?.to_vec())),
            other => Err(decode::Error::type_mismatch(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_normalized() {
        for good in ["/", "/a", "/a/b.c", "/..a", "/a..", "/ä b"] {
            assert!(AbsolutePath::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "", "a", "//", "/a/", "/a//b", "/.", "/a/..", "/../a", "/a\0", "/a\nb",
        ] {
            assert!(AbsolutePath::parse(bad).is_err(), "{bad:?}");
        }
        assert!(AbsolutePath::parse(&format!("/{}", "a".repeat(4095))).is_err());
    }

    #[test]
    fn names_have_their_alphabets() {
        for good in ["a", "a/b", "A-1_.~", "...", &"a".repeat(128)] {
            assert!(SessionName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            "a/../b",
            ".",
            "ä",
            "a b",
            &"a".repeat(129),
        ] {
            assert!(SessionName::parse(bad).is_err(), "{bad}");
        }
        for bad in [
            "", "a/b", "a.key", "a.crt", "x.hex", "x.chain", ".key", "a:b", "a$",
        ] {
            assert!(SecretName::parse(bad).is_err(), "{bad}");
        }
        assert!(SecretName::parse("pem").is_ok() && SecretName::parse("a.b").is_ok());
    }

    #[test]
    fn alternative_names_are_dns_names_or_addresses() {
        for good in ["dns:db", "dns:*.example.org", "ip:10.0.0.1", "ip:::1"] {
            assert_eq!(SubjectAltName::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "db", "dns:", "dns:a b", "dns:-a", "dns:a..b", "ip:1", "ip:db", "url:x",
        ] {
            assert!(SubjectAltName::parse(bad).is_err(), "{bad}");
        }
    }
}
