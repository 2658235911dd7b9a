//! An image for the tests of the LAS: does on its channel what its arguments say, in order.
//!
//! `hello`, `evidence`, `sealing-key`, `denied REASON`, `raw HEX` (a frame with these bytes),
//! `announce N` (the prefix of a frame of N bytes) print what comes back; `ask N` asks N times for
//! evidence and prints how often it came; `close` closes the channel; `ready` says so on standard
//! output; `idle` waits to be killed; `tick` writes a line every 20 ms until that fails; `exit N`
//! exits.

#![allow(clippy::print_stdout)]

use bannock_wire::binding::{Channel, Role};
use bannock_wire::channel::{CHANNEL_FD, Hello, MAX_MESSAGE, Reply, Request};
use bannock_wire::frame::{self, PREFIX};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use std::error::Error;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Err(error) = run(&arguments) {
        println!("failed {error}");
        std::process::exit(99);
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let mut channel = Some(UnixStream::from(pidfd_getfd(
        own,
        CHANNEL_FD,
        PidfdGetfdFlags::empty(),
    )?));
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut word_after = || words.next().ok_or("an argument is missing");
        let channel_now = || channel.as_ref().ok_or("the channel is closed");
        match word.as_str() {
            "hello" => {
                let bytes = receive(channel_now()?)?;
                let hello: Hello = bannock_wire::decode("hello", &bytes)?;
                println!("hello {}", hex::encode(&bytes));
                println!("isolation {:?}", hello.isolation);
            }
            "evidence" => println!("{}", ask(channel_now()?, &evidence())?),
            "ask" => {
                let mut answered = 0;
                for _ in 0..word_after()?.parse::<u32>()? {
                    match ask(channel_now()?, &evidence()) {
                        Ok(reply) if reply.starts_with("evidence ") => answered += 1,
                        Ok(reply) => println!("{reply}"),
                        Err(_) => break,
                    }
                }
                println!("answered {answered}");
            }
            "sealing-key" => println!("{}", ask(channel_now()?, &Request::SealingKey)?),
            "denied" => {
                let reason = word_after()?.clone();
                println!("{}", ask(channel_now()?, &Request::Denied { reason })?);
            }
            "raw" => {
                let bytes = hex::decode(word_after()?).map_err(|e| e.to_string())?;
                send(channel_now()?, &bytes)?;
                println!("{}", show(&receive(channel_now()?)?)?);
            }
            "announce" => {
                let length: u32 = word_after()?.parse()?;
                channel_now()?.write_all(&length.to_le_bytes())?;
                println!("{}", show(&receive(channel_now()?)?)?);
            }
            "close" => {
                channel = None;
                close_inherited()?;
            }
            "ready" => {
                println!("ready");
                std::io::stdout().flush()?;
            }
            "idle" => loop {
                std::thread::park();
            },
            "tick" => loop {
                writeln!(std::io::stdout(), "tick")?;
                std::io::stdout().flush()?;
                std::thread::sleep(Duration::from_millis(20));
            },
            "exit" => std::process::exit(word_after()?.parse()?),
            other => return Err(format!("`{other}` is not known").into()),
        }
    }
    Ok(())
}

/// Shuts the inherited descriptor's socket down: every copy of it is closed for both ends.
fn close_inherited() -> Result<(), Box<dyn Error>> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let socket = pidfd_getfd(own, CHANNEL_FD, PidfdGetfdFlags::empty())?;
    Ok(UnixStream::from(socket).shutdown(std::net::Shutdown::Both)?)
}

fn evidence() -> Request {
    Request::Evidence {
        channel: Channel {
            role: Role::Client,
            exporter: [1; 32],
            attester_key: [2; 32],
            peer_key: [3; 32],
        },
        version: "test-1".to_owned(),
    }
}

fn ask(channel: &UnixStream, request: &Request) -> Result<String, Box<dyn Error>> {
    send(channel, &bannock_wire::encode(request))?;
    show(&receive(channel)?)
}

fn show(reply: &[u8]) -> Result<String, Box<dyn Error>> {
    Ok(match bannock_wire::decode("reply", reply)? {
        Reply::Evidence { evidence } => {
            format!("evidence {}", hex::encode(bannock_wire::encode(&evidence)))
        }
        Reply::SealingKey { key } => format!("sealing-key {}", hex::encode(key.0)),
        Reply::Refused { reason } => format!("refused {reason}"),
        Reply::Noted => "noted".to_owned(),
    })
}

fn send(mut channel: &UnixStream, message: &[u8]) -> Result<(), Box<dyn Error>> {
    channel.write_all(&frame::prefix(message.len())?)?;
    Ok(channel.write_all(message)?)
}

fn receive(mut channel: &UnixStream) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut prefix = [0; PREFIX];
    channel.read_exact(&mut prefix)?;
    let mut message = vec![0; frame::length(prefix, MAX_MESSAGE)?];
    channel.read_exact(&mut message)?;
    Ok(message)
}
