//! The audit log's file.

use bannock_cas_api::Hash;
use bannock_cas_core::audit::{
    self, BrokenLog, Event, MAX_LINE, Position, Record, Sign, SignFault, Verify,
};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The audit log, open for appending.
pub struct AuditLog {
    file: File,
    path: PathBuf,
    position: Position,
    /// A write failed: what the file holds is unknown, and nothing is decided any more.
    broken: bool,
}

/// Why the log cannot be used. The CAS does not decide what it cannot log.
#[derive(Debug, thiserror::Error)]
pub enum AuditFault {
    /// The file failed.
    #[error("cannot {action} the audit log `{path}`")]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file is not a log of this CAS.
    #[error("the audit log `{path}` was changed by somebody else")]
    Broken {
        /// Which file.
        path: String,
        /// Where.
        #[source]
        source: BrokenLog,
    },
    /// The file lacks lines that this CAS wrote.
    #[error(
        "the audit log `{path}` lacks lines that this CAS wrote: it has {found}, and line {wanted} \
         is missing or another; put the log back"
    )]
    Truncated {
        /// Which file.
        path: String,
        /// Lines found.
        found: u64,
        /// Lines that the store remembers.
        wanted: u64,
    },
    /// The identity key did not sign.
    #[error(transparent)]
    Sign(#[from] SignFault),
    /// An earlier write failed.
    #[error("the audit log `{path}` failed before: restart the CAS once it can be written")]
    BrokenBefore {
        /// Which file.
        path: String,
    },
}

impl AuditLog {
    /// Opens or creates the log at `path`, which must hold the position `known` that the store
    /// remembers.
    ///
    /// A last line without line feed is what a crash leaves; its decision was never given, so it
    /// is cut off.
    ///
    /// # Errors
    /// [`AuditFault`].
    pub fn open(path: &Path, known: &Position, verifier: &dyn Verify) -> Result<Self, AuditFault> {
        let name = || path.display().to_string();
        let fault = |action| {
            move |source| AuditFault::File {
                action,
                path: path.display().to_string(),
                source,
            }
        };
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(fault("open"))?;

        let broken = |source| AuditFault::Broken {
            path: path.display().to_string(),
            source,
        };
        let mut position = Position::START;
        let mut before_last = None;
        let mut has_known = *known == Position::START;
        let mut complete = 0;
        let mut lines = Lines::new(&file);
        while let Some(line) = lines.next().map_err(fault("read"))? {
            // The chain makes the signature of the last line cover all before it.
            before_last = Some((position, line.clone()));
            position = audit::check(&position, &line, None).map_err(broken)?.1;
            has_known |= position == *known;
            complete = lines.offset;
        }
        if let Some((before, line)) = before_last {
            audit::check(&before, &line, Some(verifier)).map_err(broken)?;
        }
        if !has_known {
            return Err(AuditFault::Truncated {
                path: name(),
                found: position.length,
                wanted: known.length,
            });
        }
        file.set_len(complete).map_err(fault("repair"))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            position,
            broken: false,
        })
    }

    /// Where the log ends.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether lines can be appended, as far as is known.
    ///
    /// # Errors
    /// [`AuditFault::BrokenBefore`].
    pub fn ready(&self) -> Result<(), AuditFault> {
        if self.broken {
            return Err(AuditFault::BrokenBefore {
                path: self.path.display().to_string(),
            });
        }
        Ok(())
    }

    /// Appends `event`, durably; its number.
    ///
    /// # Errors
    /// [`AuditFault`]; the log then refuses all further lines.
    pub fn append(
        &mut self,
        time: u64,
        event: Event,
        signer: &dyn Sign,
    ) -> Result<u64, AuditFault> {
        self.ready()?;
        let (line, position) = audit::append(&self.position, time, event, signer)?;
        let written = self
            .file
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            self.broken = true;
            return Err(AuditFault::File {
                action: "write",
                path: self.path.display().to_string(),
                source,
            });
        }
        let sequence = self.position.length;
        self.position = position;
        Ok(sequence)
    }

    /// Hands every record, with its line, to `each`, oldest first.
    ///
    /// # Errors
    /// [`AuditFault`], also when the file is not what was written.
    pub fn records(&self, mut each: impl FnMut(Record, String)) -> Result<(), AuditFault> {
        let fault = |source| AuditFault::File {
            action: "read",
            path: self.path.display().to_string(),
            source,
        };
        let broken = |source| AuditFault::Broken {
            path: self.path.display().to_string(),
            source,
        };
        let file = File::open(&self.path).map_err(fault)?;
        let mut position = Position::START;
        let mut lines = Lines::new(&file);
        while let Some(line) = lines.next().map_err(fault)? {
            let (record, next) = audit::check(&position, &line, None).map_err(broken)?;
            position = next;
            each(record, line);
        }
        // The end of the chain is known here, so that it covers all that was handed out.
        if position != self.position {
            return Err(AuditFault::Truncated {
                path: self.path.display().to_string(),
                found: position.length,
                wanted: self.position.length,
            });
        }
        Ok(())
    }
}

/// Complete lines of bounded length.
struct Lines<'a> {
    reader: BufReader<&'a File>,
    /// Bytes up to the end of the last complete line.
    offset: u64,
    started: bool,
}

impl<'a> Lines<'a> {
    fn new(file: &'a File) -> Self {
        Self {
            reader: BufReader::new(file),
            offset: 0,
            started: false,
        }
    }

    fn next(&mut self) -> io::Result<Option<String>> {
        if !self.started {
            self.reader.seek(SeekFrom::Start(0))?;
            self.started = true;
        }
        let mut line = Vec::new();
        let limit = MAX_LINE as u64 + 2;
        let read = self
            .reader
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            if (read as u64) < limit {
                return Ok(None);
            }
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a line is longer than {MAX_LINE} bytes"),
            ));
        }
        self.offset = self.offset.saturating_add(read as u64);
        String::from_utf8(line)
            .map(Some)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a line is not UTF-8"))
    }
}

/// The position as the store keeps it.
pub(crate) fn encode_position(position: &Position) -> Vec<u8> {
    let mut out = position.length.to_le_bytes().to_vec();
    out.extend_from_slice(&position.head.0);
    out
}

/// Reads what [`encode_position`] wrote.
pub(crate) fn decode_position(bytes: &[u8]) -> Option<Position> {
    let (length, head) = bytes.split_first_chunk::<8>()?;
    Some(Position {
        length: u64::from_le_bytes(*length),
        head: Hash(head.try_into().ok()?),
    })
}

#[cfg(test)]
impl AuditLog {
    /// Lets every write fail as on a full disk.
    pub(crate) fn fill_disk(&mut self) {
        self.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    }
}
