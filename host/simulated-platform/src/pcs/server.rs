//! The serving side.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    API_PATH,
    message::{MAX_HEAD_LEN, Request, RequestFault, Response, parse_request, percent_encode},
};
use crate::{
    fault::PlatformFault,
    pki::{CPU_SVN, FMSPC, PCE_SVN},
    state::State,
    store::Store,
};

/// A request has arrived, and its answer is on its way, after this long, or the connection is cut.
const DEADLINE: Duration = Duration::from_secs(5);
const MAX_CONNECTIONS: usize = 16;

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeFault {
    /// The address is reachable from other machines.
    #[error(
        "will not serve the simulated platform's collateral on {address}: it is not a loopback \
         address; use 127.0.0.1 or [::1]"
    )]
    NotLoopback {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// There is no usable platform.
    #[error("cannot serve the simulated platform's collateral")]
    Platform(#[source] PlatformFault),
}

/// A service that listens, but does not answer before [`Server::run`].
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    store: Store,
    stopped: Arc<AtomicBool>,
}

/// Ends a [`Server::run`] from another thread.
#[derive(Debug, Clone)]
pub struct Stopper {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Stopper {
    /// Makes [`Server::run`] return soon.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        // Wakes the server from waiting for a connection; if that fails, it is not waiting.
        let _ = TcpStream::connect_timeout(&self.address, DEADLINE);
    }
}

impl Server {
    /// Listens on `address`, a loopback address (port 0 picks a free port), for the platform in
    /// `platform_dir`. What [`crate::Platform::set`] changes there is served from then on.
    ///
    /// The service reads what the platform has issued, never its keys.
    ///
    /// # Errors
    /// [`ServeFault`] names the address, or what is wrong with the platform.
    pub fn bind(address: SocketAddr, platform_dir: &Path) -> Result<Self, ServeFault> {
        if !address.ip().is_loopback() {
            return Err(ServeFault::NotLoopback { address });
        }
        let store = Store::open(platform_dir).map_err(ServeFault::Platform)?;
        State::load(&store).map_err(ServeFault::Platform)?;
        let listen = |source| ServeFault::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(listen)?;
        let bound = listener.local_addr().map_err(listen)?;
        Ok(Self {
            listener,
            address: bound,
            store,
            stopped: Arc::default(),
        })
    }

    /// The address listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for [`super::fetch_collateral`].
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{API_PATH}", self.address)
    }

    /// A handle that ends [`Self::run`].
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper {
            address: self.address,
            stopped: Arc::clone(&self.stopped),
        }
    }

    /// Answers requests until stopped. A broken connection ends that connection only.
    pub fn run(self) {
        let connections = Arc::new(AtomicUsize::new(0));
        for stream in self.listener.incoming() {
            if self.stopped.load(Ordering::Acquire) {
                return;
            }
            let Ok(stream) = stream else {
                // Out of descriptors, or the peer was gone again: give others time to finish.
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            let slot = Slot::take(&connections);
            let store = self.store.clone();
            // A failed answer concerns the peer alone, who sees the connection closed.
            let spawned = thread::Builder::new()
                .name("pcs".to_owned())
                .spawn(move || {
                    let _ = match slot {
                        Some(_slot) => answer(&stream, &store),
                        None => send(&stream, &problem(503, "too many connections")),
                    };
                });
            drop(spawned);
        }
    }
}

