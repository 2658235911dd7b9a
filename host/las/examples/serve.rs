//! A LAS of its own process, for the tests: `serve SOCKET PLATFORM AUDIT`.

use bannock_las::{AuditLog, Server, Simulated};
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths = std::env::args_os().skip(1).map(PathBuf::from);
    let mut path = || paths.next().ok_or("serve SOCKET PLATFORM AUDIT");
    let (socket, platform, audit) = (path()?, path()?, path()?);
    let quoter = Simulated::open(&platform)?;
    let server = Server::bind(&socket, Box::new(quoter), AuditLog::open(&audit)?)?;
    Ok(server.run(|problem| eprintln!("{problem}"))?)
}
