//! The host tampers with what runs: files, arguments, addresses.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{Demo, audit::Record, refusals::Refusal, server::SERVER, wrap::seeing};
use crate::{
    fault::Fault,
    process,
    stage::{file, free_port, text},
    workspace::{create_folder, read},
};

/// A service that ends by itself.
pub(super) const HONEST: &str = "mariadb/reveal";

/// How long a CAS may take until it listens.
const PATIENCE: Duration = Duration::from_secs(30);

impl Demo {
    /// One change at a time.
    pub(super) fn tampering(&mut self) -> Result<(), Fault> {
        self.change_runtime()?;
        for (original, tried) in [
            ("/usr/sbin/mariadbd", "mariadbd with one byte changed"),
            (
                "/lib/x86_64-linux-gnu/libssl.so.3",
                "a library of mariadbd with one byte changed",
            ),
        ] {
            self.change_file(original, tried)?;
        }
        self.add_argument()?;
        self.present_another_cas()
    }

    fn change_runtime(&mut self) -> Result<(), Fault> {
        let runtime = self.stage.binaries.join("bannock-runtime");
        let changed = self.with_one_byte_changed(&runtime)?;
        let refusal = Refusal {
            tried: "a runtime with one byte changed",
            why: "mrenclave differs",
            record: Record::Denied {
                session: "mariadb",
                reason: "mrenclave differs",
            },
        };
        let mut tampered = self.stage.service(HONEST);
        tampered.arg("--runtime").arg(changed);
        self.refuse(&refusal, &mut tampered, |demo| demo.runs(HONEST))
    }

    fn change_file(&mut self, original: &str, tried: &str) -> Result<(), Fault> {
        let real = fs::canonicalize(original).map_err(file("find", Path::new(original)))?;
        let real = real.display().to_string();
        let changed = self.with_one_byte_changed(Path::new(&real))?;
        let name = Path::new(&real).file_name().unwrap_or_default();
        let refusal = Refusal {
            tried,
            why: &name.to_string_lossy(),
            // The instance has no channel any more when its program opens a file.
            record: Record::Ended {
                service: SERVER,
                code: 120,
            },
        };
        let mut tampered = seeing(&self.server(), &real, &changed);
        self.refuse(&refusal, &mut tampered, Self::serves)
    }

    fn add_argument(&mut self) -> Result<(), Fault> {
        let refusal = Refusal {
            tried: "an argument added by the host",
            why: "the host added the argument `--skip-grant-tables`",
            record: Record::GaveUp {
                service: SERVER,
                reason: "--skip-grant-tables",
            },
        };
        let mut tampered = self.server();
        tampered.args(["--", "--skip-grant-tables"]);
        self.refuse(&refusal, &mut tampered, Self::serves)
    }

    /// Another CAS, genuine in all but its key, where the pinned one is expected.
    fn present_another_cas(&mut self) -> Result<(), Fault> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut other = self.start_another_cas(&address)?;
        let key = text(&self.stage.json(&["cas", "status"])?["status"]["key"]);
        let refusal = Refusal {
            tried: "a CAS that is not the pinned one",
            why: "is not the pinned one",
            record: Record::GaveUp {
                service: HONEST,
                reason: "is not the pinned one",
            },
        };
        let mut tampered = self.stage.service(HONEST);
        tampered.args(["--cas", &address, "--cas-key", &key]);
        let mut honest = self.stage.service(HONEST);
        honest.args(["--cas", &self.stage.cas, "--cas-key", &key]);
        let judged = self.refuse(&refusal, &mut tampered, |_| {
            super::refusals::succeeds(&mut honest)
        });
        process::run(Command::new("kill").args(["-TERM", &other.id().to_string()]))?;
        other
            .wait()
            .map_err(file("wait for", Path::new("bannock cas serve")))?;
        judged
    }

    fn start_another_cas(&self, address: &str) -> Result<Child, Fault> {
        let folder = self.stage.path("other-cas");
        create_folder(&folder)?;
        let path = self.stage.path("other-cas.log");
        let log = fs::File::create(&path).map_err(file("create", &path))?;
        let mut serve = self
            .stage
            .bannock(&["cas", "serve", "--listen", address, "--store"]);
        serve.arg(folder).stdout(Stdio::null()).stderr(log);
        let mut cas = self.stage.spawn(&mut serve)?;
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = cas.try_wait().map_err(file("wait for", &path))?;
            if ended.is_some() || begin.elapsed() > PATIENCE {
                let source = std::io::ErrorKind::TimedOut.into();
                return Err(file("start a CAS with the log", &path)(source));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(cas)
    }

    fn with_one_byte_changed(&self, original: &Path) -> Result<PathBuf, Fault> {
        let mut bytes = read(original)?;
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        let path = self.stage.write("changed", bytes)?;
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .map_err(file("make executable", &path))?;
        Ok(path)
    }
}
