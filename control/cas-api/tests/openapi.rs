//! The published OpenAPI document is the one that the types make.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

#[test]
fn the_published_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/cas-openapi.json");
    let mut wanted =
        serde_json::to_string_pretty(&sorted(&bannock_cas_api::openapi::document())).unwrap();
    wanted.push('\n');
    if std::env::var_os("BANNOCK_BLESS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "{} is not what the types say: run this test with BANNOCK_BLESS=1 and commit the file",
        path.display()
    );
}

/// The document with its keys sorted: whether `serde_json` does that by itself depends on what else
/// is in the build.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<_, _> = members.iter().collect();
            members
                .into_iter()
                .map(|(key, value)| (key.clone(), sorted(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
