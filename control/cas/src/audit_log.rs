//! The audit log's files.
//!
//! A file that has grown to 16 MiB is renamed to `NAME.1`, the next one to `NAME.2` and so on; the
//! chain continues across them. The newest eight are kept beside the one that grows. The store
//! remembers where the kept part begins and ends, so that nothing in between goes unnoticed; before
//! an older file is removed, a record says so. Whoever wants to keep more copies numbered files
//! elsewhere, which change no more.

mod files;
mod lines;

use self::{files::Retention, lines::Lines};
use bannock_cas_api::Hash;
use bannock_cas_core::audit::{
    self, Action, BrokenLog, Event, Outcome, Position, Record, Sign, SignFault, Verify,
};
use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The audit log, open for appending.
pub struct AuditLog {
    file: File,
    /// Length of the file in bytes.
    len: u64,
    path: PathBuf,
    retention: Retention,
    /// Older files, oldest first.
    older: VecDeque<Older>,
    /// Where the file that grows begins.
    begin: Position,
    position: Position,
    /// A write failed: what the file holds is unknown, and nothing is decided any more.
    broken: bool,
}

/// An older file.
struct Older {
    number: u64,
    begin: Position,
}

/// What is kept of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where it begins.
    pub begin: Position,
    /// Where it ends.
    pub end: Position,
}

impl Kept {
    /// The empty log.
    pub const NOTHING: Self = Self {
        begin: Position::START,
        end: Position::START,
    };
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
    /// The files lack lines that this CAS wrote.
    #[error(
        "the audit log `{path}` lacks lines that this CAS wrote: it ends with line {found}, and \
         line {wanted} is missing or another; put the log back, with all its numbered files"
    )]
    Truncated {
        /// The file that grows.
        path: String,
        /// Number of the last line found.
        found: u64,
        /// Number of the line that the store remembers.
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
    /// Opens or creates the log at `path`, which must hold all of `known`, which the store
    /// remembers.
    ///
    /// A last line without line feed is what a crash leaves; its decision was never given, so it
    /// is cut off.
    ///
    /// # Errors
    /// [`AuditFault`].
    pub fn open(path: &Path, known: &Kept, verifier: &dyn Verify) -> Result<Self, AuditFault> {
        Self::open_with(path, known, verifier, Retention::DEFAULT)
    }

    fn open_with(
        path: &Path,
        known: &Kept,
        verifier: &dyn Verify,
        retention: Retention,
    ) -> Result<Self, AuditFault> {
        let file = grow(path)?;
        let numbers = files::older(path).map_err(fault("list the files of", path))?;
        let mut chain = Chain::new(known);
        let mut older = VecDeque::new();
        for number in numbers {
            let path = files::numbered(path, number);
            let file = File::open(&path).map_err(fault("open", &path))?;
            let (begin, complete) = chain.follow(&file, &path)?;
            if complete != length(&file, &path)? {
                let source = io::ErrorKind::UnexpectedEof.into();
                return Err(fault("read the last line of", &path)(source));
            }
            older.push_back(Older { number, begin });
        }
        let (begin, complete) = chain.follow(&file, path)?;
        let position = chain.end(path, verifier)?;
        file.set_len(complete).map_err(fault("repair", path))?;
        Ok(Self {
            file,
            len: complete,
            path: path.to_owned(),
            retention,
            older,
            begin,
            position,
            broken: false,
        })
    }

    /// Whether the next line belongs into a new file: see [`begin_file`](Self::begin_file).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len >= self.retention.file
    }

    /// Begins a new file. Once the store remembers what [`kept`](Self::kept) says then,
    /// [`remove_surplus`](Self::remove_surplus) is to follow.
    ///
    /// # Errors
    /// [`AuditFault`]; the log then refuses all further lines.
    pub fn begin_file(&mut self, time: u64, signer: &dyn Sign) -> Result<(), AuditFault> {
        self.ready()?;
        // Until all of it is done, what the files hold is unknown.
        self.broken = true;
        let number = files::retire(&self.path).map_err(fault("rename", &self.path))?;
        self.file = grow(&self.path)?;
        self.len = 0;
        self.older.push_back(Older {
            number,
            begin: self.begin,
        });
        self.begin = self.position;
        self.broken = false;
        let begin = self.kept().begin;
        if begin.length == self.oldest().length {
            return Ok(());
        }
        let reason = format!("records before {} are kept no longer", begin.length);
        let event = Event::new(Action::DropRecords, Outcome::Note, reason);
        self.append(time, event, signer).map(drop)
    }

    /// Removes the files that are older than what is kept.
    ///
    /// # Errors
    /// [`AuditFault`]; the log then refuses all further lines.
    pub fn remove_surplus(&mut self) -> Result<(), AuditFault> {
        while self.older.len() > self.retention.older {
            let Some(Older { number, .. }) = self.older.pop_front() else {
                break;
            };
            let path = files::numbered(&self.path, number);
            if let Err(source) = std::fs::remove_file(&path) {
                self.broken = true;
                return Err(fault("remove", &path)(source));
            }
        }
        Ok(())
    }

    /// What is kept of the log: all but files that are too many by now.
    #[must_use]
    pub fn kept(&self) -> Kept {
        let surplus = self.older.len().saturating_sub(self.retention.older);
        Kept {
            begin: self.older.get(surplus).map_or(self.begin, |it| it.begin),
            end: self.position,
        }
    }

    /// Where the oldest file begins.
    fn oldest(&self) -> Position {
        self.older.front().map_or(self.begin, |it| it.begin)
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
        let (mut line, position) = audit::append(&self.position, time, event, signer)?;
        line.push('\n');
        let written = self
            .file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            self.broken = true;
            return Err(fault("write", &self.path)(source));
        }
        let sequence = self.position.length;
        self.len = self.len.saturating_add(line.len() as u64);
        self.position = position;
        Ok(sequence)
    }

    /// Hands every record, with its line, to `each`, oldest first.
    ///
    /// # Errors
    /// [`AuditFault`], also when the file is not what was written.
    pub fn records(&self, mut each: impl FnMut(Record, String)) -> Result<(), AuditFault> {
        let mut position = self.oldest();
        let older = self.older.iter();
        let paths = older
            .map(|it| files::numbered(&self.path, it.number))
            .chain([self.path.clone()]);
        for path in paths {
            let file = File::open(&path).map_err(fault("read", &path))?;
            let mut lines = Lines::new(&file);
            while let Some(line) = lines.next().map_err(fault("read", &path))? {
                let (record, next) = audit::check(&position, &line, None).map_err(broken(&path))?;
                position = next;
                each(record, line);
            }
        }
        // The end of the chain is known here, so that it covers all that was handed out.
        if position != self.position {
            return Err(truncated(&self.path, &position, &self.position));
        }
        Ok(())
    }
}

