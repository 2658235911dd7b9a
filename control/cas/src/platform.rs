//! What the CAS runs on: a LAS that started it and vouches for it, or, for tests, nothing.

use bannock_cas_api::{Hash, Platform as PlatformStatus};
use bannock_cas_store::SealingKey;
use bannock_crypto::{random::EntropyFault, secret::Secret};
use bannock_wire::{
    Malformed, PROTOCOL_VERSION,
    binding::Channel,
    channel::{CHANNEL_FD, Evidence, Hello, MAX_MESSAGE, Reply, Request},
    frame::{self, Oversize, PREFIX},
    launch::{Isolation, LaunchIdentity},
};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use std::{
    fs,
    io::{self, Read, Write},
    os::unix::{fs::OpenOptionsExt, net::UnixStream},
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use zeroize::Zeroizing;

/// How long the LAS may take for one answer.
const LAS_TIMEOUT: Duration = Duration::from_secs(10);

/// What the CAS runs on.
pub enum Platform {
    /// A LAS that started this process.
    Las(Las),
    /// Nothing: no evidence, keys in a file.
    Insecure,
}

/// The channel to the LAS.
pub struct Las {
    stream: Mutex<UnixStream>,
    hello: Hello,
}

/// Why the platform does not serve.
#[derive(Debug, thiserror::Error)]
pub enum PlatformFault {
    /// Descriptor 3 is not the LAS's channel.
    #[error(
        "this CAS was not started by a LAS: descriptor {CHANNEL_FD} is not its channel; start it \
         with `bannock cas serve`"
    )]
    NoChannel(#[source] io::Error),
    /// The LAS does not answer.
    #[error("the LAS does not answer on the channel it gave")]
    Channel(#[from] io::Error),
    /// The LAS sent something else than an answer.
    #[error("the LAS's answer cannot be understood")]
    Malformed(#[from] Malformed),
    /// The LAS sent too much.
    #[error("the LAS's answer is too large")]
    Oversize(#[from] Oversize),
    /// The LAS speaks a newer protocol.
    #[error("the LAS speaks protocol version {found}, this CAS up to {PROTOCOL_VERSION}")]
    NewerProtocol {
        /// The LAS's version.
        found: u16,
    },
    /// The LAS started this process as something else.
    #[error("the LAS started this process as {found:?}, not as a CAS")]
    NotStartedAsCas {
        /// As what it was started.
        found: LaunchIdentity,
    },
    /// The LAS said no.
    #[error("the LAS refused the {what}: {reason}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// The LAS's reason.
        reason: String,
    },
    /// The LAS answered another question.
    #[error("the LAS did not answer the request for the {0}")]
    WrongAnswer(&'static str),
    /// There is no LAS.
    #[error(
        "this CAS runs without a platform (--insecure-no-platform) and cannot prove what it is"
    )]
    Insecure,
    /// The key file of an insecure CAS cannot be used.
    #[error("cannot use the key file `{path}`")]
    KeyFile {
        /// Its path.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No key can be generated.
    #[error("cannot generate a sealing key")]
    Entropy(#[from] EntropyFault),
}

impl Platform {
    /// Takes over the channel that the LAS left at descriptor 3.
    ///
    /// # Errors
    /// [`PlatformFault`], when there is no LAS at its other end or it started something else.
    pub fn from_las() -> Result<Self, PlatformFault> {
        // Duplicating the inherited descriptor through a handle on this very process needs no
        // assumption about who else owns descriptor 3, which adopting the number would.
        let descriptor = pidfd_open(getpid(), PidfdFlags::empty())
            .and_then(|own| pidfd_getfd(own, CHANNEL_FD, PidfdGetfdFlags::empty()))
            .map_err(|errno| PlatformFault::NoChannel(errno.into()))?;
        let stream = UnixStream::from(descriptor);
        stream
            .set_read_timeout(Some(LAS_TIMEOUT))
            .and_then(|()| stream.set_write_timeout(Some(LAS_TIMEOUT)))
            .map_err(PlatformFault::NoChannel)?;
        let hello: Hello = match receive(&stream, "hello") {
            Err(PlatformFault::Channel(source)) => return Err(PlatformFault::NoChannel(source)),
            other => other?,
        };
        if hello.version > PROTOCOL_VERSION {
            return Err(PlatformFault::NewerProtocol {
                found: hello.version,
            });
        }
        if hello.launch != LaunchIdentity::Cas {
            return Err(PlatformFault::NotStartedAsCas {
                found: hello.launch,
            });
        }
        Ok(Self::Las(Las {
            stream: Mutex::new(stream),
            hello,
        }))
    }

    /// The key that seals the store in `directory`.
    ///
    /// # Errors
    /// [`PlatformFault`].
    pub fn sealing_key(&self, directory: &Path) -> Result<SealingKey, PlatformFault> {
        match self {
            Self::Las(las) => match las.ask("sealing key", &Request::SealingKey)? {
                Reply::SealingKey { key } => Ok(SealingKey::new(Secret::new(key.0))),
                _ => Err(PlatformFault::WrongAnswer("sealing key")),
            },
            Self::Insecure => insecure_key(directory),
        }
    }

    /// Evidence of this CAS for the connection `channel`.
    ///
    /// # Errors
    /// [`PlatformFault`].
    pub fn evidence(&self, channel: &Channel) -> Result<Evidence, PlatformFault> {
        let Self::Las(las) = self else {
            return Err(PlatformFault::Insecure);
        };
        let request = Request::Evidence {
            channel: *channel,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        match las.ask("evidence", &request)? {
            Reply::Evidence { evidence } => Ok(evidence),
            _ => Err(PlatformFault::WrongAnswer("evidence")),
        }
    }

    /// What to tell about the platform.
    #[must_use]
    pub fn status(&self) -> PlatformStatus {
        match self {
            Self::Las(las) => PlatformStatus::Attested {
                measurement: Hash(las.hello.measurement),
                missing_isolation: Isolation::FULL
                    .missing_in(las.hello.isolation)
                    .map(str::to_owned)
                    .collect(),
            },
            Self::Insecure => PlatformStatus::Insecure {},
        }
    }
}

impl Las {
    fn ask(&self, what: &'static str, request: &Request) -> Result<Reply, PlatformFault> {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        send(&stream, &bannock_wire::encode(request))?;
        match receive(&stream, what)? {
            Reply::Refused { reason } => Err(PlatformFault::Refused { what, reason }),
            reply => Ok(reply),
        }
    }
}

fn send(mut stream: &UnixStream, message: &[u8]) -> Result<(), PlatformFault> {
    stream.write_all(&[&frame::prefix(message.len())?, message].concat())?;
    Ok(())
}

fn receive<T>(mut stream: &UnixStream, what: &'static str) -> Result<T, PlatformFault>
where
    T: for<'b> minicbor::Decode<'b, ()> + minicbor::Encode<()>,
{
    let mut prefix = [0; PREFIX];
    stream.read_exact(&mut prefix)?;
    // The reply may be the sealing key.
    let mut message = Zeroizing::new(vec![0; frame::length(prefix, MAX_MESSAGE)?]);
    stream.read_exact(&mut message)?;
    Ok(bannock_wire::decode(what, &message)?)
}

/// The key of a CAS without a platform: whoever reads the file opens the store.
fn insecure_key(directory: &Path) -> Result<SealingKey, PlatformFault> {
    let path = directory.join("insecure-sealing-key");
    let fault = |source| PlatformFault::KeyFile {
        path: path.display().to_string(),
        source,
    };
    match fs::read(&path).map(Zeroizing::new) {
        Ok(bytes) => Secret::try_from(bytes.as_slice())
            .map(SealingKey::new)
            .map_err(|wrong| {
                fault(io::Error::new(
                    io::ErrorKind::InvalidData,
                    wrong.to_string(),
                ))
            }),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            let key = Secret::<32>::generate(&crate::cas::system_random)?;
            fs::create_dir_all(directory).map_err(fault)?;
            fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .and_then(|mut file| file.write_all(key.expose()))
                .map_err(fault)?;
            Ok(SealingKey::new(key))
        }
        Err(other) => Err(fault(other)),
    }
}
