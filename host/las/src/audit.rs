//! The audit log: one JSON object per line, each tied to the one before it.
//!
//! `previous` is the SHA-256 of the line before, without its line feed; zeros in the first line.
//! A line that was changed, removed or inserted breaks the chain at the next one. Lines cut off at
//! the end are not noticed by the log alone: keep its last hash elsewhere for that.
//!
//! A file that has grown to 16 MiB is renamed to `NAME.1`, the next one to `NAME.2` and so on; the
//! chain continues across them. The newest eight are kept beside the one that grows. Before an
//! older one is removed, the event `records-dropped` names it: whoever wants to keep more copies
//! numbered files elsewhere, which change no more.

mod files;

use self::files::Retention;
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
    retention: Retention,
    tail: Mutex<Tail>,
}

#[derive(Debug)]
struct Tail {
    file: File,
    /// Length of the file in bytes.
    len: u64,
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
        Self::open_with(path, Retention::DEFAULT)
    }

    fn open_with(path: &Path, retention: Retention) -> Result<Self, AuditFault> {
        let file = open_locked(path)?;
        let older = files::older(path).map_err(io_fault("list the files of", path))?;
        // The first file begins the chain, unless it was removed for its age.
        let mut last = match older.first() {
            None | Some(1) => Some([0; 32]),
            Some(_) => None,
        };
        for number in older {
            let path = files::numbered(path, number);
            let file = File::open(&path).map_err(io_fault("open", &path))?;
            last = Some(checked(&file, &path, last)?);
        }
        let last = checked(&file, path, last)?;
        let len = file.metadata().map_err(io_fault("read", path))?.len();
        Ok(Self {
            path: path.to_path_buf(),
            retention,
            tail: Mutex::new(Tail {
                file,
                len,
                last,
                failed: false,
            }),
        })
    }

    /// Appends a record. What it is about must not happen when this fails.
    ///
    /// # Errors
    /// [`AuditFault`]; every later attempt fails too.
    pub fn append(&self, record: &Record<'_>) -> Result<(), AuditFault> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.failed {
            let source = io::Error::other("an earlier append failed");
            return Err(io_fault("append to", &self.path)(source));
        }
        let mut appended = Ok(());
        if tail.len >= self.retention.file {
            appended = self.begin_file(&mut tail);
        }
        let appended = appended.and_then(|()| tail.write(&self.path, record));
        tail.failed = appended.is_err();
        appended
    }

    /// Begins a new file, and removes those that are too old, on the record.
    fn begin_file(&self, tail: &mut Tail) -> Result<(), AuditFault> {
        let path = &self.path;
        tail.file.sync_all().map_err(io_fault("write", path))?;
        files::retire(path).map_err(io_fault("rename", path))?;
        tail.file = open_locked(path)?;
        tail.len = 0;
        let older = files::older(path).map_err(io_fault("list the files of", path))?;
        let surplus = older.len().saturating_sub(self.retention.older);
        for number in older.into_iter().take(surplus) {
            let dropped = files::numbered(path, number);
            let reason = format!("{} is older than what is kept", dropped.display());
            tail.write(
                path,
                &Record {
                    event: "records-dropped",
                    reason: Some(&reason),
                    ..Record::default()
                },
            )?;
            std::fs::remove_file(&dropped).map_err(io_fault("remove", &dropped))?;
        }
        Ok(())
    }
}

impl Tail {
    fn write(&mut self, path: &Path, record: &Record<'_>) -> Result<(), AuditFault> {
        let fault = io_fault("append to", path);
        let line = Line {
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            record,
            previous: hex::encode(self.last),
        };
        let mut bytes = match serde_json::to_vec(&line) {
            Ok(bytes) => bytes,
            Err(error) => return Err(fault(error.into())),
        };
        let hash = Sha256::digest(&bytes).into();
        bytes.push(b'\n');
        self.file.write_all(&bytes).map_err(fault)?;
        self.len = self.len.saturating_add(bytes.len() as u64);
        self.last = hash;
        Ok(())
    }
}

fn io_fault<'a>(
    what: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> AuditFault + use<'a> {
    move |source| AuditFault::Io {
        what,
        path: path.to_path_buf(),
        source,
    }
}

/// The file that grows, for this process alone.
fn open_locked(path: &Path) -> Result<File, AuditFault> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(io_fault("open", path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::AGAIN) => Err(AuditFault::InUse {
            path: path.to_path_buf(),
        }),
        Err(error) => Err(io_fault("lock", path)(error.into())),
    }
}

