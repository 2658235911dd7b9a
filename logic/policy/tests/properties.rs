//! What holds for every input.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use bannock_policy::{SecretValues, Session, Template, provision};
use common::{MARIADB, NOW, SCONE_STYLE, random};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_-]{0,8}"
}

/// Texts that are sessions as long as names do not collide.
fn session_text() -> impl Strategy<Value = String> {
    let secrets = prop::collection::btree_map(name(), (0..4_u8, 1..64_u32), 0..5);
    let words = prop::collection::vec("[ -~]{0,12}", 1..4);
    let environment = prop::collection::btree_map("[A-Z_]{1,6}", "\\PC{0,12}", 0..4);
    let files = prop::collection::btree_map(
        "(/[a-z.]{1,3}[a-z]){1,3}",
        (0..0o1000_u16, "\\PC{0,20}"),
        0..4,
    );
    (name(), secrets, words, environment, files).prop_map(|(name, secrets, words, environment, files)| {
        let quote = |text: &str| format!("{:?}", text.replace("$$SCONE::", "")).replace("\\u{", "\\U{").replace("\\'", "'");
        let mut text = format!("name: {name}\nversion: \"0.3\"\nservices:\n- name: s\n  image_name: i\n  mrenclaves: {}\n  command: [/p", "ab".repeat(32));
        for word in words {
            text += &format!(", {}", quote(&word));
        }
        text += "]\n  environment: {";
        for (name, value) in environment {
            text += &format!("{name}: {}, ", quote(&value));
        }
        text += "}\nimages:\n- name: i\n  injection_files:\n";
        for (path, (mode, content)) in &files {
            text += &format!("  - {{path: {}, permission: 0o{mode:o}, content: {}}}\n", quote(path), quote(content));
        }
        if files.is_empty() {
            text += "  - {path: /only, content: x}\n";
        }
        text += "secrets:\n- {name: Z, kind: ascii}\n";
        for (name, (kind, size)) in secrets {
            text += &match kind {
                0 => format!("- {{name: {name}, kind: ascii, size: {size}}}\n"),
                1 => format!("- {{name: {name}, kind: binary, size: {size}}}\n"),
                2 => format!("- {{name: {name}, kind: private-key}}\n"),
                _ => format!("- {{name: {name}, kind: x509, valid_for: {size}d}}\n"),
            };
        }
        text
    })
}

/// One of the golden sessions with a few bytes changed.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let texts = prop::sample::select(vec![MARIADB, SCONE_STYLE]);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6);
    (texts, edits).prop_map(|(text, edits)| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte, edit) in edits {
            let at = at.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn arbitrary_text_never_panics(text in "(\\PC|[\\n\\t \\[\\]{}:,&*!|>'\"#?-]){0,200}") {
        let _ = Session::parse(text.as_bytes());
        let _ = Template::parse(&text);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Session::parse(&bytes);
        let _ = Session::from_cbor(&bytes);
        let _ = SecretValues::from_cbor(&bytes);
    }

    #[test]
    fn damaged_sessions_are_refused_with_sorted_positions_or_are_sessions(bytes in damaged()) {
        match Session::parse(&bytes) {
            Ok(session) => prop_assert!(Session::from_cbor(&session.to_cbor()).unwrap() == session),
            Err(found) => {
                let positions: Vec<_> = found.iter().map(|found| found.position).collect();
                prop_assert!(!positions.is_empty() && positions.is_sorted());
                prop_assert!(positions.iter().all(Option::is_some));
            }
        }
    }

    #[test]
    fn damaged_cbor_is_refused_or_is_another_session(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let good = common::session(MARIADB).to_cbor();
        let mut bytes = good.to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(session) = Session::from_cbor(&bytes) {
            prop_assert!(*session.to_cbor() == bytes);
        }
    }

    #[test]
    fn sessions_survive_cbor_and_provision(text in session_text()) {
        let session = match Session::parse(text.as_bytes()) {
            Ok(session) => session,
            // `@@` in a word, or a path component of dots.
            Err(found) => {
                let expected = |text: &str| text.contains("host arguments") || text.contains("normalized") || text.contains("not YAML");
                prop_assert!(found.iter().all(|found| expected(&found.to_string())), "{found}\n{text}");
                return Ok(());
            }
        };
        let bytes = session.to_cbor();
        let decoded = Session::from_cbor(&bytes).unwrap();
        prop_assert_eq!(decoded.hash(), session.hash());
        prop_assert!(decoded == session);
        let values = SecretValues::generate(&session, NOW, &random(1)).unwrap();
        prop_assert!(SecretValues::from_cbor(&values.to_cbor()).unwrap() == values);
        prop_assert!(provision(&session, "s", &values).is_ok());
    }
}
