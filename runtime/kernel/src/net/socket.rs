//! What the kernel knows about a socket.
//!
//! The bytes go through the host; everything that programs could trust does not: names and
//! credentials are the kernel's. A shield for the network sits between this object and the host.

use super::address::{Address, Domain, LocalName};
use super::control::{self, Message};
use super::options::{self, Own, Treatment};
use super::{Names, Registration};
use alloc::vec::Vec;
use bannock_platform::{
    Errno,
    host::{HostFd, file, file::UserVector, net},
    sync::Mutex,
};
use linux_raw_sys::net as raw;

/// Who is at the other end (`struct ucred`, unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCredentials {
    /// Process id in the container; 0 for a process outside of it.
    pub process: i32,
    /// User id.
    pub user: u32,
    /// Group id.
    pub group: u32,
}

impl PeerCredentials {
    /// What every peer shows that is not known to be of this container, whatever the host says of
    /// it: a name that no program trusts.
    pub const OUTSIDE: Self = Self {
        process: 0,
        user: 65534,
        group: 65534,
    };

    /// `struct ucred`.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let mut bytes = self.process.to_ne_bytes().to_vec();
        bytes.extend_from_slice(&self.user.to_ne_bytes());
        bytes.extend_from_slice(&self.group.to_ne_bytes());
        bytes
    }
}

/// A socket.
pub struct Socket {
    /// Address family.
    pub domain: Domain,
    /// `SOCK_*`, without flags.
    pub kind: u32,
    /// Protocol, 0 where the family has only one.
    pub protocol: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    local: Option<LocalName>,
    peer: Option<LocalName>,
    /// Known only of pairs that a process of the container made.
    peer_credentials: Option<PeerCredentials>,
    pass_credentials: bool,
    registration: Option<Registration>,
    receive_timeout: bool,
    send_timeout: bool,
}

/// What [`Socket::receive`] got.
pub struct Received {
    /// Bytes.
    pub len: usize,
    /// Where from; empty where the host does not say.
    pub address: Vec<u8>,
    /// Ancillary data that programs may see, descriptors excluded.
    pub control: Vec<Message>,
    /// Descriptors of the host, as yet nobody's: the caller owns them.
    pub descriptors: Vec<HostFd>,
    /// `MSG_*`.
    pub flags: u32,
}

impl Socket {
    /// A socket that was just made.
    #[must_use]
    pub fn new(domain: Domain, kind: u32, protocol: u32) -> Self {
        Self {
            domain,
            kind,
            protocol,
            state: Mutex::new(State::default()),
        }
    }

    /// One end of a pair made by a process of the container.
    #[must_use]
    pub fn paired(kind: u32, credentials: PeerCredentials) -> Self {
        let state = State {
            local: Some(LocalName::Unnamed),
            peer: Some(LocalName::Unnamed),
            peer_credentials: Some(credentials),
            ..State::default()
        };
        Self {
            domain: Domain::Local,
            kind,
            protocol: 0,
            state: Mutex::new(state),
        }
    }

    /// A socket that was accepted on this one from `peer`.
    #[must_use]
    pub fn accepted(&self, peer: Option<LocalName>) -> Self {
        let local = self.state.lock().local.clone();
        let state = State {
            local,
            peer,
            ..State::default()
        };
        Self {
            domain: self.domain,
            kind: self.kind,
            protocol: self.protocol,
            state: Mutex::new(state),
        }
    }

    /// Checks that sockets like this may be made.
    ///
    /// # Errors
    /// `EAFNOSUPPORT`, `ESOCKTNOSUPPORT`, `EPROTONOSUPPORT` or `EPERM`.
    pub fn check(domain: Domain, kind: u32, protocol: u32) -> Result<(), Errno> {
        /// `NETLINK_ROUTE`: the only netlink protocol that shows nothing but the network.
        const ROUTE: u32 = 0;
        match domain {
            Domain::Netlink => match (kind, protocol) {
                (raw::SOCK_RAW | raw::SOCK_DGRAM, ROUTE) => Ok(()),
                _ => Err(Errno::EPROTONOSUPPORT),
            },
            Domain::Local => match kind {
                raw::SOCK_STREAM | raw::SOCK_DGRAM | raw::SOCK_SEQPACKET if protocol <= 1 => Ok(()),
                raw::SOCK_STREAM | raw::SOCK_DGRAM | raw::SOCK_SEQPACKET => {
                    Err(Errno::EPROTONOSUPPORT)
                }
                _ => Err(Errno::ESOCKTNOSUPPORT),
            },
            Domain::Inet | Domain::Inet6 => match kind {
                raw::SOCK_STREAM | raw::SOCK_DGRAM => {
                    // No protocol whose traffic a shield could not see, such as MPTCP or SCTP.
                    let own = if kind == raw::SOCK_STREAM {
                        options::TCP
                    } else {
                        options::UDP
                    };
                    if protocol == 0 || protocol == own {
                        Ok(())
                    } else {
                        Err(Errno::EPROTONOSUPPORT)
                    }
                }
                raw::SOCK_RAW => Err(Errno::EPERM),
                _ => Err(Errno::ESOCKTNOSUPPORT),
            },
        }
    }

