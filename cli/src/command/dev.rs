//! `bannock dev`: a developer's platform, LAS and CAS in one command.

use crate::command::{las, platform};
use crate::failure::{Because as _, Failure};
use crate::output::{Output, Report, Table, note};
use crate::state::{create_private_dir, runtime_dir, state_dir};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// How long a part may take until it is ready, or until it is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to do.
#[derive(clap::Subcommand)]
pub(crate) enum Dev {
    /// Start a simulated platform, a LAS and a CAS of one's own, where they do not run already
    ///
    /// INSECURE: the platform is a simulation, which protects nothing.
    Up {
        /// Where the CAS listens
        #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8081")]
        listen: SocketAddr,
        /// Leave the CAS out
        #[arg(long)]
        without_cas: bool,
    },
    /// Stop what `up` has started; sessions, keys and logs stay
    Down,
    /// Say what runs
    Status,
}

/// Does it.
pub(crate) fn run(dev: &Dev, output: &Output) -> Result<ExitCode, Failure> {
    let place = Place::find()?;
    match dev {
        Dev::Up {
            listen,
            without_cas,
        } => {
            up(&place, (!without_cas).then_some(*listen))?;
            output.show(&place.status()?)?;
        }
        Dev::Down => {
            // In the reverse order of their needs.
            for part in [Part::Cas, Part::Las] {
                down(&place, part)?;
            }
        }
        Dev::Status => output.show(&place.status()?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A process that `up` starts.
#[derive(Clone, Copy)]
enum Part {
    Las,
    Cas,
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Las => "las",
            Self::Cas => "cas",
        }
    }
}

/// Where everything is.
struct Place {
    state: PathBuf,
    runtime: PathBuf,
}

/// A process that was started, told apart from a later one with its number by its start time.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Started {
    pid: i32,
    /// Field 22 of `/proc/PID/stat`, in clock ticks since boot.
    start_time: u64,
    /// What it listens on.
    address: String,
}

impl Place {
    fn find() -> Result<Self, Failure> {
        Ok(Self {
            state: state_dir()?.join("dev"),
            runtime: runtime_dir()?,
        })
    }

    fn platform(&self) -> PathBuf {
        self.state.join("platform")
    }

    fn socket(&self) -> PathBuf {
        self.runtime.join("las.sock")
    }

    fn record(&self, part: Part) -> PathBuf {
        self.state.join(format!("{}.json", part.name()))
    }

    fn log(&self, part: Part) -> PathBuf {
        self.state.join(format!("{}.log", part.name()))
    }

    /// What was started and still runs, with a descriptor of exactly that process.
    fn running(&self, part: Part) -> Result<Option<(Started, OwnedFd)>, Failure> {
        let path = self.record(part);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.because(|| format!("cannot read `{}`", path.display()))?,
        };
        let started: Started = serde_json::from_slice(&bytes)
            .because(|| format!("`{}` is no record of a process", path.display()))?;
        let Some(pid) = Pid::from_raw(started.pid) else {
            return Ok(None);
        };
        // Open first, compare then: the descriptor cannot change its process any more.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(None);
        };
        if start_time(started.pid) != Some(started.start_time) {
            return Ok(None);
        }
        Ok(Some((started, process)))
    }

    fn status(&self) -> Result<Status, Failure> {
        let part = |part: Part| -> Result<PartStatus, Failure> {
            let running = self.running(part)?;
            Ok(PartStatus {
                part: part.name(),
                pid: running.as_ref().map(|(started, _)| started.pid),
                address: running.map(|(started, _)| started.address),
                log: self.log(part).display().to_string(),
            })
        };
        let parts = vec![part(Part::Las)?, part(Part::Cas)?];
        let root_sha256 = match parts
            .iter()
            .any(|part| part.part == "las" && part.pid.is_some())
        {
            true => Some(las::status(&self.socket())?.root_sha256),
            false => None,
        };
        Ok(Status { parts, root_sha256 })
    }
}

/// Start time of a process that has not ended, as `/proc/PID/stat` has it.
fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    let start_time = fields.nth(18)?.parse().ok()?;
    (state != "Z" && state != "X").then_some(start_time)
}

