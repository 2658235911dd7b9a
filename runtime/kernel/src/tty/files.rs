//! Masters and slaves of pseudo-terminals as open files.

use super::control::{WINDOW_SIZE, WindowSize};
use super::pty::{CHUNK, Pty, now};
use super::termios::{LEN, LEN_2};
use crate::fs::attributes::device_number;
use crate::fs::{Attributes, Changes, FileOps, FileType, Handle, Kind, Opened};
use crate::readiness::Readiness;
use crate::signal::Signal;
use crate::task::{Container, Thread};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{Errno, current, host, user, user::UserSlice};
use core::any::Any;
use linux_raw_sys::{general as raw, ioctl};

/// Major number of slaves (`UNIX98_PTY_SLAVE_MAJOR`).
const SLAVE_MAJOR: u32 = 136;
/// Number of `/dev/ptmx`.
const MULTIPLEXER: (u32, u32) = (5, 2);
/// Group `tty` on Debian, whom terminals belong to.
const TTY_GROUP: u32 = 5;

/// Device number of the file system that terminals are in.
pub(super) const DEVICE: u64 = device_number(0, 9);
/// Node of `ptmx` in it; slaves follow by number.
pub(super) const PTMX: u64 = 2;

/// Owners and modes are kept as they are: mesg(1) and login(1) find nothing to complain of. A length
/// cannot be set.
fn unchanged(changes: &Changes) -> Result<(), Errno> {
    match changes.size {
        Some(_) => Err(Errno::EINVAL),
        None => Ok(()),
    }
}

/// Attributes of a slave.
pub(super) fn slave_attributes(pty: &Pty) -> Attributes {
    let node = PTMX + 1 + u64::from(pty.number);
    let time = now();
    Attributes {
        uid: pty.user,
        gid: TTY_GROUP,
        special: device_number(SLAVE_MAJOR, pty.number),
        accessed: time,
        modified: time,
        changed: time,
        ..Attributes::synthetic(DEVICE, node, FileType::Character, 0o620)
    }
}

/// Attributes of `ptmx`.
pub(super) fn master_attributes() -> Attributes {
    Attributes {
        special: device_number(MULTIPLEXER.0, MULTIPLEXER.1),
        ..Attributes::synthetic(DEVICE, PTMX, FileType::Character, 0o666)
    }
}

fn caller() -> Option<Arc<Thread>> {
    current::get::<Thread>()
}

fn waits(handle: &Handle) -> bool {
    handle.file().flags() & raw::O_NONBLOCK == 0
}

fn deliver(
    into: host::Into<'_>,
    take: impl FnOnce(usize) -> Result<Vec<u8>, Errno>,
) -> Result<usize, Errno> {
    match into {
        host::Into::Kernel(bytes) => {
            let taken = take(bytes.len())?;
            if let Some(part) = bytes.get_mut(..taken.len()) {
                part.copy_from_slice(&taken);
            }
            Ok(taken.len())
        }
        host::Into::User(slice) => {
            let taken = take(slice.len())?;
            slice.take(taken.len()).write(&taken)?;
            Ok(taken.len())
        }
    }
}

