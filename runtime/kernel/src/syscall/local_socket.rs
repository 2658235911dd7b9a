//! Names of local sockets: from what a program says to what the host is told.
//!
//! On a host mount the name is a file of the host. There is no call that binds below a directory,
//! so the path that the host gets goes through `/proc/self/fd` to a descriptor that the kernel
//! opened itself, without links: to the directory for bind(2), to the socket for connect(2). What
//! is swapped meanwhile under the names leads nowhere else. A name of more than about 80 bytes does
//! not fit into an address that way: `EINVAL`.

use super::Call;
use super::socket::Open;
use crate::fs::attributes::{W_OK, X_OK};
use crate::fs::filesystem::{NewFile, NewKind};
use crate::fs::walk::{End, How, Target};
use crate::fs::{Changes, FileType, Location};
use crate::net::address::{Address, LocalName, MAX_LOCAL};
use crate::net::{Key, Socket};
use alloc::{ffi::CString, format, vec::Vec};
use bannock_platform::{
    Errno,
    host::{HostFd, file, net},
};
use linux_raw_sys::general as raw;

/// A descriptor of the host that is closed when dropped.
struct Passing(HostFd);

impl Drop for Passing {
    fn drop(&mut self) {
        file::close(self.0);
    }
}

/// Where a message or connection goes.
pub(super) struct Destination {
    bytes: Vec<u8>,
    shown: Option<LocalName>,
    /// Keeps the path in `bytes` alive.
    _passing: Option<Passing>,
}

impl Destination {
    /// An address that means the same on the host.
    pub(super) const fn plain(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            shown: None,
            _passing: None,
        }
    }

    /// The host's address.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The name that the program used, for local sockets.
    pub(super) fn shown(&self) -> Option<LocalName> {
        self.shown.clone()
    }
}

/// An address of the host for `name` below the descriptor `fd`, or for what it stands for itself.
fn through(fd: HostFd, name: Option<&[u8]>) -> Result<Vec<u8>, Errno> {
    let mut path = format!("/proc/self/fd/{}", fd.number()).into_bytes();
    if let Some(name) = name {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.len() >= MAX_LOCAL {
        Err(Errno::EINVAL)
    } else {
        Ok(Address::Local(LocalName::Path(path)).encode())
    }
}

fn open_beneath(directory: HostFd, path: &[u8], flags: u32) -> Result<Passing, Errno> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
    file::open_beneath(directory, &path, flags | raw::O_PATH | raw::O_NOFOLLOW, 0).map(Passing)
}

/// Finds the socket called `name`.
///
/// # Errors
/// `ECONNREFUSED` where nobody has that name, and what the walk met.
pub(super) fn find(call: &Call<'_>, name: LocalName) -> Result<Destination, Errno> {
    let process = &call.thread.process;
    let found = |key: &Key| process.container.names.find(key).ok_or(Errno::ECONNREFUSED);
    let path = match &name {
        LocalName::Unnamed => return Err(Errno::EINVAL),
        LocalName::Abstract(bytes) => {
            let bytes = found(&Key::Abstract(bytes.clone()))?;
            return Ok(Destination {
                bytes,
                shown: Some(name),
                _passing: None,
            });
        }
        LocalName::Path(path) => path,
    };
    let credentials = process.credentials();
    let Target::Found(at, attributes) = process.fs.walk(None, path, How::empty(), &credentials)?
    else {
        return Err(Errno::ECONNREFUSED);
    };
    if attributes.kind != FileType::Socket {
        return Err(Errno::ECONNREFUSED);
    }
    attributes.check(&credentials, W_OK)?;
    let Some((directory, path)) = at.fs().host_place(at.id()) else {
        let bytes = found(&Key::Node {
            device: attributes.device,
            inode: attributes.inode,
        })?;
        return Ok(Destination {
            bytes,
            shown: Some(name),
            _passing: None,
        });
    };
    let passing = open_beneath(directory, &path, 0)?;
    let mode = u32::from(file::status(passing.0, raw::STATX_TYPE)?.stx_mode);
    if FileType::from_mode(mode)? != FileType::Socket {
        return Err(Errno::ECONNREFUSED);
    }
    let bytes = through(passing.0, None)?;
    Ok(Destination {
        bytes,
        shown: Some(name),
        _passing: Some(passing),
    })
}

