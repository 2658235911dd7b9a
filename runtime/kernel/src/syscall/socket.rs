//! Sockets: making, naming, connecting, options. Messages are next door.

use super::Argument::{Fd, Flags, Int, Pointer, Size};
use super::caller::{closes_on_exec, handle, install, install_pair};
use super::local_socket::{self, Destination};
use super::{Call, Outcome, Row};
use crate::fs::Handle;
use crate::net::address::{Address, Domain};
use crate::net::{PeerCredentials, Socket, SocketFile, options};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{
    Errno,
    host::{HostFd, net},
    user,
    user::UserSlice,
};
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(raw::__NR_socket, "socket", &[Int, Int, Int], socket)
        .with_notes("AF_UNIX, AF_INET and AF_INET6 without raw sockets, NETLINK_ROUTE."),
    Row::emulated(raw::__NR_socketpair, "socketpair", &[Int, Int, Int, Pointer], socket_pair),
    Row::emulated(raw::__NR_bind, "bind", &[Fd, Pointer, Size], bind)
        .with_notes("Abstract names, and names on memory mounts, exist within the container only."),
    Row::emulated(raw::__NR_connect, "connect", &[Fd, Pointer, Size], connect),
    Row::emulated(raw::__NR_listen, "listen", &[Fd, Int], listen),
    Row::emulated(raw::__NR_accept, "accept", &[Fd, Pointer, Pointer], accept),
    Row::emulated(raw::__NR_accept4, "accept4", &[Fd, Pointer, Pointer, Flags], accept4),
    Row::emulated(raw::__NR_getsockname, "getsockname", &[Fd, Pointer, Pointer], local_name),
    Row::emulated(raw::__NR_getpeername, "getpeername", &[Fd, Pointer, Pointer], peer_name)
        .with_notes("Local peers outside of the container have no name."),
    Row::emulated(raw::__NR_shutdown, "shutdown", &[Fd, Int], shutdown),
    Row::emulated(raw::__NR_getsockopt, "getsockopt", &[Fd, Int, Int, Pointer, Pointer], option)
        .with_notes("SO_PEERCRED: ids of the container for pairs, otherwise 65534 and process 0."),
    Row::emulated(raw::__NR_setsockopt, "setsockopt", &[Fd, Int, Int, Pointer, Size], set_option)
        .with_notes("Filters, other devices and marks: EPERM. Options that are not known to be harmless: ENOPROTOOPT."),
];

/// `SOCK_CLOEXEC` and `SOCK_NONBLOCK`, which are the same numbers as their `O_*` kin.
const FLAGS: u32 = raw::O_CLOEXEC | raw::O_NONBLOCK;

/// A socket of the caller: its object, and its host descriptor while the handle is held.
pub(super) struct Open {
    handle: Arc<Handle>,
    /// The host descriptor.
    pub(super) host: HostFd,
}

impl Open {
    /// The object.
    pub(super) fn socket(&self) -> Result<&Socket, Errno> {
        SocketFile::of(&self.handle)
    }
}

/// The socket behind argument 0.
pub(super) fn open(call: &Call<'_>) -> Result<Open, Errno> {
    let handle = handle(call, 0)?;
    SocketFile::of(&handle)?;
    let host = handle.host()?;
    Ok(Open { handle, host })
}

/// What an interrupted call on a socket answers (signal(7)).
pub(super) fn interrupted(socket: &Socket, error: Errno, sending: bool) -> Errno {
    if error == Errno::EINTR && !socket.has_timeout(sending) {
        Errno::RESTART
    } else {
        error
    }
}

/// Copies in the address of `len` bytes at `address`.
pub(super) fn read_address(address: usize, len: usize) -> Result<Vec<u8>, Errno> {
    let len = i32::try_from(len as u32)
        .ok()
        .and_then(|l| usize::try_from(l).ok())
        .ok_or(Errno::EINVAL)?;
    if len > net::MAX_ADDRESS {
        return Err(Errno::EINVAL);
    }
    UserSlice::new(address, len)?.to_vec(net::MAX_ADDRESS)
}

