//! `cargo xtask demo`: an unmodified MariaDB gets its keys only after proving what it is.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

use crate::{
    build,
    fault::Fault,
    packages, process,
    workspace::{Root, create_folder, entries, read},
};

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Use the binaries that `cargo xtask build` has made.
    #[arg(long)]
    skip_build: bool,
    /// Leave everything running, and say how to look around and stop.
    #[arg(long)]
    keep: bool,
}

/// Exit codes of `bannock run` (docs/exit-codes.md).
const DENIED: i32 = 120;
const UNAVAILABLE: i32 = 121;

/// What the rows contain, to be looked for on the host.
const MARKER: &str = "BANNOCK-DEMO-MARKER";

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// One line of the table at the end.
struct Row {
    tried: String,
    expected: String,
    seen: String,
}

struct Demo {
    binaries: PathBuf,
    state: PathBuf,
    tree: PathBuf,
    rows: Vec<Row>,
    cas: String,
}

/// Plays the story.
///
/// # Errors
/// When a step cannot be tried at all, or a row is not as expected.
pub(crate) fn run(root: &Root, options: &Options) -> Result<(), Fault> {
    packages::install_for(packages::For::Demo)?;
    if !options.skip_build {
        build::for_tests(root)?;
    }
    let state = root.join("target/demo");
    if state.exists() {
        fs::remove_dir_all(&state).map_err(file("remove", &state))?;
    }
    for folder in ["run", "config", "state", "data", "plugins", "package"] {
        create_folder(&state.join(folder))?;
    }
    let mut demo = Demo {
        binaries: root.join("target/bannock"),
        tree: state.join("mariadb.tree"),
        cas: format!("127.0.0.1:{}", free_port()?),
        state,
        rows: Vec::new(),
    };
    let played = demo.play(root);
    demo.print();
    if options.keep {
        println!(
            "left running; `XDG_STATE_HOME={0}/state XDG_CONFIG_HOME={0}/config XDG_RUNTIME_DIR={0}/run \
             {1}/bannock dev status` looks around, `… dev down` stops it",
            demo.state.display(),
            demo.binaries.display()
        );
    } else {
        demo.bannock(&["dev", "down"])?;
    }
    played?;
    let wrong = demo
        .rows
        .iter()
        .filter(|row| row.expected != row.seen)
        .count();
    if wrong == 0 {
        Ok(())
    } else {
        Err(Fault::Demo(wrong))
    }
}

fn file<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> Fault + use<'a> {
    move |source| Fault::File {
        action,
        path: path.into(),
        source,
    }
}

/// A TCP port that nobody uses at the moment.
fn free_port() -> Result<u16, Fault> {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(file("bind", Path::new("127.0.0.1")))
}

