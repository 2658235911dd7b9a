//! The runtime's end of the channel to the LAS.

use crate::BootFault;
use alloc::{format, string::String, vec, vec::Vec};
use bannock_platform::{
    Errno,
    host::{self, HostFd, file},
};
use bannock_wire::{
    PROTOCOL_VERSION, binding,
    channel::{CHANNEL_FD, Evidence, Hello, MAX_MESSAGE, Reply, Request},
    frame, launch,
};

/// The open channel.
pub(crate) struct Channel {
    socket: HostFd,
}

/// Version that this runtime names itself.
const VERSION: &str = concat!("bannock-runtime/", env!("CARGO_PKG_VERSION"));

impl Channel {
    /// Opens the channel: the LAS speaks first.
    ///
    /// `None` where there is no LAS: the descriptor is not open, or is no socket.
    pub(crate) fn open() -> Result<Option<(Self, Hello)>, BootFault> {
        let channel = Self {
            socket: HostFd::inherited(CHANNEL_FD),
        };
        let mut prefix = [0u8; frame::PREFIX];
        match host::net::receive(channel.socket, host::Into::Kernel(&mut prefix), 0, false) {
            Err(Errno::EBADF | Errno::ENOTSOCK) => return Ok(None),
            Err(e) => return Err(lost(e)),
            Ok((got, _)) => {
                let rest = prefix.get_mut(got..).unwrap_or_default();
                channel.fill(rest)?;
            }
        }
        let hello: Hello = decode("greeting", &channel.body(prefix)?)?;
        if hello.version != PROTOCOL_VERSION {
            return Err(BootFault::Failed(format!(
                "the LAS speaks protocol version {}, this runtime version {PROTOCOL_VERSION}; use the same release of both",
                hello.version
            )));
        }
        Ok(Some((channel, hello)))
    }

    /// Asks for evidence for a connection on which this instance is the client.
    pub(crate) fn evidence(
        &self,
        exporter: [u8; 32],
        own_key: [u8; 32],
        cas_key: [u8; 32],
    ) -> Result<Evidence, BootFault> {
        let channel = binding::Channel {
            role: binding::Role::Client,
            exporter,
            attester_key: own_key,
            peer_key: cas_key,
        };
        match self.ask(&Request::Evidence {
            channel,
            version: VERSION.into(),
        })? {
            Reply::Evidence { evidence } => Ok(evidence),
            Reply::Refused { reason } => Err(BootFault::Denied(format!(
                "the LAS refuses to quote: {reason}"
            ))),
            _ => Err(BootFault::Failed(
                "the LAS answered something else than evidence".into(),
            )),
        }
    }

    /// Tells the LAS why this instance gives up; for its audit log.
    pub(crate) fn denied(&self, reason: &str) {
        let _ = self.ask(&Request::Denied {
            reason: String::from(reason),
        });
    }

    fn ask(&self, request: &Request) -> Result<Reply, BootFault> {
        let body = bannock_wire::encode(request);
        let prefix = frame::prefix(body.len()).map_err(|e| BootFault::Failed(format!("{e}")))?;
        self.send(&prefix)?;
        self.send(&body)?;
        let mut prefix = [0u8; frame::PREFIX];
        self.fill(&mut prefix)?;
        decode("reply", &self.body(prefix)?)
    }

    fn body(&self, prefix: [u8; frame::PREFIX]) -> Result<Vec<u8>, BootFault> {
        let len = frame::length(prefix, MAX_MESSAGE)
            .map_err(|e| BootFault::Failed(format!("the LAS sent {e}")))?;
        let mut body = vec![0; len];
        self.fill(&mut body)?;
        Ok(body)
    }

    fn fill(&self, into: &mut [u8]) -> Result<(), BootFault> {
        let mut at = 0;
        while let Some(rest) = into.get_mut(at..).filter(|rest| !rest.is_empty()) {
            match host::net::receive(self.socket, host::Into::Kernel(rest), 0, false) {
                Ok((0, _)) => return Err(lost(Errno::ECONNRESET)),
                Ok((n, _)) => at += n,
                Err(Errno::EINTR) => {}
                Err(e) => return Err(lost(e)),
            }
        }
        Ok(())
    }

    fn send(&self, mut bytes: &[u8]) -> Result<(), BootFault> {
        while !bytes.is_empty() {
            match host::net::send(
                self.socket,
                host::From::Kernel(bytes),
                linux_raw_sys::net::MSG_NOSIGNAL,
                None,
            ) {
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(lost(e)),
            }
        }
        Ok(())
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        file::close(self.socket);
    }
}

fn lost(e: Errno) -> BootFault {
    BootFault::Unavailable(format!(
        "the channel to the LAS is lost ({e}); see the LAS's audit log"
    ))
}

fn decode<T>(what: &'static str, bytes: &[u8]) -> Result<T, BootFault>
where
    T: for<'b> bannock_wire::minicbor::Decode<'b, ()> + bannock_wire::minicbor::Encode<()>,
{
    bannock_wire::decode(what, bytes)
        .map_err(|e| BootFault::Failed(format!("the LAS sent something else: {e}")))
}

/// Which service an instance was started as.
pub(crate) fn service(hello: &Hello) -> Option<(&str, [u8; 32])> {
    match &hello.launch {
        launch::LaunchIdentity::Service { config_id, cas_key } => Some((config_id, *cas_key)),
        launch::LaunchIdentity::Standalone | launch::LaunchIdentity::Cas => None,
    }
}
