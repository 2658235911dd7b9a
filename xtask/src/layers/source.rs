//! What source files and manifests say, as far as the layer rules ask.
//!
//! rustc forbids unsafe code where the workspace's lints are inherited. This looks at the text as
//! well, because a lint is silent about code that is not compiled: for another target, behind a
//! feature, in a build script of a crate with lints of its own.

use std::path::{Path, PathBuf};

use crate::{fault::Fault, workspace::entries};

/// The Rust files of a crate, without those of crates inside it and without what was built.
///
/// # Errors
/// When a folder cannot be listed.
pub(super) fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            if !path.ends_with("target") && !path.join("Cargo.toml").exists() {
                files.append(&mut rust_files(&path)?);
            }
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// Whether a manifest takes over its workspace's lints.
pub(super) fn inherits_lints(manifest: &str) -> bool {
    manifest
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != "[lints]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .any(|line| line.replace(' ', "") == "workspace=true")
}

/// Whether a crate's root file declares `no_std`, unconditionally or outside of tests.
pub(super) fn is_no_std(text: &str) -> bool {
    let code = without_comments_and_literals(text).replace(char::is_whitespace, "");
    code.contains("#![no_std]") || code.contains("#![cfg_attr(not(test),no_std)]")
}

/// Numbers of the lines that contain the keyword `unsafe`.
pub(super) fn unsafe_lines(text: &str) -> Vec<usize> {
    without_comments_and_literals(text)
        .lines()
        .enumerate()
        .filter(|(_, line)| {
            line.split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == "unsafe")
        })
        .map(|(index, _)| index + 1)
        .collect()
}

/// Rust source with comments and the insides of literals blanked out; lines stay where they are.
fn without_comments_and_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let hidden = hidden_length(rest, code.chars().next_back());
        if hidden == 0 {
            code.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        } else {
            let (inside, after) = rest.split_at_checked(hidden).unwrap_or((rest, ""));
            code.push(' ');
            code.extend(inside.chars().filter(|c| *c == '\n'));
            rest = after;
        }
    }
    code
}

/// Bytes of the comment or literal at the start of `rest`, or 0 when code starts there. `before` is
/// the character in front.
fn hidden_length(rest: &str, before: Option<char>) -> usize {
    let end = |at: Option<usize>| at.unwrap_or(rest.len());
    if rest.starts_with("//") {
        return end(rest.find('\n'));
    }
    if rest.starts_with("/*") {
        return end(block_comment_length(rest));
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if !in_word {
        let raw = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
        if let Some(raw) = raw.strip_prefix('r') {
            let hashes = raw.len() - raw.trim_start_matches('#').len();
            if raw.get(hashes..).is_some_and(|raw| raw.starts_with('"')) {
                let close = format!("\"{}", raw.get(..hashes).unwrap_or_default());
                let inside = rest.len() - raw.len() + hashes + 1;
                return end(rest
                    .get(inside..)
                    .and_then(|raw| raw.find(&close))
                    .map(|at| inside + at + close.len()));
            }
        }
    }
    if rest.starts_with('"') {
        return end(quoted_length(rest, '"'));
    }
    if let Some(inside) = rest.strip_prefix('\'') {
        // A character, unless it is a lifetime or a label: those have no closing quote.
        let mut chars = inside.chars();
        let escaped = chars.next() == Some('\\');
        if escaped || chars.next() == Some('\'') {
            return end(quoted_length(rest, '\''));
        }
    }
    0
}

/// Bytes of the block comment at the start of `rest`; they nest.
fn block_comment_length(rest: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

/// Bytes of the literal in quotes at the start of `rest`.
fn quoted_length(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_is_found_wherever_it_stands() {
        for (text, lines) in [
            ("fn f() { unsafe { g() } }", &[1][..]),
            ("\nunsafe impl Send for A {}\n", &[2]),
            ("#[unsafe(no_mangle)]", &[1]),
            ("let q = '\"'; unsafe { f() }", &[1]),
            ("let q = '\\''; unsafe { f() }", &[1]),
            ("fn f<'a>(x: &'a u8) { unsafe { g(x) } }", &[1]),
            ("/* one /* two */ three */ unsafe {}", &[1]),
            ("let a = \"\\\\\"; unsafe {}", &[1]),
            ("let a = r#\"a\"b\"#;\nunsafe {}", &[2]),
            ("\"two\nlines\"\nunsafe {}", &[3]),
            ("let var\"s\" = br\"\\\"; unsafe {}", &[1]),
        ] {
            assert_eq!(unsafe_lines(text), lines, "{text}");
        }
    }

    #[test]
    fn the_word_elsewhere_is_not_code() {
        for text in [
            "#![forbid(unsafe_code)]",
            "// unsafe",
            "/// No unsafe code.",
            "/* /* */ unsafe */",
            "/* unsafe",
            "let a = \"unsafe\";",
            "let a = \"\\\" unsafe\";",
            "let a = r##\"\"# unsafe\"##;",
            "let unsafe_count = 1;",
        ] {
            assert_eq!(unsafe_lines(text), [0; 0], "{text}");
        }
    }

    #[test]
    fn a_manifest_inherits_lints_only_by_its_own_table() {
        assert!(inherits_lints("[package]\n[lints]\nworkspace = true\n"));
        assert!(!inherits_lints(
            "[package]\n[dependencies]\nworkspace = true\n"
        ));
        assert!(!inherits_lints("[lints]\n[lints.rust]\nworkspace = true\n"));
    }

    #[test]
    fn no_std_counts_only_as_code() {
        assert!(is_no_std("//! Text.\n#![no_std]\n"));
        assert!(is_no_std("#![cfg_attr(not(test), no_std)]"));
        assert!(!is_no_std("//! `#![no_std]`\n"));
        assert!(!is_no_std("#![cfg_attr(feature = \"x\", no_std)]"));
    }
}
