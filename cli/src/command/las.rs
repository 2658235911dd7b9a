//! `bannock las`: the local attestation service.

use crate::failure::{Because as _, Failure};
use crate::output::{Output, Report, Table, note};
use crate::state::{SYSTEM_LAS_SOCKET, create_private_dir, state_dir};
use bannock_las::{AuditLog, Server, Simulated};
use bannock_simulated_platform::PlatformFault;
use bannock_wire::las::Reply;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to do with a LAS.
#[derive(clap::Subcommand)]
pub(crate) enum Las {
    /// Serve: start measured instances and quote for them
    Serve(Serve),
    /// Ask a LAS what it is
    Status {
        /// Socket of the LAS
        #[arg(long, value_name = "SOCKET", env = "BANNOCK_LAS_ADDR", default_value = SYSTEM_LAS_SOCKET)]
        las: PathBuf,
    },
}

#[derive(clap::Args)]
pub(crate) struct Serve {
    /// Socket to serve on
    #[arg(long, value_name = "PATH", env = "BANNOCK_LAS_ADDR", default_value = SYSTEM_LAS_SOCKET)]
    socket: PathBuf,
    /// Folder of the simulated platform; in the state directory when absent
    #[arg(long, value_name = "DIR")]
    platform: Option<PathBuf>,
    /// Audit log; in the state directory when absent
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
}

/// Does it.
pub(crate) fn run(las: Las, output: &Output) -> Result<ExitCode, Failure> {
    match las {
        Las::Serve(serve) => run_serve(&serve),
        Las::Status { las } => {
            output.show(&status(&las)?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn run_serve(serve: &Serve) -> Result<ExitCode, Failure> {
    let platform = match &serve.platform {
        Some(dir) => dir.clone(),
        None => super::platform::default_dir()?,
    };
    let audit = match &serve.audit {
        Some(file) => file.clone(),
        None => {
            create_private_dir(&state_dir()?)?;
            state_dir()?.join("las-audit.jsonl")
        }
    };
    let quoter = Simulated::open(&platform).map_err(|fault| match fault {
        PlatformFault::Missing { .. } => Failure::from(fault).help(format!(
            "make one: bannock platform simulate --dir {}",
            platform.display()
        )),
        other => other.into(),
    })?;
    if let Some(directory) = serve.socket.parent().filter(|dir| !dir.exists()) {
        std::fs::create_dir_all(directory)
            .because(|| format!("cannot create `{}`", directory.display()))?;
    }
    let server = Server::bind(&serve.socket, Box::new(quoter), AuditLog::open(&audit)?)?;
    note("INSECURE: quotes come from a simulated platform, which protects nothing");
    if !rustix::process::geteuid().is_root() {
        note("this LAS does not run as root: it starts instances for its own user only");
    }
    note(&format!(
        "LAS serves on {}, audit log {}",
        serve.socket.display(),
        audit.display()
    ));
    server.run(|problem| note(&format!("las: {problem}")))?;
    Ok(ExitCode::SUCCESS)
}

/// Asks the LAS on `socket` what it is.
pub(crate) fn status(socket: &Path) -> Result<Status, Failure> {
    match crate::las::ask_status(socket)? {
        Reply::Status {
            version,
            root,
            simulated,
            instances,
        } => Ok(Status {
            socket: socket.display().to_string(),
            protocol: version,
            platform: if simulated { "simulated" } else { "hardware" },
            root_sha256: hex::encode(root),
            instances,
        }),
        _ => Err(Failure::failed(format!(
            "the LAS at `{}` answered something else than was asked",
            socket.display()
        ))),
    }
}

/// What a LAS says about itself.
#[derive(Serialize)]
pub(crate) struct Status {
    socket: String,
    protocol: u16,
    platform: &'static str,
    pub(crate) root_sha256: String,
    pub(crate) instances: u32,
}

impl Report for Status {
    fn table(&self) -> Table {
        Table::new()
            .row(["socket", &self.socket])
            .row(["protocol version", &self.protocol.to_string()])
            .row(["platform", self.platform])
            .row(["root (SHA-256)", &self.root_sha256])
            .row(["instances", &self.instances.to_string()])
    }
}
