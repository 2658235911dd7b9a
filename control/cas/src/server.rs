//! The listener: bounded connections, one thread each.

use crate::{cas::Cas, connection::Bounded, instance, log, rest, tls};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

/// Most connections at a time.
pub const MAX_CONNECTIONS: usize = 512;

/// Most connections of one address at a time, unless it is this machine's own.
pub const MAX_CONNECTIONS_PER_ADDRESS: usize = 64;

/// Time for a handshake and the first request.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for an answer to be taken.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Stack of a connection's thread in bytes: certificate and session parsers are bounded in depth.
const STACK: usize = 1 << 20;

/// A TLS connection to a client.
pub(crate) type Connection = StreamOwned<ServerConnection, Bounded>;

/// The listening server.
pub struct Server {
    listener: TcpListener,
    cas: Arc<Cas>,
    tls: Arc<ServerConfig>,
    slots: Arc<Slots>,
}

/// Why the server does not listen.
#[derive(Debug, thiserror::Error)]
pub enum CannotListen {
    /// The address is taken or not this machine's.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Key and certificate of the identity do not fit together.
    #[error("cannot set up TLS with the CAS's identity")]
    Tls(#[from] rustls::Error),
}

impl Server {
    /// Listens on `address`; nothing is served before [`Self::run`].
    ///
    /// # Errors
    /// [`CannotListen`].
    pub fn bind(cas: Arc<Cas>, address: SocketAddr) -> Result<Self, CannotListen> {
        let listener =
            TcpListener::bind(address).map_err(|source| CannotListen::Bind { address, source })?;
        let tls = Arc::new(tls::config(cas.identity())?);
        Ok(Self {
            listener,
            cas,
            tls,
            slots: Arc::default(),
        })
    }

    /// Where it listens: the real port when port 0 was asked for.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for ever.
    pub fn run(&self) {
        loop {
            match self.listener.accept() {
                Ok((socket, peer)) => self.dispatch(socket, peer),
                // Out of descriptors, mostly: served connections free some.
                Err(error) => {
                    log::note(format_args!("cannot accept a connection: {error}"));
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    fn dispatch(&self, socket: TcpStream, peer: SocketAddr) {
        let Some(slot) = Slot::take(&self.slots, peer.ip()) else {
            // Closed without a word: whoever holds all places gets no work out of us.
            return;
        };
        let (cas, tls) = (Arc::clone(&self.cas), Arc::clone(&self.tls));
        let spawned = thread::Builder::new()
            .name("connection".into())
            .stack_size(STACK)
            .spawn(move || {
                let _slot = slot;
                // A peer that breaks off or talks nonsense is nobody's concern but its own.
                let _ = serve(&cas, tls, socket);
            });
        if let Err(error) = spawned {
            log::note(format_args!(
                "cannot start a thread for a connection: {error}"
            ));
        }
    }
}

fn serve(cas: &Cas, tls: Arc<ServerConfig>, socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
    let mut connection = StreamOwned::new(connection, Bounded::new(socket, REQUEST_TIMEOUT));
    while connection.conn.is_handshaking() {
        connection.conn.complete_io(&mut connection.sock)?;
    }
    if connection.conn.alpn_protocol() == Some(bannock_wire::cas::ALPN) {
        instance::serve(cas, &mut connection)?;
    } else {
        rest::serve(cas, &mut connection)?;
    }
    connection.conn.send_close_notify();
    connection.conn.complete_io(&mut connection.sock)?;
    Ok(())
}

/// Who has how many connections.
#[derive(Default)]
struct Slots(Mutex<HashMap<IpAddr, usize>>);

/// A place for one connection, freed when dropped.
struct Slot {
    slots: Arc<Slots>,
    address: IpAddr,
}

impl Slot {
    fn take(slots: &Arc<Slots>, address: IpAddr) -> Option<Self> {
        let mut counts = slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = counts.values().sum();
        let own = counts.get(&address).copied().unwrap_or(0);
        let own_limit = if address.is_loopback() {
            MAX_CONNECTIONS
        } else {
            MAX_CONNECTIONS_PER_ADDRESS
        };
        if total >= MAX_CONNECTIONS || own >= own_limit {
            return None;
        }
        counts.insert(address, own.saturating_add(1));
        Some(Self {
            slots: Arc::clone(slots),
            address,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get(&self.address).copied().unwrap_or(0) {
            0 | 1 => drop(counts.remove(&self.address)),
            several => drop(counts.insert(self.address, several.saturating_sub(1))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_places() {
        let slots = Arc::default();
        let greedy = IpAddr::from([192, 0, 2, 1]);
        let taken: Vec<_> = std::iter::from_fn(|| Slot::take(&slots, greedy)).collect();
        assert_eq!(taken.len(), MAX_CONNECTIONS_PER_ADDRESS);
        assert!(Slot::take(&slots, IpAddr::from([192, 0, 2, 2])).is_some());
        drop(taken);
        assert!(Slot::take(&slots, greedy).is_some());
    }

    #[test]
    fn the_total_is_bounded() {
        let slots = Arc::default();
        let own = IpAddr::from([127, 0, 0, 1]);
        let taken: Vec<_> = std::iter::from_fn(|| Slot::take(&slots, own)).collect();
        assert_eq!(taken.len(), MAX_CONNECTIONS);
        assert!(Slot::take(&slots, IpAddr::from([192, 0, 2, 2])).is_none());
    }
}
