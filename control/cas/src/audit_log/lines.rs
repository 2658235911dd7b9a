//! Lines of a log's file.

use bannock_cas_core::audit::MAX_LINE;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
};

/// Complete lines of bounded length.
pub(super) struct Lines<'a> {
    reader: BufReader<&'a File>,
    /// Bytes up to the end of the last complete line.
    pub(super) offset: u64,
    started: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        Self {
            reader: BufReader::new(file),
            offset: 0,
            started: false,
        }
    }

    /// The next one; nothing at the end, or before one that is not complete.
    pub(super) fn next(&mut self) -> io::Result<Option<String>> {
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
