//! The caller's side of the LAS: start an instance, forward signals, wait for its end.

use crate::failure::{Because as _, Failure};
use bannock_wire::PROTOCOL_VERSION;
use bannock_wire::frame::{self, PREFIX};
use bannock_wire::las::{Control, Descriptor, MAX_MESSAGE, Reply, Request, Start};
use bannock_wire::launch::LaunchIdentity;
use rustix::io::IoSlice;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

/// The namespaces in which an instance lives: those of the caller.
const NAMESPACES: [(&str, Descriptor); 4] = [
    ("/proc/self/ns/mnt", Descriptor::MountNamespace),
    ("/proc/self/ns/net", Descriptor::NetworkNamespace),
    ("/proc/self/ns/ipc", Descriptor::IpcNamespace),
    ("/proc/self/ns/uts", Descriptor::UtsNamespace),
];

/// Most descriptors beside one message.
const MAX_DESCRIPTORS: usize = 4 + NAMESPACES.len();

/// What to start.
pub(crate) struct Plan<'a> {
    /// Where the LAS listens.
    pub(crate) socket: &'a Path,
    /// The image to run.
    pub(crate) image: &'a Path,
    /// The launch identity to fix.
    pub(crate) launch: LaunchIdentity,
    /// Arguments after the image's name; visible to the host.
    pub(crate) arguments: Vec<String>,
    /// Environment as `NAME=value`; visible to the host.
    pub(crate) environment: Vec<String>,
}

/// Why an instance did not run to its end.
#[derive(Debug, thiserror::Error)]
enum LasFault {
    #[error("the LAS refused to start the instance: {0}")]
    Refused(String),
    #[error("the LAS answered something else than was asked")]
    WrongAnswer,
    #[error("the LAS closed the connection before the instance ended")]
    Gone,
}

/// Signals to this process that are the started one's.
pub(crate) const HANDED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// Starts an instance with the caller's standard streams and namespaces, forwards signals to it,
/// and gives its exit code; 128 + N when signal N ended it, as shells do.
pub(crate) fn run(plan: &Plan<'_>) -> Result<ExitCode, Failure> {
    let image = File::open(plan.image)
        .because(|| format!("cannot open the image `{}`", plan.image.display()))?;
    let stream = connect(plan.socket)?;
    // From here on the terminal's signals are the instance's, also before it runs.
    let mut signals = Signals::new(HANDED_ON)?;
    start(&stream, plan, &image)?;
    let mut sender = stream.try_clone()?;
    thread::spawn(move || {
        for signal in signals.forever() {
            let Ok(number) = u8::try_from(signal) else {
                continue;
            };
            // The LAS is gone when this fails, which the other thread notices too.
            let _ = send(
                &mut sender,
                &bannock_wire::encode(&Control::Signal { number }),
            );
        }
    });
    wait(&stream)
}

fn connect(socket: &Path) -> Result<UnixStream, Failure> {
    UnixStream::connect(socket)
        .because(|| format!("cannot reach the LAS at `{}`", socket.display()))
        .map_err(|error| {
            Failure::unavailable(error)
                .help("start it with `bannock las serve`, or name another with --las")
        })
}

/// Asks the LAS on `socket` what it is.
pub(crate) fn ask_status(socket: &Path) -> Result<Reply, Failure> {
    let mut stream = connect(socket)?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10)))?;
    send(&mut stream, &bannock_wire::encode(&Request::Status))?;
    receive(&stream)
}

fn start(stream: &UnixStream, plan: &Plan<'_>, image: &File) -> Result<(), Failure> {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let mut kinds = vec![
        Descriptor::Image,
        Descriptor::Stdin,
        Descriptor::Stdout,
        Descriptor::Stderr,
    ];
    let mut namespaces = Vec::new();
    for (path, kind) in NAMESPACES {
        namespaces.push(File::open(path).because(|| format!("cannot open `{path}`"))?);
        kinds.push(kind);
    }
    let mut descriptors: Vec<BorrowedFd<'_>> =
        vec![image.as_fd(), stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    descriptors.extend(namespaces.iter().map(AsFd::as_fd));

    let message = bannock_wire::encode(&Request::Start {
        start: Start {
            version: PROTOCOL_VERSION,
            launch: plan.launch.clone(),
            arguments: plan.arguments.clone(),
            environment: plan.environment.clone(),
            descriptors: kinds,
        },
    });
    send_with(stream, &message, &descriptors)
        .because(|| format!("cannot send to the LAS at `{}`", plan.socket.display()))?;
    Ok(())
}

/// Sends a frame with descriptors beside its first byte.
fn send_with(
    mut stream: &UnixStream,
    message: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let prefix = frame::prefix(message.len()).map_err(io::Error::other)?;
    let framed = [&prefix, message].concat();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("too many descriptors"));
    }
    let sent = sendmsg(
        stream,
        &[IoSlice::new(&framed)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    stream.write_all(framed.get(sent..).unwrap_or_default())
}

fn send(stream: &mut UnixStream, message: &[u8]) -> io::Result<()> {
    let prefix = frame::prefix(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[&prefix, message].concat())
}

fn wait(stream: &UnixStream) -> Result<ExitCode, Failure> {
    match receive(stream)? {
        Reply::Started { .. } => {}
        Reply::Refused { reason } => return Err(Failure::failed(LasFault::Refused(reason))),
        _ => return Err(Failure::failed(LasFault::WrongAnswer)),
    }
    match receive(stream)? {
        Reply::Exited { code } => Ok(ExitCode::from(code)),
        Reply::Killed { signal } => Ok(ExitCode::from(signal.saturating_add(128))),
        Reply::Refused { reason } => Err(Failure::failed(LasFault::Refused(reason))),
        _ => Err(Failure::failed(LasFault::WrongAnswer)),
    }
}

fn receive(mut stream: &UnixStream) -> Result<Reply, Failure> {
    let mut prefix = [0; PREFIX];
    stream
        .read_exact(&mut prefix)
        .map_err(|_| Failure::failed(LasFault::Gone))?;
    let mut message = vec![0; frame::length(prefix, MAX_MESSAGE)?];
    stream
        .read_exact(&mut message)
        .map_err(|_| Failure::failed(LasFault::Gone))?;
    Ok(bannock_wire::decode("LAS reply", &message)?)
}
