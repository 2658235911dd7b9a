//! A TCP connection of the runtime's own, as transport of TLS.

use alloc::vec::Vec;
use bannock_crypto::tls::stream::Transport;
use bannock_platform::{
    Errno,
    host::{self, HostFd, file, net},
};
use core::net::SocketAddr;
use linux_raw_sys::net as raw;

/// A connected socket; closed when dropped.
pub(crate) struct Socket(HostFd);

impl Socket {
    /// Connects to `address`.
    pub(crate) fn connect(address: &SocketAddr) -> Result<Self, Errno> {
        let domain = if address.is_ipv4() {
            raw::AF_INET
        } else {
            raw::AF_INET6
        };
        let socket = Self(net::socket(
            domain,
            raw::SOCK_STREAM,
            raw::IPPROTO_TCP as u32,
        )?);
        // Handshake messages are small and answered at once.
        net::set_option(
            socket.0,
            raw::IPPROTO_TCP as u32,
            raw::TCP_NODELAY,
            &1i32.to_ne_bytes(),
        )?;
        net::connect(socket.0, &encode(address))?;
        Ok(socket)
    }
}

/// `struct sockaddr_in` or `struct sockaddr_in6`.
fn encode(address: &SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(28);
    match address {
        SocketAddr::V4(v4) => {
            bytes.extend_from_slice(&(raw::AF_INET as u16).to_ne_bytes());
            bytes.extend_from_slice(&v4.port().to_be_bytes());
            bytes.extend_from_slice(&v4.ip().octets());
            bytes.extend_from_slice(&[0; 8]);
        }
        SocketAddr::V6(v6) => {
            bytes.extend_from_slice(&(raw::AF_INET6 as u16).to_ne_bytes());
            bytes.extend_from_slice(&v6.port().to_be_bytes());
            bytes.extend_from_slice(&v6.flowinfo().to_be_bytes());
            bytes.extend_from_slice(&v6.ip().octets());
            bytes.extend_from_slice(&v6.scope_id().to_ne_bytes());
        }
    }
    bytes
}

impl Transport for Socket {
    type Error = Errno;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        loop {
            match net::receive(self.0, host::Into::Kernel(buffer), 0, false) {
                Err(Errno::EINTR) => {}
                other => return other.map(|(n, _)| n),
            }
        }
    }

    fn write(&mut self, data: &[u8]) -> Result<usize, Errno> {
        loop {
            match net::send(self.0, host::From::Kernel(data), raw::MSG_NOSIGNAL, None) {
                Err(Errno::EINTR) => {}
                other => return other,
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        file::close(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_layout_of_linux() {
        let v4 = encode(&"127.0.0.1:258".parse().unwrap());
        assert_eq!(v4, [2, 0, 1, 2, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let v6 = encode(&"[::1]:1".parse().unwrap());
        assert_eq!((v6.len(), v6[0], v6[3], v6[23]), (28, 10, 1, 1));
    }
}
