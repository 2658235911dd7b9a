//! Writes the seeds that are made from our own encoders, after a format has changed:
//! `cargo run --example write_seeds` in this folder. The others are files of tests, copied.

use std::{fs, io, path::Path, process::Command};

use bannock_evidence::sgx::Quote;
use bannock_measure::tree::{Entry, Manifest, Node};
use bannock_policy::Session;
use bannock_wire::{
    PROTOCOL_VERSION,
    binding::{Channel, Claims, Role},
    cas, channel,
    config::{InjectedFile, Mount, MountKind, ServiceConfig, Tree, Variable},
    encode, las,
    launch::{Isolation, LaunchIdentity},
};

fn main() -> io::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = fuzz.join("seeds").join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    };
    let copy = |from: &str| fs::read(fuzz.join("..").join(from));

    for (name, message) in messages() {
        write("wire", name, &message)?;
    }

    let quote = copy("logic/evidence/tests/data/sgx_quote")?;
    let chain = Quote::parse(&quote).map_err(io::Error::other)?.pck_chain;
    write("evidence", "pck-chain", chain.as_pem())?;
    write("evidence", "quote", &quote)?;
    let collateral = copy("logic/evidence/tests/data/sgx_quote_collateral.json")?;
    write("evidence", "collateral", &collateral)?;

    for name in ["mariadb", "minimal", "scone-style"] {
        let text = copy(&format!("logic/policy/tests/data/{name}.yaml"))?;
        write("session", name, &text)?;
        let session = Session::parse(&text).map_err(io::Error::other)?;
        write("session", &format!("{name}.cbor"), &session.to_cbor())?;
    }

    write("manifest", "every-kind", manifest()?.encode().as_bytes())?;

    for (name, flags) in [
        (
            "static-pie",
            &["-static-pie", "-Wl,--no-dynamic-linker"][..],
        ),
        ("shared", &["-shared", "-Wl,-soname,libseed.so"]),
        ("fixed", &["-static", "-no-pie"]),
    ] {
        let program = program(flags)?;
        write("elf", name, &program)?;
        write("rewrite", name, &program)?;
        let plan = bannock_rewrite::plan(&program).map_err(io::Error::other)?;
        write("rewrite", &format!("{name}.table"), &plan.table.encode())?;
    }

    write(
        "pcs",
        "request",
        b"GET /sgx/certification/v4/tcb?fmspc=00606A000000 HTTP/1.1\r\nHost: pcs\r\n\r\n",
    )?;
    write(
        "pcs",
        "response",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    )?;
    write(
        "cas-http",
        "request",
        b"POST /v1/sessions HTTP/1.1\r\nHost: cas\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\na: ",
    )?;
    write(
        "cas-http",
        "response",
        b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    )
}

