//! The steps.

use crate::{BootFault, Options, channel, channel::Channel, socket::Socket};
use alloc::{format, string::String, vec, vec::Vec};
use bannock_crypto::random::{EntropyFault, Random};
use bannock_crypto::tls::client::{ClientConfig, ConnectionFault, ServerTrust};
use bannock_crypto::tls::identity::{CertificateProfile, KeyPair};
use bannock_crypto::tls::provider::TlsProvider;
use bannock_crypto::tls::spki::SpkiSha256;
use bannock_crypto::tls::stream::{Stream, StreamFault};
use bannock_platform::{Errno, host};
use bannock_wire::{
    PROTOCOL_VERSION, binding, cas,
    channel::{Evidence, Hello},
    config::ServiceConfig,
    frame,
};
use core::net::SocketAddr;
use zeroize::Zeroizing;

/// Validity of the certificate that is used for one connection, in seconds around now.
const CERTIFICATE_SPAN: u64 = 24 * 60 * 60;

/// Entropy of the platform.
struct Entropy;

impl Random for Entropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyFault> {
        host::random(buffer).map_err(|_| EntropyFault)
    }
}

/// An instance that knows what it was started as.
pub struct Configured {
    channel: Channel,
    config_id: String,
    cas_key: SpkiSha256,
    cas: SocketAddr,
}

impl Configured {
    /// Reads what the LAS fixed.
    ///
    /// `None` where the instance has no launch identity and the host asks for a stand-alone run.
    ///
    /// # Errors
    /// `Denied` when the host asks for something that the launch identity does not allow.
    pub fn open(options: &Options) -> Result<Option<Self>, BootFault> {
        let Some((channel, hello)) = Channel::open()? else {
            return if options.standalone.is_some() {
                Ok(None)
            } else {
                Err(BootFault::Denied(
                    "this instance was not started by a LAS, so it has no identity to attest; use `bannock run`".into(),
                ))
            };
        };
        match Self::check(options, &hello) {
            Ok((config_id, cas_key, cas)) => Ok(Some(Self {
                channel,
                config_id,
                cas_key,
                cas,
            })),
            Err(fault) => {
                channel.denied(fault.reason());
                Err(fault)
            }
        }
    }

    fn check(
        options: &Options,
        hello: &Hello,
    ) -> Result<(String, SpkiSha256, SocketAddr), BootFault> {
        let Some((config_id, cas_key)) = channel::service(hello) else {
            return Err(BootFault::Denied(
                "the LAS started this instance as something else than a service".into(),
            ));
        };
        if options.standalone.is_some() {
            return Err(BootFault::Denied(format!(
                "the host asks for a stand-alone run, but this instance is `{config_id}`"
            )));
        }
        let Some(cas) = options.cas else {
            return Err(BootFault::Denied(
                "the host gave no address of a CAS (`--cas`)".into(),
            ));
        };
        let cas_key = SpkiSha256::try_from(&cas_key[..]).map_err(|_| {
            BootFault::Failed("the launch identity's CAS key has a wrong length".into())
        })?;
        Ok((config_id.into(), cas_key, cas))
    }

    /// Tells the LAS, where there is one, why this instance does not even start.
    pub fn refuse_start(reason: &str) {
        if let Ok(Some((channel, _))) = Channel::open() {
            channel.denied(reason);
        }
    }

    /// Connects to the pinned CAS and gets evidence for this very connection.
    ///
    /// # Errors
    /// `Unavailable` when the CAS cannot be reached, `Denied` when another one answers.
    pub fn attest(self) -> Result<Attested, BootFault> {
        match self.connect() {
            Ok((stream, evidence)) => Ok(Attested {
                channel: self.channel,
                config_id: self.config_id,
                cas: self.cas,
                stream,
                evidence,
            }),
            Err(fault) => {
                if matches!(fault, BootFault::Denied(_)) {
                    self.channel.denied(fault.reason());
                }
                Err(fault)
            }
        }
    }

    fn connect(&self) -> Result<(Stream<Socket>, Evidence), BootFault> {
        let failed = |e: &dyn core::fmt::Display| {
            BootFault::Failed(format!("cannot prepare the connection to the CAS: {e}"))
        };
        let now = host::time::clock(0)
            .map_err(|e| failed(&e))?
            .seconds
            .unsigned_abs();
        let provider = TlsProvider::new(&Entropy);
        let key = KeyPair::generate(&Entropy).map_err(|e| failed(&e))?;
        let profile = CertificateProfile {
            subject: "CN=bannock instance",
            not_before: now.saturating_sub(CERTIFICATE_SPAN),
            not_after: now.saturating_add(CERTIFICATE_SPAN),
            extensions: &[],
        };
        let identity = key
            .self_signed(&profile, &Entropy)
            .map_err(|e| failed(&e))?;
        let own_key: [u8; 32] = *identity.spki_sha256().as_bytes();
        let config = ClientConfig {
            provider,
            trust: ServerTrust::Pinned(self.cas_key),
            identity: Some(identity),
            server_name: None,
            alpn: vec![cas::ALPN.to_vec()],
            now,
        };
        let socket = Socket::connect(&self.cas).map_err(|e| unreachable(&self.cas, e))?;
        let stream = Stream::connect(config, socket).map_err(|e| explain(&self.cas, &e))?;
        let exporter = stream
            .connection()
            .export(binding::EXPORTER_LABEL, &[])
            .map_err(|e| failed(&e))?;
        let evidence = self
            .channel
            .evidence(exporter, own_key, *self.cas_key.as_bytes())?;
        Ok((stream, evidence))
    }
}

