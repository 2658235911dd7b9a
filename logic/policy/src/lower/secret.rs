//! Secrets and their parameters.

use super::{Cursor, Fields, Report};
use crate::ast::{CertificateRules, Endpoint, Secret, SecretKind};
use crate::check::{MAX_SECRET_SIZE, MAX_VALID_FOR};
use crate::problem::Problem;
use crate::secrets::key;
use crate::table;
use crate::values::{CommonName, SecretBytes, SecretName, SubjectAltName};

const DEFAULT_SIZE: u32 = 20;
const DAY: u64 = 24 * 60 * 60;
const YEAR: u64 = 365 * DAY;

const KINDS: [&str; 5] = ["ascii", "binary", "private-key", "x509", "x509-ca"];
const REFUSED_KINDS: [&str; 5] = [
    "public-key",
    "aad-token",
    "config-fragment",
    "pgp-key",
    "jwt",
];

/// Keys that have a meaning for a kind, apart from `name` and `kind`.
fn keys_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "ascii" | "binary" => &["size", "value"],
        "private-key" => &["key_type", "migrate", "value"],
        "x509-ca" => &["private_key", "issuer", "common_name", "valid_for"],
        _ => &[
            "private_key",
            "issuer",
            "common_name",
            "endpoint",
            "san",
            "dns",
            "valid_for",
        ],
    }
}

/// Lowers a secret; `None` if its kind or parameters are unusable, which was reported.
pub(super) fn lower(report: &mut Report, at: Cursor<'_>) -> Option<Secret> {
    let fields = Fields::open(report, at, table::SECRET)?;
    let name = fields
        .require(report, "name", "write `name: NAME`")
        .and_then(|at| at.parse(report, SecretName::parse));
    let at = fields.require(
        report,
        "kind",
        "write `kind: ascii`, `binary`, `private-key`, `x509` or `x509-ca`",
    )?;
    let kind = at.choice(report, "kind of secret", &KINDS, &REFUSED_KINDS)?;
    let before = report.found.len();
    for key in
        table::keys(table::SECRET).filter(|key| key.origin != table::Origin::SconeUnsupported)
    {
        if !["name", "kind"].contains(&key.name)
            && !keys_of(kind).contains(&key.name)
            && let Some(at) = fields.get(key.name)
        {
            let problem = Problem::KeyOfOtherKind {
                key: key.name,
                kind,
            };
            report.add(fields.key_position(key.name), &at.path, problem);
        }
    }
    let kind = match kind {
        "ascii" => ascii(report, &fields),
        "binary" => binary(report, &fields),
        "private-key" => private_key(report, &fields),
        _ => {
            let rules = certificate(report, &fields, kind == "x509-ca", name.as_ref())?;
            if kind == "x509" {
                SecretKind::X509(rules)
            } else {
                SecretKind::X509Ca(rules)
            }
        }
    };
    (report.found.len() == before).then_some(Secret { name: name?, kind })
}

/// The size: as written, or that of the value; both must agree.
fn size(report: &mut Report, fields: &Fields<'_>, value: Option<&SecretBytes>) -> u32 {
    let written = fields.get("size").and_then(|at| {
        let size = at.number(report, 1, u64::from(MAX_SECRET_SIZE))?;
        Some((at, size))
    });
    let actual = value.map(|value| u64::try_from(value.as_slice().len()).unwrap_or(u64::MAX));
    if let (Some((at, wanted)), Some(found)) = (&written, actual)
        && *wanted != found
    {
        at.wrong(
            report,
            Problem::SizeDiffers {
                wanted: *wanted,
                found,
            },
        );
    }
    if let (Some(found), Some(at)) = (actual, fields.get("value"))
        && !(1..=u64::from(MAX_SECRET_SIZE)).contains(&found)
    {
        at.wrong(
            report,
            Problem::ValueSize {
                max: MAX_SECRET_SIZE,
            },
        );
    }
    let size = actual.or(written.map(|(_, size)| size));
    size.and_then(|size| u32::try_from(size).ok())
        .unwrap_or(DEFAULT_SIZE)
}

fn ascii(report: &mut Report, fields: &Fields<'_>) -> SecretKind {
    let value = fields.get("value").and_then(|at| {
        at.parse(report, |text| match text.contains('\0') {
            true => Err(Problem::ContainsNul),
            false => Ok(SecretBytes::new(text.as_bytes().to_vec())),
        })
    });
    SecretKind::Ascii {
        size: size(report, fields, value.as_ref()),
        value,
    }
}

