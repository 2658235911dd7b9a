//! A TLS connection over a blocking transport.

use core::fmt;

use super::client::{ClientConfig, Connection, ConnectionFault, PLAINTEXT_LIMIT};

/// Bytes received at once.
const CHUNK_LEN: usize = 16 * 1024;

/// A connected byte stream that blocks: a socket.
pub trait Transport {
    /// Why moving bytes failed.
    type Error;

    /// Waits for bytes, writes them to the front of `buffer` and returns how many; zero is the end of the stream.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error>;

    /// Sends bytes from the front of `data` and returns how many; zero means that none can be sent any more.
    fn write(&mut self, data: &[u8]) -> Result<usize, Self::Error>;
}

/// Why a stream failed.
#[derive(Debug, thiserror::Error)]
pub enum StreamFault<E> {
    /// The transport failed.
    #[error("cannot exchange data with the server")]
    Transport(#[source] E),
    /// The transport claims to have moved more bytes than it was given.
    #[error("the transport reports more bytes than it was asked for")]
    TransportLied,
    /// The transport takes no more bytes.
    #[error("the connection to the server takes no more data")]
    TransportClosed,
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] ConnectionFault),
}

/// A TLS connection over the transport `T`.
pub struct Stream<T> {
    connection: Connection,
    transport: T,
}

impl<T: Transport> Stream<T> {
    /// Performs the handshake over `transport`.
    pub fn connect(config: ClientConfig, transport: T) -> Result<Self, StreamFault<T::Error>> {
        let mut stream = Self {
            connection: Connection::new(config)?,
            transport,
        };
        while stream.connection.is_handshaking() {
            stream.flush()?;
            stream.receive()?;
        }
        stream.flush()?;
        Ok(stream)
    }

    /// Waits for plaintext and returns how much of `buffer` it fills; zero is the end that the server declared.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamFault<T::Error>> {
        loop {
            let count = self.connection.read(buffer);
            if count > 0 || buffer.is_empty() || self.connection.peer_closed() {
                return Ok(count);
            }
            self.receive()?;
        }
    }

    /// Sends all of `data`.
    pub fn write_all(&mut self, data: &[u8]) -> Result<(), StreamFault<T::Error>> {
        let mut rest = data;
        while !rest.is_empty() {
            let taken = self.connection.write(rest)?;
            rest = rest.get(taken..).unwrap_or_default();
            self.flush()?;
        }
        Ok(())
    }

    /// Tells the server that nothing more will be written; reading goes on.
    pub fn close(&mut self) -> Result<(), StreamFault<T::Error>> {
        self.connection.close()?;
        self.flush()
    }

    /// The connection, for its exporter and the server's key.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The transport, for its descriptor or deadlines.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// Receives once; a fault's alert is sent as far as the transport takes it.
    fn receive(&mut self) -> Result<(), StreamFault<T::Error>> {
        let mut buffer = [0; CHUNK_LEN];
        let count = self
            .transport
            .read(&mut buffer)
            .map_err(StreamFault::Transport)?;
        let mut received = buffer.get(..count).ok_or(StreamFault::TransportLied)?;
        if received.is_empty() {
            return Ok(self.connection.receive_end()?);
        }
        while !received.is_empty() {
            match self.connection.receive(received) {
                Ok(0) => {
                    // Only reached when one chunk holds more plaintext than may wait, which no record can.
                    return Err(ConnectionFault::MessageTooLong {
                        limit: PLAINTEXT_LIMIT,
                    }
                    .into());
                }
                Ok(taken) => received = received.get(taken..).unwrap_or_default(),
                Err(fault) => {
                    // The fault is what the caller needs to hear, not that the alert about it was lost.
                    let _ = self.flush();
                    return Err(fault.into());
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamFault<T::Error>> {
        while !self.connection.to_send().is_empty() {
            let data = self.connection.to_send();
            let offered = data.len();
            match self.transport.write(data).map_err(StreamFault::Transport)? {
                0 => return Err(StreamFault::TransportClosed),
                count if count > offered => return Err(StreamFault::TransportLied),
                count => self.connection.sent(count),
            }
        }
        Ok(())
    }
}

impl<T> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