fn unreachable(cas: &SocketAddr, e: Errno) -> BootFault {
    BootFault::Unavailable(format!(
        "cannot reach the CAS at {cas} ({e}); check that it runs and that the address is right"
    ))
}

fn explain(cas: &SocketAddr, fault: &StreamFault<Errno>) -> BootFault {
    match fault {
        StreamFault::Transport(e) => unreachable(cas, *e),
        StreamFault::Tls(fault @ ConnectionFault::NotPinned { .. }) => {
            BootFault::Denied(format!("the CAS at {cas} is not the pinned one: {fault}"))
        }
        other => BootFault::Unavailable(format!("cannot talk to the CAS at {cas}: {other}")),
    }
}

/// An instance with evidence for its connection to the CAS.
pub struct Attested {
    channel: Channel,
    config_id: String,
    cas: SocketAddr,
    stream: Stream<Socket>,
    evidence: Evidence,
}

impl Attested {
    /// Shows the evidence and receives the service's configuration.
    ///
    /// # Errors
    /// `Denied` with the CAS's reason.
    pub fn provision(mut self) -> Result<Provisioned, BootFault> {
        let request = cas::Request::Configure {
            version: PROTOCOL_VERSION,
            config_id: self.config_id.clone(),
            evidence: self.evidence.clone(),
        };
        let outcome = self.exchange(&request).and_then(|reply| match reply {
            cas::Reply::Configuration { config } => Ok(config),
            cas::Reply::Denied { reason } => Err(BootFault::Denied(format!(
                "the CAS refuses `{}`: {reason}",
                self.config_id
            ))),
            cas::Reply::Failed { reason } => Err(BootFault::Unavailable(format!(
                "the CAS at {} could not decide: {reason}",
                self.cas
            ))),
            cas::Reply::Noted | cas::Reply::Evidence { .. } => Err(BootFault::Failed(
                "the CAS answered something else than a configuration".into(),
            )),
        });
        match outcome {
            Ok(config) => Ok(Provisioned {
                channel: self.channel,
                stream: self.stream,
                config,
            }),
            Err(fault) => {
                if matches!(fault, BootFault::Denied(_)) {
                    self.channel.denied(fault.reason());
                }
                Err(fault)
            }
        }
    }

    fn exchange(&mut self, request: &cas::Request) -> Result<cas::Reply, BootFault> {
        send(&mut self.stream, request).map_err(|e| explain(&self.cas, &e))?;
        let body = receive(&mut self.stream, &self.cas)?;
        bannock_wire::decode("CAS reply", &body).map_err(|e| {
            BootFault::Failed(format!("the CAS at {} sent something else: {e}", self.cas))
        })
    }
}

fn send(stream: &mut Stream<Socket>, request: &cas::Request) -> Result<(), StreamFault<Errno>> {
    let body = bannock_wire::encode(request);
    let mut message = Vec::with_capacity(body.len() + frame::PREFIX);
    // A request is far below the limit, so the prefix always exists.
    message.extend_from_slice(&frame::prefix(body.len()).unwrap_or_default());
    message.extend_from_slice(&body);
    stream.write_all(&message)
}

fn receive(stream: &mut Stream<Socket>, cas: &SocketAddr) -> Result<Zeroizing<Vec<u8>>, BootFault> {
    let mut prefix = [0u8; frame::PREFIX];
    fill(stream, &mut prefix, cas)?;
    let len = frame::length(prefix, frame::MAX_FRAME)
        .map_err(|e| BootFault::Failed(format!("the CAS at {cas} sent {e}")))?;
    let mut body = Zeroizing::new(vec![0; len]);
    fill(stream, &mut body, cas)?;
    Ok(body)
}

fn fill(stream: &mut Stream<Socket>, into: &mut [u8], cas: &SocketAddr) -> Result<(), BootFault> {
    let mut at = 0;
    while let Some(rest) = into.get_mut(at..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest).map_err(|e| explain(cas, &e))? {
            0 => {
                return Err(BootFault::Unavailable(format!(
                    "the CAS at {cas} closed the connection in the middle of an answer"
                )));
            }
            n => at += n,
        }
    }
    Ok(())
}

/// An instance that the CAS gave its configuration.
pub struct Provisioned {
    channel: Channel,
    stream: Stream<Socket>,
    config: ServiceConfig,
}

impl Provisioned {
    /// What the service is given, while the channel is still open: to check that the host has what
    /// the session names.
    #[must_use]
    pub const fn config(&self) -> &ServiceConfig {
        &self.config
    }

    /// Gives up, telling both audit logs why.
    pub fn refuse(mut self, reason: &str) {
        self.channel.denied(reason);
        let _ = send(
            &mut self.stream,
            &cas::Request::Report {
                reason: reason.into(),
            },
        );
        let _ = self.stream.close();
    }

    /// Closes the channel to the LAS, and hands over the configuration.
    ///
    /// From here on this instance cannot get evidence any more, whatever runs in it.
    #[must_use]
    pub fn run(mut self) -> ServiceConfig {
        let _ = self.stream.close();
        #[cfg(not(feature = "test-keep-channel"))]
        drop(self.channel);
        #[cfg(feature = "test-keep-channel")]
        core::mem::forget(self.channel);
        self.config
    }
}
