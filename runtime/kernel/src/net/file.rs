//! A socket as an open file.

use super::Socket;
use crate::fs::{Attributes, Changes, FileOps, FileType, Handle, Kind, OpenFile};
use alloc::sync::Arc;
use bannock_platform::{
    Errno,
    host::{
        self, file,
        file::{IoctlArgument, UserVector, Wait},
    },
    user,
};
use core::any::Any;
use linux_raw_sys::{general as raw, ioctl};

/// A socket as an open file.
pub struct SocketFile {
    /// The socket.
    pub socket: Socket,
}

impl SocketFile {
    /// An open file for `socket` with these status flags.
    #[must_use]
    pub fn open(socket: Socket, non_blocking: bool) -> Arc<OpenFile> {
        let flags = raw::O_RDWR | if non_blocking { raw::O_NONBLOCK } else { 0 };
        OpenFile::anonymous(Self { socket }, flags, b"socket:[1]")
    }

    /// The socket behind `handle`.
    ///
    /// # Errors
    /// `ENOTSOCK`.
    pub fn of(handle: &Handle) -> Result<&Socket, Errno> {
        handle.ops().as_socket().ok_or(Errno::ENOTSOCK)
    }

    /// What an interrupted transfer answers (signal(7)).
    fn interrupted(&self, error: Errno, sending: bool) -> Errno {
        if error == Errno::EINTR && !self.socket.has_timeout(sending) {
            Errno::RESTART
        } else {
            error
        }
    }
}

fn unpositioned(at: Option<u64>) -> Result<(), Errno> {
    if at.is_some() {
        Err(Errno::ESPIPE)
    } else {
        Ok(())
    }
}

impl FileOps for SocketFile {
    fn kind(&self) -> Kind {
        Kind::Socket
    }

    fn read(&self, handle: &Handle, into: host::Into<'_>, at: Option<u64>) -> Result<usize, Errno> {
        unpositioned(at)?;
        file::read(handle.host()?, into, None, Wait::Interruptible)
            .map_err(|e| self.interrupted(e, false))
    }

    fn write(
        &self,
        handle: &Handle,
        from: host::From<'_>,
        at: Option<u64>,
    ) -> Result<usize, Errno> {
        unpositioned(at)?;
        file::write(handle.host()?, from, None, Wait::Interruptible)
            .map_err(|e| self.interrupted(e, true))
    }

    fn read_vectored(
        &self,
        handle: &Handle,
        into: &UserVector,
        at: Option<u64>,
        flags: u32,
    ) -> Result<usize, Errno> {
        unpositioned(at)?;
        file::read_vectored(handle.host()?, into, None, flags, Wait::Interruptible)
            .map_err(|e| self.interrupted(e, false))
    }

    fn write_vectored(
        &self,
        handle: &Handle,
        from: &UserVector,
        at: Option<u64>,
        flags: u32,
    ) -> Result<usize, Errno> {
        unpositioned(at)?;
        file::write_vectored(handle.host()?, from, None, flags, Wait::Interruptible)
            .map_err(|e| self.interrupted(e, true))
    }

    fn breaks(&self) -> bool {
        self.socket.breaks()
    }

    fn attributes(&self, handle: &Handle) -> Result<Attributes, Errno> {
        /// Device number of sockets (Linux shows its `sockfs`).
        const DEVICE: u64 = 8;
        Ok(Attributes::synthetic(
            DEVICE,
            handle.file().id(),
            FileType::Socket,
            0o777,
        ))
    }

    fn change(&self, _handle: &Handle, changes: &Changes) -> Result<(), Errno> {
        // Modes and owners of sockets are nobody's business outside of the container.
        if changes.size.is_some() {
            Err(Errno::EINVAL)
        } else {
            Ok(())
        }
    }

    fn ioctl(&self, handle: &Handle, request: u32, argument: usize) -> Result<usize, Errno> {
        match request {
            ioctl::FIONREAD | ioctl::TIOCOUTQ => {
                let mut count = [0; 4];
                file::ioctl(handle.host()?, request, IoctlArgument::Bytes(&mut count))?;
                user::put(argument, &i32::from_ne_bytes(count))?;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn as_socket(&self) -> Option<&Socket> {
        Some(&self.socket)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
