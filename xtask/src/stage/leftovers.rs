//! What runs in the background, so that a later command can stop it.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{Stage, contains, file};
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

/// Stops what an earlier stage in `folder`, relative to the checkout, has left running, if anything.
///
/// # Errors
/// When a process does not end.
pub(crate) fn stop(root: &Root, folder: &str) -> Result<(), Fault> {
    let folder = root.join(folder);
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

/// Ends a process, if it still is the stage's: numbers are used again.
fn end(process: u32, folder: &Path) -> Result<(), Fault> {
    let own = format!("XDG_STATE_HOME={}\0", folder.join("state").display());
    let runs =
        || fs::read(format!("/proc/{process}/environ")).is_ok_and(|bytes| contains(&bytes, &own));
    if !runs() {
        return Ok(());
    }
    process::run(Command::new("/bin/kill").args(["-TERM", &process.to_string()]))?;
    println!("stopped process {process} of {}", folder.display());
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
