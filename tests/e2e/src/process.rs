//! Processes that end with the test that started them.

use rustix::process::{Pid, Signal};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A child process, killed and reaped when dropped.
pub struct Guarded(Child);

impl Guarded {
    /// Starts `command`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let child = command.spawn();
        Self(child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}")))
    }

    /// The process, for its pipes.
    pub const fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is over and reaped.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        rustix::process::kill_process(pid.unwrap(), signal).unwrap();
    }

    /// Waits for its end; `None` when it takes longer than `patience`.
    ///
    /// # Panics
    /// When waiting fails.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status);
            }
            if start.elapsed() > patience {
                return None;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What becomes of a program's standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A pipe that is read to its end.
    Pipe,
    /// A pipe whose reader goes away after the first line.
    PipeOfOneLine,
    /// A socket whose reader goes away after the first line.
    SocketOfOneLine,
}

/// What a program left behind.
#[derive(Debug)]
pub struct Outcome {
    /// What was read of standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// The exit code as a shell shows it, 128 + N for signal N; `None` where it took too long.
    pub code: Option<i32>,
}

impl Outcome {
    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// Reads in the background.
fn collect(source: impl Read + Send + 'static, all: bool) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut source = BufReader::new(source);
        if all {
            let _ = source.read_to_end(&mut bytes);
        } else {
            let _ = source.read_until(b'\n', &mut bytes);
        }
        bytes
    })
}

/// Reads one line in the background, and says then that no more will be read. It does not close the
/// socket: what was not read would then turn `EPIPE` into `ECONNRESET`, or not, as it happens.
fn collect_line(socket: &UnixStream) -> JoinHandle<Vec<u8>> {
    let socket = socket.try_clone().unwrap();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = BufReader::new(&socket).read_until(b'\n', &mut bytes);
        let _ = socket.shutdown(Shutdown::Both);
        bytes
    })
}

/// Runs `command` to its end.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn run(command: &mut Command, stdin: &[u8], output: Output, patience: Duration) -> Outcome {
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut socket = None;
    if output == Output::SocketOfOneLine {
        let (own, theirs) = UnixStream::pair().unwrap();
        command.stdout(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
        socket = Some(own);
    } else {
        command.stdout(Stdio::piped());
    }
    let mut child = Guarded::start(command);
    // Our copy of the socket's other end would keep it open.
    command.stdout(Stdio::null());
    let to = child.child().stdin.take();
    let stdin = stdin.to_vec();
    let writer = thread::spawn(move || to.map(|mut to| to.write_all(&stdin)));
    let stdout = match &socket {
        Some(socket) => collect_line(socket),
        None => collect(child.child().stdout.take().unwrap(), output == Output::Pipe),
    };
    let stderr = collect(child.child().stderr.take().unwrap(), true);
    let status = child.wait(patience);
    drop(child);
    let _ = writer.join();
    Outcome {
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
        code: status.and_then(|s| s.code().or_else(|| s.signal().map(|n| 128 + n))),
    }
}
