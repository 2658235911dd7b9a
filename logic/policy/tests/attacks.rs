//! Sessions written to do harm: each is refused, at once and without a panic.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use bannock_policy::{Problem, Session};
use common::problems;

const SERVICE: &str = "name: a\nversion: \"0.3\"\nservices:\n- name: s\n  mrenclaves: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";

/// The first problem of a text.
fn first(text: impl AsRef<[u8]>) -> Problem {
    problems(text.as_ref())
        .iter()
        .next()
        .unwrap()
        .problem
        .clone()
}

fn image(rest: &str) -> String {
    format!("name: a\nversion: \"0.3\"\nimages:\n- name: i\n{rest}")
}

#[test]
fn alias_bombs_are_refused_at_the_first_anchor() {
    let mut bomb = String::from("name: a\nversion: \"0.3\"\nx0: &x0 [lol, lol]\n");
    for level in 1..30 {
        bomb += &format!("x{level}: &x{level} [*x{0}, *x{0}]\n", level - 1);
    }
    assert_eq!(first(bomb), Problem::AnchorOrAlias);
    assert_eq!(first("name: &a a\nversion: *a\n"), Problem::AnchorOrAlias);
    assert_eq!(
        first("name: a\nservices: *undefined\n"),
        Problem::NotYaml {
            message: "while parsing node, found unknown anchor".into()
        }
    );
    assert!(
        matches!(
            first("<<: {name: a}\nversion: \"0.3\"\n"),
            Problem::MissingKey { .. }
        ),
        "merge keys merge nothing"
    );
}

#[test]
fn depth_size_and_number_are_bounded() {
    for open in ["[", "{a: ", "- ", "? "] {
        for depth in [33, 1000, 250_000 / open.len()] {
            let text = open.repeat(depth);
            let problem = first(&text);
            assert!(
                matches!(problem, Problem::TooDeep { .. } | Problem::NotYaml { .. }),
                "{open} {depth}: {problem:?}"
            );
        }
    }
    assert_eq!(
        first(format!("name: {}", "a".repeat(1 << 20))),
        Problem::TooLarge { limit: 1 << 20 }
    );
    assert_eq!(
        first(format!("name: [{}]", "a,".repeat(30_000))),
        Problem::TooManyValues { limit: 20_000 }
    );
    // The largest scalar that fits is judged by its own rule.
    let huge = format!("version: \"0.3\"\nname: {}", "a".repeat((1 << 20) - 30));
    assert!(matches!(first(huge), Problem::InvalidName { .. }));
}

#[test]
fn a_text_full_of_errors_is_answered_in_full() {
    let mut text = String::from("name: a\nversion: \"0.3\"\nsecrets:\n");
    for at in 0..2000 {
        text += &format!("- {{name: s{at}, kind: x509, issuer: t{at}}}\n");
    }
    assert_eq!(problems(text.as_bytes()).iter().count(), 2000);
}

#[test]
fn what_is_not_text_is_refused() {
    assert_eq!(first(b"name: a\xff\n"), Problem::NotUtf8);
    let found = problems(b"name: a\nversion: \xc3(\n");
    let position = found.iter().next().unwrap().position.unwrap();
    assert_eq!((position.line, position.column), (2, 10));
    for nul in ["\"\\0\"", "\"a\\0b\""] {
        for place in [
            format!("  command: [/a, {nul}]\n"),
            format!("  command: {nul}\n"),
            format!("  command: /a\n  environment: {{A: {nul}}}\n"),
            format!("  command: /a\n  pwd: {nul}\n"),
        ] {
            assert!(
                problems(format!("{SERVICE}{place}").as_bytes())
                    .iter()
                    .any(|found| found.problem == Problem::ContainsNul),
                "{place}"
            );
        }
        let variable = format!("{SERVICE}  command: /a\n  environment: {{{nul}: a}}\n");
        assert!(matches!(first(variable), Problem::InvalidName { .. }));
    }
    assert!(matches!(
        first(format!(
            "{SERVICE}  command: /a\n  environment: {{\"A=B\": c}}\n"
        )),
        Problem::InvalidName { .. }
    ));
    assert!(Session::parse(b"name: a\0\nversion: \"0.3\"\n").is_err());
    assert!(Session::parse(b"\0").is_err() && Session::parse(b"").is_err());
}

#[test]
fn duplicate_keys_are_refused_everywhere() {
    for text in [
        "name: a\nname: b\nversion: \"0.3\"\n".to_owned(),
        "name: a\n\"name\": b\nversion: \"0.3\"\n".to_owned(),
        "name: a\nversion: \"0.3\"\naccess_policy: {read: NONE, read: ANY}\n".to_owned(),
        format!("{SERVICE}  command: /a\n  environment: {{A: 1, A: 2}}\n"),
        format!("{SERVICE}  command: /a\n  command: /b\n"),
    ] {
        assert!(
            matches!(first(&text), Problem::DuplicateKey { .. }),
            "{text}"
        );
    }
}

