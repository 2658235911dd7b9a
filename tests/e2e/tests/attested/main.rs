//! Programs that are given what a session says, after real (simulated-platform) attestation.

// Clippy's allowance for tests does not reach their helpers.
#![allow(clippy::unwrap_used, clippy::panic)]

mod hostile;
mod relay;

use bannock_e2e::developer::{Developer, measurement};
use bannock_e2e::place::{Link, binary, compile};
use bannock_wire::exit;

const SECRET: &str = "a secret of the session, 5c1f";

#[test]
fn a_static_program_reads_an_injected_file() {
    let developer = Developer::shared();
    let place = tempfile::tempdir().unwrap();
    let program = compile("injected", Link::Static, place.path());
    let (tree, digest) = developer.measure("injected.tree", &[&program]);
    let root = &developer.platform_root;
    let runtime = measurement(&binary("bannock-runtime"));
    let program = program.display();
    let session = |name: &str, mrenclave: &str| {
        format!(
            r#"
name: {name}
version: "0.3"
services:
  - name: reader
    image_name: files
    command: [{program}, /etc/app/secret.conf, "an argument"]
    environment: {{ VARIABLE: "$$SCONE::given$$" }}
    attestation:
      - mrenclave: {mrenclave}
        simulated: {{ root: {root} }}
secrets:
  - {{ name: given, kind: ascii, value: "{SECRET}" }}
images:
  - name: files
    trees:
      - {{ path: /, digest: {digest} }}
    injection_files:
      - {{ path: /etc/app/secret.conf, permission: 0o440, content: "key = $$SCONE::given$$" }}
"#
        )
    };
    developer.create_session(&session("honest", &runtime));
    developer.create_session(&session("other", &"0".repeat(64)));

    let outcome = developer.run("honest/reader", &tree);
    let expected = format!(
        "argument {program}\nargument /etc/app/secret.conf\nargument an argument\nvariable \
         VARIABLE={SECRET}\nmode 100440, 35 bytes: key = {SECRET}\nopen(\"/etc/passwd\", O_RDONLY) \
         = -1 ENOENT\nopen(argv[1], O_WRONLY) >= 0 = 1\n"
    );
    assert_eq!(outcome.text(), expected, "{}", outcome.errors());
    assert_eq!(outcome.code, Some(23));

    // The same under a session that wants another runtime: nothing, and the reason.
    let outcome = developer.run("other/reader", &tree);
    assert_eq!(outcome.code, Some(i32::from(exit::DENIED)));
    assert_eq!(outcome.text(), "");
    assert!(!outcome.errors().contains(SECRET));
    assert!(outcome.errors().contains("denied"), "{}", outcome.errors());
}