fn digest(path: &Path) -> Result<String, Fault> {
    Ok(Sha256::digest(read(path)?)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn code(output: &Output) -> String {
    output
        .status
        .code()
        .map_or("killed".into(), |code| format!("exit code {code}"))
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes
        .windows(word.len())
        .any(|window| window == word.as_bytes())
}

impl Demo {
    fn command(&self) -> Command {
        let mut command = Command::new(self.binaries.join("bannock"));
        command
            .env("XDG_STATE_HOME", self.state.join("state"))
            .env("XDG_CONFIG_HOME", self.state.join("config"))
            .env("XDG_RUNTIME_DIR", self.state.join("run"))
            .env("BANNOCK_LAS_ADDR", self.state.join("run/bannock/las.sock"))
            .stdin(Stdio::null());
        command
    }

    fn service(&self, name: &str) -> Command {
        let mut command = self.command();
        command
            .args(["run", "--audit-host-calls", "--config-id", name, "--tree"])
            .arg(&self.tree);
        command
    }

    fn output(command: &mut Command) -> Result<Output, Fault> {
        command.output().map_err(|source| Fault::Start {
            command: format!("{command:?}"),
            source,
        })
    }

    fn bannock(&self, arguments: &[&str]) -> Result<String, Fault> {
        process::output(self.command().args(arguments))
    }

    fn row(&mut self, tried: &str, expected: impl Into<String>, seen: impl Into<String>) {
        let row = Row {
            tried: tried.into(),
            expected: expected.into(),
            seen: seen.into(),
        };
        let verdict = if row.expected == row.seen {
            "ok"
        } else {
            "NOT AS EXPECTED"
        };
        println!("  {:<60} {verdict}", row.tried);
        self.rows.push(row);
    }

    /// A row for a command's exit code; its message is printed when it is not as expected.
    fn try_code(&mut self, tried: &str, expected: i32, command: &mut Command) -> Result<(), Fault> {
        let output = Self::output(command)?;
        if output.status.code() != Some(expected) {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
        }
        self.row(tried, format!("exit code {expected}"), code(&output));
        Ok(())
    }

    fn print(&self) {
        println!("\n{:<62} {:<24} seen", "tried", "expected");
        for row in &self.rows {
            println!("{:<62} {:<24} {}", row.tried, row.expected, row.seen);
        }
    }

    fn play(&mut self, root: &Root) -> Result<(), Fault> {
        println!("==> a simulated platform, a LAS and a CAS");
        self.bannock(&["dev", "up", "--listen", &self.cas])?;
        let status: serde_json::Value = serde_json::from_str(
            &self.bannock(&["dev", "status", "--json"])?,
        )
        .map_err(|source| Fault::Metadata {
            manifest: self.state.clone(),
            source,
        })?;
        let platform = status["root_sha256"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let measurement = digest(&self.binaries.join("bannock-cas"))?;
        let attest = [
            "cas",
            "attest",
            &self.cas,
            "--measurement",
            &measurement,
            "--simulated-root",
            &platform,
        ];
        self.try_code("the CAS proves what it is", 0, self.command().args(attest))?;

        println!("==> measuring MariaDB, and a session that gives it its secrets");
        self.fetch_plugin()?;
        self.measure()?;
        let session = self.session(root, &platform)?;
        let path = self.state.join("mariadb.yaml");
        fs::write(&path, &session).map_err(file("write", &path))?;
        self.try_code(
            "create the session",
            0,
            self.command().args(["session", "create"]).arg(&path),
        )?;

        println!("==> MariaDB under Bannock");
        self.try_code(
            "MariaDB's own bootstrap makes the data directory",
            0,
            &mut self.service("mariadb/bootstrap"),
        )?;
        let server = self.start_server()?;
        self.try_code(
            "load 10,000 rows through TLS, verified by the session's CA",
            0,
            &mut self.service("mariadb/load"),
        )?;
        self.count("read them back through TLS")?;

        println!("==> root looks around");
        self.look_around()?;
        self.stop(server)?;
        let server = self.start_server()?;
        self.count("stop, start, and read them back again")?;
        self.stop(server)?;

        println!("==> refusals");
        self.refusals(&session)
    }

    /// The key-management plugin is in a package that would start a service: its file alone is taken.
    fn fetch_plugin(&self) -> Result<(), Fault> {
        let package = self.state.join("package");
        process::run(
            Command::new("apt-get")
                .args(["download", "--quiet", "mariadb-server"])
                .current_dir(&package),
        )?;
        let archive = entries(&package)?
            .into_iter()
            .find(|path| path.extension().is_some_and(|e| e == "deb"));
        let archive = archive.ok_or_else(|| Fault::Packages("mariadb-server".into()))?;
        process::run(
            Command::new("dpkg-deb")
                .arg("--extract")
                .arg(archive)
                .arg(&package),
        )?;
        let name = "file_key_management.so";
        let from = package.join("usr/lib/mysql/plugin").join(name);
        let to = self.state.join("plugins").join(name);
        fs::copy(&from, &to).map(drop).map_err(file("copy", &from))
    }

    fn measure(&self) -> Result<(), Fault> {
        let mut command = self.command();
        command.args(["tree", "measure"]);
        for program in [
            "/usr/sbin/mariadbd",
            "/usr/bin/mariadb",
            "/bin/sh",
            "/bin/cat",
        ] {
            command.args(["--program", program]);
        }
        command
            .args(["--include", "/usr/share/mysql", "--include"])
            .arg(self.state.join("plugins"));
        let manifest = process::output(&mut command)?;
        fs::write(&self.tree, manifest).map_err(file("write", &self.tree))
    }

    /// The example's session with its blanks filled in.
    fn session(&self, root: &Root, platform: &str) -> Result<String, Fault> {
        let path = root.join("examples/mariadb/session.yaml");
        let template = String::from_utf8_lossy(&read(&path)?).into_owned();
        let tree: serde_json::Value = serde_json::from_str(&process::output(
            self.command()
                .args(["tree", "digest", "--json"])
                .arg(&self.tree),
        )?)
        .map_err(|source| Fault::Metadata {
            manifest: self.tree.clone(),
            source,
        })?;
        let tree = tree["root_digest"]
            .as_str()
            .or(tree["digest"].as_str())
            .unwrap_or_default()
            .to_owned();
        let folder = |name: &str| self.state.join(name).display().to_string();
        Ok(template
            .replace(
                "@RUNTIME@",
                &digest(&self.binaries.join("bannock-runtime"))?,
            )
            .replace("@ROOT@", platform)
            .replace("@TREE@", &tree)
            .replace("@DATA@", &folder("data"))
            .replace("@PLUGINS@", &folder("plugins"))
            .replace("@PORT@", &free_port()?.to_string())
            .replace("@MARKER@", MARKER))
    }

    fn start_server(&mut self) -> Result<Child, Fault> {
        let path = self.state.join("server.log");
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(file("open", &path))?;
        let again = log.try_clone().map_err(file("open", &path))?;
        let before = read(&path)?.len();
        let mut command = self.service("mariadb/server");
        command.stdout(log).stderr(again);
        let mut server = command.spawn().map_err(|source| Fault::Start {
            command: format!("{command:?}"),
            source,
        })?;
        let started = Instant::now();
        while !contains(
            read(&path)?.get(before..).unwrap_or_default(),
            "ready for connections",
        ) {
            let ended = server.try_wait().map_err(file("wait for", &path))?;
            if ended.is_some() || started.elapsed() > PATIENCE {
                let _ = std::io::stderr().write_all(&read(&path)?);
                self.row("start the server", "ready", "not ready");
                return Ok(server);
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.row("start the server", "ready", "ready");
        Ok(server)
    }

    fn stop(&mut self, mut server: Child) -> Result<(), Fault> {
        process::run(Command::new("kill").args(["-TERM", &server.id().to_string()]))?;
        let status = server
            .wait()
            .map_err(file("wait for", Path::new("bannock run")))?;
        let seen = status
            .code()
            .map_or("killed".into(), |code| format!("exit code {code}"));
        self.row("stop the server", "exit code 0", seen);
        Ok(())
    }

    fn count(&mut self, tried: &str) -> Result<(), Fault> {
        let output = Self::output(&mut self.service("mariadb/count"))?;
        self.row(
            tried,
            "10000",
            String::from_utf8_lossy(&output.stdout)
                .lines()
                .last()
                .unwrap_or_default()
                .trim(),
        );
        Ok(())
    }

    /// What root finds in files and processes while the server runs.
    fn look_around(&mut self) -> Result<(), Fault> {
        let revealed = Self::output(&mut self.service("mariadb/reveal"))?;
        let secrets = String::from_utf8_lossy(&revealed.stdout).into_owned();
        let mut words: Vec<&str> = secrets.lines().filter(|line| line.len() > 20).collect();
        self.row(
            "the owner's own service sees three secrets",
            "3",
            words.len().to_string(),
        );
        words.push(MARKER);
        let mut found = 0;
        let mut looked = 0;
        for folder in ["data", "state", "config", "run"] {
            let mut folders = vec![self.state.join(folder)];
            while let Some(folder) = folders.pop() {
                for path in entries(&folder)? {
                    if path.is_dir() {
                        folders.push(path);
                    } else if path.is_file() {
                        let bytes = read(&path)?;
                        looked += 1;
                        found += words.iter().filter(|word| contains(&bytes, word)).count();
                    }
                }
            }
        }
        for path in entries(Path::new("/proc"))? {
            for name in ["environ", "cmdline"] {
                // Processes come and go while one looks.
                if let Ok(bytes) = fs::read(path.join(name)) {
                    found += words.iter().filter(|word| contains(&bytes, word)).count();
                }
            }
        }
        let log = read(&self.state.join("server.log"))?;
        found += words.iter().filter(|word| contains(&log, word)).count();
        println!("  looked through {looked} files and all processes");
        self.row(
            "find marker, key or passwords in files or processes",
            "nothing",
            if found == 0 { "nothing" } else { "something" },
        );
        let mut client = Command::new("/usr/bin/mariadb");
        client
            .arg("--no-defaults")
            .arg("-S")
            .arg(self.state.join("data/mariadb.sock"))
            .args(["-uroot", "-e", "select 1"]);
        let output = Self::output(&mut client)?;
        self.row(
            "log in as root through the socket",
            "refused",
            // Any other failure, such as a server that is not there, is no refusal.
            if contains(&output.stderr, "Access denied") {
                "refused".into()
            } else {
                code(&output)
            },
        );
        Ok(())
    }

    /// Each refusal, and that the same is accepted once the tampering alone is undone.
    fn refusals(&mut self, session: &str) -> Result<(), Fault> {
        let honest = "mariadb/reveal";
        self.try_code("nothing tampered with", 0, &mut self.service(honest))?;
        let changed = self.state.join("runtime");
        let mut runtime = read(&self.binaries.join("bannock-runtime"))?;
        if let Some(last) = runtime.last_mut() {
            *last ^= 1;
        }
        fs::write(&changed, runtime).map_err(file("write", &changed))?;
        self.try_code(
            "a runtime with one byte changed",
            DENIED,
            self.service(honest).arg("--runtime").arg(&changed),
        )?;
        for program in ["/bin/cat", "/lib/x86_64-linux-gnu/libc.so.6"] {
            let copy = self.state.join("changed");
            let mut bytes = read(Path::new(program))?;
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            fs::write(&copy, bytes).map_err(file("write", &copy))?;
            // In a mount namespace of its own, so that the machine's file stays as it is.
            let inner = self.service(honest);
            let script = "mount --bind \"$0\" \"$1\" && shift && exec \"$@\"";
            let mut command = Command::new("unshare");
            command
                .args(["--mount", "/bin/sh", "-c", script])
                .arg(&copy)
                .arg(fs::canonicalize(program).map_err(file("find", Path::new(program)))?);
            command
                .arg(inner.get_program())
                .args(inner.get_args())
                .stdin(Stdio::null());
            for (name, value) in inner.get_envs() {
                command.env(name, value.unwrap_or_default());
            }
            self.try_code(
                &format!("{program} with one byte changed"),
                DENIED,
                &mut command,
            )?;
        }
        self.try_code(
            "a service that is not in the session",
            DENIED,
            &mut self.service("mariadb/nobody"),
        )?;
        self.try_code(
            "a service that names no simulated root",
            DENIED,
            &mut self.service("mariadb/strict"),
        )?;
        let wrong = "0".repeat(64);
        self.try_code(
            "a CAS that is not the pinned one",
            DENIED,
            self.service(honest).args(["--cas-key", &wrong]),
        )?;
        let stranger = self.state.join("stranger");
        create_folder(&stranger)?;
        let pin = ["cas", "attest", &self.cas, "--trust-on-first-use"];
        process::output(self.command().env("XDG_CONFIG_HOME", &stranger).args(pin))?;
        self.try_code(
            "another owner reads the session",
            DENIED,
            self.command()
                .env("XDG_CONFIG_HOME", &stranger)
                .args(["session", "read", "mariadb"]),
        )?;
        let stale = self.state.join("stale.yaml");
        let text = session.replacen(
            "version: \"0.3\"",
            &format!("version: \"0.3\"\npredecessor: {wrong}"),
            1,
        );
        fs::write(&stale, text).map_err(file("write", &stale))?;
        self.try_code(
            "an update with a stale predecessor",
            DENIED,
            self.command().args(["session", "update"]).arg(&stale),
        )?;
        self.try_code(
            "an argument added by the host",
            2,
            self.service(honest).args(["--", "--skip-grant-tables"]),
        )?;
        self.try_code(
            "the LAS is down",
            UNAVAILABLE,
            self.service(honest)
                .args(["--las", "/nonexistent/las.sock"]),
        )?;
        let (address, key) = (format!("127.0.0.1:{}", free_port()?), wrong.as_str());
        self.try_code(
            "the CAS is down",
            UNAVAILABLE,
            self.service(honest)
                .args(["--cas", &address, "--cas-key", key]),
        )?;
        self.try_code("all tampering undone", 0, &mut self.service(honest))
    }
}
