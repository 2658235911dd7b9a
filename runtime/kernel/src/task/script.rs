//! `#!` scripts (execve(2), "Interpreter scripts").

use alloc::vec::Vec;
use bannock_platform::Errno;

/// Bytes at the start of a file that are looked at (Linux `BINPRM_BUF_SIZE`).
pub(super) const HEAD: usize = 256;

/// The first line of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Path of the interpreter.
    pub interpreter: Vec<u8>,
    /// Everything that follows it on the line, as one argument.
    pub argument: Option<Vec<u8>>,
}

impl Script {
    /// Parses the first `HEAD` bytes of a file; `None` where it is no script.
    ///
    /// # Errors
    /// `ENOEXEC` for a line without interpreter, or an interpreter that does not end within the
    /// bytes that are looked at.
    pub fn parse(head: &[u8]) -> Result<Option<Self>, Errno> {
        let Some(rest) = head.strip_prefix(b"#!") else {
            return Ok(None);
        };
        let end = rest.iter().position(|b| matches!(b, b'\n' | 0));
        let line = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        let blank = |b: &u8| matches!(b, b' ' | b'\t');
        let line = line.trim_ascii_end();
        let start = line.iter().position(|b| !blank(b)).ok_or(Errno::ENOEXEC)?;
        let line = line.get(start..).unwrap_or_default();
        let len = line.iter().position(blank).unwrap_or(line.len());
        // Where the line does not end in what was read, the path may be cut off.
        if end.is_none() && len == line.len() && head.len() >= HEAD {
            return Err(Errno::ENOEXEC);
        }
        let (interpreter, rest) = line.split_at(len);
        let argument = rest.trim_ascii_start();
        Ok(Some(Self {
            interpreter: interpreter.to_vec(),
            argument: (!argument.is_empty()).then(|| argument.to_vec()),
        }))
    }

    /// The arguments for the interpreter: itself, its argument, the script's path, and the script's
    /// own arguments without the name.
    #[must_use]
    pub fn arguments(&self, script: &[u8], arguments: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let mut all = alloc::vec![self.interpreter.clone()];
        all.extend(self.argument.clone());
        all.push(script.to_vec());
        all.extend(arguments.into_iter().skip(1));
        all
    }
}
