//! Manifests that are read, written and refused.

use super::*;
use alloc::{format, string::ToString, vec};

const DIGEST: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn sample() -> String {
    format!(
        "# bannock tree 1\n\
         / dir 0755\n\
         /bin link usr/bin\n\
         /usr dir 0755\n\
         /usr/bin dir 0755\n\
         /usr/bin-old dir 0700\n\
         /usr/bin/a%20b file 4755 17 {DIGEST}\n\
         /usr/bin/empty file 0644 0 {DIGEST}\n\
         /usr/share dir 0755\n"
    )
}

fn fault(text: &str) -> (usize, Reason) {
    let fault = Manifest::parse(text.as_bytes()).unwrap_err();
    (fault.line, fault.reason)
}

/// The sample with one line replaced; lines count from 1.
fn with_line(number: usize, replacement: &str) -> String {
    let mut lines: Vec<String> = sample().lines().map(ToString::to_string).collect();
    lines[number - 1] = replacement.to_string();
    lines.join("\n") + "\n"
}

#[test]
fn text_and_manifest_are_one_to_one() {
    let manifest = Manifest::parse(sample().as_bytes()).unwrap();
    assert_eq!(manifest.encode(), sample());
    assert_eq!(manifest.root_digest(), root_digest(sample().as_bytes()));
    let mut entries = manifest.entries().to_vec();
    entries.reverse();
    entries.push(entries[0].clone());
    assert_eq!(Manifest::from_entries(entries).unwrap(), manifest);
}

#[test]
fn paths_are_found_and_only_those() {
    let manifest = Manifest::parse(sample().as_bytes()).unwrap();
    assert!(matches!(
        manifest.get(b"/usr/bin/a b").unwrap().node,
        Node::File {
            mode: 0o4755,
            size: 17,
            ..
        }
    ));
    assert_eq!(manifest.get(b"/usr/bin/a b").unwrap().name(), b"a b");
    assert_eq!(manifest.get(b"/").unwrap().name(), b"");
    for absent in [&b"/usr/"[..], b"usr", b"/usr/bin/a", b"", b"/usr/./bin"] {
        assert_eq!(manifest.get(absent), None);
    }
}

#[test]
fn children_are_one_level_deep() {
    let manifest = Manifest::parse(sample().as_bytes()).unwrap();
    let names = |path: &[u8]| -> Vec<Vec<u8>> {
        manifest.children(path).map(|e| e.name().to_vec()).collect()
    };
    assert_eq!(names(b"/"), [&b"bin"[..], b"usr"]);
    assert_eq!(names(b"/usr"), [&b"bin"[..], b"bin-old", b"share"]);
    assert_eq!(names(b"/usr/bin"), [&b"a b"[..], b"empty"]);
    for none in [&b"/usr/share"[..], b"/usr/bin-old", b"/nowhere", b"/bin"] {
        assert_eq!(names(none), Vec::<Vec<u8>>::new());
    }
}

#[test]
fn every_change_of_the_tree_changes_the_root_digest() {
    let before = Manifest::parse(sample().as_bytes()).unwrap().root_digest();
    for (line, text) in [
        (2, "/ dir 0555"),
        (3, "/bin link usr/sbin"),
        (7, &format!("/usr/bin/a%20b file 0755 17 {DIGEST}")),
        (7, &format!("/usr/bin/a%20b file 4755 18 {DIGEST}")),
        (
            8,
            &format!("/usr/bin/empty file 0644 0 {}", DIGEST.replace("00", "01")),
        ),
        (9, "/usr/shard dir 0755"),
    ] {
        let text = with_line(line, text);
        let after = Manifest::parse(text.as_bytes()).unwrap().root_digest();
        assert_ne!(before, after, "{text}");
    }
}

