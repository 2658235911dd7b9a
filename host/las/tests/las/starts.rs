//! Starts that are refused.

use crate::world::*;

use bannock_wire::PROTOCOL_VERSION;
use bannock_wire::las::{Descriptor, Reply, Request, Start};
use bannock_wire::launch::LaunchIdentity;
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};

#[test]
fn starts_that_make_no_sense_are_refused_and_logged() {
    let world = World::new();
    let null = fs::File::open("/dev/null").unwrap();
    let image = fs::File::open(world.path("instance")).unwrap();
    let start = Start {
        version: PROTOCOL_VERSION,
        launch: service(),
        arguments: Vec::new(),
        environment: Vec::new(),
        descriptors: vec![
            Descriptor::Image,
            Descriptor::Stdin,
            Descriptor::Stdout,
            Descriptor::Stderr,
        ],
    };
    let all = [image.as_fd(), null.as_fd(), null.as_fd(), null.as_fd()];
    let many = [null.as_fd(); 10];
    let twice = vec![
        Descriptor::Image,
        Descriptor::Stdin,
        Descriptor::Stdin,
        Descriptor::Stderr,
    ];
    let no_image = vec![Descriptor::Stdin, Descriptor::Stdout, Descriptor::Stderr];
    let identity = |config_id: &str| LaunchIdentity::Service {
        config_id: config_id.to_owned(),
        cas_key: [0; 32],
    };
    let request = |start: Start| bannock_wire::encode(&Request::Start { start });
    let with = |change: &dyn Fn(&mut Start)| {
        let mut changed = start.clone();
        change(&mut changed);
        request(changed)
    };
    let cases: [(Vec<u8>, &[BorrowedFd<'_>], &str); 11] = [
        (vec![], &[], "cannot be understood"),
        (vec![0xff; 30], &all, "cannot be understood"),
        (request(start.clone()), &all[..3], "3 descriptors"),
        (request(start.clone()), &many[..9], "9 descriptors"),
        (request(start.clone()), &many, "at most 9"),
        (with(&|start| start.version = 2), &all, "protocol version 2"),
        (
            with(&|start| start.descriptors = twice.clone()),
            &all,
            "named twice",
        ),
        (
            with(&|start| start.descriptors = no_image.clone()),
            &all[1..],
            "Image descriptor",
        ),
        (
            with(&|start| start.launch = identity("a\nb/c")),
            &all,
            "config id",
        ),
        (
            with(&|start| start.environment = vec!["=x".to_owned()]),
            &all,
            "variable",
        ),
        (
            bannock_wire::encode(&Request::Status),
            &all,
            "4 descriptors",
        ),
    ];
    let count = cases.len();
    for (message, descriptors, expected) in cases {
        let mut socket = world.connect();
        send(&mut socket, &message, descriptors);
        match receive(&mut socket) {
            Reply::Refused { reason } => assert!(reason.contains(expected), "{reason}"),
            other => panic!("{expected}: {other:?}"),
        }
    }
    let mut socket = world.connect();
    socket.write_all(&(2u32 << 20).to_le_bytes()).unwrap();
    match receive(&mut socket) {
        Reply::Refused { reason } => assert!(reason.contains("too large"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let audit = world.audit();
    assert_eq!(audit.matches("start-refused").count(), count + 1, "{audit}");
    assert!(!audit.contains("\"event\":\"start\""));
}

#[test]
fn starts_above_the_rate_are_refused_for_that_user_alone() {
    let world = World::new();
    // An image that cannot be started costs a token all the same.
    let attempt = || {
        let mut socket = world.connect();
        let message = bannock_wire::encode(&Request::Start {
            start: Start {
                version: PROTOCOL_VERSION,
                launch: service(),
                arguments: Vec::new(),
                environment: Vec::new(),
                descriptors: Vec::new(),
            },
        });
        send(&mut socket, &message, &[]);
        match receive(&mut socket) {
            Reply::Refused { reason } => reason,
            other => panic!("{other:?}"),
        }
    };
    assert!((0..5000).any(|_| attempt().contains("too often")));
    let lines = world.run(NOBODY, "service", &["exit", "0"]);
    assert!(lines.contains(&"exited 0".to_owned()), "{lines:?}");
}
