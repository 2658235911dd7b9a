//! A caller of the LAS, for the tests: `caller SOCKET IMAGE KIND ARGUMENTS…` starts the image as
//! KIND (`standalone`, `cas` or `service`), passes signals on that it reads as numbers, one per
//! line, from standard input, and says how the instance ended.

#![allow(clippy::print_stdout)]

use bannock_wire::PROTOCOL_VERSION;
use bannock_wire::frame::{self, PREFIX};
use bannock_wire::las::{Control, Descriptor, MAX_MESSAGE, Reply, Request, Start};
use bannock_wire::launch::LaunchIdentity;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut word = || {
        arguments
            .next()
            .ok_or("caller SOCKET IMAGE KIND ARGUMENTS…")
    };
    let (socket, image, kind) = (word()?, word()?, word()?);
    let launch = match kind.as_str() {
        "standalone" => LaunchIdentity::Standalone,
        "cas" => LaunchIdentity::Cas,
        _ => LaunchIdentity::Service {
            config_id: "session/service".to_owned(),
            cas_key: [7; 32],
        },
    };
    let stream = UnixStream::connect(socket)?;
    let message = bannock_wire::encode(&Request::Start {
        start: Start {
            version: PROTOCOL_VERSION,
            launch,
            arguments: arguments.collect(),
            environment: Vec::new(),
            descriptors: vec![
                Descriptor::Image,
                Descriptor::Stdin,
                Descriptor::Stdout,
                Descriptor::Stderr,
            ],
        },
    });
    let image = File::open(image)?;
    let null = File::open("/dev/null")?;
    let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
    let descriptors = [image.as_fd(), null.as_fd(), stdout.as_fd(), stderr.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    let framed = [&frame::prefix(message.len())?[..], &message].concat();
    let sent = sendmsg(
        &stream,
        &[IoSlice::new(&framed)],
        &mut ancillary,
        SendFlags::empty(),
    )?;
    (&stream).write_all(framed.get(sent..).unwrap_or_default())?;

    let signals = stream.try_clone()?;
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let Ok(number) = line.trim().parse() else {
                return;
            };
            let message = bannock_wire::encode(&Control::Signal { number });
            let Ok(prefix) = frame::prefix(message.len()) else {
                return;
            };
            let _ = (&signals).write_all(&[&prefix[..], &message].concat());
        }
    });
    loop {
        match receive(&stream)? {
            Reply::Started { pid, .. } => println!("started {pid}"),
            Reply::Exited { code } => return done(&format!("exited {code}")),
            Reply::Killed { signal } => return done(&format!("killed {signal}")),
            Reply::Refused { reason } => return done(&format!("start refused: {reason}")),
            Reply::Status { .. } => return Err("a status was not asked for".into()),
        }
    }
}

fn done(text: &str) -> Result<(), Box<dyn Error>> {
    println!("{text}");
    Ok(())
}

fn receive(mut stream: &UnixStream) -> Result<Reply, Box<dyn Error>> {
    let mut prefix = [0; PREFIX];
    stream.read_exact(&mut prefix)?;
    let mut message = vec![0; frame::length(prefix, MAX_MESSAGE)?];
    stream.read_exact(&mut message)?;
    Ok(bannock_wire::decode("LAS reply", &message)?)
}
