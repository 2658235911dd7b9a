//! The driver over rustls' unbuffered state machine.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::{fmt, mem};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::pki_types::{IpAddr, Ipv4Addr, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use zeroize::Zeroize as _;

use super::{ClientConfig, ConnectionFault, Given, ServerTrust};
use crate::tls::exporter::ExporterLog;
use crate::tls::peer::{AnyServerKey, PinnedServer};
use crate::tls::spki::SpkiSha256;

/// Most bytes of one record: header, plaintext, type, padding and tag (RFC 8446 §5.2).
const RECORD_LIMIT: usize = 5 + (1 << 14) + 256;

/// Most bytes received but not yet understood: a handshake message of 64 KiB in records, one of them incomplete.
pub const INCOMING_LIMIT: usize = (1 << 16) + 2 * RECORD_LIMIT;

/// Plaintext waiting to be read, in bytes, from which on nothing more is received.
pub const PLAINTEXT_LIMIT: usize = 1 << 16;

/// Bytes waiting to be sent from which on nothing more is written.
pub const OUTGOING_LIMIT: usize = 1 << 16;

/// Most plaintext in one record, in bytes (RFC 8446 §5.1).
const FRAGMENT_LIMIT: usize = 1 << 14;

/// One client connection: bytes in, bytes out, and what the application exchanges through it.
pub struct Connection {
    tls: UnbufferedClientConnection,
    exporter: Arc<ExporterLog>,
    pin: Option<Arc<PinnedServer>>,
    /// Received and not yet understood.
    incoming: Vec<u8>,
    /// To be sent.
    outgoing: Queue,
    /// Decrypted and not yet read.
    plaintext: Queue,
    peer_closed: bool,
    closed: bool,
    fault: Option<ConnectionFault>,
}

/// What to do as soon as the connection may carry application data.
#[derive(Default)]
enum Task<'a> {
    #[default]
    Nothing,
    Write(&'a [u8]),
    Close,
}

