//! `bannock tree` on real programs: what it lists is enough to run them, and nothing less is noticed.

// Clippy's allowance for tests does not reach their helpers.
#![allow(clippy::unwrap_used, clippy::panic)]

use bannock_measure::tree::{Manifest, Node};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn bannock(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bannock"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn measure(arguments: &[&str]) -> Manifest {
    let output = bannock(&[&["tree", "measure"], arguments].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let manifest = Manifest::parse(&output.stdout).unwrap();
    let digest = hex::encode(manifest.root_digest());
    assert!(text(&output.stderr).contains(&digest));
    manifest
}

fn below(root: &Path, path: &[u8]) -> PathBuf {
    root.join(std::ffi::OsStr::from_bytes(&path[1..]))
}

/// Copies exactly what the manifest lists from the host to `root`.
fn copy(manifest: &Manifest, root: &Path) {
    for entry in manifest.entries() {
        let to = below(root, &entry.path);
        match &entry.node {
            Node::Directory { mode } => {
                fs::create_dir_all(&to).unwrap();
                fs::set_permissions(&to, fs::Permissions::from_mode(u32::from(*mode))).unwrap();
            }
            Node::File { .. } => {
                fs::copy(below(Path::new("/"), &entry.path), &to).unwrap();
            }
            Node::Symlink { target } => {
                symlink(std::ffi::OsStr::from_bytes(target), &to).unwrap();
            }
        }
    }
}

#[test]
fn a_copy_of_what_is_listed_runs_the_program_and_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let manifest = measure(&["--program", "/bin/bash", "--include", "/etc/ld.so.conf.d/*"]);
    copy(&manifest, &root);
    let output = Command::new("chroot")
        .arg(&root)
        .args(["/bin/bash", "-c", "echo it runs"])
        .output()
        .unwrap();
    assert_eq!(
        text(&output.stdout),
        "it runs\n",
        "{}",
        text(&output.stderr)
    );

    let file = dir.path().join("bash.tree");
    fs::write(&file, manifest.encode()).unwrap();
    let verify = || {
        let file = file.to_str().unwrap();
        bannock(&["tree", "verify", file, "--root", root.to_str().unwrap()])
    };
    let output = verify();
    assert!(output.status.success(), "{}", text(&output.stdout));

    // Measuring the copy from inside gives the same tree.
    let again = measure(&[
        "--program",
        "/bin/bash",
        "--include",
        "/etc/ld.so.conf.d/*",
        "--root",
        root.to_str().unwrap(),
    ]);
    assert_eq!(again.root_digest(), manifest.root_digest());

    // One byte, one mode, one link, one file less: each is named.
    let bash = below(&root, b"/usr/bin/bash");
    let mut bytes = fs::read(&bash).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&bash, bytes).unwrap();
    let output = verify();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("/usr/bin/bash  has other content"));
    fs::set_permissions(&bash, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(text(&verify().stdout).contains("has mode 0700, not 0755"));
    fs::remove_file(&bash).unwrap();
    assert!(text(&verify().stdout).contains("No such file"));
    symlink("sh", &bash).unwrap();
    assert!(text(&verify().stdout).contains("is a link, not a file"));
}

#[test]
fn links_do_not_lead_out_of_the_root() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir(root.join("etc")).unwrap();
    fs::write(root.join("etc/own"), "own").unwrap();
    symlink("/etc/own", root.join("absolute")).unwrap();
    symlink("../../../../../../etc/own", root.join("up")).unwrap();
    symlink("/etc/passwd", root.join("dangling")).unwrap();
    let root = root.to_str().unwrap();
    let manifest = measure(&["--root", root, "--include", "/**"]);
    let paths: Vec<String> = manifest
        .entries()
        .iter()
        .map(|entry| text(&entry.path))
        .collect();
    assert_eq!(
        paths,
        ["/", "/absolute", "/dangling", "/etc", "/etc/own", "/up"]
    );
}

#[test]
fn what_cannot_be_measured_is_named() {
    for (arguments, code, message) in [
        (
            &["--program", "/nowhere/x"][..],
            1,
            "there is no `/nowhere/x`",
        ),
        (
            &["--program", "/etc/passwd"],
            1,
            "`/etc/passwd` is no x86-64 program",
        ),
        (&["--program", "bash"], 2, "`bash` is not absolute"),
        (
            &["--include", "/nowhere/*"],
            1,
            "nothing matches `/nowhere/*`",
        ),
        (&[], 2, "required"),
    ] {
        let output = bannock(&[&["tree", "measure"], arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(
            text(&output.stderr).contains(message),
            "{}",
            text(&output.stderr)
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_missing_library_is_named_with_the_places_that_were_searched() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = measure(&["--program", "/bin/bash"]);
    copy(&manifest, dir.path());
    let libc = manifest
        .entries()
        .iter()
        .find(|entry| entry.path.ends_with(b"/libc.so.6"))
        .unwrap();
    fs::remove_file(below(dir.path(), &libc.path)).unwrap();
    let root = dir.path().to_str().unwrap();
    let output = bannock(&["tree", "measure", "--program", "/bin/bash", "--root", root]);
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(message.contains("needs `libc.so.6`") && message.contains("/lib/x86_64-linux-gnu"));
}

#[test]
fn damaged_manifests_are_refused_with_their_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.tree");
    fs::write(&file, "# bannock tree 1\n/ dir 0755\n/a dir 755\n").unwrap();
    let output = bannock(&["tree", "digest", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(
        message.contains("line 3") && message.contains("four octal digits"),
        "{message}"
    );
}