#[test]
fn what_is_not_canonical_is_refused_with_its_line() {
    for (line, text, reason) in [
        (1, "# bannock tree 2", Reason::Header),
        (2, "/ link usr", Reason::Root),
        (2, "/usr dir 0755", Reason::Root),
        (3, "/bin  link usr/bin", Reason::Fields),
        (3, "/bin link usr/bin ", Reason::Fields),
        (3, "/bin link", Reason::Fields),
        (3, "/bin link ", Reason::Target),
        (3, "/bin link a%00b", Reason::Target),
        (3, "/bin hard usr/bin", Reason::Fields),
        (3, "", Reason::Fields),
        (3, "# comment", Reason::Fields),
        (3, "/b%69n link usr/bin", Reason::Escape),
        (3, "/bin\tx link usr/bin", Reason::Escape),
        (3, "bin link usr/bin", Reason::Path),
        (3, "/bin/ link usr/bin", Reason::Path),
        (3, "//bin link usr/bin", Reason::Path),
        (3, "/. link usr/bin", Reason::Path),
        (3, "/.. link usr/bin", Reason::Path),
        (3, "/bin/../x link usr/bin", Reason::Path),
        (3, "/bin%00 link usr/bin", Reason::Path),
        (4, "/bin dir 0755", Reason::Order),
        (4, "/abc dir 0755", Reason::Order),
        (4, "/usr dir 755", Reason::Mode),
        (4, "/usr dir 0758", Reason::Mode),
        (4, "/usr dir 00755", Reason::Mode),
        (4, "/usr dir +755", Reason::Mode),
        (5, "/bin/x dir 0755", Reason::Order),
        (5, "/nowhere/x dir 0755", Reason::Order),
        (6, "/usr/bin/x/y dir 0755", Reason::Parent),
        (8, "/usr/bin/a%20b/x dir 0755", Reason::Parent),
        (
            7,
            &format!("/usr/bin/a file 0755 017 {DIGEST}"),
            Reason::Size,
        ),
        (
            7,
            &format!("/usr/bin/a file 0755 +17 {DIGEST}"),
            Reason::Size,
        ),
        (
            7,
            &format!("/usr/bin/a file 0755 9223372036854775808 {DIGEST}"),
            Reason::Size,
        ),
        (
            7,
            &format!("/usr/bin/a file 0755 99999999999999999999 {DIGEST}"),
            Reason::Size,
        ),
        (
            7,
            &format!("/usr/bin/a file 0755 1 {}", DIGEST.to_uppercase()),
            Reason::Digest,
        ),
        (
            7,
            &format!("/usr/bin/a file 0755 1 {}", &DIGEST[1..]),
            Reason::Digest,
        ),
        (
            7,
            &format!("/usr/bin/a file 0755 1 {DIGEST}00"),
            Reason::Digest,
        ),
    ] {
        assert_eq!(fault(&with_line(line, text)), (line, reason), "{text}");
    }
}

#[test]
fn long_names_and_paths_are_refused() {
    let name = format!("/{} dir 0755", "x".repeat(256));
    assert_eq!(fault(&with_line(4, &name)), (4, Reason::Path));
    let target = format!("/bin link {}", "x".repeat(4096));
    assert_eq!(fault(&with_line(3, &target)), (3, Reason::Target));
}

#[test]
fn every_cut_is_refused_or_ends_at_a_line() {
    let text = sample();
    for end in 0..text.len() {
        let cut = &text.as_bytes()[..end];
        match Manifest::parse(cut) {
            Ok(manifest) => assert_eq!(manifest.encode().as_bytes(), cut),
            Err(fault) => assert!(fault.line >= 1),
        }
    }
    assert_eq!(
        fault(&text[..text.len() - 1]),
        (9, Reason::Unterminated),
        "a file cut inside a line is refused"
    );
    assert_eq!(fault("# bannock tree 1\n"), (2, Reason::Root));
    assert_eq!(fault("# bannock tree 1\r\n/ dir 0755\n").0, 1);
}

#[test]
fn entries_that_no_tree_can_have_are_refused() {
    let directory = |path: &str| Entry {
        path: path.as_bytes().into(),
        node: Node::Directory { mode: 0o755 },
    };
    let refused = |entries| Manifest::from_entries(entries).unwrap_err().reason;
    assert_eq!(refused(vec![]), Reason::Root);
    assert_eq!(refused(vec![directory("/a")]), Reason::Root);
    let both = vec![
        directory("/"),
        directory("/a"),
        Entry {
            path: b"/a"[..].into(),
            node: Node::Directory { mode: 0o700 },
        },
    ];
    assert_eq!(refused(both), Reason::Order);
    let mode = vec![Entry {
        path: b"/"[..].into(),
        node: Node::Directory { mode: 0o10000 },
    }];
    assert_eq!(refused(mode), Reason::Mode);
}
