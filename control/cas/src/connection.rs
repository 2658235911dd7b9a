//! A socket whose reads and writes all end by one deadline, however slowly the peer drips.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// A TCP connection with a deadline.
pub(crate) struct Bounded {
    socket: TcpStream,
    deadline: Option<Instant>,
}

impl Bounded {
    /// All of what follows must be done in `limit`.
    pub(crate) fn new(socket: TcpStream, limit: Duration) -> Self {
        Self {
            socket,
            deadline: Instant::now().checked_add(limit),
        }
    }

    /// Gives what follows another `limit`, counted from now.
    pub(crate) fn extend(&mut self, limit: Duration) {
        self.deadline = Instant::now().checked_add(limit);
    }

    /// Lets the peer take its time: for connections of attested instances, whose number is bounded.
    pub(crate) fn lift(&mut self) -> io::Result<()> {
        self.deadline = None;
        self.socket.set_read_timeout(None)?;
        // A peer that vanished must not keep its place for ever.
        rustix::net::sockopt::set_socket_keepalive(&self.socket, true)?;
        Ok(())
    }

    fn remaining(&self) -> io::Result<Option<Duration>> {
        let Some(deadline) = self.deadline else {
            return Ok(None);
        };
        match deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the peer took too long",
            )),
        }
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.remaining()?)?;
        self.socket.read(buffer)
    }
}

impl Write for Bounded {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.remaining()?)?;
        self.socket.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