/// Copies an address out, cut to the room that there is, and its true length.
pub(super) fn write_address(bytes: &[u8], address: usize, len: usize) -> Result<(), Errno> {
    if address == 0 {
        return Ok(());
    }
    let room = usize::try_from(user::get::<i32>(len)?).map_err(|_| Errno::EINVAL)?;
    let part = bytes.get(..bytes.len().min(room)).unwrap_or_default();
    UserSlice::new(address, part.len())?.write(part)?;
    user::put(len, &(bytes.len() as u32))
}

fn decode(kind: u32) -> Result<(u32, u32), Errno> {
    /// `SOCK_TYPE_MASK`.
    const TYPE: u32 = 0xf;
    if kind & !(TYPE | FLAGS) != 0 {
        Err(Errno::EINVAL)
    } else {
        Ok((kind & TYPE, kind & FLAGS))
    }
}

fn socket(call: &Call<'_>) -> Outcome {
    let (kind, flags) = decode(call.uint(1))?;
    let domain = Domain::from_raw(call.uint(0))?;
    let protocol = call.uint(2);
    Socket::check(domain, kind, protocol)?;
    // Whether a descriptor survives an exec is the kernel's decision, never the host's.
    let host = net::socket(domain.raw(), kind | flags & raw::O_NONBLOCK, protocol)?;
    let socket = Socket::new(domain, kind, protocol);
    install(
        call,
        SocketFile::open(socket, flags & raw::O_NONBLOCK != 0),
        host,
        closes_on_exec(flags),
    )
}

fn socket_pair(call: &Call<'_>) -> Outcome {
    let (kind, flags) = decode(call.uint(1))?;
    let domain = Domain::from_raw(call.uint(0))?;
    let protocol = call.uint(2);
    Socket::check(domain, kind, protocol)?;
    if domain != Domain::Local {
        return Err(Errno::EOPNOTSUPP);
    }
    let process = &call.thread.process;
    let credentials = process.credentials();
    let peer = PeerCredentials {
        process: process.id,
        user: credentials.uid,
        group: credentials.gid,
    };
    let non_blocking = flags & raw::O_NONBLOCK;
    let (a, b) = net::socket_pair(domain.raw(), kind | non_blocking, protocol)?;
    let end = |host| {
        (
            SocketFile::open(Socket::paired(kind, peer), non_blocking != 0),
            host,
        )
    };
    let fds = install_pair(call, [end(a), end(b)], closes_on_exec(flags))?;
    if let Err(error) = user::put(call.word(3), &fds) {
        for fd in fds {
            process.files.remove(fd)?;
        }
        return Err(error);
    }
    Ok(0)
}

fn bind(call: &Call<'_>) -> Outcome {
    let open = open(call)?;
    let socket = open.socket()?;
    let bytes = read_address(call.word(1), call.word(2))?;
    match Address::parse(&bytes) {
        Ok(Address::Local(name)) if socket.domain == Domain::Local => {
            local_socket::bind(call, &open, socket, name)?;
        }
        Ok(Address::Other(domain, address)) if domain == socket.domain => {
            net::bind(open.host, &address)?
        }
        Ok(_) if socket.domain == Domain::Local => return Err(Errno::EINVAL),
        Ok(_) | Err(Errno::EAFNOSUPPORT) => return Err(Errno::EAFNOSUPPORT),
        Err(error) => return Err(error),
    }
    Ok(0)
}

fn connect(call: &Call<'_>) -> Outcome {
    let open = open(call)?;
    let socket = open.socket()?;
    let bytes = read_address(call.word(1), call.word(2))?;
    let address = Address::parse(&bytes)?;
    let destination = destination(call, socket, address)?;
    let outcome = net::connect(open.host, destination.bytes());
    // A connection in progress already has the peer that it will have.
    if matches!(outcome, Ok(()) | Err(Errno::EINPROGRESS)) {
        socket.connected(destination.shown());
    }
    outcome
        .map(|()| 0)
        .map_err(|e| interrupted(socket, e, true))
}