#[test]
fn paths_cannot_leave_their_place_or_hide_another() {
    for path in [
        "a",
        "../a",
        "/a/../b",
        "/..",
        "/a/.",
        "//a",
        "/a/",
        "\"/a\\0\"",
        "\"/a\\nb\"",
        "\"\"",
    ] {
        for rest in [
            format!("  injection_files: [{{path: {path}, content: x}}]\n"),
            format!("  mounts: [{{path: {path}, kind: memory}}]\n"),
            format!("  mounts: [{{path: /x, kind: host, source: {path}}}]\n"),
            format!("  trees: [{{path: {path}, digest: {}}}]\n", "ab".repeat(32)),
        ] {
            assert!(
                matches!(first(image(&rest)), Problem::NotAbsolutePath { .. }),
                "{rest}"
            );
        }
    }
    let tree = format!("{{path: /a, digest: {}}}", "ab".repeat(32));
    let (mount, file) = ("{path: /a, kind: memory}", "{path: /a, content: x}");
    let lists = [
        ("trees", tree.as_str()),
        ("mounts", mount),
        ("injection_files", file),
    ];
    for (one, first_item) in lists {
        for (two, second_item) in lists {
            let rest = match one == two {
                true => format!("  {one}: [{first_item}, {second_item}]\n"),
                false => format!("  {one}: [{first_item}]\n  {two}: [{second_item}]\n"),
            };
            assert_eq!(
                first(image(&rest)),
                Problem::PathTwice { path: "/a".into() },
                "{rest}"
            );
        }
    }
    // Nested ones are fine: the longest prefix wins.
    let nested = format!(
        "  trees: [{{path: /, digest: {}}}]\n  mounts: [{{path: /a, kind: memory}}]\n  injection_files: [{{path: /a/b, content: x}}]\n",
        "ab".repeat(32)
    );
    assert!(Session::parse(image(&nested).as_bytes()).is_ok());
    assert_eq!(
        first(image("  injection_files: [{path: /, content: x}]\n")),
        Problem::InjectedRoot
    );
}

#[test]
fn secrets_named_like_formats_are_not_mistaken() {
    let text = format!(
        "{SERVICE}  command: [/a, $$SCONE::hex:hex$$, $$SCONE::pem$$, $$SCONE::hex.hex$$]\nsecrets:\n- {{name: hex, kind: binary}}\n- {{name: pem, kind: ascii}}\n"
    );
    assert!(Session::parse(text.as_bytes()).is_ok());
    for name in ["a.key", "a.crt", ".hex", "a:hex", "a|b", "a$$", ""] {
        let text =
            format!("name: a\nversion: \"0.3\"\nsecrets: [{{name: \"{name}\", kind: ascii}}]\n");
        assert!(matches!(first(text), Problem::InvalidName { .. }), "{name}");
    }
}

#[test]
fn issuers_cannot_form_a_cycle_or_an_endless_chain() {
    let head = "name: a\nversion: \"0.3\"\nsecrets:\n";
    let own = format!("{head}- {{name: a, kind: x509-ca, issuer: a}}\n");
    let two = format!(
        "{head}- {{name: a, kind: x509-ca, issuer: b}}\n- {{name: b, kind: x509-ca, issuer: a}}\n"
    );
    let mut long = format!("{head}- {{name: c0, kind: x509-ca}}\n");
    for at in 1..1000 {
        long += &format!("- {{name: c{at}, kind: x509-ca, issuer: c{}}}\n", at - 1);
    }
    for text in [own, two, long] {
        assert!(matches!(first(text), Problem::IssuerCycle { .. }));
    }
}

#[test]
fn nothing_in_a_message_reaches_the_terminal_raw() {
    let found = problems(b"name: a\nversion: \"0.3\"\n\"\\e[31mred\\a\": 1\n").to_string();
    assert!(found.contains("red"));
    assert!(
        found.chars().all(|c| c == '\n' || !c.is_control()),
        "{found:?}"
    );
}

#[test]
fn values_of_secrets_are_in_no_message() {
    let text = "name: a\nversion: \"0.3\"\nsecrets:\n- {name: a, kind: binary, value: hunter2hunter2}\n- {name: b, kind: private-key, value: hunter2}\n- {name: c, kind: ascii, size: 3, value: hunter2}\n- {name: d, kind: x509, value: hunter2}\n- {name: e, kind: asci, value: hunter2}\n- {name: f, kind: ascii, value: \"hunter2\\0\"}\n";
    let found = problems(text.as_bytes());
    assert_eq!(found.iter().count(), 6, "{found}");
    assert!(
        !format!("{found} {found:?}").contains("hunter2"),
        "{found:?}"
    );
}
