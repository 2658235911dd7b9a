//! Sockets of the host, with peers that are and that are not the container's.

use super::control::Message;
use super::*;
use crate::net::address::{Address, Domain, LocalName};
use bannock_platform::host::{self, HostFd, file, file::UserVector, net};
use linux_raw_sys::{general as raw, net as raw_net};

const OWN: PeerCredentials = PeerCredentials {
    process: 12,
    user: 0,
    group: 0,
};

/// A stream pair of the host.
fn ends() -> (HostFd, HostFd) {
    bannock_platform::hosted::install();
    net::socket_pair(raw_net::AF_UNIX, raw_net::SOCK_STREAM, 0).unwrap()
}

/// Runs `act` with a scatter list over `buffer`, as a program would give it.
fn vector<R>(buffer: &mut [u8], act: impl FnOnce(&UserVector) -> R) -> R {
    let entry: [usize; 2] = [buffer.as_mut_ptr() as usize, buffer.len()];
    act(&UserVector::read(entry.as_ptr() as usize, 1).unwrap())
}

fn is_open(fd: HostFd) -> bool {
    file::control(fd, raw::F_GETFD, 0).is_ok()
}

fn receive(socket: &Socket, fd: HostFd) -> Received {
    let mut buffer = [0; 8];
    vector(&mut buffer, |into| {
        socket.receive(fd, into, 0, &Names::new())
    })
    .unwrap()
}

fn send_with_descriptor(to: HostFd, descriptor: HostFd) {
    let socket = Socket::paired(raw_net::SOCK_STREAM, OWN);
    let mut byte = *b"x";
    let sent = vector(&mut byte, |data| {
        socket.send(to, data, None, &[], &[descriptor], 0)
    });
    assert_eq!(sent, Ok(1));
}

/// Descriptors open in this process that are the same pipe as `fd`.
fn copies(fd: HostFd) -> usize {
    let inode = |fd| file::status(fd, raw::STATX_INO).map(|s| s.stx_ino);
    let wanted = inode(fd).unwrap();
    (0..256)
        .filter(|n| inode(HostFd::inherited(*n)) == Ok(wanted))
        .count()
}

#[test]
fn descriptors_from_outside_are_closed_before_anybody_sees_them() {
    let (outside, inside) = ends();
    let (reader, writer) = file::pipe(0).unwrap();
    send_with_descriptor(outside, writer);
    // The reader shares the pipe's inode: two descriptors before, two after.
    let received = receive(&Socket::new(Domain::Local, raw_net::SOCK_STREAM, 0), inside);
    assert_eq!(
        (
            received.len,
            received.descriptors.len(),
            received.control.len()
        ),
        (1, 0, 0)
    );
    assert_eq!(copies(reader), 2, "the received descriptor is still open");
    [outside, inside, reader, writer]
        .into_iter()
        .for_each(file::close);
}

#[test]
fn descriptors_within_a_pair_arrive() {
    let (a, b) = ends();
    let counter = host::poll::event(0, 0).unwrap();
    send_with_descriptor(a, counter);
    let received = receive(&Socket::paired(raw_net::SOCK_STREAM, OWN), b);
    let [descriptor] = received.descriptors.as_slice() else {
        panic!("no descriptor")
    };
    assert!(is_open(*descriptor) && *descriptor != counter);
    [a, b, counter, *descriptor]
        .into_iter()
        .for_each(file::close);
}

#[test]
fn what_the_host_says_of_a_peer_is_never_shown() {
    let (a, b) = ends();
    // The host would answer with this process's own ids, which a program would trust.
    let stranger = Socket::new(Domain::Local, raw_net::SOCK_STREAM, 0);
    let seen = stranger
        .option(a, raw_net::SOL_SOCKET, raw_net::SO_PEERCRED, 12)
        .unwrap();
    assert_eq!(seen, PeerCredentials::OUTSIDE.encode());
    let paired = Socket::paired(raw_net::SOCK_STREAM, OWN);
    let seen = paired
        .option(a, raw_net::SOL_SOCKET, raw_net::SO_PEERCRED, 64)
        .unwrap();
    assert_eq!(seen, OWN.encode());
    // Neither is what arrives as ancillary data: the host attaches credentials when it is told to.
    net::set_option(
        a,
        raw_net::SOL_SOCKET,
        raw_net::SO_PASSCRED,
        &1u32.to_ne_bytes(),
    )
    .unwrap();
    let mut byte = *b"x";
    vector(&mut byte, |data| paired.send(b, data, None, &[], &[], 0)).unwrap();
    assert!(receive(&stranger, a).control.is_empty());
    stranger
        .set_option(
            a,
            raw_net::SOL_SOCKET,
            raw_net::SO_PASSCRED,
            &1u32.to_ne_bytes(),
        )
        .unwrap();
    vector(&mut byte, |data| paired.send(b, data, None, &[], &[], 0)).unwrap();
    let [message] = receive(&stranger, a).control.try_into().unwrap();
    assert!(message.is_socket(raw_net::SCM_CREDENTIALS));
    assert_eq!(message.data, PeerCredentials::OUTSIDE.encode());
    [a, b].into_iter().for_each(file::close);
}

