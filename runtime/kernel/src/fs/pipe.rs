//! Pipes of the kernel's own: what FIFOs on memory mounts are made of.
//!
//! A FIFO is opened by processes that need not have a common ancestor, so no descriptor of the host
//! can stand for it; its bytes are in the kernel's memory.

use crate::readiness::Readiness;
use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use bannock_platform::host::{From, Into};
use bannock_platform::{Errno, sync::Mutex};
use linux_raw_sys::general as raw;

/// Bytes that a pipe holds (pipe(7)).
const CAPACITY: usize = 64 << 10;
/// Most bytes that `F_SETPIPE_SZ` gives (Linux `fs.pipe-max-size`).
const MOST: usize = 1 << 20;
/// Writes of at most this many bytes are not torn apart (`PIPE_BUF`).
const ATOMIC: usize = 4096;

/// A pipe, named or not.
pub(super) struct Pipe {
    state: Mutex<State>,
    readiness: Arc<Readiness>,
}

struct State {
    bytes: VecDeque<u8>,
    capacity: usize,
    readers: usize,
    writers: usize,
    /// How often each side was opened: an opener waits for the other's count to change, so that it
    /// notices one that is gone again.
    reader_opens: u64,
    writer_opens: u64,
}

impl Pipe {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                bytes: VecDeque::new(),
                capacity: CAPACITY,
                readers: 0,
                writers: 0,
                reader_opens: 0,
                writer_opens: 0,
            }),
            readiness: Arc::new(Readiness::new()),
        })
    }

    /// Opens the pipe as `flags` (`O_*`) say; waits for the other side as fifo(7) describes.
    ///
    /// # Errors
    /// `ENXIO` for writing without waiting where nobody reads, `EINTR`.
    pub(super) fn open(self: &Arc<Self>, flags: u32) -> Result<PipeEnd, Errno> {
        let waits = flags & raw::O_NONBLOCK == 0;
        let (reads, writes) = match flags & raw::O_ACCMODE {
            raw::O_RDONLY => (true, false),
            raw::O_WRONLY => (false, true),
            _ => (true, true),
        };
        let end = {
            let mut state = self.state.lock();
            if writes && !reads && !waits && state.readers == 0 {
                return Err(Errno::ENXIO);
            }
            state.readers += usize::from(reads);
            state.writers += usize::from(writes);
            state.reader_opens += u64::from(reads);
            state.writer_opens += u64::from(writes);
            PipeEnd {
                pipe: Arc::clone(self),
                reads,
                writes,
                writers_before: if state.writers == 0 {
                    Some(state.writer_opens)
                } else {
                    None
                },
                readers_before: if state.readers == 0 {
                    Some(state.reader_opens)
                } else {
                    None
                },
            }
        };
        self.readiness.changed();
        // Dropping the end on the way out takes the opening back.
        loop {
            let ticket = self.readiness.ticket();
            {
                let state = self.state.lock();
                let waits_for_writer = reads && end.writers_before == Some(state.writer_opens);
                let waits_for_reader = writes && end.readers_before == Some(state.reader_opens);
                if !waits || !waits_for_writer && !waits_for_reader {
                    return Ok(end);
                }
            }
            self.readiness.sleep(ticket, None)?;
        }
    }
}

/// One opening of a pipe.
pub(super) struct PipeEnd {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
    /// The count of writers' openings at a time when there was none.
    writers_before: Option<u64>,
    /// The same of readers.
    readers_before: Option<u64>,
}

impl PipeEnd {
    pub(super) fn readiness(&self) -> Arc<Readiness> {
        Arc::clone(&self.pipe.readiness)
    }

    /// Bytes that wait to be read.
    pub(super) fn waiting(&self) -> usize {
        self.pipe.state.lock().bytes.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.pipe.state.lock().capacity
    }

    /// `F_SETPIPE_SZ`: at least `wanted` bytes, as a power of two of pages.
    ///
    /// # Errors
    /// `EPERM` over the limit, `EBUSY` where more bytes wait.
    pub(super) fn set_capacity(&self, wanted: usize) -> Result<usize, Errno> {
        if wanted > MOST {
            return Err(Errno::EPERM);
        }
        let capacity = wanted.max(bannock_platform::PAGE).next_power_of_two();
        let mut state = self.pipe.state.lock();
        if state.bytes.len() > capacity {
            return Err(Errno::EBUSY);
        }
        state.capacity = capacity;
        drop(state);
        self.pipe.readiness.changed();
        Ok(capacity)
    }

    /// Takes up to `len` bytes; waits for some where `waits`. Nothing is the end.
    fn take(&self, len: usize, waits: bool) -> Result<Vec<u8>, Errno> {
        loop {
            let ticket = self.pipe.readiness.ticket();
            {
                let mut state = self.pipe.state.lock();
                let count = state.bytes.len().min(len);
                if count > 0 || len == 0 {
                    let taken = state.bytes.drain(..count).collect();
                    drop(state);
                    self.pipe.readiness.changed();
                    return Ok(taken);
                }
                if state.writers == 0 {
                    return Ok(Vec::new());
                }
            }
            if !waits {
                return Err(Errno::EAGAIN);
            }
            self.pipe.readiness.sleep(ticket, None)?;
        }
    }

