//! A real `bannock-cas` process, started as a LAS starts it, with a simulated platform behind the
//! channel at descriptor 3.

use bannock_cas_api::Hash;
use bannock_cas_client::{Client, Expectation, OwnerIdentity};
use bannock_simulated_platform::{Options, Platform, ReportRequest};
use bannock_wire::{
    PROTOCOL_VERSION,
    binding::{Channel, Claims, EXPORTER_LABEL, Role, report_data},
    cas,
    channel::{CHANNEL_FD, Evidence, EvidenceFormat, Hello, Reply, Request, SealingKey},
    frame,
    launch::{Isolation, LaunchIdentity},
};
use command_fds::{CommandFdExt as _, FdMapping};
use rustls::{
    ClientConfig, ClientConnection, StreamOwned,
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject as _,
    },
};
use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, SystemTime},
};

pub(crate) const MEASUREMENT: [u8; 32] = [0xca; 32];

pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A machine: a platform and a folder for the CAS.
pub(crate) struct Machine {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) platform: Arc<Platform>,
    /// Everything that any CAS of this machine wrote to standard error.
    pub(crate) log: Arc<Mutex<String>>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::issued_at(now() - 60);
        let platform = Platform::create(&dir.path().join("platform"), &options).unwrap();
        Self {
            dir,
            platform: Arc::new(platform),
            log: Arc::default(),
        }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    pub(crate) fn audit(&self) -> PathBuf {
        self.dir.path().join("audit.jsonl")
    }

    pub(crate) fn root(&self) -> Hash {
        Hash(self.platform.root_sha256())
    }

    pub(crate) fn expectation(&self) -> Expectation {
        Expectation {
            measurement: Hash(MEASUREMENT),
            simulated_root: Some(self.root()),
            tolerated: Vec::new(),
        }
    }

    pub(crate) fn start(&self) -> Cas {
        self.start_as(LaunchIdentity::Cas).unwrap()
    }

    /// Starts a CAS; what it said when it did not come up.
    pub(crate) fn start_as(&self, launch: LaunchIdentity) -> Result<Cas, String> {
        let (own, theirs) = UnixStream::pair().unwrap();
        let platform = Arc::clone(&self.platform);
        thread::spawn(move || serve_channel(own, &platform, launch));
        let mut command = Command::new(env!("CARGO_BIN_EXE_bannock-cas"));
        command
            .fd_mappings(vec![FdMapping {
                parent_fd: OwnedFd::from(theirs),
                child_fd: CHANNEL_FD,
            }])
            .unwrap();
        self.spawn(command)
    }

    pub(crate) fn spawn(&self, mut command: Command) -> Result<Cas, String> {
        let mut child = command
            .args(["--listen", "127.0.0.1:0", "--store"])
            .arg(self.store())
            .arg("--audit")
            .arg(self.audit())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        let log = Arc::clone(&self.log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                log.lock().unwrap().push_str(&format!("{line}\n"));
                if let Some((_, address)) = line.split_once("listening on ") {
                    let _ = sender.send(address.parse().unwrap());
                }
            }
        });
        match receiver.recv_timeout(Duration::from_secs(60)) {
            Ok(address) => Ok(Cas { child, address }),
            Err(_) => {
                let _ = child.kill();
                let code = child.wait().unwrap().code();
                Err(format!("{code:?} {}", self.log.lock().unwrap()))
            }
        }
    }

    /// Everything that the CAS ever wrote, by file name.
    pub(crate) fn written(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = vec![(
            "stderr".to_owned(),
            self.log.lock().unwrap().clone().into_bytes(),
        )];
        all.push(("audit".to_owned(), fs::read(self.audit()).unwrap()));
        for entry in fs::read_dir(self.store()).unwrap() {
            let path = entry.unwrap().path();
            all.push((path.display().to_string(), fs::read(path).unwrap()));
        }
        all
    }
}

/// A running CAS; killed when dropped.
pub(crate) struct Cas {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl Cas {
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn attested_key(&self, machine: &Machine) -> Hash {
        bannock_cas_client::attest(&self.address(), &machine.expectation(), now())
            .unwrap()
            .key
    }

    pub(crate) fn client<'a>(&self, key: Hash, owner: &'a OwnerIdentity) -> Client<'a> {
        Client::new(&self.address(), key, Some(owner))
    }
}