/// Gives `socket` the name `name`.
///
/// # Errors
/// As bind(2) for local sockets.
pub(super) fn bind(
    call: &Call<'_>,
    open: &Open,
    socket: &Socket,
    name: LocalName,
) -> Result<(), Errno> {
    if socket.is_bound() {
        return Err(Errno::EINVAL);
    }
    let names = &call.thread.process.container.names;
    let (registration, shown) = match name {
        LocalName::Unnamed => names.register_any()?,
        LocalName::Abstract(bytes) => {
            let shown = LocalName::Abstract(bytes.clone());
            (names.register(Key::Abstract(bytes), shown.clone())?, shown)
        }
        LocalName::Path(path) => return bind_path(call, open, socket, path),
    };
    net::bind(open.host, &registration.address())?;
    socket.bound(shown, Some(registration));
    Ok(())
}

fn bind_path(call: &Call<'_>, open: &Open, socket: &Socket, path: Vec<u8>) -> Result<(), Errno> {
    let process = &call.thread.process;
    let credentials = process.credentials();
    let end = process
        .fs
        .with_walker(None, How::empty(), &credentials, |walker| walker.end(&path))?;
    let End::Name(last) = end else {
        return Err(Errno::EADDRINUSE);
    };
    let directory = &last.directory;
    match process.fs.mounts().child(directory, &last.name) {
        Ok(_) => return Err(Errno::EADDRINUSE),
        Err(Errno::ENOENT) => {}
        Err(error) => return Err(error),
    }
    directory.mount.writable()?;
    last.directory_attributes.check(&credentials, W_OK | X_OK)?;
    let mode = 0o777 & !process.fs.umask();
    let shown = LocalName::Path(path);
    if let Some((root, below)) = directory.fs().host_place(directory.id()) {
        let passing = open_beneath(root, &below, raw::O_DIRECTORY)?;
        net::bind(open.host, &through(passing.0, Some(&last.name))?)?;
        socket.bound(shown, None);
        set_mode(directory, &last.name, mode);
        return Ok(());
    }
    let new = NewFile {
        kind: NewKind::Socket,
        mode,
        uid: credentials.uid,
        gid: credentials.gid,
    };
    directory
        .fs()
        .make(directory.id(), &last.name, &new)
        .map_err(|error| match error {
            Errno::EEXIST => Errno::EADDRINUSE,
            other => other,
        })?;
    let bound = process
        .fs
        .mounts()
        .child(directory, &last.name)
        .and_then(|(_, attributes)| {
            let key = Key::Node {
                device: attributes.device,
                inode: attributes.inode,
            };
            let registration = process.container.names.register(key, shown.clone())?;
            net::bind(open.host, &registration.address())?;
            Ok(registration)
        });
    match bound {
        Ok(registration) => {
            socket.bound(shown, Some(registration));
            Ok(())
        }
        Err(error) => {
            // Nothing half-made stays behind.
            let _ = directory.fs().remove(directory.id(), &last.name, false);
            Err(error)
        }
    }
}

/// Gives the host's socket file the mode that the program's umask implies, where the host lets us:
/// it applied the umask of the runtime.
fn set_mode(directory: &Location, name: &[u8], mode: u32) {
    if let Ok((node, _)) = directory.fs().lookup(directory.id(), name) {
        let _ = directory.fs().change(
            node,
            &Changes {
                mode: Some(mode),
                ..Changes::default()
            },
        );
        directory.fs().forget(node);
    }
}
