//! Leaving the demo running, and stopping it later.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    Demo,
    server::LOG,
    stage::{FOLDER, Stage, contains, file},
};
use crate::{
    fault::Fault,
    process,
    workspace::{Root, read},
};

/// File that lists the processes that were started in the background.
const PROCESSES: &str = "processes";

/// How long a process may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(30);

impl Stage {
    /// Remembers a process, so that [`stop`] finds it.
    pub(super) fn remember(&self, process: u32) -> Result<(), Fault> {
        let path = self.path(PROCESSES);
        let mut known = if path.exists() {
            read(&path)?
        } else {
            Vec::new()
        };
        known.extend(format!("{process}\n").into_bytes());
        self.write(PROCESSES, known).map(drop)
    }
}

impl Demo {
    /// Starts the server once more and says what can be done with it.
    pub(super) fn keep(&mut self) -> Result<(), Fault> {
        let server = self.start_server()?;
        let stage = &self.stage;
        let quoted = |path: &Path| format!("'{}'", path.display());
        println!("\nleft running; in a shell:\n");
        for (name, value) in stage.variables() {
            println!("export {name}={}", quoted(&value));
        }
        println!("export PATH={}:\"$PATH\"", quoted(&stage.binaries));
        println!("cd {}", quoted(&stage.folder));
        let run = "bannock run --tree mariadb.tree --config-id";
        println!("\n# connect: the owner's own client, and one outside of Bannock");
        println!("{run} mariadb/count");
        // An update of the session issues certificates anew.
        println!("{run} mariadb/ca > ca.crt");
        println!(
            "MYSQL_PWD=$({run} mariadb/reveal | sed -n 3p) mariadb --no-defaults --host=127.0.0.1 \
             --port={} --user=app --ssl-ca=ca.crt --ssl-verify-server-cert demo",
            stage.port
        );
        println!("\n# look around");
        println!("bannock dev status; bannock cas status; bannock session audit");
        println!("grep -r BANNOCK-DEMO-MARKER data state {LOG} || echo 'not there'");
        println!("tail -n 3 state/bannock/dev/las-audit.jsonl");
        println!("\n# stop; `cargo xtask clean` does that too, and removes everything");
        println!("kill {} && bannock dev down", server.run.id());
        Ok(())
    }
}

/// Stops what a demo has left running, if any.
///
/// # Errors
/// When a process does not end.
pub(crate) fn stop(root: &Root) -> Result<(), Fault> {
    let folder = root.join(FOLDER);
    let list = folder.join(PROCESSES);
    if list.exists() {
        for line in String::from_utf8_lossy(&read(&list)?).lines() {
            if let Ok(process) = line.parse() {
                end(process, &folder)?;
            }
        }
        fs::remove_file(&list).map_err(file("remove", &list))?;
    }
    let bannock = root.join("target/bannock/bannock");
    if !folder.join("state/bannock/dev").exists() || !bannock.exists() {
        return Ok(());
    }
    process::run(
        Command::new(bannock)
            .args(["dev", "down"])
            .env("XDG_STATE_HOME", folder.join("state"))
            .env("XDG_CONFIG_HOME", folder.join("config"))
            .env("XDG_RUNTIME_DIR", folder.join("run"))
            .stdin(Stdio::null()),
    )
}

/// Ends a process, if it still is the demo's: numbers are used again.
fn end(process: u32, folder: &Path) -> Result<(), Fault> {
    let own = format!("XDG_STATE_HOME={}\0", folder.join("state").display());
    let runs =
        || fs::read(format!("/proc/{process}/environ")).is_ok_and(|bytes| contains(&bytes, &own));
    if !runs() {
        return Ok(());
    }
    process::run(Command::new("/bin/kill").args(["-TERM", &process.to_string()]))?;
    println!("stopped process {process} of the demo");
    let begin = Instant::now();
    while runs() {
        if begin.elapsed() > PATIENCE {
            let source = std::io::ErrorKind::TimedOut.into();
            let path = format!("/proc/{process}");
            return Err(file("end the process", Path::new(&path))(source));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