impl Connection {
    /// Starts a handshake; its first bytes are ready to be sent.
    pub fn new(config: ClientConfig) -> Result<Self, ConnectionFault> {
        let exporter = Arc::new(ExporterLog::new());
        let (verifier, pin): (Arc<dyn ServerCertVerifier>, _) = match config.trust {
            ServerTrust::Pinned(expected) => {
                let pin = Arc::new(PinnedServer::new(expected));
                (pin.clone(), Some(pin))
            }
            ServerTrust::JudgedByEvidence => (Arc::new(AnyServerKey::any()), None),
            ServerTrust::Verifier(verifier) => (verifier, None),
        };
        let time = Arc::new(Given(config.now));
        let builder = rustls::ClientConfig::builder_with_details(config.provider.rustls(), time)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut tls = match config.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(
                identity.certified_key(),
            ))),
            None => builder.with_no_client_auth(),
        };
        tls.key_log = exporter.clone();
        tls.resumption = Resumption::disabled();
        tls.alpn_protocols = config.alpn;
        let name = match config.server_name {
            Some(name) => ServerName::try_from(name.clone())
                .ok()
                .filter(|parsed| matches!(parsed, ServerName::DnsName(_)))
                .ok_or(ConnectionFault::ServerName(name))?,
            None => {
                // rustls wants a name. An address is never sent as one, and no verifier may accept this one.
                tls.enable_sni = false;
                ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0; 4])))
            }
        };
        let mut connection = Self {
            tls: UnbufferedClientConnection::new(Arc::new(tls), name)?,
            exporter,
            pin,
            incoming: Vec::new(),
            outgoing: Queue::default(),
            plaintext: Queue::default(),
            peer_closed: false,
            closed: false,
            fault: None,
        };
        connection.run(Task::Nothing)?;
        Ok(connection)
    }

    /// Takes received bytes and returns how many it took.
    ///
    /// It takes fewer than all, perhaps none, while [`read`](Self::read) has more than [`PLAINTEXT_LIMIT`] to deliver.
    /// After a fault there may still be an alert to send.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<usize, ConnectionFault> {
        self.check()?;
        let mut taken = 0;
        while taken < bytes.len() && self.plaintext.len() < PLAINTEXT_LIMIT {
            if self.peer_closed {
                // RFC 8446 §6.1: whatever follows a close_notify is ignored.
                return Ok(bytes.len());
            }
            let room = INCOMING_LIMIT.saturating_sub(self.incoming.len());
            if room == 0 {
                return self.fail(ConnectionFault::MessageTooLong {
                    limit: INCOMING_LIMIT,
                });
            }
            let rest = bytes.get(taken..).unwrap_or_default();
            // One record at a time keeps the buffer small when the peer sends at full speed.
            let (now, _) = rest.split_at(rest.len().min(room).min(RECORD_LIMIT));
            self.incoming.extend_from_slice(now);
            taken += now.len();
            self.run(Task::Nothing)?;
        }
        Ok(taken)
    }

    /// Tells the connection that the peer's stream has ended.
    ///
    /// Without a close_notify before it, that is a fault: somebody may have cut off the rest.
    pub fn receive_end(&mut self) -> Result<(), ConnectionFault> {
        self.check()?;
        if self.peer_closed {
            Ok(())
        } else {
            self.fail(ConnectionFault::Truncated)
        }
    }

    /// The bytes to send, until [`sent`](Self::sent) says that they were.
    pub fn to_send(&self) -> &[u8] {
        self.outgoing.bytes()
    }

    /// Drops the first `count` bytes of [`to_send`](Self::to_send).
    pub fn sent(&mut self, count: usize) {
        self.outgoing.consume(count);
    }

    /// Encrypts `data` for sending and returns how many of its bytes it took.
    ///
    /// It takes fewer than all, perhaps none, while more than [`OUTGOING_LIMIT`] bytes wait to be sent.
    pub fn write(&mut self, data: &[u8]) -> Result<usize, ConnectionFault> {
        self.check()?;
        if self.closed {
            return Err(ConnectionFault::Closed);
        }
        if self.is_handshaking() {
            return Err(ConnectionFault::HandshakeIncomplete);
        }
        let mut taken = 0;
        for fragment in data.chunks(FRAGMENT_LIMIT) {
            if self.outgoing.len() >= OUTGOING_LIMIT {
                break;
            }
            self.run(Task::Write(fragment))?;
            taken += fragment.len();
        }
        Ok(taken)
    }

    /// Moves decrypted bytes into `buffer` and returns how many.
    ///
    /// Zero means that more has to be received first, or, if [`peer_closed`](Self::peer_closed), that this was all.
    /// What was received before a fault can still be read after it.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let count = self.plaintext.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(self.plaintext.bytes()) {
            *to = *from;
        }
        self.plaintext.consume(count);
        count
    }

    /// The number of decrypted bytes that wait to be read.
    pub fn readable(&self) -> usize {
        self.plaintext.len()
    }

    /// Ends what this side writes, with a close_notify; reading goes on.
    pub fn close(&mut self) -> Result<(), ConnectionFault> {
        self.check()?;
        if self.is_handshaking() {
            return Err(ConnectionFault::HandshakeIncomplete);
        }
        if !self.closed {
            self.run(Task::Close)?;
            self.closed = true;
        }
        Ok(())
    }

    /// Whether the server is not yet known to be the right one.
    pub fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Whether the peer said that it will write no more.
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Why the connection failed, if it did.
    pub fn fault(&self) -> Option<&ConnectionFault> {
        self.fault.as_ref()
    }

    /// Derives the connection's 32 bytes for `label` and `context` (RFC 8446 §7.5); the server derives the same.
    pub fn export(&self, label: &[u8], context: &[u8]) -> Result<[u8; 32], ConnectionFault> {
        if self.is_handshaking() {
            return Err(crate::tls::exporter::ExporterFault::HandshakeIncomplete.into());
        }
        Ok(self.exporter.export(label, context)?)
    }

    /// The hash of the server's public key, once the server has proven that it holds the private one.
    pub fn server_spki_sha256(&self) -> Option<SpkiSha256> {
        SpkiSha256::of_certificate(self.server_certificate_der()?).ok()
    }

    /// The server's certificate, once the server has proven that it holds its key.
    pub fn server_certificate_der(&self) -> Option<&[u8]> {
        if self.is_handshaking() {
            return None;
        }
        self.tls.peer_certificates()?.first().map(AsRef::as_ref)
    }

    /// The application protocol that the server chose.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.tls.alpn_protocol()
    }

    /// The cipher suite that was negotiated.
    pub fn cipher_suite(&self) -> Option<rustls::CipherSuite> {
        self.tls
            .negotiated_cipher_suite()
            .map(|suite| suite.suite())
    }

    /// The key-exchange group that was negotiated.
    pub fn group(&self) -> Option<rustls::NamedGroup> {
        self.tls
            .negotiated_key_exchange_group()
            .map(|group| group.name())
    }

    fn check(&self) -> Result<(), ConnectionFault> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    fn fail<T>(&mut self, fault: ConnectionFault) -> Result<T, ConnectionFault> {
        self.incoming.clear();
        self.fault = Some(fault.clone());
        Err(fault)
    }

    /// Lets rustls process what was received until it needs more, and performs `task` then.
    fn run(&mut self, task: Task<'_>) -> Result<(), ConnectionFault> {
        let mut task = task;
        loop {
            let UnbufferedStatus {
                mut discard, state, ..
            } = self.tls.process_tls_records(&mut self.incoming);
            let mut done = false;
            let outcome = match state {
                Err(error) => Err(error),
                Ok(ConnectionState::EncodeTlsData(mut data)) => self
                    .outgoing
                    .append_with(|space| data.encode(space).map_err(Needs::from)),
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    // The bytes are in our buffer, and nothing is sent after them that does not wait behind them.
                    data.done();
                    Ok(())
                }
                Ok(ConnectionState::ReadTraffic(mut data)) => loop {
                    match data.next_record() {
                        None => break Ok(()),
                        Some(Err(error)) => break Err(error),
                        Some(Ok(record)) => {
                            discard = discard.saturating_add(record.discard);
                            self.plaintext.append(record.payload);
                        }
                    }
                },
                Ok(ConnectionState::WriteTraffic(mut traffic)) => match mem::take(&mut task) {
                    Task::Write(data) => self
                        .outgoing
                        .append_with(|space| traffic.encrypt(data, space).map_err(Needs::from)),
                    Task::Close => self.outgoing.append_with(|space| {
                        traffic.queue_close_notify(space).map_err(Needs::from)
                    }),
                    Task::Nothing => {
                        done = true;
                        Ok(())
                    }
                },
                Ok(ConnectionState::PeerClosed) => {
                    self.peer_closed = true;
                    Ok(())
                }
                // Needs more input, or will never again produce or accept anything.
                Ok(_) => {
                    done = true;
                    Ok(())
                }
            };
            if let Err(error) = outcome {
                self.flush_rustls()?;
                let fault = self.explain(error);
                return self.fail(fault);
            }
            let discard = discard.min(self.incoming.len());
            self.incoming.drain(..discard);
            if self.peer_closed {
                self.incoming.clear();
            }
            if done {
                return Ok(());
            }
        }
    }

    /// Collects what rustls has queued, such as an alert, without letting it look at received bytes again.
    fn flush_rustls(&mut self) -> Result<(), ConnectionFault> {
        while self.tls.wants_write() {
            let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut []);
            let Ok(ConnectionState::EncodeTlsData(mut data)) = state else {
                return Ok(());
            };
            let encoded = self
                .outgoing
                .append_with(|space| data.encode(space).map_err(Needs::from));
            if let Err(error) = encoded {
                return self.fail(ConnectionFault::Internal(error));
            }
        }
        Ok(())
    }

    /// Puts the two keys into the error when the pin was the reason.
    fn explain(&self, error: rustls::Error) -> ConnectionFault {
        let pin = self.pin.as_ref();
        match pin.and_then(|pin| Some((pin.expected(), pin.refused()?))) {
            Some((expected, found)) => ConnectionFault::NotPinned { expected, found },
            None => error.into(),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("handshaking", &self.is_handshaking())
            .field("peer_closed", &self.peer_closed)
            .field("closed", &self.closed)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

/// What stands between rustls and its output.
enum Needs {
    Space(usize),
    Failed(rustls::Error),
}

impl From<EncodeError> for Needs {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Self::Space(required_size)
            }
            EncodeError::AlreadyEncoded => Self::Failed(rustls::Error::EncryptError),
        }
    }
}

