//! Every kind of problem, word for word.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::collections::BTreeSet;

use common::{compare, problems};

/// A session whose relations are all wrong.
const RELATIONS: &str = r#"name: relations
version: "0.3"
services:
- name: one
  image_name: imaeg
  command: [/a, $$SCONE::passwrd$$, $$SCONE::password:hex$$, $$SCONE::bytes$$, $$SCONE::leaf:pkcs12-with-private-key$$]
  environment: {A: 1}
  host_environment: [A]
  attestation:
    signer: {mrsigner: abababababababababababababababababababababababababababababababab, isvprodid: 1, isvsvn_min: 3, isvsvn_max: 2}
- name: one
  command: /a
secrets:
- {name: password, kind: ascii}
- {name: bytes, kind: binary}
- {name: loop, kind: x509-ca, issuer: loop}
- {name: leaf, kind: x509, issuer: password, private_key: leaf}
images:
- name: image
  injection_files:
  - {path: /a, content: $$SCONE::leaf:derr$$}
  - {path: /a, content: x}
  - {path: /, content: x}
"#;

/// A session whose values are all wrong.
const VALUES: &str = r#"nmae: values
version: "0.4"
predecessor: abc
volumes: []
access_policy:
  read: [NONE, ANY]
  update: []
  create_sessions:
  - "-----BEGIN CERTIFICATE-----"
  - creator
  - require-all: [a]
  list_sessions: ANY
services:
- name: a/b
  command: "/a 'b"
  environment: [A]
  pwd: run
  attestation:
  - isolation: ful
  - isolation: none
  - mrenclave: 12
    simulated: {}
    signer: {mrsigner: abababababababababababababababababababababababababababababababab, isvprodid: 70000, isvsvn: 1, isvsvn_min: 1}
- name: b
  command: ""
  mrenclaves: []
- name: c
  command: ["@@1", $$SCONE::a, "$$SCONE::a|upper$$", "nul\0"]
  mrenclaves: abababababababababababababababababababababababababababababababab
  attestation: []
- name:
  command: [/a]
secrets:
- {name: a, kind: ascii, size: 3, value: four}
- {name: b, kind: binary, value: 0}
- {name: b2, kind: binary, value: ""}
- {name: c, kind: private-key, key_type: P-384, value: x, san: "dns:a"}
- {name: d, kind: pgp-key}
- {name: e, kind: binray}
- {name: f.key, kind: ascii, export: x}
- {name: g, kind: x509, san: host, valid_for: soon}
images:
- name: i
  injection_files:
  - /etc/file
  - {path: /a, content: x, permission: 600}
  mounts:
  - {path: /b, kind: memory, source: /b}
  - {path: /c, kind: host}
security:
  attestation:
    mode: maa
    tolerate: [maa-managed-tcb, outdated]
    ignore_advisories: "*"
"#;

const SINGLE: [&str; 13] = [
    "",
    "[a",
    "a: 1\n---\nb: 2\n",
    "name: &a b\n",
    "name: !x b\n",
    "name: a\nname: b\n",
    "[a]: b\n",
    "just text\n",
    "name: a\n",
    "name: a\nversion: 0.3.13\n",
    "name: a\nversion: \"0.3\"\nservices: {a: b}\n",
    "name: a\nversion: \"0.3\"\nsecurity: {attestation: {ignore_advisories: [SA-1]}}\n",
    "name: a\nversion: \"0.3\"\nxyzzy: 1\nserivces: 1\n",
];

#[test]
fn every_kind_of_problem_says_what_is_wrong_and_what_to_do() {
    let mut snapshot = String::new();
    let mut seen = BTreeSet::new();
    let mut add = |title: &str, text: &[u8]| {
        let found = problems(text);
        snapshot += &format!("== {title}\n{found}\n\n");
        for diagnostic in found.iter() {
            let debug = format!("{:?}", diagnostic.problem);
            let end = debug
                .find(|c: char| !c.is_alphanumeric())
                .unwrap_or(debug.len());
            seen.insert(debug[..end].to_owned());
        }
    };
    add("relations", RELATIONS.as_bytes());
    add("values", VALUES.as_bytes());
    for text in SINGLE {
        add(&format!("{text:?}"), text.as_bytes());
    }
    add("not UTF-8", b"name: \xff\n");
    add("too large", &vec![b' '; (1 << 20) + 1]);
    add("too deep", "[".repeat(40).as_bytes());
    add("too many", format!("[{}]", "a,".repeat(20_001)).as_bytes());
    compare("tests/data/diagnostics.txt", &snapshot);

    // The kinds, read from where they are defined: a new one needs a case here.
    let source = include_str!("../src/problem.rs");
    let kinds = source
        .split("pub enum Problem {")
        .nth(1)
        .unwrap()
        .split("\n}")
        .next()
        .unwrap();
    let kinds: BTreeSet<_> = kinds
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| {
            line.split(|c: char| !c.is_alphanumeric())
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(kinds.len() > 50);
    let missing: Vec<_> = kinds.difference(&seen).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}