fn collect(
    from: host::From<'_>,
    mut put: impl FnMut(&[u8]) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let slice = match from {
        host::From::Kernel(bytes) => return put(bytes),
        host::From::User(slice) => slice,
    };
    let mut done = 0;
    while done < slice.len() {
        let part = slice.skip(done).take(CHUNK);
        match part.to_vec(CHUNK).and_then(|bytes| put(&bytes)) {
            Ok(count) => {
                done += count;
                if count < part.len() {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Opens the slave of `pty`; it becomes the controlling terminal of a caller that leads a session
/// without one, unless `flags` say otherwise.
///
/// # Errors
/// `EIO` while it is locked, or when its master is gone.
fn open(pty: Arc<Pty>, flags: u32) -> Result<Opened, Errno> {
    pty.open_slave()?;
    // From here on, dropping the file closes the slave.
    let slave = Slave { pty };
    if flags & raw::O_NOCTTY == 0
        && let Some(thread) = caller()
    {
        slave.pty.control.adopt(&thread);
    }
    Ok(Opened::new(slave))
}

/// Opens the slave of `pty`, by its name.
///
/// # Errors
/// As [`open`].
pub(super) fn open_by_name(pty: Arc<Pty>, flags: u32) -> Result<Opened, Errno> {
    open(pty, flags)
}

/// Opens the controlling terminal of the caller, `/dev/tty`.
///
/// # Errors
/// `ENXIO` where there is none that the kernel keeps.
pub(crate) fn open_slave(flags: u32) -> Result<Opened, Errno> {
    let thread = caller().ok_or(Errno::ENXIO)?;
    let process = &thread.process;
    let session = process.session.load(core::sync::atomic::Ordering::Relaxed);
    let terminal = process.container.sessions.terminal(session);
    let pty = terminal.and_then(|t| t.pty()).ok_or(Errno::ENXIO)?;
    open(pty, flags | raw::O_NOCTTY)
}

/// The open slave: the terminal that programs see.
struct Slave {
    pty: Arc<Pty>,
}

/// The open master: the side of whoever types and looks.
pub(super) struct Master {
    pub(super) pty: Arc<Pty>,
    pub(super) container: Option<Arc<Container>>,
}

/// Checks that the calling thread may use its controlling terminal.
fn check(pty: &Pty, signal: Signal) -> Result<(), Errno> {
    caller().map_or(Ok(()), |thread| pty.control.check(&thread, signal))
}

/// Requests that both sides know; `None` for others.
fn shared_ioctl(
    pty: &Arc<Pty>,
    request: u32,
    argument: usize,
    on_slave: bool,
) -> Option<Result<usize, Errno>> {
    if let Some(thread) = caller()
        && let Some(outcome) = pty.control.ioctl(&thread, request, argument, on_slave)
    {
        return Some(outcome);
    }
    Some(match request {
        ioctl::TCGETS => put(argument, pty, LEN),
        ioctl::TCGETS2 => put(argument, pty, LEN_2),
        ioctl::TCSETS => set(pty, argument, LEN, on_slave, false),
        ioctl::TCSETSW => set(pty, argument, LEN, on_slave, false),
        ioctl::TCSETSF => set(pty, argument, LEN, on_slave, true),
        ioctl::TCSETS2 => set(pty, argument, LEN_2, on_slave, false),
        ioctl::TCSETSW2 => set(pty, argument, LEN_2, on_slave, false),
        ioctl::TCSETSF2 => set(pty, argument, LEN_2, on_slave, true),
        ioctl::TIOCGWINSZ => user::put(argument, &pty.size()).map(|()| 0),
        ioctl::TIOCSWINSZ => resize(pty, argument),
        ioctl::FIONREAD => {
            let count = i32::try_from(pty.waiting(on_slave)).unwrap_or(i32::MAX);
            user::put(argument, &count).map(|()| 0)
        }
        ioctl::TIOCOUTQ => {
            let count = if on_slave { pty.waiting(false) } else { 0 };
            let count = i32::try_from(count).unwrap_or(i32::MAX);
            user::put(argument, &count).map(|()| 0)
        }
        // Only the terminal line discipline (`N_TTY`) exists.
        ioctl::TIOCGETD => user::put(argument, &0i32).map(|()| 0),
        ioctl::TCFLSH => flush(pty, argument, on_slave),
        _ => return None,
    })
}

/// Settings as a program sees them.
fn put(argument: usize, pty: &Pty, len: usize) -> Result<usize, Errno> {
    let bytes = pty.settings().encode();
    UserSlice::new(argument, len)?
        .write(bytes.get(..len).unwrap_or(&bytes))
        .map(|()| 0)
}

/// Takes over settings. Those that are to wait for output do not: what is written to a
/// pseudo-terminal counts as sent at once, whether or not its master has read it.
fn set(
    pty: &Pty,
    argument: usize,
    len: usize,
    on_slave: bool,
    flushes: bool,
) -> Result<usize, Errno> {
    if on_slave {
        check(pty, Signal::TTOU)?;
    }
    let bytes = UserSlice::new(argument, len)?.to_vec(len)?;
    pty.set_settings(&bytes, flushes).map(|()| 0)
}

fn resize(pty: &Pty, argument: usize) -> Result<usize, Errno> {
    let slice = UserSlice::new(argument, WINDOW_SIZE)?;
    let words: [u32; 2] = user::get(slice.start())?;
    let [rows_columns, pixels] = words;
    let size: WindowSize = [
        rows_columns as u16,
        (rows_columns >> 16) as u16,
        pixels as u16,
        (pixels >> 16) as u16,
    ];
    if pty.set_size(size)
        && let Some(thread) = caller()
    {
        pty.control.signal(&thread.process.container, Signal::WINCH);
    }
    Ok(0)
}

/// tcflush(3): the master's input is the slave's output.
fn flush(pty: &Pty, which: usize, on_slave: bool) -> Result<usize, Errno> {
    if on_slave {
        check(pty, Signal::TTOU)?;
    }
    let (input, output) = match u32::try_from(which) {
        Ok(raw::TCIFLUSH) => (true, false),
        Ok(raw::TCOFLUSH) => (false, true),
        Ok(raw::TCIOFLUSH) => (true, true),
        _ => return Err(Errno::EINVAL),
    };
    if on_slave {
        pty.discard(input, output);
    } else {
        pty.discard(output, input);
    }
    Ok(0)
}

impl FileOps for Slave {
    fn kind(&self) -> Kind {
        Kind::Terminal
    }

    fn read(&self, handle: &Handle, into: host::Into<'_>, _: Option<u64>) -> Result<usize, Errno> {
        check(&self.pty, Signal::TTIN)?;
        deliver(into, |len| self.pty.read_slave(len, waits(handle)))
    }

    fn write(&self, handle: &Handle, from: host::From<'_>, _: Option<u64>) -> Result<usize, Errno> {
        if self.pty.settings().has_local(raw::TOSTOP) {
            check(&self.pty, Signal::TTOU)?;
        }
        collect(from, |bytes| self.pty.write_slave(bytes, waits(handle)))
    }

    fn attributes(&self, _: &Handle) -> Result<Attributes, Errno> {
        Ok(slave_attributes(&self.pty))
    }

    fn change(&self, _: &Handle, changes: &Changes) -> Result<(), Errno> {
        unchanged(changes)
    }

    fn ready(&self) -> u32 {
        self.pty.slave_ready()
    }

    fn readiness(&self) -> Option<Arc<Readiness>> {
        Some(Arc::clone(&self.pty.readiness))
    }

    fn ioctl(&self, _: &Handle, request: u32, argument: usize) -> Result<usize, Errno> {
        if let Some(outcome) = shared_ioctl(&self.pty, request, argument, true) {
            return outcome;
        }
        match request {
            // A break means nothing here, and what is written counts as sent at once (tcdrain(3)).
            ioctl::TCSBRK | ioctl::TCSBRKP => check(&self.pty, Signal::TTOU).map(|()| 0),
            ioctl::TCXONC => {
                check(&self.pty, Signal::TTOU)?;
                match u32::try_from(argument) {
                    Ok(raw::TCOOFF) => self.pty.stop(true),
                    Ok(raw::TCOON) => self.pty.stop(false),
                    Ok(raw::TCIOFF | raw::TCION) => {}
                    _ => return Err(Errno::EINVAL),
                }
                Ok(0)
            }
            // Typing into a terminal from the side of its programs (Linux `dev.tty.legacy_tiocsti`).
            ioctl::TIOCSTI => Err(Errno::EIO),
            _ => Err(Errno::ENOTTY),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        self.pty.close_slave();
    }
}

impl FileOps for Master {
    fn kind(&self) -> Kind {
        Kind::Terminal
    }

    fn read(&self, handle: &Handle, into: host::Into<'_>, _: Option<u64>) -> Result<usize, Errno> {
        deliver(into, |len| self.pty.read_master(len, waits(handle)))
    }

    fn write(&self, handle: &Handle, from: host::From<'_>, _: Option<u64>) -> Result<usize, Errno> {
        let container = self.container.as_deref();
        collect(from, |bytes| {
            self.pty.write_master(bytes, waits(handle), container)
        })
    }

    fn attributes(&self, _: &Handle) -> Result<Attributes, Errno> {
        Ok(master_attributes())
    }

    fn change(&self, _: &Handle, changes: &Changes) -> Result<(), Errno> {
        unchanged(changes)
    }

    fn ready(&self) -> u32 {
        self.pty.master_ready()
    }

    fn readiness(&self) -> Option<Arc<Readiness>> {
        Some(Arc::clone(&self.pty.readiness))
    }

    fn ioctl(&self, _: &Handle, request: u32, argument: usize) -> Result<usize, Errno> {
        match request {
            ioctl::TIOCGPTN => return user::put(argument, &self.pty.number).map(|()| 0),
            ioctl::TIOCSPTLCK => {
                self.pty.set_locked(user::get::<i32>(argument)? != 0);
                return Ok(0);
            }
            ioctl::TIOCGPTLCK => {
                return user::put(argument, &i32::from(self.pty.is_locked())).map(|()| 0);
            }
            ioctl::TIOCPKT => {
                self.pty.set_packets(user::get::<i32>(argument)? != 0);
                return Ok(0);
            }
            ioctl::TIOCSIG => {
                let signal = Signal::new(argument as i32)?;
                if ![Signal::INT, Signal::QUIT, Signal::TSTP].contains(&signal) {
                    return Err(Errno::EINVAL);
                }
                if let Some(container) = &self.container {
                    self.pty.control.signal(container, signal);
                }
                return Ok(0);
            }
            _ => {}
        }
        shared_ioctl(&self.pty, request, argument, false).unwrap_or(Err(Errno::ENOTTY))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.pty.close_master(self.container.as_deref());
    }
}