/// One of each message, with every field filled.
fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let service = LaunchIdentity::Service {
        config_id: "session/service".to_owned(),
        cas_key: [7; 32],
    };
    let claims = Claims {
        launch: service.clone(),
        isolation: Isolation::FULL,
        version: "bannock-runtime 0.1.0".to_owned(),
    };
    let channel = Channel {
        role: Role::Client,
        exporter: [1; 32],
        attester_key: [2; 32],
        peer_key: [3; 32],
    };
    let evidence = channel::Evidence {
        format: channel::EvidenceFormat::SgxDcapV3,
        quote: vec![3, 0, 2, 0],
        collateral: b"{}".to_vec(),
        claims: encode(&claims),
    };
    let config = ServiceConfig {
        argv: vec!["/bin/program".to_owned(), "--flag".to_owned()],
        environment: vec![Variable {
            name: "NAME".to_owned(),
            value: "value".to_owned(),
        }],
        pwd: "/".to_owned(),
        files: vec![InjectedFile {
            path: "/etc/key".to_owned(),
            mode: 0o400,
            content: vec![0, 1, 2],
        }],
        trees: vec![Tree {
            path: "/".to_owned(),
            digest: [4; 32],
            manifest: Some("program.tree".to_owned()),
        }],
        mounts: vec![
            Mount {
                path: "/tmp".to_owned(),
                kind: MountKind::Memory,
            },
            Mount {
                path: "/data".to_owned(),
                kind: MountKind::Host {
                    source: "/srv/data".to_owned(),
                    read_only: true,
                },
            },
        ],
        host_environment: vec!["TZ".to_owned()],
    };
    vec![
        ("launch", encode(&service)),
        ("claims", encode(&claims)),
        ("channel", encode(&channel)),
        ("config", encode(&config)),
        (
            "hello",
            encode(&channel::Hello {
                version: PROTOCOL_VERSION,
                launch: service.clone(),
                isolation: Isolation::FULL,
                measurement: [5; 32],
            }),
        ),
        (
            "channel-request",
            encode(&channel::Request::Evidence {
                channel,
                version: claims.version.clone(),
            }),
        ),
        (
            "channel-reply",
            encode(&channel::Reply::Evidence {
                evidence: evidence.clone(),
            }),
        ),
        (
            "channel-sealing-key",
            encode(&channel::Reply::SealingKey {
                key: channel::SealingKey([6; 32]),
            }),
        ),
        (
            "cas-request",
            encode(&cas::Request::Configure {
                version: PROTOCOL_VERSION,
                config_id: "session/service".to_owned(),
                evidence,
            }),
        ),
        ("cas-reply", encode(&cas::Reply::Configuration { config })),
        (
            "las-request",
            encode(&las::Request::Start {
                start: las::Start {
                    version: PROTOCOL_VERSION,
                    launch: service,
                    arguments: vec!["--cas".to_owned(), "cas:8081".to_owned()],
                    environment: vec!["TZ=UTC".to_owned()],
                    descriptors: vec![las::Descriptor::Image, las::Descriptor::Stdin],
                },
            }),
        ),
        ("las-control", encode(&las::Control::Signal { number: 15 })),
        (
            "las-reply",
            encode(&las::Reply::Status {
                version: PROTOCOL_VERSION,
                root: [8; 32],
                simulated: true,
                instances: 2,
            }),
        ),
    ]
}

/// A tree with an entry of each kind, and a name that has to be escaped.
fn manifest() -> io::Result<Manifest> {
    let entry = |path: &str, node| Entry {
        path: path.as_bytes().into(),
        node,
    };
    Manifest::from_entries(vec![
        entry("/", Node::Directory { mode: 0o755 }),
        entry("/bin", Node::Directory { mode: 0o755 }),
        entry(
            "/bin/a b",
            Node::File {
                mode: 0o755,
                size: 4097,
                digest: [9; 32],
            },
        ),
        entry(
            "/bin/link",
            Node::Symlink {
                target: b"a b".as_slice().into(),
            },
        ),
    ])
    .map_err(io::Error::other)
}

/// A program of a few hundred bytes with a relocation, a call and two system calls.
fn program(flags: &[&str]) -> io::Result<Vec<u8>> {
    const SOURCE: &str = "
        .text
        .globl _start
        .type _start, @function
    _start:
        mov $39, %eax
        syscall
        test %eax, %eax
        js 1f
        lea pointer(%rip), %rsi
        mov $60, %eax
        xor %edi, %edi
        syscall
    1:  ret
        .size _start, . - _start
        .section .data.rel.ro, \"aw\"
    pointer:
        .quad pointer
        .section .note.GNU-stack, \"\", @progbits
    ";
    let folder = std::env::temp_dir().join(format!("bannock-seeds-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let source = folder.join("seed.s");
    let program = folder.join("seed");
    fs::write(&source, SOURCE)?;
    let status = Command::new("gcc")
        .args(["-nostdlib", "-nostartfiles", "-s", "-Wl,--build-id=none"])
        // Without pages between the segments, the file stays small.
        .args([
            "-Wl,-z,noseparate-code",
            "-Wl,-z,norelro",
            "-Wl,-z,max-page-size=4096",
        ])
        .args(flags)
        .arg("-o")
        .args([&program, &source])
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("gcc: {status}")));
    }
    let bytes = fs::read(&program)?;
    fs::remove_dir_all(&folder)?;
    Ok(bytes)
}
