//! `bannock platform`: the simulated platform of machines without a TEE.

use crate::failure::{Because as _, Failure};
use crate::output::{Output, Report, Table, note};
use crate::state::state_dir;
use bannock_simulated_platform::pcs::Server;
use bannock_simulated_platform::{Options, Platform as Simulated, TcbState};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// What to do with a platform.
#[derive(clap::Subcommand)]
pub(crate) enum Platform {
    /// Make a simulated platform, or change what its collateral says about it
    ///
    /// It protects nothing: whoever reads its folder can issue any evidence under its root.
    Simulate(Simulate),
}

#[derive(clap::Args)]
pub(crate) struct Simulate {
    /// Folder of the platform; in the state directory when absent
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Replace a platform that is there already by one with a new root
    #[arg(long)]
    anew: bool,
    /// Status of its TCB level from now on
    #[arg(long, value_name = "STATUS", value_parser = tcb_state)]
    tcb_status: Option<TcbState>,
    /// Advisories of that level from now on, such as INTEL-SA-00615
    #[arg(long, value_name = "ID")]
    advisory: Vec<String>,
    /// Put its certificate on the revocation list
    #[arg(long)]
    revoke: bool,
    /// Let its collateral have expired already
    #[arg(long)]
    expired: bool,
    /// Serve the collateral as Intel's provisioning certification service does
    #[arg(long, value_name = "ADDR:PORT")]
    serve: Option<SocketAddr>,
}

fn tcb_state(name: &str) -> Result<TcbState, String> {
    TcbState::from_name(name).ok_or_else(|| {
        let names = TcbState::ALL.map(TcbState::as_str);
        format!("one of {}", names.join(", "))
    })
}

/// Does it.
pub(crate) fn run(platform: Platform, output: &Output) -> Result<ExitCode, Failure> {
    match platform {
        Platform::Simulate(simulate) => run_simulate(&simulate, output),
    }
}

/// Where the user's own simulated platform is.
pub(crate) fn default_dir() -> Result<PathBuf, Failure> {
    Ok(state_dir()?.join("platform"))
}

fn run_simulate(simulate: &Simulate, output: &Output) -> Result<ExitCode, Failure> {
    let dir = match &simulate.dir {
        Some(dir) => dir.clone(),
        None => default_dir()?,
    };
    let options = simulate.options()?;
    let platform = open_or_create(&dir, simulate.anew, &options, simulate.changes())?;
    note(
        "INSECURE: a simulated platform protects nothing; only sessions that name its root accept it",
    );
    output.show(&Made {
        dir: dir.display().to_string(),
        root_sha256: hex::encode(platform.root_sha256()),
        tcb_status: platform.options().tcb.as_str(),
        advisories: platform.options().advisories.clone(),
        revoked: platform.options().pck_revoked,
        next_update: humantime::format_rfc3339_seconds(
            UNIX_EPOCH + std::time::Duration::from_secs(platform.options().next_update),
        )
        .to_string(),
    })?;
    if let Some(address) = simulate.serve {
        let server = Server::bind(address, &dir)?;
        note(&format!("serving collateral at {}", server.url()));
        server.run();
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens the platform in `dir`, or makes one there; sets `options` where they are `changed`.
pub(crate) fn open_or_create(
    dir: &Path,
    anew: bool,
    options: &Options,
    changed: bool,
) -> Result<Simulated, Failure> {
    use bannock_simulated_platform::PlatformFault;
    if anew {
        return Ok(Simulated::create_anew(dir, options)?);
    }
    if let Some(parent) = dir.parent() {
        crate::state::create_private_dir(parent)?;
    }
    match Simulated::create(dir, options) {
        Err(PlatformFault::Exists { .. }) => {
            let mut platform = Simulated::open(dir)
                .because(|| format!("cannot use the platform in `{}`", dir.display()))?;
            if changed {
                platform.set(options)?;
            }
            Ok(platform)
        }
        other => Ok(other.because(|| format!("cannot make a platform in `{}`", dir.display()))?),
    }
}

/// The present time in Unix seconds.
pub(crate) fn now() -> Result<u64, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(since
        .because(|| "the clock is before 1970".to_owned())?
        .as_secs())
}

impl Simulate {
    /// Whether anything about an existing platform is to change.
    fn changes(&self) -> bool {
        self.tcb_status.is_some() || !self.advisory.is_empty() || self.revoke || self.expired
    }

    fn options(&self) -> Result<Options, Failure> {
        const DAY: u64 = 24 * 3600;
        let now = now()?;
        let mut options = Options::issued_at(now);
        if self.expired {
            options.issued = now.saturating_sub(60 * DAY);
            options.next_update = now.saturating_sub(30 * DAY);
        }
        options.tcb = self.tcb_status.unwrap_or(options.tcb);
        options.advisories.clone_from(&self.advisory);
        options.pck_revoked = self.revoke;
        Ok(options)
    }
}

#[derive(Serialize)]
struct Made {
    dir: String,
    root_sha256: String,
    tcb_status: &'static str,
    advisories: Vec<String>,
    revoked: bool,
    next_update: String,
}

impl Report for Made {
    fn table(&self) -> Table {
        Table::new()
            .row(["platform", &self.dir])
            .row(["root (SHA-256)", &self.root_sha256])
            .row(["TCB status", self.tcb_status])
            .row(["advisories", &self.advisories.join(", ")])
            .row(["revoked", if self.revoked { "yes" } else { "no" }])
            .row(["collateral valid until", &self.next_update])
    }
}
