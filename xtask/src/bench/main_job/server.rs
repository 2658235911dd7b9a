//! The same MariaDB natively and under Bannock.

use std::{
    fs,
    io::Read as _,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    fault::Fault,
    process,
    stage::{self, Stage, file, free_port},
    workspace::{Root, create_folder, read},
};

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a server that starts is asked: fine enough for the comparison, and rare enough not to
/// compete with it.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// What runs a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Native,
    Bannock,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Bannock => "bannock",
        }
    }
}

/// Where both servers are, with platform, LAS and CAS.
pub(super) struct Site {
    pub(super) stage: Stage,
    /// A tmpfs of its own, unmounted when this is dropped. (MariaDB takes `/dev/shm` for persistent
    /// memory and maps its log there, which no deployment does.)
    tmpfs: Tmpfs,
    ports: [u16; 2],
}

/// Where it is in the benchmark's folder.
const TMPFS: &str = "tmpfs";

struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(path: PathBuf) -> Result<Self, Fault> {
        create_folder(&path)?;
        process::run(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=4G", "tmpfs"])
                .arg(&path),
        )?;
        Ok(Self(path))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        if let Err(fault) = process::run(Command::new("umount").arg(&self.0)) {
            println!("{fault}");
        }
    }
}

/// Folder of the benchmark, relative to the checkout.
const FOLDER: &str = "target/bench/main-job";

/// Stops and unmounts what an interrupted benchmark has left.
///
/// # Errors
/// When a process does not end, or the tmpfs stays busy.
pub(crate) fn stop(root: &Root) -> Result<(), Fault> {
    stage::stop(root, FOLDER)?;
    let path = root.join(FOLDER).join(TMPFS);
    let mounts = String::from_utf8_lossy(&read(Path::new("/proc/self/mounts"))?).into_owned();
    let mounted = format!(" {} ", path.display());
    if mounts.lines().any(|line| line.contains(&mounted)) {
        drop(Tmpfs(path));
    }
    Ok(())
}

impl Site {
    /// Data directories for both, and the session.
    pub(super) fn prepare(root: &Root) -> Result<Self, Fault> {
        stop(root)?;
        let stage = Stage::set(root, FOLDER, "bench/main-job")?;
        let tmpfs = Tmpfs::mount(stage.path(TMPFS))?;
        let site = Self {
            tmpfs,
            ports: [free_port()?, free_port()?],
            stage,
        };
        site.configure(Kind::Native)?;
        site.bootstrap()?;
        let (from, to) = (site.folder(Kind::Native), site.folder(Kind::Bannock));
        process::run(Command::new("cp").arg("-a").arg(&from).arg(&to))?;
        site.up()?;
        Ok(site)
    }

    /// The tmpfs.
    pub(super) fn data(&self) -> &Path {
        &self.tmpfs.0
    }

    fn folder(&self, kind: Kind) -> PathBuf {
        self.tmpfs.0.join(kind.name())
    }

    fn port(&self, kind: Kind) -> u16 {
        let [native, bannock] = self.ports;
        match kind {
            Kind::Native => native,
            Kind::Bannock => bannock,
        }
    }

    fn log(&self, kind: Kind) -> PathBuf {
        self.stage.path(&format!("{}.log", kind.name()))
    }

    /// The one my.cnf, for one side.
    fn configuration(&self, kind: Kind) -> Result<String, Fault> {
        self.stage.fill(
            "my.cnf",
            &[
                ("DATA", &self.folder(kind).display().to_string()),
                ("PORT", &self.port(kind).to_string()),
            ],
        )
    }

    fn configure(&self, kind: Kind) -> Result<PathBuf, Fault> {
        self.stage.write("my.cnf", self.configuration(kind)?)
    }