impl From<EncryptError> for Needs {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Self::Space(required_size)
            }
            EncryptError::EncryptExhausted => Self::Failed(rustls::Error::EncryptError),
        }
    }
}

/// Bytes that are appended behind and consumed in front; what was consumed is wiped.
#[derive(Default)]
struct Queue {
    buffer: Vec<u8>,
    start: usize,
}

impl Queue {
    fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    fn len(&self) -> usize {
        self.bytes().len()
    }

    fn append(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Lets `write` append, asking it again with as much space as it needs.
    fn append_with(
        &mut self,
        mut write: impl FnMut(&mut [u8]) -> Result<usize, Needs>,
    ) -> Result<(), rustls::Error> {
        let end = self.buffer.len();
        loop {
            match write(self.buffer.get_mut(end..).unwrap_or_default()) {
                Ok(count) => {
                    self.buffer.truncate(end.saturating_add(count));
                    return Ok(());
                }
                Err(Needs::Space(needed)) if needed > self.buffer.len() - end => {
                    self.buffer.resize(end.saturating_add(needed), 0);
                }
                Err(Needs::Space(_)) => {
                    self.buffer.truncate(end);
                    return Err(rustls::Error::EncryptError);
                }
                Err(Needs::Failed(error)) => {
                    self.buffer.truncate(end);
                    return Err(error);
                }
            }
        }
    }

    fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.buffer.len());
        let spent = self.start;
        // Moving the rest only when at least half is spent keeps the cost per byte constant.
        if spent * 2 >= self.buffer.len() {
            let rest = self.buffer.len() - spent;
            self.buffer.copy_within(spent.., 0);
            if let Some(stale) = self.buffer.get_mut(rest..) {
                stale.zeroize();
            }
            self.buffer.truncate(rest);
            self.start = 0;
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}