    pub(super) fn read(&self, into: Into<'_>, waits: bool) -> Result<usize, Errno> {
        match into {
            Into::Kernel(bytes) => {
                let taken = self.take(bytes.len(), waits)?;
                if let Some(part) = bytes.get_mut(..taken.len()) {
                    part.copy_from_slice(&taken);
                }
                Ok(taken.len())
            }
            Into::User(slice) => {
                let taken = self.take(slice.len(), waits)?;
                if let Err(error) = slice.take(taken.len()).write(&taken) {
                    // What could not be delivered waits again, in its old place.
                    let mut state = self.pipe.state.lock();
                    for byte in taken.into_iter().rev() {
                        state.bytes.push_front(byte);
                    }
                    drop(state);
                    self.pipe.readiness.changed();
                    return Err(error);
                }
                Ok(taken.len())
            }
        }
    }

    /// Puts bytes in; up to [`ATOMIC`] of them are not torn apart.
    ///
    /// # Errors
    /// `EPIPE` without readers, `EAGAIN`, `EINTR`, `EFAULT`.
    pub(super) fn write(&self, from: From<'_>, waits: bool) -> Result<usize, Errno> {
        match from {
            From::Kernel(bytes) => self.put(bytes, waits),
            From::User(slice) => {
                let mut done = 0;
                while done < slice.len() {
                    let part = slice.skip(done).take(CAPACITY);
                    let outcome = part
                        .to_vec(CAPACITY)
                        .and_then(|bytes| self.put(&bytes, waits));
                    match outcome {
                        Ok(count) => {
                            done += count;
                            if count < part.len() {
                                break;
                            }
                        }
                        Err(error) if done == 0 => return Err(error),
                        Err(_) => break,
                    }
                }
                Ok(done)
            }
        }
    }

    fn put(&self, bytes: &[u8], waits: bool) -> Result<usize, Errno> {
        let mut done = 0;
        loop {
            let left = bytes.get(done..).unwrap_or_default();
            if left.is_empty() {
                return Ok(done);
            }
            let ticket = self.pipe.readiness.ticket();
            let moved = {
                let mut state = self.pipe.state.lock();
                if state.readers == 0 {
                    return if done > 0 {
                        Ok(done)
                    } else {
                        Err(Errno::EPIPE)
                    };
                }
                let room = state.capacity.saturating_sub(state.bytes.len());
                let fits = if bytes.len() <= ATOMIC && room < bytes.len() {
                    0
                } else {
                    room.min(left.len())
                };
                state.bytes.extend(left.iter().take(fits));
                fits
            };
            done += moved;
            if moved > 0 {
                self.pipe.readiness.changed();
                continue;
            }
            let stopped = if waits {
                self.pipe.readiness.sleep(ticket, None)
            } else {
                Err(Errno::EAGAIN)
            };
            match stopped {
                Ok(()) => {}
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
    }

    /// A copy of up to `len` bytes that wait, which stay (tee(2)). Nothing is the end.
    ///
    /// # Errors
    /// `EAGAIN` where nothing waits and the caller does not either, `EINTR`.
    pub(super) fn peek(&self, len: usize, waits: bool) -> Result<Vec<u8>, Errno> {
        loop {
            let ticket = self.pipe.readiness.ticket();
            {
                let state = self.pipe.state.lock();
                if !state.bytes.is_empty() || state.writers == 0 {
                    return Ok(state.bytes.iter().take(len).copied().collect());
                }
            }
            if !waits {
                return Err(Errno::EAGAIN);
            }
            self.pipe.readiness.sleep(ticket, None)?;
        }
    }

    /// Events that are ready (`POLL*`).
    pub(super) fn ready(&self) -> u32 {
        let state = self.pipe.state.lock();
        let mut events = 0;
        if self.reads {
            if !state.bytes.is_empty() {
                events |= raw::POLLIN | raw::POLLRDNORM;
            }
            // No hang-up before the first writer came.
            if state.writers == 0 && self.writers_before != Some(state.writer_opens) {
                events |= raw::POLLHUP;
            }
        }
        if self.writes {
            if state.capacity.saturating_sub(state.bytes.len()) >= ATOMIC {
                events |= raw::POLLOUT | raw::POLLWRNORM;
            }
            if state.readers == 0 {
                events |= raw::POLLERR;
            }
        }
        events
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        {
            let mut state = self.pipe.state.lock();
            state.readers -= usize::from(self.reads);
            state.writers -= usize::from(self.writes);
            if state.readers == 0 && state.writers == 0 {
                // What nobody read is gone with the last one who could.
                state.bytes = VecDeque::new();
            }
        }
        self.pipe.readiness.changed();
    }
}
