//! Sending and receiving on sockets.

use super::Argument::{Fd, Flags, Pointer, Size};
use super::caller::timeout;
use super::socket::{Open, destination, interrupted, open, read_address, write_address};
use super::{Call, Outcome, Row};
use crate::fs::Handle;
use crate::net::address::Address;
use crate::net::control::{self, Message};
use crate::net::{Deadline, Received, Sendable, Socket};
use crate::signal;
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{
    Errno, host,
    host::{HostFd, file::UserVector, net},
    user,
    user::UserSlice,
};
use linux_raw_sys::{general as raw, net as raw_net};

pub(super) const ROWS: &[Row] = &[
    Row::emulated(
        raw::__NR_sendto,
        "sendto",
        &[Fd, Pointer, Size, Flags, Pointer, Size],
        send,
    ),
    Row::emulated(
        raw::__NR_recvfrom,
        "recvfrom",
        &[Fd, Pointer, Size, Flags, Pointer, Pointer],
        receive,
    ),
    Row::emulated(
        raw::__NR_sendmsg,
        "sendmsg",
        &[Fd, Pointer, Flags],
        send_message,
    )
    .with_notes("SCM_RIGHTS: on socket pairs; elsewhere EPERM."),
    Row::emulated(
        raw::__NR_recvmsg,
        "recvmsg",
        &[Fd, Pointer, Flags],
        receive_message,
    )
    .with_notes("SCM_RIGHTS: on socket pairs; descriptors from elsewhere are closed."),
    Row::emulated(
        raw::__NR_sendmmsg,
        "sendmmsg",
        &[Fd, Pointer, Size, Flags],
        send_messages,
    ),
    Row::emulated(
        raw::__NR_recvmmsg,
        "recvmmsg",
        &[Fd, Pointer, Size, Flags, Pointer],
        receive_messages,
    ),
];

/// `MSG_CMSG_CLOEXEC`: for the kernel's descriptors, never for the host's.
const CLOSE_ON_EXEC: u32 = raw_net::MSG_CMSG_CLOEXEC;

/// `MSG_WAITFORONE`.
const WAIT_FOR_ONE: u32 = 0x1_0000;

/// `struct msghdr`, as its words: name, length of the name, ranges, their number, ancillary data,
/// its length, flags.
#[derive(Clone, Copy)]
struct Header {
    address: usize,
    words: [usize; 7],
}

impl Header {
    /// Bytes of the structure.
    const LEN: usize = 56;

    fn read(address: usize) -> Result<Self, Errno> {
        Ok(Self {
            address,
            words: user::get(address)?,
        })
    }

    const fn name(&self) -> (usize, usize) {
        let [name, len, ..] = self.words;
        // The upper half of the word is padding.
        (name, len as u32 as usize)
    }

    fn data(&self) -> Result<UserVector, Errno> {
        let [_, _, vector, count, ..] = self.words;
        if count > UserVector::MAX {
            return Err(Errno::EMSGSIZE);
        }
        UserVector::read(vector, count)
    }

    const fn control(&self) -> (usize, usize) {
        let [.., control, len, _] = self.words;
        (control, len)
    }

    /// Stores what a program learns from recvmsg(2).
    fn write(&self, name_len: usize, control_len: usize, flags: u32) -> Result<(), Errno> {
        user::put(self.address + 8, &(name_len as u32))?;
        user::put(self.address + 40, &control_len)?;
        user::put(self.address + 48, &flags)
    }
}

/// What a program learns of a message that was not sent: besides the error, `SIGPIPE` where the
/// connection is closed and `flags` do not say otherwise.
fn not_sent(call: &Call<'_>, socket: &Socket, error: Errno, flags: u32) -> Errno {
    if error == Errno::EPIPE && socket.breaks() && flags & raw_net::MSG_NOSIGNAL == 0 {
        signal::broken_pipe(call.thread);
    }
    interrupted(socket, error, true)
}

fn send(call: &Call<'_>) -> Outcome {
    let open = open(call)?;
    let socket = open.socket()?;
    let data = UserSlice::new(call.word(1), call.word(2))?;
    let destination = match call.word(4) {
        0 => None,
        address => {
            let address = Address::parse(&read_address(address, call.word(5))?)?;
            Some(destination(call, socket, address)?)
        }
    };
    let to = destination.as_ref().map(|d| d.bytes());
    net::send(open.host, host::From::User(data), call.uint(3), to)
        .map_err(|e| not_sent(call, socket, e, call.uint(3)))
}