fn binary(report: &mut Report, fields: &Fields<'_>) -> SecretKind {
    let value = fields.get("value").and_then(|at| {
        at.parse(report, |text| {
            hex::decode(text)
                .map(SecretBytes::new)
                .map_err(|_| Problem::NotHexBytes)
        })
    });
    SecretKind::Binary {
        size: size(report, fields, value.as_ref()),
        value,
    }
}

fn private_key(report: &mut Report, fields: &Fields<'_>) -> SecretKind {
    if let Some(at) = fields.get("key_type") {
        let refused = &["P-384", "Ed25519", "RSA-2048", "RSA-3072"];
        at.choice(report, "key type", &["P-256"], refused);
    }
    let migrate = fields
        .get("migrate")
        .and_then(|at| at.boolean(report))
        .unwrap_or(false);
    let value = fields
        .get("value")
        .and_then(|at| at.parse(report, key::from_pem));
    SecretKind::PrivateKey { migrate, value }
}

fn certificate(
    report: &mut Report,
    fields: &Fields<'_>,
    is_ca: bool,
    name: Option<&SecretName>,
) -> Option<CertificateRules> {
    let mut reference = |key| {
        fields
            .get(key)
            .and_then(|at| at.parse(report, SecretName::parse))
    };
    let (private_key, issuer) = (reference("private_key"), reference("issuer"));
    let common_name = match fields.get("common_name") {
        Some(at) => at.parse(report, CommonName::parse),
        None => {
            let name = name?;
            report.take(&fields.cursor, CommonName::parse(name.as_str()))
        }
    };
    let endpoint = fields
        .get("endpoint")
        .and_then(|at| at.choice(report, "endpoint", &["server", "client"], &[]));
    let endpoint = match endpoint {
        Some("server") => Endpoint::Server,
        Some("client") => Endpoint::Client,
        _ => Endpoint::Both,
    };
    let mut san = Vec::new();
    if let Some(at) = fields.get("san") {
        let items = at.one_or_more(report);
        san.extend(
            items
                .iter()
                .filter_map(|at| at.parse(report, SubjectAltName::parse)),
        );
    }
    if let Some(at) = fields.get("dns") {
        let items = at.one_or_more(report);
        san.extend(items.iter().filter_map(|at| {
            at.parse(report, |text| SubjectAltName::parse(&format!("dns:{text}")))
        }));
    }
    let valid_for = match fields.get("valid_for") {
        Some(at) => at.parse(report, duration)?,
        None if is_ca => 10 * YEAR,
        None => YEAR,
    };
    Some(CertificateRules {
        private_key,
        issuer,
        common_name: common_name?,
        endpoint,
        san,
        valid_for,
    })
}

/// Parses a duration such as `30 days` or `1y 12h` into seconds.
fn duration(text: &str) -> Result<u64, Problem> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(Problem::NotDuration);
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or(Problem::NotDuration)?;
        let (number, behind) = rest.split_at_checked(digits).ok_or(Problem::NotDuration)?;
        let behind = behind.trim_start();
        let letters = behind
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(behind.len());
        let (unit, behind) = behind
            .split_at_checked(letters)
            .ok_or(Problem::NotDuration)?;
        let seconds = match unit {
            "s" | "sec" | "secs" | "second" | "seconds" => 1,
            "m" | "min" | "mins" | "minute" | "minutes" => 60,
            "h" | "hr" | "hrs" | "hour" | "hours" => 60 * 60,
            "d" | "day" | "days" => DAY,
            "w" | "week" | "weeks" => 7 * DAY,
            "y" | "year" | "years" => YEAR,
            _ => return Err(Problem::NotDuration),
        };
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(seconds))
            .and_then(|part| total.checked_add(part))
            .ok_or(Problem::NotDuration)?;
        rest = behind.trim_start();
    }
    if (1..=MAX_VALID_FOR).contains(&total) {
        Ok(total)
    } else {
        Err(Problem::NotDuration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, seconds) in [
            ("1s", 1),
            ("90 min", 5400),
            ("30 days", 30 * DAY),
            ("3560d", 3560 * DAY),
            ("1 year 2 weeks", YEAR + 14 * DAY),
            ("1y12h", YEAR + 12 * 3600),
        ] {
            assert_eq!(duration(text), Ok(seconds), "{text}");
        }
        for text in [
            "",
            "1",
            "d",
            "-1d",
            "1 month",
            "0s",
            "1d 2",
            "99999999999999999999s",
            "1000y",
            "1ä",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
