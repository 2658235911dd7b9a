//! Socket options: which reach the host, which the kernel answers, which are refused.

use bannock_platform::Errno;
use linux_raw_sys::net as raw;

/// Most bytes of an option's value.
pub const MAX_VALUE: usize = 512;

/// Options of the socket level that the kernel answers itself, because the host's answer would be
/// about the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// `SO_PEERCRED`.
    PeerCredentials,
    /// `SO_PASSCRED`.
    PassCredentials,
}

/// What to do with an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// The host's, with values of at most this many bytes.
    Host(usize),
    /// The kernel's.
    Own(Own),
}

/// Protocol level of TCP.
pub const TCP: u32 = raw::IPPROTO_TCP as u32;
/// Protocol level of UDP.
pub const UDP: u32 = raw::IPPROTO_UDP as u32;
/// Protocol level of IPv4.
pub const IP: u32 = raw::IPPROTO_IP as u32;
/// Protocol level of IPv6.
pub const IPV6: u32 = raw::IPPROTO_IPV6 as u32;
/// Protocol level of netlink (Linux `SOL_NETLINK`).
pub const NETLINK: u32 = 270;

const INT: Treatment = Treatment::Host(size_of::<u32>());
/// `struct timeval`, `struct linger` and the like.
const PAIR: Treatment = Treatment::Host(16);

/// What to do with the option `name` of `level`.
///
/// # Errors
/// `EPERM` for options that would put code or another device under the socket, `ENOPROTOOPT` for
/// those that are not known to be harmless.
pub const fn treatment(level: u32, name: u32) -> Result<Treatment, Errno> {
    match level {
        raw::SOL_SOCKET => socket_level(name),
        TCP => tcp_level(name),
        UDP => match name {
            // UDP_SEGMENT, UDP_GRO.
            103 | 104 => Ok(INT),
            _ => Err(Errno::ENOPROTOOPT),
        },
        IP => ip_level(name),
        IPV6 => ipv6_level(name),
        // Membership, packet info, extended acknowledgements and strict checking.
        NETLINK => match name {
            1..=4 | 11 | 12 => Ok(INT),
            _ => Err(Errno::ENOPROTOOPT),
        },
        _ => Err(Errno::ENOPROTOOPT),
    }
}

const fn socket_level(name: u32) -> Result<Treatment, Errno> {
    match name {
        raw::SO_PEERCRED => Ok(Treatment::Own(Own::PeerCredentials)),
        raw::SO_PASSCRED => Ok(Treatment::Own(Own::PassCredentials)),
        raw::SO_REUSEADDR
        | raw::SO_TYPE
        | raw::SO_ERROR
        | raw::SO_DONTROUTE
        | raw::SO_BROADCAST
        | raw::SO_SNDBUF
        | raw::SO_RCVBUF
        | raw::SO_KEEPALIVE
        | raw::SO_OOBINLINE
        | raw::SO_PRIORITY
        | raw::SO_REUSEPORT
        | raw::SO_RCVLOWAT
        | raw::SO_SNDLOWAT
        | raw::SO_TIMESTAMP_OLD
        | raw::SO_TIMESTAMPNS_OLD
        | raw::SO_TIMESTAMP_NEW
        | raw::SO_TIMESTAMPNS_NEW
        | raw::SO_ACCEPTCONN
        | raw::SO_PROTOCOL
        | raw::SO_DOMAIN
        | raw::SO_PEEK_OFF
        | raw::SO_INCOMING_CPU
        | raw::SO_BUSY_POLL => Ok(INT),
        raw::SO_LINGER
        | raw::SO_RCVTIMEO_OLD
        | raw::SO_SNDTIMEO_OLD
        | raw::SO_RCVTIMEO_NEW
        | raw::SO_SNDTIMEO_NEW
        | raw::SO_MAX_PACING_RATE => Ok(PAIR),
        raw::SO_ATTACH_FILTER
        | raw::SO_ATTACH_BPF
        | raw::SO_ATTACH_REUSEPORT_CBPF
        | raw::SO_ATTACH_REUSEPORT_EBPF
        | raw::SO_BINDTODEVICE
        | raw::SO_BINDTOIFINDEX
        | raw::SO_MARK
        | raw::SO_SNDBUFFORCE
        | raw::SO_RCVBUFFORCE
        | raw::SO_DEBUG => Err(Errno::EPERM),
        _ => Err(Errno::ENOPROTOOPT),
    }
}