    /// Whether writing to a closed connection raises `SIGPIPE`.
    #[must_use]
    pub const fn breaks(&self) -> bool {
        self.kind == raw::SOCK_STREAM
    }

    /// Whether a local name was given to the socket.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.state.lock().local.is_some()
    }

    /// Whether both ends are known to be the container's.
    #[must_use]
    pub fn is_paired(&self) -> bool {
        self.state.lock().peer_credentials.is_some()
    }

    /// Whether interrupted receiving (or sending) is not restarted, because a timeout is set
    /// (signal(7)).
    #[must_use]
    pub fn has_timeout(&self, sending: bool) -> bool {
        let state = self.state.lock();
        if sending {
            state.send_timeout
        } else {
            state.receive_timeout
        }
    }

    /// Remembers what the socket was bound to, and what keeps the name.
    pub fn bound(&self, name: LocalName, registration: Option<Registration>) {
        let mut state = self.state.lock();
        state.local = Some(name);
        state.registration = registration;
    }

    /// Remembers what the socket was connected to.
    pub fn connected(&self, name: Option<LocalName>) {
        self.state.lock().peer = name;
    }

    /// The socket's own address, as programs see it.
    ///
    /// # Errors
    /// What the host said.
    pub fn local_address(&self, fd: HostFd) -> Result<Vec<u8>, Errno> {
        if self.domain == Domain::Local {
            let name = self
                .state
                .lock()
                .local
                .clone()
                .unwrap_or(LocalName::Unnamed);
            return Ok(Address::Local(name).encode());
        }
        self.checked(net::local_address(fd)?)
    }

    /// The peer's address, as programs see it.
    ///
    /// # Errors
    /// `ENOTCONN` and what else the host said.
    pub fn peer_address(&self, fd: HostFd) -> Result<Vec<u8>, Errno> {
        // Asked in any case: only the host knows whether there still is a peer.
        let address = net::peer_address(fd)?;
        if self.domain == Domain::Local {
            let name = self.state.lock().peer.clone().unwrap_or(LocalName::Unnamed);
            return Ok(Address::Local(name).encode());
        }
        self.checked(address)
    }

    /// Where a message came from, as programs see it.
    ///
    /// # Errors
    /// `EIO` when the host tells an address of another family.
    pub fn source(&self, address: Vec<u8>, names: &Names) -> Result<Vec<u8>, Errno> {
        if address.is_empty() {
            return Ok(address);
        }
        match Address::parse(&address) {
            Ok(Address::Local(name)) if self.domain == Domain::Local => {
                Ok(Address::Local(names.shown(&name)).encode())
            }
            _ => self.checked(address),
        }
    }

    fn checked(&self, address: Vec<u8>) -> Result<Vec<u8>, Errno> {
        match Address::parse(&address) {
            Ok(Address::Other(domain, bytes)) if domain == self.domain => Ok(bytes),
            _ => Err(Errno::EIO),
        }
    }

    /// Name of a peer that was just accepted.
    ///
    /// # Errors
    /// `EIO` when the host tells an address of another family.
    pub fn accepted_name(&self, address: &[u8], names: &Names) -> Result<Option<LocalName>, Errno> {
        if self.domain != Domain::Local {
            return Ok(None);
        }
        match Address::parse(address) {
            Ok(Address::Local(name)) => Ok(Some(names.shown(&name))),
            _ => Err(Errno::EIO),
        }
    }

    /// Sends the program's data.
    ///
    /// # Errors
    /// What the host said; `EINVAL` for ancillary data that may not be sent.
    pub fn send(
        &self,
        fd: HostFd,
        data: &UserVector,
        destination: Option<&[u8]>,
        control: &[Message],
        rights: &[HostFd],
        flags: u32,
    ) -> Result<usize, Errno> {
        let mut messages: Vec<Message> = Vec::new();
        for message in control {
            if sendable(message) {
                messages.push(message.clone());
            } else {
                return Err(Errno::EINVAL);
            }
        }
        if !rights.is_empty() {
            let numbers: Vec<i32> = rights.iter().map(|fd| fd.number()).collect();
            messages.push(Message::rights(&numbers));
        }
        let (control, truncated) = control::build(&messages, net::MAX_CONTROL);
        if truncated {
            return Err(Errno::ENOBUFS);
        }
        let outgoing = net::Outgoing {
            data,
            address: destination,
            control: &control,
        };
        net::send_message(fd, &outgoing, flags)
    }

    /// Receives into the program's memory. Descriptors from outside of the container are closed at
    /// once: a program must not hold files that nobody granted it.
    ///
    /// # Errors
    /// What the host said.
    pub fn receive(
        &self,
        fd: HostFd,
        into: &UserVector,
        flags: u32,
        names: &Names,
    ) -> Result<Received, Errno> {
        let incoming = net::receive_message(fd, into, flags)?;
        let mut received = Received {
            len: incoming.len,
            address: Vec::new(),
            control: Vec::new(),
            descriptors: Vec::new(),
            flags: incoming.flags,
        };
        let messages = control::parse(&incoming.control).map_err(|_| Errno::EIO)?;
        for message in messages {
            if message.is_socket(raw::SCM_RIGHTS) {
                let numbers = message.descriptors().map_err(|_| Errno::EIO)?;
                received.descriptors.extend(
                    numbers
                        .into_iter()
                        .filter(|n| *n >= 0)
                        .map(HostFd::inherited),
                );
            } else if receivable(&message) {
                received.control.push(message);
            }
        }
        if !self.is_paired() {
            received.descriptors.drain(..).for_each(file::close);
        }
        if self.domain == Domain::Local && self.state.lock().pass_credentials {
            let data = self.peer_credentials().encode();
            received.control.push(Message {
                level: raw::SOL_SOCKET,
                kind: raw::SCM_CREDENTIALS,
                data,
            });
        }
        match self.source(incoming.address, names) {
            Ok(address) => received.address = address,
            Err(error) => {
                received.descriptors.drain(..).for_each(file::close);
                return Err(error);
            }
        }
        Ok(received)
    }

    /// Who is at the other end, as far as the kernel knows.
    #[must_use]
    pub fn peer_credentials(&self) -> PeerCredentials {
        self.state
            .lock()
            .peer_credentials
            .unwrap_or(PeerCredentials::OUTSIDE)
    }

    /// getsockopt(2) for a value of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`options::treatment`], and what the host said.
    pub fn option(
        &self,
        fd: HostFd,
        level: u32,
        name: u32,
        limit: usize,
    ) -> Result<Vec<u8>, Errno> {
        let mut value = match options::treatment(level, name)? {
            Treatment::Own(Own::PassCredentials) => u32::from(self.state.lock().pass_credentials)
                .to_ne_bytes()
                .to_vec(),
            Treatment::Own(Own::PeerCredentials) if self.domain == Domain::Local => {
                self.peer_credentials().encode()
            }
            Treatment::Own(Own::PeerCredentials) => PeerCredentials::OUTSIDE.encode(),
            Treatment::Host(most) => {
                let mut value = alloc::vec![0; most.min(limit)];
                let len = net::option(fd, level, name, &mut value)?;
                value.truncate(len);
                value
            }
        };
        value.truncate(limit);
        Ok(value)
    }

    /// setsockopt(2).
    ///
    /// # Errors
    /// As [`options::treatment`], `EINVAL` for a value of the wrong length, and what the host said.
    pub fn set_option(&self, fd: HostFd, level: u32, name: u32, value: &[u8]) -> Result<(), Errno> {
        match options::treatment(level, name)? {
            Treatment::Own(Own::PassCredentials) => {
                let word = value.first_chunk::<4>().ok_or(Errno::EINVAL)?;
                self.state.lock().pass_credentials = *word != [0; 4];
                Ok(())
            }
            Treatment::Own(Own::PeerCredentials) => Err(Errno::ENOPROTOOPT),
            Treatment::Host(most) => {
                let value = value.get(..value.len().min(most)).unwrap_or_default();
                net::set_option(fd, level, name, value)?;
                let timeout = value.iter().any(|b| *b != 0);
                if level == raw::SOL_SOCKET {
                    let mut state = self.state.lock();
                    match name {
                        raw::SO_RCVTIMEO_OLD | raw::SO_RCVTIMEO_NEW => {
                            state.receive_timeout = timeout
                        }
                        raw::SO_SNDTIMEO_OLD | raw::SO_SNDTIMEO_NEW => state.send_timeout = timeout,
                        _ => {}
                    }
                }
                Ok(())
            }
        }
    }
}

