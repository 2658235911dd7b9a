//! MariaDB's server: starting it, stopping it, and its processes on the host.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use super::{
    Demo,
    audit::{Log, Mark},
};
use crate::{
    fault::Fault,
    process,
    stage::{contains, file},
    workspace::{entries, read},
};

/// Name of the service.
pub(super) const SERVER: &str = "mariadb/server";

/// Name of its log.
pub(super) const LOG: &str = "server.log";

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that was started.
pub(super) struct Server {
    /// The `bannock run` that waits for it.
    pub(super) run: Child,
    /// Whether it said that it is ready.
    pub(super) is_ready: bool,
    /// The process that the LAS started.
    first: Option<u32>,
}

impl Demo {
    /// Starts the server and waits until it is ready; no row.
    pub(super) fn start_server(&self) -> Result<Server, Fault> {
        let path = self.stage.path(LOG);
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(file("open", &path))?;
        let again = log.try_clone().map_err(file("open", &path))?;
        let before = read(&path)?.len();
        let mark = Mark::set(&self.stage)?;
        let mut server = self.stage.service(SERVER);
        let mut run = self.stage.spawn(server.stdout(log).stderr(again))?;
        let started = Instant::now();
        let is_ready = loop {
            let text = read(&path)?;
            let new = text.get(before..).unwrap_or_default();
            if contains(new, "ready for connections") {
                break true;
            }
            let ended = run.try_wait().map_err(file("wait for", &path))?;
            if ended.is_some() || started.elapsed() > PATIENCE {
                let _ = std::io::stderr().write_all(new);
                break false;
            }
            thread::sleep(Duration::from_millis(50));
        };
        let started = mark.since(Log::Las, &self.stage)?;
        let start = started.iter().find(|record| record["event"] == "start");
        let first = start
            .and_then(|record| record["pid"].as_u64())
            .and_then(|pid| u32::try_from(pid).ok());
        Ok(Server {
            run,
            is_ready,
            first,
        })
    }

    /// Starts the server, with a row.
    pub(super) fn start(&mut self, tried: &str) -> Result<Server, Fault> {
        let server = self.start_server()?;
        let seen = if server.is_ready {
            "ready"
        } else {
            "not ready"
        };
        self.table.row(tried, "ready", seen);
        Ok(server)
    }

    /// Stops the server, with a row.
    pub(super) fn stop_server(&mut self, server: Server) -> Result<(), Fault> {
        let seen = server.stop()?;
        self.table.row("stop the server", "exit code 0", seen);
        Ok(())
    }

    /// Counts the rows that a client reads through TLS; "none" where it reads nothing.
    pub(super) fn count(&self) -> Result<String, Fault> {
        let output = super::stage::output(&mut self.stage.service("mariadb/count"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().last().unwrap_or("none").trim().to_owned())
    }
}

impl Server {
    /// All its processes on the host: the one that the LAS started, and what came of it.
    pub(super) fn processes(&self) -> Result<Vec<u32>, Fault> {
        let mut family: Vec<u32> = self.first.into_iter().collect();
        let parents = parents()?;
        let mut at = 0;
        while let Some(&parent) = family.get(at) {
            let children = parents.iter().filter(|(_, its)| *its == parent);
            family.extend(children.map(|(pid, _)| *pid));
            at += 1;
        }
        Ok(family)
    }

    /// Asks it to end, and waits; how it ended, in the table's words.
    pub(super) fn stop(mut self) -> Result<String, Fault> {
        if self.run.try_wait().is_ok_and(|ended| ended.is_none()) {
            process::run(Command::new("kill").args(["-TERM", &self.run.id().to_string()]))?;
        }
        self.wait()
    }

    /// Waits for its end; how it ended, in the table's words.
    pub(super) fn wait(&mut self) -> Result<String, Fault> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let ended = self.run.try_wait();
            if let Some(status) = ended.map_err(file("wait for", Path::new("bannock run")))? {
                let code = status.code();
                return Ok(code.map_or("killed".into(), |code| format!("exit code {code}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok("does not end".into())
    }
}

/// Every process with its parent. Processes come and go while one looks.
fn parents() -> Result<Vec<(u32, u32)>, Fault> {
    let parent = |path: &Path| {
        let pid = path.file_name()?.to_str()?.parse().ok()?;
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        // The name, in parentheses, may hold anything; state and parent follow it.
        let (_, fields) = stat.rsplit_once(')')?;
        Some((pid, fields.split_whitespace().nth(1)?.parse().ok()?))
    };
    let all = entries(Path::new("/proc"))?;
    Ok(all.iter().filter_map(|path| parent(path)).collect())
}