#[test]
fn ancillary_data_of_programs_is_limited_to_what_is_known() {
    let (a, b) = ends();
    let paired = Socket::paired(raw_net::SOCK_STREAM, OWN);
    let forged = Message {
        level: raw_net::SOL_SOCKET,
        kind: raw_net::SCM_CREDENTIALS,
        data: OWN.encode(),
    };
    for message in [forged, Message::rights(&[0])] {
        let mut byte = *b"x";
        let sent = vector(&mut byte, |data| {
            paired.send(a, data, None, &[message], &[], 0)
        });
        assert_eq!(sent, Err(bannock_platform::Errno::EINVAL));
    }
    [a, b].into_iter().for_each(file::close);
}

#[test]
fn only_sockets_that_a_shield_can_see_through_are_made() {
    use bannock_platform::Errno;
    let check = Socket::check;
    assert_eq!(check(Domain::Inet, raw_net::SOCK_STREAM, 0), Ok(()));
    assert_eq!(check(Domain::Inet6, raw_net::SOCK_DGRAM, 17), Ok(()));
    assert_eq!(check(Domain::Inet, raw_net::SOCK_RAW, 1), Err(Errno::EPERM));
    // MPTCP (262) and SCTP (132) carry data past a TCP shield.
    assert_eq!(
        check(Domain::Inet, raw_net::SOCK_STREAM, 262),
        Err(Errno::EPROTONOSUPPORT)
    );
    assert_eq!(
        check(Domain::Inet, raw_net::SOCK_STREAM, 132),
        Err(Errno::EPROTONOSUPPORT)
    );
    assert_eq!(check(Domain::Netlink, raw_net::SOCK_RAW, 0), Ok(()));
    // NETLINK_AUDIT and others.
    assert_eq!(
        check(Domain::Netlink, raw_net::SOCK_RAW, 9),
        Err(Errno::EPROTONOSUPPORT)
    );
}

#[test]
fn local_names_are_the_containers_not_the_hosts() {
    bannock_platform::hosted::install();
    let names = Names::new();
    let fd = net::socket(raw_net::AF_UNIX, raw_net::SOCK_DGRAM, 0).unwrap();
    let socket = Socket::new(Domain::Local, raw_net::SOCK_DGRAM, 0);
    let (registration, shown) = names.register_any().unwrap();
    net::bind(fd, &registration.address()).unwrap();
    socket.bound(shown.clone(), Some(registration));
    assert_eq!(
        socket.local_address(fd),
        Ok(Address::Local(shown.clone()).encode())
    );
    let peer = net::socket(raw_net::AF_UNIX, raw_net::SOCK_DGRAM, 0).unwrap();
    let LocalName::Abstract(name) = &shown else {
        panic!("not abstract")
    };
    let target = names.find(&Key::Abstract(name.clone())).unwrap();
    // A datagram from a stranger that has bound itself to a tempting name.
    let tempting = Address::Local(LocalName::Abstract(b"bannock-test-tempting".to_vec())).encode();
    net::bind(peer, &tempting).unwrap();
    net::send(peer, host::From::Kernel(b"hi"), 0, Some(&target)).unwrap();
    let mut buffer = [0; 8];
    let received = vector(&mut buffer, |into| socket.receive(fd, into, 0, &names)).unwrap();
    assert_eq!(
        received.address,
        Address::Local(LocalName::Unnamed).encode()
    );
    drop(socket);
    assert_eq!(
        names.find(&Key::Abstract(name.clone())),
        None,
        "the name outlives the socket"
    );
    [fd, peer].into_iter().for_each(file::close);
}