/// The hash of the last line of `file`, whose first line continues `last`.
fn checked(file: &File, path: &Path, last: Option<[u8; 32]>) -> Result<[u8; 32], AuditFault> {
    match check_chain(file, last).map_err(io_fault("read", path))? {
        Ok(last) => Ok(last),
        Err(line) => Err(AuditFault::Broken {
            path: path.to_path_buf(),
            line,
        }),
    }
}

/// The hash of the last line of a log's file, or the number of the first line that breaks the chain.
/// Without `last`, the first line may continue anything.
///
/// # Errors
/// When `file` cannot be read.
pub fn check_chain(
    file: impl io::Read,
    mut last: Option<[u8; 32]>,
) -> io::Result<Result<[u8; 32], usize>> {
    let mut reader = BufReader::new(file);
    let mut number = 0;
    loop {
        let mut line = Vec::new();
        let mut limited = io::Read::take(&mut reader, MAX_LINE);
        if limited.read_until(b'\n', &mut line)? == 0 {
            // A file that was begun but holds nothing continues what is before it.
            return Ok(last.ok_or(number));
        }
        number += 1;
        let Some(text) = line.strip_suffix(b"\n") else {
            return Ok(Err(number));
        };
        let is_next = serde_json::from_slice::<Link>(text)
            .is_ok_and(|link| last.is_none_or(|last| link.previous == hex::encode(last)));
        if !is_next {
            return Ok(Err(number));
        }
        last = Some(Sha256::digest(text).into());
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
            retention: Retention::DEFAULT,
            tail: Mutex::new(Tail {
                file: OpenOptions::new().append(true).open("/dev/full").unwrap(),
                len: 0,
                last: [0; 32],
                failed: false,
            }),
        };
        assert!(log.append(&record("a")).is_err());
        assert!(log.append(&record("a")).is_err());
    }

    /// Files of at most two records, two older ones kept.
    const SMALL: Retention = Retention {
        file: 200,
        older: 2,
    };

    fn grow(path: &Path, count: usize) {
        let log = AuditLog::open_with(path, SMALL).unwrap();
        for _ in 0..count {
            log.append(&record("a")).unwrap();
        }
    }

    #[test]
    fn a_log_that_grows_keeps_its_newest_files_and_says_what_it_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        grow(&path, 3);
        // Neighbours of other kinds are nobody's business.
        for name in ["audit.01", "audit.x", "audit.", "other.9"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        assert_eq!(files::older(&path).unwrap(), [1]);
        for _ in 0..4 {
            grow(&path, 3);
        }
        let older = files::older(&path).unwrap();
        assert_eq!(older.len(), 2);
        assert!(older[0] > 1, "{older:?}");
        let kept: String = older
            .iter()
            .map(|number| fs::read_to_string(files::numbered(&path, *number)).unwrap())
            .chain([fs::read_to_string(&path).unwrap()])
            .collect();
        let dropped = format!("audit.{} is older", older[0] - 1);
        assert!(kept.contains(&dropped), "{dropped} not in {kept}");
        AuditLog::open_with(&path, SMALL).unwrap();
    }

    #[test]
    fn edits_and_gaps_in_older_files_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        grow(&path, 5);
        let (first, second) = (files::numbered(&path, 1), files::numbered(&path, 2));
        let expect = |wanted: &Path, line: usize| match AuditLog::open(&path).unwrap_err() {
            AuditFault::Broken { path, line: found } => {
                assert_eq!((path.as_path(), found), (wanted, line));
            }
            other => panic!("{other}"),
        };
        let good = fs::read_to_string(&first).unwrap();
        fs::write(&first, good.replacen("\"a\"", "\"x\"", 1)).unwrap();
        expect(&first, 2);
        // The last line of a file is covered by the first of the next.
        let (begin, end) = good.trim_end().rsplit_once('\n').unwrap();
        fs::write(
            &first,
            format!("{begin}\n{}\n", end.replace("\"a\"", "\"x\"")),
        )
        .unwrap();
        expect(&second, 1);
        fs::write(&first, good).unwrap();
        let middle = fs::read(&second).unwrap();
        fs::remove_file(&second).unwrap();
        expect(&path, 1);
        fs::write(&second, middle).unwrap();
        // A crash between renaming a file and beginning the next leaves none that grows.
        fs::rename(&path, files::numbered(&path, 3)).unwrap();
        grow(&path, 1);
        AuditLog::open(&path).unwrap();
    }
}