impl Drop for Cas {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The LAS's end of a channel, with the platform of the tests.
fn serve_channel(mut stream: UnixStream, platform: &Platform, launch: LaunchIdentity) {
    let hello = Hello {
        version: PROTOCOL_VERSION,
        launch: launch.clone(),
        isolation: Isolation::FULL,
        measurement: MEASUREMENT,
    };
    if send(&mut stream, &bannock_wire::encode(&hello)).is_err() {
        return;
    }
    while let Ok(bytes) = receive(&mut stream) {
        let reply = match bannock_wire::decode("request", &bytes).unwrap() {
            Request::Evidence { channel, version } => Reply::Evidence {
                evidence: evidence(platform, MEASUREMENT, &launch, &channel, version),
            },
            Request::SealingKey => Reply::SealingKey {
                key: SealingKey(*platform.sealing_key(&MEASUREMENT, b"cas").unwrap()),
            },
            Request::Denied { .. } => Reply::Noted,
        };
        if send(&mut stream, &bannock_wire::encode(&reply)).is_err() {
            return;
        }
    }
}

pub(crate) fn evidence(
    platform: &Platform,
    measurement: [u8; 32],
    launch: &LaunchIdentity,
    channel: &Channel,
    version: String,
) -> Evidence {
    let claims = Claims {
        launch: launch.clone(),
        isolation: Isolation::FULL,
        version,
    };
    let quote = platform.quote(&ReportRequest {
        measurement,
        signer: [0; 32],
        isv_prod_id: 0,
        isv_svn: 0,
        config_id: launch.config_id(),
        config_svn: Isolation::FULL.0,
        report_data: report_data(channel, &claims),
        debug: false,
    });
    Evidence {
        format: EvidenceFormat::SgxDcapV3,
        quote,
        collateral: platform.collateral().to_json().unwrap(),
        claims: bannock_wire::encode(&claims),
    }
}

pub(crate) fn send(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    stream.write_all(&frame::prefix(message.len()).unwrap())?;
    stream.write_all(message)?;
    stream.flush()
}

pub(crate) fn receive(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut prefix = [0; frame::PREFIX];
    stream.read_exact(&mut prefix)?;
    let mut bytes = vec![0; frame::length(prefix, frame::MAX_FRAME).unwrap()];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The runtime's end of an attestation connection.
pub(crate) struct Instance {
    pub(crate) stream: StreamOwned<ClientConnection, TcpStream>,
    /// What the instance's LAS would bind evidence to.
    pub(crate) channel: Channel,
}

impl Instance {
    /// Connects with a fresh key to the CAS that holds `cas_key`.
    pub(crate) fn connect(cas: &Cas, cas_key: Hash) -> Self {
        let (pem, owner) = OwnerIdentity::generate().unwrap();
        let mut stream = tls(cas, Some(pem.as_bytes()), bannock_wire::cas::ALPN);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        let exporter = stream
            .conn
            .export_keying_material([0; 32], EXPORTER_LABEL, None)
            .unwrap();
        let channel = Channel {
            role: Role::Client,
            exporter,
            attester_key: owner.hash().0,
            peer_key: cas_key.0,
        };
        Self { stream, channel }
    }

    pub(crate) fn ask(&mut self, request: &cas::Request) -> io::Result<cas::Reply> {
        send(&mut self.stream, &bannock_wire::encode(request))?;
        let bytes = receive(&mut self.stream)?;
        Ok(bannock_wire::decode("reply", &bytes).unwrap())
    }

    /// Asks for `config_id` with evidence of `platform` for a launch of `launched` on `channel`.
    pub(crate) fn configure(
        &mut self,
        platform: &Platform,
        config_id: &str,
        launched: &str,
        channel: &Channel,
    ) -> cas::Reply {
        let launch = LaunchIdentity::Service {
            config_id: launched.to_owned(),
            cas_key: channel.peer_key,
        };
        let request = cas::Request::Configure {
            version: PROTOCOL_VERSION,
            config_id: config_id.to_owned(),
            evidence: evidence(platform, [0xaa; 32], &launch, channel, "test".into()),
        };
        self.ask(&request).unwrap()
    }
}

/// A TLS connection that believes whoever answers; the handshake is not done yet.
pub(crate) fn tls(
    cas: &Cas,
    identity: Option<&[u8]>,
    alpn: &[u8],
) -> StreamOwned<ClientConnection, TcpStream> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(bannock_crypto::tls::peer::AnyServerKey::any()));
    let mut config = match identity {
        Some(pem) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(pem).unwrap()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from_pem_slice(pem).unwrap()),
            )
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from("cas").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(cas.address).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    StreamOwned::new(connection, socket)
}

/// A session with one service, measured `aa…`, one given and one generated secret.
pub(crate) fn session_text(name: &str, root: Hash) -> String {
    let measurement = "aa".repeat(32);
    format!(
        "name: {name}\nversion: \"0.3\"\nservices:\n  - name: db\n    command: /bin/db\n    \
         environment:\n      GENERATED: $$SCONE::generated$$\n      GIVEN: $$SCONE::given$$\n    \
         attestation:\n      - mrenclave: [{measurement}]\n        simulated:\n          root: \
         {root}\nsecrets:\n  - name: generated\n    kind: ascii\n    size: 40\n  - name: given\n    \
         kind: ascii\n    value: {GIVEN}\n"
    )
}

/// A secret that the session's author wrote.
pub(crate) const GIVEN: &str = "marker-in-the-session-7c1d";