/// The host's address for one that a program gives.
pub(super) fn destination(
    call: &Call<'_>,
    socket: &Socket,
    address: Address,
) -> Result<Destination, Errno> {
    match (socket.domain, address) {
        (Domain::Local, Address::Local(name)) => local_socket::find(call, name),
        (_, Address::Unspecified) => Ok(Destination::plain(Address::Unspecified.encode())),
        // Linux connects sockets of IPv6 to addresses of IPv4 too.
        (Domain::Inet | Domain::Inet6, Address::Other(Domain::Inet | Domain::Inet6, bytes))
        | (Domain::Netlink, Address::Other(Domain::Netlink, bytes)) => {
            Ok(Destination::plain(bytes))
        }
        (Domain::Local, _) => Err(Errno::EINVAL),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

fn listen(call: &Call<'_>) -> Outcome {
    // Linux takes negative backlogs for the largest one.
    net::listen(open(call)?.host, call.uint(1)).map(|()| 0)
}

fn accept_with(call: &Call<'_>, flags: u32) -> Outcome {
    if flags & !FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let open = open(call)?;
    let socket = open.socket()?;
    let (host, address) = net::accept(open.host, flags & raw::O_NONBLOCK)
        .map_err(|e| interrupted(socket, e, false))?;
    let names = &call.thread.process.container.names;
    // From here on the descriptor belongs to a handle, which closes it on every way out.
    let peer = socket.accepted_name(&address, names);
    let accepted = socket.accepted(peer.clone().unwrap_or_default());
    let shown = match &peer {
        Ok(None) => Address::parse(&address).map(|address| address.encode()),
        Ok(Some(name)) => Ok(Address::Local(name.clone()).encode()),
        Err(error) => Err(*error),
    };
    let file = SocketFile::open(accepted, flags & raw::O_NONBLOCK != 0);
    let fd = install(call, file, host, closes_on_exec(flags))?;
    let written = shown.and_then(|bytes| write_address(&bytes, call.word(1), call.word(2)));
    if let Err(error) = written {
        call.thread
            .process
            .files
            .remove(i32::try_from(fd).map_err(|_| Errno::EBADF)?)?;
        return Err(error);
    }
    Ok(fd)
}

fn accept(call: &Call<'_>) -> Outcome {
    accept_with(call, 0)
}

fn accept4(call: &Call<'_>) -> Outcome {
    accept_with(call, call.uint(3))
}

fn local_name(call: &Call<'_>) -> Outcome {
    let open = open(call)?;
    let address = open.socket()?.local_address(open.host)?;
    write_name(call, &address)
}

fn peer_name(call: &Call<'_>) -> Outcome {
    let open = open(call)?;
    let address = open.socket()?.peer_address(open.host)?;
    write_name(call, &address)
}

fn write_name(call: &Call<'_>, address: &[u8]) -> Outcome {
    if call.word(1) == 0 {
        return Err(Errno::EFAULT);
    }
    write_address(address, call.word(1), call.word(2)).map(|()| 0)
}

fn shutdown(call: &Call<'_>) -> Outcome {
    net::shutdown(open(call)?.host, call.uint(1)).map(|()| 0)
}

fn option(call: &Call<'_>) -> Outcome {
    let open = open(call)?;
    let room = usize::try_from(user::get::<i32>(call.word(4))?).map_err(|_| Errno::EINVAL)?;
    let value = open.socket()?.option(
        open.host,
        call.uint(1),
        call.uint(2),
        room.min(options::MAX_VALUE),
    )?;
    UserSlice::new(call.word(3), value.len())?.write(&value)?;
    user::put(call.word(4), &(value.len() as u32))?;
    Ok(0)
}

fn set_option(call: &Call<'_>) -> Outcome {
    let open = open(call)?;
    let len = usize::try_from(call.int(4)).map_err(|_| Errno::EINVAL)?;
    let value = UserSlice::new(call.word(3), len)?
        .take(options::MAX_VALUE)
        .to_vec(options::MAX_VALUE)?;
    open.socket()?
        .set_option(open.host, call.uint(1), call.uint(2), &value)
        .map(|()| 0)
}
