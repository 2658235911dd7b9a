//! A developer's own platform, LAS and CAS, in folders of their own, by `bannock dev`.

use crate::place::{binary, root};
use crate::process::{Outcome, Output, run};
use bannock_wire::launch::runtime_measurement;
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Longest run of one command.
const PATIENCE: Duration = Duration::from_secs(60);

/// Running platform, LAS and CAS; stopped when dropped.
pub struct Developer {
    folder: tempfile::TempDir,
    /// `ADDRESS:PORT` of the CAS.
    pub cas: String,
    /// SHA-256 of the simulated platform's root, in hex.
    pub platform_root: String,
}

/// The one that tests which run at the same time share.
static SHARED: Mutex<Weak<Developer>> = Mutex::new(Weak::new());

impl Developer {
    /// The running one, or a new one: starting one takes longer than most tests do. Names of sessions
    /// are common to all who share it.
    ///
    /// # Panics
    /// As [`Developer::up`].
    #[must_use]
    pub fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let developer = Arc::new(Self::up());
            *shared = Arc::downgrade(&developer);
            developer
        })
    }

    /// Starts them, and attests the CAS.
    ///
    /// # Panics
    /// When they do not come up, or the CAS does not prove what it is.
    #[must_use]
    pub fn up() -> Self {
        let mut developer = Self {
            folder: tempfile::tempdir().unwrap(),
            cas: free_address(),
            platform_root: String::new(),
        };
        developer.succeed(&["dev", "up", "--listen", &developer.cas]);
        let status = developer.json(&["dev", "status", "--json"]);
        developer.platform_root = status["root_sha256"].as_str().unwrap().to_owned();
        let measurement = measurement(&binary("bannock-cas"));
        developer.succeed(&[
            "cas",
            "attest",
            &developer.cas,
            "--measurement",
            &measurement,
            "--simulated-root",
            &developer.platform_root,
        ]);
        developer
    }

    /// A folder for what the test makes.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Socket of the LAS.
    #[must_use]
    pub fn las(&self) -> PathBuf {
        self.folder().join("run/bannock/las.sock")
    }

    /// The LAS's audit log, as records.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn las_audit(&self) -> Vec<Value> {
        let path = self.folder().join("state/bannock/dev/las-audit.jsonl");
        let text = fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// SHA-256 of the CAS's SubjectPublicKeyInfo, as pinned.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn cas_key(&self) -> [u8; 32] {
        let path = self.folder().join("config/bannock/cas.json");
        let known: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let key = known["keys"][&self.cas].as_str().unwrap();
        hex::decode(key).unwrap().try_into().unwrap()
    }

    /// `bannock` with this developer's folders.
    #[must_use]
    pub fn bannock(&self) -> Command {
        let mut command = Command::new(binary("bannock"));
        for (variable, folder) in [
            ("STATE_HOME", "state"),
            ("CONFIG_HOME", "config"),
            ("RUNTIME_DIR", "run"),
        ] {
            command.env(format!("XDG_{variable}"), self.folder().join(folder));
        }
        command.env("BANNOCK_LAS_ADDR", self.las());
        command
    }

    /// `bannock run` of a service, with the manifest of its tree.
    #[must_use]
    pub fn service(&self, config_id: &str, tree: &Path) -> Command {
        let mut command = self.bannock();
        command
            .args(["run", "--config-id", config_id, "--tree"])
            .arg(tree);
        command
    }

    /// Runs a service to its end.
    #[must_use]
    pub fn run(&self, config_id: &str, tree: &Path) -> Outcome {
        run(
            &mut self.service(config_id, tree),
            b"",
            Output::Pipe,
            PATIENCE,
        )
    }

    /// Standard output of a `bannock` command that has to succeed.
    ///
    /// # Panics
    /// When it does not.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        // The servers that `dev up` starts inherit no pipe of ours: they have logs of their own.
        let outcome = run(self.bannock().args(arguments), b"", Output::Pipe, PATIENCE);
        assert_eq!(outcome.code, Some(0), "{arguments:?}: {}", outcome.errors());
        outcome.text()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.succeed(arguments)).unwrap()
    }

    /// Creates a session.
    ///
    /// # Panics
    /// When the CAS refuses it.
    pub fn create_session(&self, text: &str) {
        let path = tempfile::NamedTempFile::new_in(self.folder()).unwrap();
        fs::write(&path, text).unwrap();
        self.succeed(&["session", "create", path.path().to_str().unwrap()]);
    }

    /// Measures what `programs` need into a manifest; its path, and its digest in hex.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn measure(&self, name: &str, programs: &[&Path]) -> (PathBuf, String) {
        let path = self.folder().join(name);
        let mut arguments = vec![
            "tree",
            "measure",
            "--json",
            "--output",
            path.to_str().unwrap(),
        ];
        for program in programs {
            arguments.extend(["--program", program.to_str().unwrap()]);
        }
        self.succeed(&arguments);
        let digest = self.json(&["tree", "digest", "--json", path.to_str().unwrap()]);
        let digest = digest["digest"].as_str().unwrap().to_owned();
        (path, digest)
    }
}

impl Drop for Developer {
    fn drop(&mut self) {
        let mut command = self.bannock();
        let _ = command
            .args(["dev", "down"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// SHA-256 of a file, in hex: its measurement on a process platform.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn measurement(path: &Path) -> String {
    hex::encode(runtime_measurement(&fs::read(path).unwrap()))
}

/// The runtime that keeps its channel to the LAS open, built for tests alone.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn runtime_that_keeps_its_channel() -> PathBuf {
    const NAME: &str = "bannock-runtime-keep-channel";
    if std::env::var_os("BANNOCK_E2E_BINARIES").is_some() {
        return binary(NAME);
    }
    let path = root().join("target/end-to-end").join(NAME);
    assert!(
        path.is_file(),
        "`{}` does not exist; `cargo xtask test bannock-e2e` builds it",
        path.display()
    );
    path
}

/// An address on the loopback that nobody uses at the moment.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