fn receive(call: &Call<'_>) -> Outcome {
    let open = open(call)?;
    let socket = open.socket()?;
    let into = UserSlice::new(call.word(1), call.word(2))?;
    let want_address = call.word(4) != 0;
    let (len, address) = net::receive(
        open.host,
        host::Into::User(into),
        call.uint(3),
        want_address,
    )
    .map_err(|e| interrupted(socket, e, false))?;
    if want_address {
        let shown = socket.source(address, &call.thread.process.container.names)?;
        write_address(&shown, call.word(4), call.word(5))?;
    }
    Ok(len)
}

/// The open files that `SCM_RIGHTS` messages name, each with the sender's host descriptor.
fn files_to_send(call: &Call<'_>, messages: &[Message]) -> Result<Vec<Arc<Handle>>, Errno> {
    let mut handles = Vec::new();
    for message in messages {
        for fd in message.descriptors()? {
            handles.push(call.thread.process.files.get(fd)?);
        }
    }
    if handles.len() > control::MAX_DESCRIPTORS {
        Err(Errno::EINVAL)
    } else {
        Ok(handles)
    }
}

/// Checks `SCM_CREDENTIALS`: a process may only say who it is (unix(7)). The receiver gets what the
/// kernel knows of the sender in any case.
fn check_credentials(call: &Call<'_>, message: &Message) -> Result<(), Errno> {
    let process = &call.thread.process;
    let own = process.credentials();
    let (words, rest) = message.data.as_chunks::<4>();
    let [pid, uid, gid] = words else {
        return Err(Errno::EINVAL);
    };
    if !rest.is_empty() {
        return Err(Errno::EINVAL);
    }
    let true_ids = i32::from_ne_bytes(*pid) == process.id
        && (own.uid == 0
            || (u32::from_ne_bytes(*uid) == own.uid && own.in_group(u32::from_ne_bytes(*gid))));
    if true_ids { Ok(()) } else { Err(Errno::EPERM) }
}

fn send_one(call: &Call<'_>, open: &Open, header: &Header, flags: u32) -> Outcome {
    let socket = open.socket()?;
    let (name, name_len) = header.name();
    let destination = match (name, name_len) {
        (0, _) | (_, 0) => None,
        _ => Some(destination(
            call,
            socket,
            Address::parse(&read_address(name, name_len)?)?,
        )?),
    };
    let (control, control_len) = header.control();
    let control = match control_len {
        0 => Vec::new(),
        len if len > net::MAX_CONTROL => return Err(Errno::ENOBUFS),
        len => control::parse(&UserSlice::new(control, len)?.to_vec(net::MAX_CONTROL)?)?,
    };
    let (rights, control): (Vec<Message>, Vec<Message>) = control
        .into_iter()
        .partition(|m| m.is_socket(raw_net::SCM_RIGHTS));
    let (credentials, control): (Vec<Message>, Vec<Message>) = control
        .into_iter()
        .partition(|m| m.is_socket(raw_net::SCM_CREDENTIALS));
    for message in &credentials {
        check_credentials(call, message)?;
    }
    let data = header.data()?;
    let to = destination.as_ref().map(|d| d.bytes());
    let transfer = |rights: &[HostFd]| {
        socket
            .send(open.host, &data, to, &control, rights, flags)
            .map_err(|e| not_sent(call, socket, e, flags))
    };
    let handles = files_to_send(call, &rights)?;
    if handles.is_empty() {
        return transfer(&[]);
    }
    if !socket.is_paired() {
        return Err(Errno::EPERM);
    }
    let files = handles
        .iter()
        .map(|h| (Arc::clone(h.file()), h.host_fd()))
        .collect();
    let parcel = call.thread.process.container.in_flight.pack(files)?;
    let sent = transfer(parcel.descriptors())?;
    parcel.sent();
    Ok(sent)
}

fn send_message(call: &Call<'_>) -> Outcome {
    send_one(
        call,
        &open(call)?,
        &Header::read(call.word(1))?,
        call.uint(2),
    )
}

