//! A simulated platform with LAS and CAS in a folder of its own, and the commands for it: where the
//! demo plays and benchmarks run.

mod leftovers;

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

pub(crate) use leftovers::stop;

use crate::{
    digest::sha256,
    fault::Fault,
    process,
    workspace::{Root, create_folder, entries, read},
};

/// What the rows contain, to be looked for on the host.
pub(crate) const MARKER: &str = "BANNOCK-DEMO-MARKER";

/// The folder and what is in it.
pub(crate) struct Stage {
    /// The example's files.
    pub(crate) example: PathBuf,
    /// Where the binaries are.
    pub(crate) binaries: PathBuf,
    /// Where everything is written.
    pub(crate) folder: PathBuf,
    /// Where a downloaded package is kept for the next time.
    packages: PathBuf,
    /// Address of the CAS.
    pub(crate) cas: String,
    /// Port of MariaDB.
    pub(crate) port: u16,
}

impl Stage {
    /// A fresh one in `folder`, with sessions from `example`; both relative to the checkout.
    pub(crate) fn set(root: &Root, folder: &str, example: &str) -> Result<Self, Fault> {
        let folder = root.join(folder);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(file("remove", &folder))?;
        }
        for name in ["run", "config", "state", "data", "plugins"] {
            create_folder(&folder.join(name))?;
        }
        Ok(Self {
            example: root.join(example),
            binaries: root.join("target/bannock"),
            packages: root.join("target/packages"),
            folder,
            cas: format!("127.0.0.1:{}", free_port()?),
            port: free_port()?,
        })
    }

    /// A path below the demo's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Variables that make `bannock` keep everything in the demo's folder.
    pub(crate) fn variables(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("XDG_STATE_HOME", self.path("state")),
            ("XDG_CONFIG_HOME", self.path("config")),
            ("XDG_RUNTIME_DIR", self.path("run")),
            ("BANNOCK_LAS_ADDR", self.las()),
        ]
    }

    /// Socket of the LAS.
    pub(crate) fn las(&self) -> PathBuf {
        self.path("run/bannock/las.sock")
    }

    /// The `bannock` command.
    pub(crate) fn bannock(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binaries.join("bannock"));
        command
            .args(arguments)
            .envs(self.variables())
            .stdin(Stdio::null());
        command
    }

    /// The `bannock` command of another owner, who has no more than the address of the CAS.
    pub(crate) fn stranger(&self, arguments: &[&str]) -> Command {
        let mut command = self.bannock(arguments);
        command.env("XDG_CONFIG_HOME", self.path("stranger"));
        command
    }

    /// Runs a service of the session, under the filter that admits no host call that the platform
    /// does not list.
    pub(crate) fn service(&self, name: &str) -> Command {
        let mut command = self.bannock(&["run", "--audit-host-calls", "--config-id", name]);
        command.arg("--tree").arg(self.path("mariadb.tree"));
        command
    }

    /// SHA-256 of the simulated platform's root certificate.
    pub(crate) fn platform_root(&self) -> Result<String, Fault> {
        Ok(text(&self.json(&["dev", "status"])?["root_sha256"]))
    }

    /// Has the CAS prove what it is, on the platform with this root.
    pub(crate) fn attest(&self, root: &str) -> Result<Command, Fault> {
        let measurement = self.measurement("bannock-cas")?;
        let mut attest = self.bannock(&["cas", "attest", &self.cas]);
        attest.args(["--measurement", &measurement, "--simulated-root", root]);
        Ok(attest)
    }

    /// Starts a command that goes on beside this program, and is no business of its terminal.
    pub(crate) fn spawn(&self, command: &mut Command) -> Result<Child, Fault> {
        self.start(command.process_group(0))
    }

    /// Starts a command that goes on beside this program.
    pub(crate) fn start(&self, command: &mut Command) -> Result<Child, Fault> {
        let child = command.spawn().map_err(|source| Fault::Start {
            command: process::line(command),
            source,
        })?;
        self.remember(child.id())?;
        Ok(child)
    }

    /// What a command prints as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Result<serde_json::Value, Fault> {
        let text = process::output(self.bannock(arguments).arg("--json"))?;
        serde_json::from_str(&text).map_err(|source| Fault::Answer {
            command: format!("bannock {}", arguments.join(" ")),
            source,
        })
    }

    /// Writes a file of the demo.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf, Fault> {
        let path = self.path(name);
        fs::write(&path, content).map_err(file("write", &path))?;
        Ok(path)
    }

    /// SHA-256 of a binary, as evidence has it.
    pub(crate) fn measurement(&self, name: &str) -> Result<String, Fault> {
        sha256(&self.binaries.join(name))
    }

    /// An example's session with its blanks filled in.
    pub(crate) fn fill(&self, name: &str, blanks: &[(&str, &str)]) -> Result<String, Fault> {
        let mut text = String::from_utf8_lossy(&read(&self.example.join(name))?).into_owned();
        for (blank, value) in blanks {
            text = text.replace(&format!("@{blank}@"), value);
        }
        Ok(text)
    }

    /// Measures a tree into the file `name`; its root digest.
    pub(crate) fn measure(
        &self,
        name: &str,
        programs: &[&str],
        included: &[&str],
    ) -> Result<String, Fault> {
        let output = self.path(name).display().to_string();
        let mut arguments = vec!["tree", "measure", "--output", &output];
        for program in programs {
            arguments.extend(["--program", program]);
        }
        for glob in included {
            arguments.extend(["--include", glob]);
        }
        let measured = self.json(&arguments)?;
        Ok(text(&measured["digest"]))
    }

    /// The key-management plugin is in a package that would start a service: its file alone is
    /// taken, of the version that the server has.
    pub(crate) fn fetch_plugin(&self) -> Result<(), Fault> {
        const NAME: &str = "file_key_management.so";
        let version = process::output(Command::new("dpkg-query").args([
            "--show",
            "--showformat=${Version}",
            "mariadb-server-core",
        ]))?;
        let package = self.packages.join(format!("mariadb-server-{version}"));
        let from = package.join("usr/lib/mysql/plugin").join(NAME);
        if !from.exists() {
            create_folder(&package)?;
            process::run(
                Command::new("apt-get")
                    .args(["download", "--quiet"])
                    .arg(format!("mariadb-server={version}"))
                    .current_dir(&package),
            )?;
            let archive = entries(&package)?
                .into_iter()
                .find(|path| path.extension().is_some_and(|kind| kind == "deb"))
                .ok_or_else(|| Fault::Packages("mariadb-server".into()))?;
            process::run(
                Command::new("dpkg-deb")
                    .arg("--extract")
                    .arg(archive)
                    .arg(&package),
            )?;
        }
        let to = self.path("plugins").join(NAME);
        fs::copy(&from, &to).map(drop).map_err(file("copy", &from))
    }
}

/// Runs a command to its end, whatever that is.
pub(crate) fn output(command: &mut Command) -> Result<Output, Fault> {
    command.output().map_err(|source| Fault::Start {
        command: process::line(command),
        source,
    })
}

/// How a program ended, in the table's words.
pub(crate) fn code(output: &Output) -> String {
    let code = output.status.code();
    code.map_or("killed".into(), |code| format!("exit code {code}"))
}

/// A string in JSON; nothing where there is none.
pub(crate) fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Whether `word` occurs in `bytes`.
pub(crate) fn contains(bytes: &[u8], word: impl AsRef<[u8]>) -> bool {
    memchr::memmem::find(bytes, word.as_ref()).is_some()
}

/// Names what failed on which file.
pub(crate) fn file<'a>(
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
pub(crate) fn free_port() -> Result<u16, Fault> {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(file("bind", Path::new("127.0.0.1")))
}
