//! The LAS's socket.

use crate::audit::{AuditLog, Record};
use crate::connection;
use crate::limit::PerUser;
use crate::quoter::Quoter;
use bannock_launcher::{Caller, Images};
use bannock_wire::PROTOCOL_VERSION;
use bannock_wire::las::Reply;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Most connections, and so instances, at once.
const MAX_CONNECTIONS: usize = 1024;

/// Most connections of one user at once.
const MAX_CONNECTIONS_PER_USER: usize = 256;

/// Starts of one user: at once, and per minute.
const STARTS: (u32, u32) = (64, 480);

/// Requests of all instances of one user: at once, and per minute.
const REQUESTS: (u32, u32) = (512, 3840);

/// Why the LAS does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeFault {
    /// Another LAS answers on the socket.
    #[error("a LAS serves on `{path}` already; stop it or choose another socket")]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error("cannot listen on `{path}`")]
    Listen {
        /// The socket.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The memory of this process cannot be hidden.
    #[error("cannot hide the memory of the LAS from others")]
    Hide(#[source] io::Error),
    /// The start cannot be recorded.
    #[error(transparent)]
    Audit(#[from] crate::AuditFault),
    /// Connections cannot be accepted any more.
    #[error("cannot accept connections on `{path}`")]
    Accept {
        /// The socket.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) quoter: Box<dyn Quoter>,
    pub(crate) audit: AuditLog,
    pub(crate) images: Images,
    pub(crate) starts: PerUser,
    pub(crate) quotes: PerUser,
    /// Connections by user.
    connections: Mutex<HashMap<u32, usize>>,
}

impl Shared {
    /// Answer to a request for the status. The asker's own connection is no instance.
    pub(crate) fn status(&self) -> Reply {
        let connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all: usize = connections.values().sum();
        Reply::Status {
            version: PROTOCOL_VERSION,
            root: self.quoter.root(),
            simulated: self.quoter.is_simulated(),
            instances: u32::try_from(all.saturating_sub(1)).unwrap_or(u32::MAX),
        }
    }
}

/// A place among the connections, given back when dropped.
struct Place {
    shared: Arc<Shared>,
    uid: u32,
}

impl Place {
    fn take(shared: &Arc<Shared>, uid: u32) -> Option<Self> {
        let mut all = shared
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let own = all.get(&uid).copied().unwrap_or(0);
        if own >= MAX_CONNECTIONS_PER_USER || all.values().sum::<usize>() >= MAX_CONNECTIONS {
            return None;
        }
        all.insert(uid, own + 1);
        Some(Self {
            shared: Arc::clone(shared),
            uid,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let connections = &self.shared.connections;
        let mut all = connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = all.get_mut(&self.uid) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                all.remove(&self.uid);
            }
        }
    }
}

/// A LAS that listens.
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    shared: Arc<Shared>,
}

impl Server {
    /// Listens on the Unix socket `path`, in a directory that exists.
    ///
    /// As root it serves every user of the machine, each for itself: what may be started is not
    /// the LAS's to decide. As another user it serves that user.
    ///
    /// # Errors
    /// [`ServeFault`] when another LAS serves there, or the socket cannot be made.
    pub fn bind(path: &Path, quoter: Box<dyn Quoter>, audit: AuditLog) -> Result<Self, ServeFault> {
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            bannock_launcher::hide_memory().map_err(ServeFault::Hide)?;
        }
        let listen = |source| ServeFault::Listen {
            path: path.to_path_buf(),
            source,
        };
        match UnixStream::connect(path) {
            Ok(_) => {
                return Err(ServeFault::InUse {
                    path: path.to_path_buf(),
                });
            }
            // A socket that nobody serves was left behind by a LAS that died.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(listen)?;
            }
            Err(_) => {}
        }
        let listener = UnixListener::bind(path).map_err(listen)?;
        let mode = if is_root { 0o666 } else { 0o600 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(listen)?;
        audit.append(&Record {
            event: "las-started",
            reason: Some(&format!("platform root {}", hex::encode(quoter.root()))),
            ..Record::default()
        })?;
        Ok(Self {
            listener,
            path: path.to_path_buf(),
            shared: Arc::new(Shared {
                quoter,
                audit,
                images: Images::default(),
                starts: PerUser::new(STARTS.0, STARTS.1),
                quotes: PerUser::new(REQUESTS.0, REQUESTS.1),
                connections: Mutex::default(),
            }),
        })
    }

    /// Serves until the process ends; its instances live on.
    ///
    /// `report` is told, for people, what went wrong with single connections.
    ///
    /// # Errors
    /// [`ServeFault::Accept`] when the socket fails for good.
    pub fn run(self, report: impl Fn(&str) + Send + Sync + 'static) -> Result<(), ServeFault> {
        let report = Arc::new(report);
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if is_passing(&error) => {
                    report(&format!("a connection was lost: {error}"));
                    std::thread::sleep(std::time::Duration::from_millis(10));
                    continue;
                }
                Err(source) => {
                    return Err(ServeFault::Accept {
                        path: self.path,
                        source,
                    });
                }
            };
            self.attend(socket, &report);
        }
    }

    fn attend<R: Fn(&str) + Send + Sync + 'static>(&self, socket: UnixStream, report: &Arc<R>) {
        let caller = match rustix::net::sockopt::socket_peercred(&socket) {
            Ok(peer) => Caller {
                uid: peer.uid.as_raw(),
                gid: peer.gid.as_raw(),
            },
            Err(error) => return report(&format!("a caller stays unknown: {error}")),
        };
        let Some(place) = Place::take(&self.shared, caller.uid) else {
            return report(&format!("user {} has too many connections", caller.uid));
        };
        let of_thread = Arc::clone(report);
        let spawned = std::thread::Builder::new()
            .name("las-connection".to_owned())
            .spawn(move || {
                if let Err(error) = connection::serve(&place.shared, &socket, caller) {
                    of_thread(&format!("connection of user {}: {error}", caller.uid));
                }
            });
        if let Err(error) = spawned {
            report(&format!("cannot serve a connection: {error}"));
        }
    }
}

/// Whether accepting may work again: the peer gave up, or resources are short for now.
fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNABORTED
                | Errno::INTR
                | Errno::MFILE
                | Errno::NFILE
                | Errno::NOBUFS
                | Errno::NOMEM
        )
    )
}