const fn tcp_level(name: u32) -> Result<Treatment, Errno> {
    match name {
        raw::TCP_NODELAY
        | raw::TCP_MAXSEG
        | raw::TCP_CORK
        | raw::TCP_KEEPIDLE
        | raw::TCP_KEEPINTVL
        | raw::TCP_KEEPCNT
        | raw::TCP_SYNCNT
        | raw::TCP_LINGER2
        | raw::TCP_DEFER_ACCEPT
        | raw::TCP_WINDOW_CLAMP
        | raw::TCP_QUICKACK
        | raw::TCP_USER_TIMEOUT
        | raw::TCP_FASTOPEN
        | raw::TCP_FASTOPEN_CONNECT
        | raw::TCP_NOTSENT_LOWAT => Ok(INT),
        raw::TCP_INFO => Ok(Treatment::Host(MAX_VALUE)),
        raw::TCP_CONGESTION => Ok(PAIR),
        _ => Err(Errno::ENOPROTOOPT),
    }
}

const fn ip_level(name: u32) -> Result<Treatment, Errno> {
    match name {
        raw::IP_TOS
        | raw::IP_TTL
        | raw::IP_PKTINFO
        | raw::IP_MTU_DISCOVER
        | raw::IP_RECVERR
        | raw::IP_RECVTTL
        | raw::IP_RECVTOS
        | raw::IP_MTU
        | raw::IP_FREEBIND
        | raw::IP_BIND_ADDRESS_NO_PORT
        | raw::IP_MULTICAST_TTL
        | raw::IP_MULTICAST_LOOP
        | raw::IP_MULTICAST_ALL
        | raw::IP_RECVORIGDSTADDR => Ok(INT),
        raw::IP_MULTICAST_IF | raw::IP_ADD_MEMBERSHIP | raw::IP_DROP_MEMBERSHIP => Ok(PAIR),
        raw::IP_TRANSPARENT | raw::IP_HDRINCL | raw::IP_OPTIONS => Err(Errno::EPERM),
        _ => Err(Errno::ENOPROTOOPT),
    }
}

const fn ipv6_level(name: u32) -> Result<Treatment, Errno> {
    match name {
        raw::IPV6_V6ONLY
        | raw::IPV6_UNICAST_HOPS
        | raw::IPV6_MULTICAST_HOPS
        | raw::IPV6_MULTICAST_LOOP
        | raw::IPV6_MULTICAST_IF
        | raw::IPV6_MULTICAST_ALL
        | raw::IPV6_MTU_DISCOVER
        | raw::IPV6_MTU
        | raw::IPV6_RECVERR
        | raw::IPV6_RECVPKTINFO
        | raw::IPV6_RECVHOPLIMIT
        | raw::IPV6_RECVTCLASS
        | raw::IPV6_TCLASS
        | raw::IPV6_ADDR_PREFERENCES => Ok(INT),
        raw::IPV6_ADD_MEMBERSHIP | raw::IPV6_DROP_MEMBERSHIP => Ok(Treatment::Host(20)),
        raw::IPV6_HDRINCL => Err(Errno::EPERM),
        _ => Err(Errno::ENOPROTOOPT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_lead_around_the_socket_is_refused() {
        for name in [
            raw::SO_ATTACH_FILTER,
            raw::SO_ATTACH_BPF,
            raw::SO_BINDTODEVICE,
            raw::SO_MARK,
        ] {
            assert_eq!(treatment(raw::SOL_SOCKET, name), Err(Errno::EPERM));
        }
        // Credentials are never the host's to tell.
        for name in [
            raw::SO_PEERGROUPS,
            raw::SO_PEERSEC,
            raw::SO_PEERPIDFD,
            raw::SO_PASSPIDFD,
        ] {
            assert_eq!(treatment(raw::SOL_SOCKET, name), Err(Errno::ENOPROTOOPT));
        }
        // TCP_ULP could put another layer under a shield.
        assert_eq!(treatment(TCP, 31), Err(Errno::ENOPROTOOPT));
    }
}