    /// MariaDB's own bootstrap, natively: both sides start from the same bytes.
    fn bootstrap(&self) -> Result<(), Fault> {
        const SCRIPT: &str = "cd /usr/share/mysql && { printf 'create database mysql;\\nuse mysql;\\n'; \
             cat mysql_system_tables.sql mysql_performance_tables.sql mysql_system_tables_data.sql; } \
             | /usr/sbin/mariadbd --defaults-file=\"$0\" --bootstrap";
        create_folder(&self.folder(Kind::Native))?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT]).arg(self.stage.path("my.cnf"));
        let log = self.log(Kind::Native);
        let done = stage::output(&mut command)?;
        fs::write(&log, &done.stderr).map_err(file("write", &log))?;
        if done.status.success() {
            return Ok(());
        }
        println!("{}", String::from_utf8_lossy(&done.stderr));
        Err(Fault::Failed {
            command: "mariadbd --bootstrap".into(),
            status: done.status,
        })
    }

    /// Starts platform, LAS and CAS, and creates the session.
    fn up(&self) -> Result<(), Fault> {
        process::output(
            &mut self
                .stage
                .bannock(&["dev", "up", "--listen", &self.stage.cas]),
        )?;
        let platform = self.stage.platform_root()?;
        process::output(&mut self.stage.attest(&platform)?)?;
        let tree =
            self.stage
                .measure("bench.tree", &["/usr/sbin/mariadbd"], &["/usr/share/mysql"])?;
        let configuration: Vec<String> = self
            .configuration(Kind::Bannock)?
            .lines()
            .map(|line| format!("          {line}"))
            .collect();
        let session = self.stage.fill(
            "session.yaml",
            &[
                ("RUNTIME", &self.stage.measurement("bannock-runtime")?),
                ("ROOT", &platform),
                ("TREE", &tree),
                ("CONFIGURATION", &configuration.join("\n")),
                ("DATA", &self.folder(Kind::Bannock).display().to_string()),
            ],
        )?;
        let path = self.stage.write("session.yaml", session)?;
        process::output(self.stage.bannock(&["session", "create"]).arg(path)).map(drop)
    }

    /// Starts a server and waits until it greets its first client.
    pub(super) fn start(&mut self, kind: Kind) -> Result<Server, Fault> {
        let mut command = match kind {
            Kind::Native => {
                // A session of its own, as the LAS gives its instances: the scheduler shares a busy
                // machine among sessions.
                let mut command = Command::new("setsid");
                let mut option = std::ffi::OsString::from("--defaults-file=");
                option.push(self.configure(kind)?);
                command
                    .arg("/usr/sbin/mariadbd")
                    .arg(option)
                    .envs(self.stage.variables());
                command
            }
            Kind::Bannock => {
                let mut command =
                    self.stage
                        .bannock(&["run", "--stats", "--config-id", "bench/server"]);
                command.arg("--tree").arg(self.stage.path("bench.tree"));
                command
            }
        };
        let path = self.log(kind);
        let log = fs::File::create(&path).map_err(file("write", &path))?;
        let again = log.try_clone().map_err(file("write", &path))?;
        command.stdin(Stdio::null()).stdout(log).stderr(again);
        let mut server = Server {
            process: self.stage.start(&mut command)?,
            port: self.port(kind),
        };
        if server.greets(&path)? {
            return Ok(server);
        }
        println!("{}", String::from_utf8_lossy(&read(&path)?));
        Err(Fault::Silent {
            server: format!("the {} MariaDB", kind.name()),
            log: path,
        })
    }

    /// Milliseconds that the instance which ended last has spent on attestation and configuration.
    pub(super) fn provisioning(&self) -> Result<f64, Fault> {
        const LABEL: &str = "attestation and configuration: ";
        let log = read(&self.log(Kind::Bannock))?;
        let log = String::from_utf8_lossy(&log);
        log.split_once(LABEL)
            .and_then(|(_, rest)| rest.split(' ').next())
            .and_then(|figure| figure.parse().ok())
            .ok_or_else(|| Fault::Figure {
                command: "bannock run --stats".into(),
                text: log.into_owned(),
            })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Err(fault) = process::output(&mut self.stage.bannock(&["dev", "down"])) {
            println!("{fault}");
        }
    }
}

/// A server that runs; killed when it is dropped without having been stopped.
pub(super) struct Server {
    process: Child,
    pub(super) port: u16,
}

impl Server {
    /// Whether the server sends its greeting before it ends or patience does.
    fn greets(&mut self, log: &Path) -> Result<bool, Fault> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            // A greeting begins with its length and the number 0.
            let mut header = [0; 4];
            if let Ok(mut connection) = TcpStream::connect(address)
                && connection.read_exact(&mut header).is_ok()
            {
                return Ok(true);
            }
            if self
                .process
                .try_wait()
                .map_err(file("wait for the server of", log))?
                .is_some()
            {
                return Ok(false);
            }
            thread::sleep(ASK_EVERY);
        }
        Ok(false)
    }

    /// MariaDB's own client, for this server.
    pub(super) fn client(&self) -> Command {
        let mut command = Command::new("/usr/bin/mariadb");
        command
            .args(["--no-defaults", "--host=127.0.0.1", "--user=root"])
            .arg(format!("--port={}", self.port));
        command
    }

    /// Has a query answered.
    pub(super) fn query(&self, sql: &str) -> Result<(), Fault> {
        process::output(self.client().args(["--execute", sql])).map(drop)
    }

    /// Stops it as a service manager does.
    pub(super) fn stop(mut self) -> Result<(), Fault> {
        process::run(Command::new("kill").args(["-TERM", &self.process.id().to_string()]))?;
        let status = self
            .process
            .wait()
            .map_err(file("wait for", Path::new("the server")))?;
        if status.success() {
            return Ok(());
        }
        Err(Fault::Failed {
            command: "mariadbd".into(),
            status,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            // `bannock run` hands the signal on to its instance, which a kill would not.
            let _ =
                process::run(Command::new("kill").args(["-TERM", &self.process.id().to_string()]));
            let _ = self.process.wait();
        }
    }
}