fn up(place: &Place, cas: Option<SocketAddr>) -> Result<(), Failure> {
    note("INSECURE: a simulated platform protects nothing; use it for development only");
    create_private_dir(&place.state)?;
    create_private_dir(&place.runtime)?;
    let options = bannock_simulated_platform::Options::issued_at(platform::now()?);
    // Collateral is issued for thirty days: each `up` renews it.
    platform::open_or_create(&place.platform(), false, &options, true)?;

    if place.running(Part::Las)?.is_none() {
        let socket = place.socket();
        let arguments: Vec<PathBuf> = [
            Path::new("las"),
            Path::new("serve"),
            Path::new("--socket"),
            &socket,
            Path::new("--platform"),
            &place.platform(),
            Path::new("--audit"),
            &place.state.join("las-audit.jsonl"),
        ]
        .map(Path::to_path_buf)
        .to_vec();
        start(
            place,
            Part::Las,
            &arguments,
            &socket.display().to_string(),
            || las::status(&socket).is_ok(),
        )?;
    }
    if let Some(listen) = cas
        && place.running(Part::Cas)?.is_none()
    {
        let arguments: Vec<PathBuf> = [
            Path::new("cas"),
            Path::new("serve"),
            Path::new("--listen"),
            Path::new(&listen.to_string()),
            Path::new("--store"),
            &place.state.join("cas"),
            Path::new("--las"),
            &place.socket(),
        ]
        .map(Path::to_path_buf)
        .to_vec();
        start(place, Part::Cas, &arguments, &listen.to_string(), || {
            TcpStream::connect_timeout(&listen, Duration::from_secs(1)).is_ok()
        })?;
    }
    Ok(())
}

/// Starts this program with `arguments` in the background and waits until it is ready.
fn start(
    place: &Place,
    part: Part,
    arguments: &[PathBuf],
    address: &str,
    is_ready: impl Fn() -> bool,
) -> Result<(), Failure> {
    if is_ready() {
        return Err(Failure::from(format!(
            "something that `dev up` did not start serves on {address} already"
        ))
        .help("stop it, or choose another address"));
    }
    let own = std::env::current_exe().because(|| "cannot find this program's file".to_owned())?;
    let path = place.log(part);
    let log = open_log(&path).because(|| format!("cannot write `{}`", path.display()))?;
    let mut child = Command::new(own)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // The terminal's signals are not for what stays in the background.
        .process_group(0)
        .spawn()
        .because(|| format!("cannot start the {}", part.name()))?;
    wait_until_ready(part, &mut child, &is_ready)
        .map_err(|failure| failure.help(format!("see {}", path.display())))?;
    let pid = i32::try_from(child.id()).because(|| "the process has no number".to_owned())?;
    let started = Started {
        pid,
        start_time: start_time(pid)
            .ok_or_else(|| format!("the {} ended right after its start", part.name()))?,
        address: address.to_owned(),
    };
    crate::state::replace_private_file(&place.record(part), &serde_json::to_vec(&started)?)
}

fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

fn wait_until_ready(
    part: Part,
    child: &mut Child,
    is_ready: &impl Fn() -> bool,
) -> Result<(), Failure> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return Err(Failure::failed(format!(
                "the {} ended: {status}",
                part.name()
            )));
        }
        if is_ready() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // It is ours, and nobody has a record of it yet.
    let _ = child.kill();
    let _ = child.wait();
    Err(Failure::unavailable(format!(
        "the {} was not ready after {} s",
        part.name(),
        PATIENCE.as_secs()
    )))
}

fn down(place: &Place, part: Part) -> Result<(), Failure> {
    if let Some((started, process)) = place.running(part)? {
        pidfd_send_signal(&process, Signal::TERM)
            .because(|| format!("cannot stop the {} ({})", part.name(), started.pid))?;
        let begin = Instant::now();
        while start_time(started.pid) == Some(started.start_time) {
            if begin.elapsed() >= PATIENCE {
                return Err(Failure::failed(format!(
                    "the {} ({}) did not end when asked to",
                    part.name(),
                    started.pid
                )));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        note(&format!("stopped the {}", part.name()));
    }
    match fs::remove_file(place.record(part)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

#[derive(Serialize)]
struct Status {
    parts: Vec<PartStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root_sha256: Option<String>,
}

#[derive(Serialize)]
struct PartStatus {
    part: &'static str,
    pid: Option<i32>,
    address: Option<String>,
    log: String,
}

impl Report for Status {
    fn table(&self) -> Table {
        let mut table = Table::new();
        for part in &self.parts {
            let state = part
                .pid
                .map_or("stopped".to_owned(), |pid| format!("runs as {pid}"));
            let address = part.address.as_deref().unwrap_or("");
            table = table.row([part.part, &state, address, &part.log]);
        }
        match &self.root_sha256 {
            Some(root) => table.row(["platform", "simulated", root.as_str()]),
            None => table,
        }
    }
}