/// Gives the caller descriptors for received open files, as many as there is `room` for; the second
/// result says whether some were lost.
fn accept_files(
    call: &Call<'_>,
    files: Vec<Sendable>,
    room: usize,
    flags: u32,
) -> (Vec<i32>, bool) {
    let process = &call.thread.process;
    let mut descriptors = Vec::new();
    let mut lost = false;
    for (file, host) in files {
        // A handle that finds no place closes its host descriptor.
        let handle = Handle::new(file, host, process.id);
        if descriptors.len() >= room {
            lost = true;
            continue;
        }
        let close_on_exec = flags & CLOSE_ON_EXEC != 0;
        match process
            .files
            .insert(handle, 0, close_on_exec, process.descriptor_limit())
        {
            Ok(fd) => descriptors.push(fd),
            Err(_) => lost = true,
        }
    }
    (descriptors, lost)
}

fn receive_one(call: &Call<'_>, open: &Open, header: &Header, flags: u32) -> Outcome {
    let socket: &Socket = open.socket()?;
    let container = &call.thread.process.container;
    let data = header.data()?;
    let received = socket
        .receive(open.host, &data, flags & !CLOSE_ON_EXEC, &container.names)
        .map_err(|e| interrupted(socket, e, false))?;
    let Received {
        len,
        address,
        control: mut messages,
        descriptors,
        flags: told,
    } = received;
    let (control, control_len) = header.control();
    let room = if control == 0 {
        0
    } else {
        control_len.min(net::MAX_CONTROL)
    };
    let mut told = told & !CLOSE_ON_EXEC | flags & CLOSE_ON_EXEC;
    if !descriptors.is_empty() {
        let files = container
            .in_flight
            .unpack(descriptors, flags & raw_net::MSG_PEEK != 0)?;
        // Room for a header and whole descriptors (net/core/scm.c, `scm_detach_fds`).
        let places = room.saturating_sub(control::HEADER) / size_of::<i32>();
        let (fds, lost) = accept_files(call, files, places, flags);
        if lost {
            told |= raw_net::MSG_CTRUNC;
        }
        if !fds.is_empty() {
            messages.insert(0, Message::rights(&fds));
        }
    }
    let (bytes, truncated) = control::build(&messages, room);
    if truncated {
        told |= raw_net::MSG_CTRUNC;
    }
    UserSlice::new(control, bytes.len())?.write(&bytes)?;
    let (name, name_len) = header.name();
    let mut shown_len = 0;
    if name != 0 {
        let part = address
            .get(..address.len().min(name_len))
            .unwrap_or_default();
        UserSlice::new(name, part.len())?.write(part)?;
        shown_len = address.len();
    }
    header.write(shown_len, bytes.len(), told)?;
    Ok(len)
}

fn receive_message(call: &Call<'_>) -> Outcome {
    receive_one(
        call,
        &open(call)?,
        &Header::read(call.word(1))?,
        call.uint(2),
    )
}

/// Bytes of a `struct mmsghdr`.
const STEP: usize = 64;
/// Most messages of one call (Linux `UIO_MAXIOV`).
const MOST: usize = 1024;

/// Handles the `struct mmsghdr`s at argument 1 until one fails or `more` says no; the number done,
/// or the error of the first.
fn each(
    call: &Call<'_>,
    mut act: impl FnMut(&Open, &Header, usize) -> Result<(usize, bool), Errno>,
) -> Outcome {
    let open = open(call)?;
    let count = (call.uint(2) as usize).min(MOST);
    for done in 0..count {
        let one = call
            .word(1)
            .checked_add(done * STEP)
            .ok_or(Errno::EFAULT)
            .and_then(|address| {
                let header = Header::read(address)?;
                let (len, more) = act(&open, &header, done)?;
                user::put(address + Header::LEN, &(len as u32))?;
                Ok(more)
            });
        match one {
            Ok(true) => {}
            Ok(false) => return Ok(done + 1),
            Err(error) if done == 0 => return Err(error),
            Err(_) => return Ok(done),
        }
    }
    Ok(count)
}

fn send_messages(call: &Call<'_>) -> Outcome {
    each(call, |open, header, _| {
        Ok((send_one(call, open, header, call.uint(3))?, true))
    })
}

fn receive_messages(call: &Call<'_>) -> Outcome {
    let deadline = Deadline::after(timeout(call.word(4))?);
    let flags = call.uint(3);
    each(call, |open, header, done| {
        let no_wait = flags & WAIT_FOR_ONE != 0 && done > 0;
        let now = flags & !WAIT_FOR_ONE | if no_wait { raw_net::MSG_DONTWAIT } else { 0 };
        let len = receive_one(call, open, header, now)?;
        // Looked at after each message only, as Linux does (recvmmsg(2), "BUGS").
        Ok((len, deadline.left() != Some(0)))
    })
}
