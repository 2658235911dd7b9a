//! Socket addresses, parsed from what programs and the host say.

use alloc::vec::Vec;
use bannock_platform::Errno;
use linux_raw_sys::net as raw;

/// Longest path or abstract name of a local socket in bytes (`sun_path`, unix(7)).
pub const MAX_LOCAL: usize = 108;

/// An address family that sockets can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// `AF_UNIX`.
    Local,
    /// `AF_INET`.
    Inet,
    /// `AF_INET6`.
    Inet6,
    /// `AF_NETLINK`.
    Netlink,
}

impl Domain {
    /// The family with this number.
    ///
    /// # Errors
    /// `EAFNOSUPPORT` for all others.
    pub const fn from_raw(number: u32) -> Result<Self, Errno> {
        match number {
            raw::AF_UNIX => Ok(Self::Local),
            raw::AF_INET => Ok(Self::Inet),
            raw::AF_INET6 => Ok(Self::Inet6),
            raw::AF_NETLINK => Ok(Self::Netlink),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    /// The family's number.
    #[must_use]
    pub const fn raw(self) -> u32 {
        match self {
            Self::Local => raw::AF_UNIX,
            Self::Inet => raw::AF_INET,
            Self::Inet6 => raw::AF_INET6,
            Self::Netlink => raw::AF_NETLINK,
        }
    }
}

/// Name of a local socket (unix(7)).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LocalName {
    /// None.
    Unnamed,
    /// In the file system.
    Path(Vec<u8>),
    /// In the abstract name space, without the leading NUL.
    Abstract(Vec<u8>),
}

/// A socket address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `AF_UNSPEC`: ends the association of a datagram socket.
    Unspecified,
    /// Of a local socket.
    Local(LocalName),
    /// `struct sockaddr_in`, `sockaddr_in6` or `sockaddr_nl` as it goes to the host.
    Other(Domain, Vec<u8>),
}

impl Address {
    /// Parses a `struct sockaddr` of any family.
    ///
    /// # Errors
    /// `EINVAL` for a length that the family does not have, `EAFNOSUPPORT` for a family that is not
    /// supported.
    pub fn parse(bytes: &[u8]) -> Result<Self, Errno> {
        let family = bytes.first_chunk::<2>().ok_or(Errno::EINVAL)?;
        let family = u32::from(u16::from_ne_bytes(*family));
        if family == raw::AF_UNSPEC {
            return Ok(Self::Unspecified);
        }
        let domain = Domain::from_raw(family)?;
        let fixed = |least: usize, most: usize| {
            let len = if bytes.len() < least {
                None
            } else {
                Some(bytes.len().min(most))
            };
            let bytes = len.and_then(|len| bytes.get(..len)).ok_or(Errno::EINVAL)?;
            Ok(Self::Other(domain, bytes.to_vec()))
        };
        match domain {
            Domain::Local => Ok(Self::Local(parse_local(
                bytes.get(2..).unwrap_or_default(),
            )?)),
            Domain::Inet => fixed(16, 16),
            // Linux accepts the form without a scope id (RFC 2133).
            Domain::Inet6 => fixed(24, 28),
            Domain::Netlink => fixed(12, 12),
        }
    }

    /// The `struct sockaddr`, as Linux returns it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let family = |number: u32| (number as u16).to_ne_bytes();
        match self {
            Self::Unspecified => family(raw::AF_UNSPEC).to_vec(),
            Self::Other(_, bytes) => bytes.clone(),
            Self::Local(name) => {
                let mut bytes = family(raw::AF_UNIX).to_vec();
                match name {
                    LocalName::Unnamed => {}
                    LocalName::Path(path) => {
                        bytes.extend_from_slice(path);
                        bytes.push(0);
                    }
                    LocalName::Abstract(name) => {
                        bytes.push(0);
                        bytes.extend_from_slice(name);
                    }
                }
                bytes
            }
        }
    }
}

fn parse_local(name: &[u8]) -> Result<LocalName, Errno> {
    if name.len() > MAX_LOCAL {
        return Err(Errno::EINVAL);
    }
    match name.split_first() {
        None => Ok(LocalName::Unnamed),
        Some((0, rest)) => Ok(LocalName::Abstract(rest.to_vec())),
        Some(_) => {
            let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
            Ok(LocalName::Path(
                name.get(..end).unwrap_or_default().to_vec(),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_names_survive_the_round_trip() {
        for name in [
            LocalName::Unnamed,
            LocalName::Path(b"/run/x".to_vec()),
            LocalName::Abstract(b"a\0b".to_vec()),
        ] {
            let address = Address::Local(name);
            assert_eq!(Address::parse(&address.encode()), Ok(address));
        }
    }

    #[test]
    fn a_path_that_fills_the_field_needs_no_nul() {
        let mut bytes = std::vec![1, 0];
        bytes.resize(2 + MAX_LOCAL, b'p');
        assert_eq!(
            Address::parse(&bytes),
            Ok(Address::Local(LocalName::Path(std::vec![b'p'; MAX_LOCAL])))
        );
        bytes.push(b'p');
        assert_eq!(Address::parse(&bytes), Err(Errno::EINVAL));
    }

    #[test]
    fn short_addresses_and_foreign_families_are_refused() {
        assert_eq!(Address::parse(&[]), Err(Errno::EINVAL));
        assert_eq!(Address::parse(&[2]), Err(Errno::EINVAL));
        assert_eq!(Address::parse(&[2, 0, 0, 80]), Err(Errno::EINVAL));
        assert_eq!(Address::parse(&[10; 2]), Err(Errno::EAFNOSUPPORT));
        // AF_PACKET would show frames of everybody.
        assert_eq!(
            Address::parse(&[17, 0, 0, 0, 0, 0, 0, 0]),
            Err(Errno::EAFNOSUPPORT)
        );
    }
}
