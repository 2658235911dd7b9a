//! The audit log: one JSON object per line, each tied to the one before it.
//!
//! `previous` is the SHA-256 of the line before, without its line feed; zeros in the first line.
//! A line that was changed, removed or inserted breaks the chain at the next one. Lines cut off at
//! the end are not noticed by the log alone: keep its last hash elsewhere for that.

use bannock_wire::launch::{Isolation, LaunchIdentity};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Longest line of a log in bytes.
const MAX_LINE: u64 = 64 << 10;

/// What happened; holds no secret.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Record<'a> {
    /// Name of the event.
    pub event: &'a str,
    /// User id of the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Process id of the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Launch identity, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch: Option<&'a str>,
    /// Measurement of the image in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measurement: Option<&'a str>,
    /// Names of the isolation flags that were achieved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<&'a [&'static str]>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// Exit code of the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// Signal that ended the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<u8>,
}

/// A line as it is written.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(flatten)]
    record: &'a Record<'a>,
    previous: String,
}

/// What a line must have for the chain.
#[derive(Deserialize)]
struct Link {
    previous: String,
}

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditFault {
    /// The file cannot be opened, read or written.
    #[error("cannot {what} the audit log `{path}`")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another process writes to it.
    #[error("another process writes to the audit log `{path}`; give each LAS its own")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A line is not tied to the one before it.
    #[error(
        "line {line} of the audit log `{path}` does not continue the one before it: the log was \
         changed or cut; keep it for examination and start with a new file"
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
    },
}

/// An open audit log.
#[derive(Debug)]
pub struct AuditLog {
    path: PathBuf,
    tail: Mutex<Tail>,
}

#[derive(Debug)]
struct Tail {
    file: File,
    last: [u8; 32],
    /// Whether a write has failed: the file may then end in half a line.
    failed: bool,
}

impl AuditLog {
    /// Opens the log at `path`, made with mode 0600 if missing, and checks its chain.
    ///
    /// # Errors
    /// [`AuditFault`] when it cannot be used, is in use, or its chain is broken.
    pub fn open(path: &Path) -> Result<Self, AuditFault> {
        let io_fault = |what| {
            move |source| AuditFault::Io {
                what,
                path: path.to_path_buf(),
                source,
            }
        };
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(io_fault("open"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN) => {
                return Err(AuditFault::InUse {
                    path: path.to_path_buf(),
                });
            }
            Err(error) => return Err(io_fault("lock")(error.into())),
        }
        let last = match check(&file).map_err(io_fault("read"))? {
            Ok(last) => last,
            Err(line) => {
                return Err(AuditFault::Broken {
                    path: path.to_path_buf(),
                    line,
                });
            }
        };
        Ok(Self {
            path: path.to_path_buf(),
            tail: Mutex::new(Tail {
                file,
                last,
                failed: false,
            }),
        })
    }

    /// Appends a record. What it is about must not happen when this fails.
    ///
    /// # Errors
    /// [`AuditFault::Io`]; every later attempt fails too.
    pub fn append(&self, record: &Record<'_>) -> Result<(), AuditFault> {
        let fault = |source| AuditFault::Io {
            what: "append to",
            path: self.path.clone(),
            source,
        };
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.failed {
            return Err(fault(io::Error::other("an earlier append failed")));
        }
        let line = Line {
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            record,
            previous: hex::encode(tail.last),
        };
        let mut bytes = serde_json::to_vec(&line).map_err(|error| fault(error.into()))?;
        let hash = Sha256::digest(&bytes).into();
        bytes.push(b'\n');
        if let Err(error) = tail.file.write_all(&bytes) {
            tail.failed = true;
            return Err(fault(error));
        }
        tail.last = hash;
        Ok(())
    }
}

/// The hash of the last line, or the number of the first line that breaks the chain.
fn check(file: &File) -> io::Result<Result<[u8; 32], usize>> {
    let mut reader = BufReader::new(file);
    let mut last = [0; 32];
    let mut number = 0;
    loop {
        let mut line = Vec::new();
        let mut limited = io::Read::take(&mut reader, MAX_LINE);
        if limited.read_until(b'\n', &mut line)? == 0 {
            return Ok(Ok(last));
        }
        number += 1;
        let Some(text) = line.strip_suffix(b"\n") else {
            return Ok(Err(number));
        };
        match serde_json::from_slice::<Link>(text) {
            Ok(link) if link.previous == hex::encode(last) => last = Sha256::digest(text).into(),
            _ => return Ok(Err(number)),
        }
    }
}

/// A launch identity as text: `standalone`, `cas`, or `service CONFIG-ID of CAS KEY`.
#[must_use]
pub fn launch_text(launch: &LaunchIdentity) -> String {
    match launch {
        LaunchIdentity::Standalone => "standalone".to_owned(),
        LaunchIdentity::Cas => "cas".to_owned(),
        LaunchIdentity::Service { config_id, cas_key } => {
            format!("service {config_id} of CAS {}", hex::encode(cas_key))
        }
    }
}

/// Names of the flags of `isolation`.
#[must_use]
pub fn isolation_names(isolation: Isolation) -> Vec<&'static str> {
    isolation.missing_in(Isolation::NONE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn record(event: &str) -> Record<'_> {
        Record {
            event,
            uid: Some(7),
            ..Record::default()
        }
    }

    fn written(path: &Path) -> String {
        let log = AuditLog::open(path).unwrap();
        for event in ["a", "b\n\"", "c"] {
            log.append(&record(event)).unwrap();
        }
        drop(log);
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn the_chain_goes_on_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        written(&path);
        let text = written(&path);
        assert_eq!(text.lines().count(), 6);
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["uid"], 7);
        }
        AuditLog::open(&path).unwrap();
    }

    #[test]
    fn edits_are_found_with_their_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        let text = written(&path);
        let lines: Vec<&str> = text.lines().collect();
        let broken = [
            (text.replacen("\"a\"", "\"x\"", 1), 2),
            (format!("{}\n{}\n", lines[0], lines[2]), 2),
            (format!("{}\n{}\n", lines[1], lines[2]), 1),
            (format!("{}\n{}\n{}\n", lines[1], lines[0], lines[2]), 1),
            (format!("{}\n{text}", lines[0]), 2),
            (text.trim_end().to_owned(), 3),
            (format!("{text}garbage\n"), 4),
        ];
        for (text, expected) in broken {
            fs::write(&path, &text).unwrap();
            match AuditLog::open(&path).unwrap_err() {
                AuditFault::Broken { line, .. } => assert_eq!(line, expected, "{text}"),
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn one_writer_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        let _first = AuditLog::open(&path).unwrap();
        assert!(matches!(
            AuditLog::open(&path).unwrap_err(),
            AuditFault::InUse { .. }
        ));
    }

    #[test]
    fn a_log_that_cannot_be_written_says_so() {
        let log = AuditLog {
            path: PathBuf::from("/dev/full"),
            tail: Mutex::new(Tail {
                file: OpenOptions::new().append(true).open("/dev/full").unwrap(),
                last: [0; 32],
                failed: false,
            }),
        };
        assert!(log.append(&record("a")).is_err());
        assert!(log.append(&record("a")).is_err());
    }
}
