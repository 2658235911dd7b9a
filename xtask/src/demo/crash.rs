//! What a crash leaves on the host.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use super::{Demo, server::Server, stage::output, wrap::wrapped};
use crate::{fault::Fault, process, workspace::entries};

impl Demo {
    /// Starts platform, LAS and CAS where core dumps are as large as they may be, so that it is
    /// not this shell's limit that keeps secrets off the disk.
    pub(super) fn raise_core_limit(&self) -> Result<(), Fault> {
        let script = "ulimit -S -c \"$(ulimit -H -c)\" && exec \"$0\" \"$@\"";
        let up = self
            .stage
            .bannock(&["dev", "up", "--listen", &self.stage.cas]);
        process::output(&mut wrapped(&up, &["/bin/sh", "-c", script])).map(drop)
    }

    /// The host crashes the server.
    pub(super) fn crash(&mut self, mut server: Server) -> Result<(), Fault> {
        let family = server.processes()?;
        let limits: BTreeSet<String> = family.iter().map(|pid| core_limit(*pid)).collect();
        let limits: Vec<String> = limits.into_iter().collect();
        let status = self.stage.json(&["dev", "status"])?;
        let las = status["parts"][0]["pid"].as_u64();
        let las = las.and_then(|pid| u32::try_from(pid).ok()).map(core_limit);
        self.table.row(
            "core size limit of the server's processes on the host",
            "0",
            limits.join(", "),
        );
        println!(
            "  ({} processes; the LAS that started them has {})",
            family.len(),
            las.unwrap_or_default()
        );
        let folders: BTreeSet<PathBuf> = family
            .iter()
            .filter_map(|pid| fs::canonicalize(format!("/proc/{pid}/cwd")).ok())
            .chain([self.stage.folder.clone(), self.stage.path("data")])
            .collect();
        let before = cores(&folders)?;
        let words = family.iter().rev().map(u32::to_string);
        // Some are gone by the time that it is their turn.
        let _ = output(Command::new("/bin/kill").arg("-ABRT").args(words))?;
        let ended = server.wait()?;
        let seen = match ended.as_str() {
            "exit code 0" | "does not end" => &ended,
            _ => "crashes",
        };
        self.table
            .row("SIGABRT to all processes of the server", "crashes", seen);
        let after = cores(&folders)?;
        let new: Vec<_> = after.difference(&before).collect();
        self.table.row(
            "core dumps after that",
            "none",
            match new.first() {
                None => "none".to_owned(),
                Some(path) => path.display().to_string(),
            },
        );
        Ok(())
    }
}

/// The soft limit on the size of a process's core dump.
fn core_limit(pid: u32) -> String {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let mut lines = limits.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max core file size"));
    let soft = line.and_then(|rest| rest.split_whitespace().next());
    soft.unwrap_or("unknown").to_owned()
}

/// Files that may be core dumps.
fn cores(folders: &BTreeSet<PathBuf>) -> Result<BTreeSet<PathBuf>, Fault> {
    let mut found = BTreeSet::new();
    for folder in folders {
        found.extend(entries(folder)?.into_iter().filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            path.is_file() && (name == "core" || name.starts_with("core."))
        }));
    }
    Ok(found)
}
