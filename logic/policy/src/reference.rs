//! The reference of the session language, made of [`table`](crate::table).

use core::fmt::Write as _;

use crate::table::{ACCESS, KEYS, Origin, SECTIONS, TOP, keys};

const INTRODUCTION: &str = "\
# Session language

<!-- Made of logic/policy/src/table.rs. Change it there, then run
     `BANNOCK_BLESS=1 cargo test -p bannock-policy`. -->

A session is one YAML document in UTF-8. Versions \"0.3\" to \"0.3.12\" of SCONE's session language
are accepted; keys marked *Bannock* are additions. Nothing is ignored: an unknown key is an error,
and so is a key of SCONE's that this version does not support. `bannock session check` reports all
errors at once.

YAML anchors, aliases, tags, duplicate keys and further documents are refused. A session has at
most 1 MiB, 32 levels and 20,000 values.
";

const REFERENCES: &str = "
## References to secrets

`$$SCONE::NAME$$` stands for the value of a secret; `$$SCONE::NAME:FORMAT$$` says how to write it.
`$$SCONE::NAME:FORMAT|escape(json)$$` escapes the result for the inside of a JSON string. References
are allowed in `command`, `environment` values, `pwd` and the `content` of injected files.

| kind | formats, the default first |
|---|---|
| `ascii` | none |
| `binary` | `:bin` (the bytes; files only), `:hex`, `:base64`, `:base64url`, `:base32`, `:base32nopad` |
| `private-key` | `:pem` = `:pkcs8:pem`, `:der` = `:pkcs8:der` (files only); PKCS #8 |
| `x509`, `x509-ca` | `:crt` = `:crt:pem`, `:crt:der` (files only), `:chain` (the certificate and its issuers, the root included, in PEM), `:privatekey` = `:privatekey:pem` = `:privatekey:pkcs8:pem`, `:privatekey:der` = `:privatekey:pkcs8:der` (files only) |

Older forms are accepted: `NAME.hex`, `NAME.crt`, `NAME.key`, `NAME.chain`. Base64 and base32 are
padded (RFC 4648) unless the format says otherwise. `@@N` and `@@NAME:`, by which SCONE lets host
values in, are refused in `command`, `environment` and `pwd`; `host_environment` admits variables.

## What an update keeps

`ascii` and `binary` secrets are kept as long as kind and size stay the same, private keys if the
old and the new session say `migrate: true`. A `value` in the new session wins. Certificates are
issued anew; secrets that are no longer named are dropped.

## The hash

A session's hash is SHA-256 over `bannock session v1`, a zero byte and the deterministic CBOR
(RFC 8949, section 4.2.1) of the checked session with its predecessor and without its creator.
Layout, comments and the order of keys do not change it.
";

/// The reference as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(INTRODUCTION);
    for section in SECTIONS {
        let title = if section == TOP { "Top" } else { section };
        // Writing to a `String` cannot fail.
        let _ = write!(
            out,
            "\n## `{title}`\n\n| key | type | default | from | meaning |\n|---|---|---|---|---|\n"
        );
        for key in keys(section).filter(|key| key.origin != Origin::SconeUnsupported) {
            let from = if key.origin == Origin::Bannock {
                "*Bannock*"
            } else {
                "SCONE"
            };
            let (kind, default) = (key.kind, key.default);
            let _ = writeln!(
                out,
                "| `{}` | {kind} | {default} | {from} | {} |",
                key.name, key.meaning
            );
        }
        let refused: Vec<_> = keys(section)
            .filter(|key| key.origin == Origin::SconeUnsupported)
            .map(|key| format!("`{}`", key.name))
            .collect();
        if !refused.is_empty() {
            let _ = writeln!(
                out,
                "\nKnown, but refused by this version: {}.",
                refused.join(", ")
            );
        }
        if section == ACCESS {
            out.push_str(
                "\nThe creator is who created the first version, known by their client key.\n",
            );
        }
    }
    out.push_str(REFERENCES);
    debug_assert!(KEYS.iter().all(|key| SECTIONS.contains(&key.section)));
    out
}