/// Follows the chain from file to file.
struct Chain<'a> {
    known: &'a Kept,
    has_begin: bool,
    has_end: bool,
    position: Option<Position>,
    /// The last line, with the position before it.
    last: Option<(Position, String)>,
}

impl<'a> Chain<'a> {
    fn new(known: &'a Kept) -> Self {
        Self {
            known,
            has_begin: false,
            has_end: false,
            position: None,
            last: None,
        }
    }

    /// Checks the next file; where it begins, and the bytes of its complete lines.
    fn follow(&mut self, file: &File, path: &Path) -> Result<(Position, u64), AuditFault> {
        let mut begin = self.position;
        let mut lines = Lines::new(file);
        while let Some(line) = lines.next().map_err(fault("read", path))? {
            let before = match self.position {
                Some(position) => position,
                // What the oldest file continues may be gone; whether it should be is seen below.
                None => audit::position_before(&line).map_err(broken(path))?,
            };
            begin.get_or_insert(before);
            self.pass(&before);
            let (_, after) = audit::check(&before, &line, None).map_err(broken(path))?;
            self.pass(&after);
            self.position = Some(after);
            self.last = Some((before, line));
        }
        Ok((begin.unwrap_or(Position::START), lines.offset))
    }

    fn pass(&mut self, position: &Position) {
        self.has_begin |= *position == self.known.begin;
        self.has_end |= *position == self.known.end;
    }

    /// Where the log ends, once it has all that is known of it, and is this CAS's.
    fn end(mut self, path: &Path, verifier: &dyn Verify) -> Result<Position, AuditFault> {
        if self.position.is_none() {
            self.pass(&Position::START);
        }
        let position = self.position.unwrap_or(Position::START);
        // The chain makes the signature of the last line cover all before it.
        if let Some((before, line)) = &self.last {
            audit::check(before, line, Some(verifier)).map_err(broken(path))?;
        }
        for (has, wanted) in [
            (self.has_begin, &self.known.begin),
            (self.has_end, &self.known.end),
        ] {
            if !has {
                return Err(truncated(path, &position, wanted));
            }
        }
        Ok(position)
    }
}

/// The file that grows.
fn grow(path: &Path) -> Result<File, AuditFault> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(fault("open", path))
}

fn length(file: &File, path: &Path) -> Result<u64, AuditFault> {
    Ok(file.metadata().map_err(fault("read", path))?.len())
}

fn fault<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> AuditFault + use<'a> {
    move |source| AuditFault::File {
        action,
        path: path.display().to_string(),
        source,
    }
}

fn broken(path: &Path) -> impl FnOnce(BrokenLog) -> AuditFault + use<'_> {
    move |source| AuditFault::Broken {
        path: path.display().to_string(),
        source,
    }
}

fn truncated(path: &Path, found: &Position, wanted: &Position) -> AuditFault {
    AuditFault::Truncated {
        path: path.display().to_string(),
        found: found.length,
        wanted: wanted.length,
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

    /// Keeps `older` files of about one line each.
    pub(crate) fn keep(&mut self, older: usize) {
        self.retention = Retention { file: 1, older };
    }
}
