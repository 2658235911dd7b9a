//! Writes the seeds that are made from our own encoders, after a format has changed:
//! `cargo run --example write_seeds` in this folder. The others are files of tests, copied.

use std::{fs, io, path::Path, process::Command, sync::Arc};

use bannock_cas_core::audit::{self, Action, Event, Outcome, Position};
use bannock_cas_store::{SealedStore, Store, Write};
use bannock_crypto::tls::{
    identity::{CertificateProfile, KeyPair},
    provider::TlsProvider,
};
use bannock_evidence::sgx::Quote;
use bannock_fuzz::{
    pieces,
    store::{Host, RECORDS, sealing_key},
    tls,
};
use bannock_kernel::net::{
    address::{Address, LocalName},
    control,
};
use bannock_las::audit::AuditLog;
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
    write(
        "verification",
        "intel",
        &pieces::join([&quote[..], &collateral]),
    )?;

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

    write("store", "two-records", &store()?)?;
    write("audit", "cas", cas_log()?.as_bytes())?;
    write("audit", "las", &las_log()?)?;
    write("tls", "server", &server()?)?;
    write(
        "boot-options",
        "attested",
        b"--cas\n127.0.0.1:8081\n--tree\n/a.tree\n--stats",
    )?;
    write(
        "boot-options",
        "standalone",
        b"--standalone\n--mount\nhost:/data:/srv:ro\n--mount\nmemory:/tmp\n--\n/bin/true\n-x",
    )?;
    write("script", "argument", b"#! /bin/sh -e\nexit\n")?;
    write("script", "environment", b"#!/usr/bin/env python3")?;
    write("host-directory", "entries", &directory())?;
    for (name, bytes) in socket() {
        write("socket", name, &bytes)?;
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

/// A store with a record of each age.
fn store() -> io::Result<Vec<u8>> {
    let host = Host::default();
    let store = SealedStore::open(host.clone(), &sealing_key()).map_err(io::Error::other)?;
    for (name, times, value) in RECORDS {
        for expected in 0..times {
            let write = Write {
                key: name.to_owned(),
                expected,
                value: zeroize::Zeroizing::new(value.to_vec()),
            };
            store.commit(&[write]).map_err(io::Error::other)?;
        }
    }
    Ok(host.to_input())
}

/// Two lines of a CAS's log, signed with nothing.
fn cas_log() -> io::Result<String> {
    struct NoKey;
    impl audit::Sign for NoKey {
        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, audit::SignFault> {
            Ok(vec![0xab; 70])
        }
    }
    let mut position = Position::START;
    let mut log = String::new();
    for (action, outcome) in [
        (Action::Start, Outcome::Note),
        (Action::Configure, Outcome::Deny),
    ] {
        let event = Event::new(action, outcome, "for a \"reason\"");
        let (line, next) =
            audit::append(&position, 1_750_000_000, event, &NoKey).map_err(io::Error::other)?;
        log.push_str(&line);
        log.push('\n');
        position = next;
    }
    Ok(log)
}

/// Two lines of a LAS's log.
fn las_log() -> io::Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("audit");
    let log = AuditLog::open(&path).map_err(io::Error::other)?;
    for event in ["started", "ended"] {
        log.append(&bannock_las::audit::Record {
            event,
            ..Default::default()
        })
        .map_err(io::Error::other)?;
    }
    fs::read(path)
}

/// All that a server sends to the target's client: its handshake, data, and the end.
fn server() -> io::Result<Vec<u8>> {
    let provider = TlsProvider::new(&tls::constant);
    let key = KeyPair::generate(&tls::constant).map_err(io::Error::other)?;
    let profile = CertificateProfile {
        subject: "CN=server",
        not_before: tls::NOW - 1,
        not_after: tls::NOW + 1,
        extensions: &[],
    };
    let identity = key
        .self_signed(&profile, &tls::constant)
        .map_err(io::Error::other)?;
    let resolver = rustls::sign::SingleCertAndKey::from(identity.certified_key());
    let mut config = rustls::ServerConfig::builder_with_provider(provider.rustls())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"fuzz".to_vec()];
    config.send_tls13_tickets = 1;
    let mut server = rustls::ServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
    let mut client = tls::client().map_err(io::Error::other)?;
    let mut sent = Vec::new();
    for ending in [false, false, true] {
        let mut hello = client.to_send();
        while server.read_tls(&mut hello)? > 0 {
            server.process_new_packets().map_err(io::Error::other)?;
        }
        let ready = client.to_send().len();
        client.sent(ready);
        if ending {
            io::Write::write_all(&mut server.writer(), b"data")?;
            server.send_close_notify();
        }
        let from = sent.len();
        while server.wants_write() {
            server.write_tls(&mut sent)?;
        }
        client.receive(&sent[from..]).map_err(io::Error::other)?;
    }
    if client.peer_closed() {
        Ok(sent)
    } else {
        Err(io::Error::other("the client did not get to the end"))
    }
}

/// Directory entries as getdents64(2) returns them.
fn directory() -> Vec<u8> {
    let mut out = Vec::new();
    for (inode, kind, name) in [
        (2u64, 4u8, "."),
        (1, 4, ".."),
        (3, 8, "file"),
        (4, 10, "a link"),
    ] {
        // Inode, offset of the next, length, type, name, NUL; a multiple of eight bytes.
        let length = (19 + name.len() + 1).next_multiple_of(8);
        let end = out.len() + length;
        out.extend_from_slice(&inode.to_le_bytes());
        out.extend_from_slice(&0u64.to_le_bytes());
        out.extend_from_slice(&u16::try_from(length).unwrap_or_default().to_le_bytes());
        out.push(kind);
        out.extend_from_slice(name.as_bytes());
        out.resize(end, 0);
    }
    out
}

/// Addresses of each family, and ancillary data.
fn socket() -> Vec<(&'static str, Vec<u8>)> {
    let mut inet6 = vec![0; 28];
    inet6[0] = 10;
    let mut netlink = vec![0; 12];
    netlink[0] = 16;
    let credentials = control::Message {
        level: 1,
        kind: 2,
        data: vec![1; 12],
    };
    let messages = [control::Message::rights(&[3, 4, 5]), credentials];
    vec![
        (
            "path",
            Address::Local(LocalName::Path(b"/run/socket".to_vec())).encode(),
        ),
        (
            "abstract",
            Address::Local(LocalName::Abstract(b"name".to_vec())).encode(),
        ),
        (
            "inet",
            vec![2, 0, 0x1f, 0x90, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
        ("inet6", inet6),
        ("netlink", netlink),
        ("control", control::build(&messages, 4096).0),
    ]
}