/// Ancillary data that programs may send to the host.
fn sendable(message: &Message) -> bool {
    /// `UDP_SEGMENT`.
    const SEGMENT: u32 = 103;
    match message.level {
        options::IP => matches!(message.kind, raw::IP_PKTINFO | raw::IP_TTL | raw::IP_TOS),
        options::IPV6 => matches!(
            message.kind,
            raw::IPV6_PKTINFO | raw::IPV6_HOPLIMIT | raw::IPV6_TCLASS
        ),
        options::UDP => message.kind == SEGMENT,
        _ => false,
    }
}

/// Ancillary data from the host that programs may see. Credentials are not among it.
fn receivable(message: &Message) -> bool {
    /// `UDP_GRO`.
    const COALESCED: u32 = 104;
    match message.level {
        raw::SOL_SOCKET => matches!(
            message.kind,
            raw::SO_TIMESTAMP_OLD
                | raw::SO_TIMESTAMPNS_OLD
                | raw::SO_TIMESTAMP_NEW
                | raw::SO_TIMESTAMPNS_NEW
        ),
        options::IP => {
            matches!(
                message.kind,
                raw::IP_PKTINFO | raw::IP_TTL | raw::IP_TOS | raw::IP_RECVERR | raw::IP_ORIGDSTADDR
            )
        }
        options::IPV6 => {
            matches!(
                message.kind,
                raw::IPV6_PKTINFO | raw::IPV6_HOPLIMIT | raw::IPV6_TCLASS | raw::IPV6_RECVERR
            )
        }
        options::UDP => message.kind == COALESCED,
        _ => false,
    }
}
