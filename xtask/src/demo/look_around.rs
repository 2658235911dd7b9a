//! What root finds on the host while the server runs, and when it crashes.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{
    Demo,
    server::{LOG, SERVER, Server},
};
use crate::{
    fault::Fault,
    stage::{MARKER, code, contains, file, output},
    workspace::{entries, read},
};

/// What must be nowhere.
pub(super) struct Secrets {
    /// Password of the user `app`.
    pub(super) app_password: String,
    /// Key, passwords, the server's private key and the marker, as they might be found.
    words: Vec<Vec<u8>>,
}

impl Secrets {
    fn of(text: &str) -> Self {
        let mut lines = text.lines();
        let mut next = || lines.next().unwrap_or_default().to_owned();
        let (table_key, root_password, app_password) = (next(), next(), next());
        let private_key = lines.filter(|line| !line.starts_with("-----"));
        let words = [&table_key, &root_password, &app_password]
            .map(|word| word.clone().into_bytes())
            .into_iter()
            .chain([unhex(&table_key), MARKER.into()])
            .chain(private_key.map(|line| line.as_bytes().to_vec()))
            .filter(|word| word.len() >= 16)
            .collect();
        Self {
            app_password,
            words,
        }
    }

    fn are_in(&self, bytes: &[u8]) -> bool {
        self.words.iter().any(|word| contains(bytes, word))
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

impl Demo {
    /// The secrets, from the service by which the owner shows them.
    pub(super) fn secrets(&self) -> Result<Secrets, Fault> {
        let revealed = output(&mut self.stage.service("mariadb/reveal"))?;
        Ok(Secrets::of(&String::from_utf8_lossy(&revealed.stdout)))
    }

    /// Files, processes and the socket.
    pub(super) fn look_around(&mut self, server: &Server) -> Result<(), Fault> {
        let secrets = self.secrets()?;
        // Key in two forms, two passwords, the marker and three lines of a private key.
        self.table.row(
            "words to look for, as the owner's own service shows them",
            "8",
            secrets.words.len().to_string(),
        );
        let own = read(&self.stage.path("mariadb.yaml"))?;
        self.table.row(
            "look for them in the session that the owner wrote",
            "found",
            found(secrets.are_in(&own)),
        );
        for (what, folder) in [
            ("MariaDB's data directory", "data"),
            ("the CAS's store and audit log", "state/bannock/dev/cas"),
            ("state and logs of LAS and CAS", "state/bannock/dev"),
            ("the owner's configuration", "config"),
            ("the server's log", LOG),
        ] {
            let (files, has) = search(&self.stage.path(folder), &secrets)?;
            // Where nothing is looked through, nothing is found either.
            let seen = if files == 0 { "no files" } else { found(has) };
            self.table
                .row(&format!("look for them in {what}"), "not found", seen);
        }
        let mut has = server.processes()?.len() < 2;
        for path in entries(Path::new("/proc"))? {
            for name in ["environ", "cmdline"] {
                // Processes come and go while one looks.
                has |= fs::read(path.join(name)).is_ok_and(|bytes| secrets.are_in(&bytes));
            }
        }
        self.table.row(
            "look for them in every /proc/PID/environ and cmdline",
            "not found",
            found(has),
        );
        let mut client = Command::new("/usr/bin/mariadb");
        client
            .arg("--no-defaults")
            .arg("-S")
            .arg(self.stage.path("data/mariadb.sock"))
            .args(["-uroot", "-e", "select 1"]);
        let output = output(&mut client)?;
        // Any other failure, such as a server that is not there, is no refusal.
        let seen = if contains(&output.stderr, "Access denied") {
            "refused".into()
        } else {
            code(&output)
        };
        self.table
            .row("log in as root through the socket", "refused", seen);
        Ok(())
    }

    /// Starts the server again while it runs; MariaDB retries for half a minute, so that others
    /// may go on meanwhile.
    pub(super) fn start_second(&self) -> Result<Child, Fault> {
        let mut second = self.stage.service(SERVER);
        self.stage
            .spawn(second.stdout(Stdio::null()).stderr(Stdio::piped()))
    }

    /// The second server must have failed, and the first not have noticed.
    pub(super) fn judge_second(&mut self, second: Child) -> Result<(), Fault> {
        println!("  waiting for the second server to give up");
        let ended = second
            .wait_with_output()
            .map_err(file("wait for", Path::new("bannock run")))?;
        let mut seen = if ended.status.success() {
            "ended well".to_owned()
        } else {
            "fails".to_owned()
        };
        seen += match contains(&ended.stderr, "lock") {
            true => ", names the lock",
            false => ", does not name the lock",
        };
        seen += &format!(", the first one answers {}", self.count()?);
        self.table.row(
            "a second server on the same data directory",
            "fails, names the lock, the first one answers 10000",
            seen,
        );
        Ok(())
    }
}

fn found(has: bool) -> &'static str {
    if has { "found" } else { "not found" }
}

/// Number of files in a file or folder, and whether one of them has a secret.
fn search(path: &Path, secrets: &Secrets) -> Result<(usize, bool), Fault> {
    if path.is_dir() {
        let mut all = (0, false);
        for path in entries(path)? {
            let (files, has) = search(&path, secrets)?;
            all = (all.0 + files, all.1 | has);
        }
        return Ok(all);
    }
    // Sockets have no content.
    if !path.is_file() {
        return Ok((0, false));
    }
    Ok((1, secrets.are_in(&read(path)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_what_is_revealed_is_looked_for() {
        let key = "0123456789abcdef".repeat(4);
        let text = format!(
            "{key}\n{}\n{}\n-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            "r".repeat(43),
            "a".repeat(43),
            "k".repeat(64)
        );
        let secrets = Secrets::of(&text);
        assert_eq!(secrets.words.len(), 6);
        assert_eq!(secrets.app_password, "a".repeat(43));
        for word in [key.as_bytes(), &[0x01, 0x23], &unhex(&key), &[b'k'; 70]] {
            assert_eq!(secrets.are_in(word), word.len() > 2, "{word:?}");
        }
    }
}