/// One of the connections that may be open at a time.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(connections: &Arc<AtomicUsize>) -> Option<Self> {
        connections
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| {
                (open < MAX_CONNECTIONS).then_some(open + 1)
            })
            .ok()
            .map(|_| Self(Arc::clone(connections)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn answer(stream: &TcpStream, store: &Store) -> io::Result<()> {
    let response = match read_request(stream)? {
        // Read anew each time, so that changed options are served at once.
        Ok(request) => match State::load(store) {
            Ok(state) => respond(&request, &state),
            Err(_) => problem(500, "the simulated platform cannot be read"),
        },
        Err(RequestFault::Method) => problem(405, &RequestFault::Method.to_string()),
        Err(RequestFault::TooLong) => problem(431, &RequestFault::TooLong.to_string()),
        Err(fault) => problem(400, &fault.to_string()),
    };
    send(stream, &response)
}

/// Reads until the head is complete, but neither longer nor slower than allowed.
fn read_request(mut stream: &TcpStream) -> io::Result<Result<Request, RequestFault>> {
    let start = Instant::now();
    let mut head = Vec::with_capacity(1024);
    let mut chunk = [0; 1024];
    loop {
        let left = DEADLINE.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let len = stream.read(&mut chunk)?;
        if len == 0 {
            return Ok(Err(RequestFault::Incomplete));
        }
        head.extend(chunk.iter().take(len));
        match parse_request(&head) {
            Err(RequestFault::Incomplete) if head.len() < MAX_HEAD_LEN => {}
            outcome => return Ok(outcome),
        }
    }
}

fn send(mut stream: &TcpStream, response: &Response) -> io::Result<()> {
    stream.set_write_timeout(Some(DEADLINE))?;
    stream.write_all(&response.to_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)
}

fn respond(request: &Request, state: &State) -> Response {
    let Some(resource) = request.path.strip_prefix(API_PATH) else {
        return problem(404, "no such resource");
    };
    match resource {
        "/pckcert" => {
            let mut tcbm = CPU_SVN.to_vec();
            tcbm.extend_from_slice(&PCE_SVN.to_le_bytes());
            Response::new(
                200,
                "application/x-pem-file",
                state.pck_pem.clone().into_bytes(),
            )
            .with_header(
                "SGX-PCK-Certificate-Issuer-Chain",
                &percent_encode(&state.pck_issuer_chain()),
            )
            .with_header("SGX-TCBm", &hex::encode_upper(tcbm))
            .with_header("SGX-FMSPC", &hex::encode_upper(FMSPC))
            .with_header("SGX-PCK-Certificate-CA-Type", "processor")
        }
        "/pckcrl" => match (request.parameter("ca"), request.parameter("encoding")) {
            (Some("processor"), Some("der")) => {
                Response::new(200, "application/pkix-crl", state.pck_crl.clone()).with_header(
                    "SGX-PCK-CRL-Issuer-Chain",
                    &percent_encode(&state.pck_issuer_chain()),
                )
            }
            (Some("processor"), _) => problem(400, "only encoding=der is supported"),
            (Some("platform"), _) => problem(404, "the simulated platform has no platform CA"),
            _ => problem(400, "ca must be processor or platform"),
        },
        "/tcb" => match request.parameter("fmspc").map(hex::decode) {
            Some(Ok(fmspc)) if fmspc == FMSPC => signed(
                "tcbInfo",
                &state.tcb_info,
                &state.tcb_info_signature,
                ("TCB-Info-Issuer-Chain", &state.tcb_issuer_chain()),
            ),
            Some(Ok(fmspc)) if fmspc.len() == FMSPC.len() => problem(404, "unknown fmspc"),
            _ => problem(400, "fmspc must be 12 hex digits"),
        },
        "/qe/identity" => signed(
            "enclaveIdentity",
            &state.qe_identity,
            &state.qe_identity_signature,
            (
                "SGX-Enclave-Identity-Issuer-Chain",
                &state.tcb_issuer_chain(),
            ),
        ),
        "/rootcacrl" => {
            let body = hex::encode(&state.root_ca_crl).into_bytes();
            Response::new(200, "application/x-pem-file", body)
        }
        _ => problem(404, "no such resource"),
    }
}

/// The signed text must arrive byte for byte, so it is pasted and not encoded again.
fn signed(name: &str, text: &str, signature: &[u8], (header, chain): (&str, &str)) -> Response {
    let body = format!(
        r#"{{"{name}":{text},"signature":"{}"}}"#,
        hex::encode(signature)
    );
    Response::new(200, "application/json", body.into_bytes())
        .with_header(header, &percent_encode(chain))
}

fn problem(status: u16, text: &str) -> Response {
    Response::new(status, "text/plain", format!("{text}\n").into_bytes())
}
