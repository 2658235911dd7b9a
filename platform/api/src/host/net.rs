//! Sockets of the host.

use super::{From, HostFd, Into, blocking, call, counted, file::UserVector};
use crate::Errno;
use alloc::vec::Vec;
use core::mem::size_of;
use linux_raw_sys::{general as raw, net};

/// Longest socket address in bytes (Linux `struct sockaddr_storage`).
pub const MAX_ADDRESS: usize = 128;

/// Longest ancillary data in bytes that is passed either way.
pub const MAX_CONTROL: usize = 8192;

/// socket(2).
///
/// # Errors
/// What the host said.
pub fn socket(domain: u32, kind: u32, protocol: u32) -> Result<HostFd, Errno> {
    let args = [domain as usize, kind as usize, protocol as usize, 0, 0, 0];
    // SAFETY: no pointers.
    HostFd::from_return(unsafe { call(raw::__NR_socket, args) }?)
}

/// socketpair(2).
///
/// # Errors
/// What the host said.
pub fn socket_pair(domain: u32, kind: u32, protocol: u32) -> Result<(HostFd, HostFd), Errno> {
    let mut ends = [-1i32; 2];
    let args = [
        domain as usize,
        kind as usize,
        protocol as usize,
        ends.as_mut_ptr() as usize,
        0,
        0,
    ];
    // SAFETY: the array is ours.
    unsafe { call(raw::__NR_socketpair, args) }?;
    let [a, b] = ends;
    if a < 0 || b < 0 {
        return Err(Errno::EIO);
    }
    Ok((HostFd::inherited(a), HostFd::inherited(b)))
}

/// bind(2).
///
/// # Errors
/// What the host said.
pub fn bind(fd: HostFd, address: &[u8]) -> Result<(), Errno> {
    // SAFETY: the address outlives the call.
    unsafe {
        call(
            raw::__NR_bind,
            [fd.arg(), address.as_ptr() as usize, address.len(), 0, 0, 0],
        )
    }
    .map(drop)
}

/// connect(2).
///
/// # Errors
/// What the host said.
pub fn connect(fd: HostFd, address: &[u8]) -> Result<(), Errno> {
    // SAFETY: the address outlives the call.
    unsafe {
        blocking(
            raw::__NR_connect,
            [fd.arg(), address.as_ptr() as usize, address.len(), 0, 0, 0],
        )
    }
    .map(drop)
}

/// listen(2).
///
/// # Errors
/// What the host said.
pub fn listen(fd: HostFd, backlog: u32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    unsafe { call(raw::__NR_listen, [fd.arg(), backlog as usize, 0, 0, 0, 0]) }.map(drop)
}

/// accept4(2): the new socket and the peer's address.
///
/// # Errors
/// What the host said.
pub fn accept(fd: HostFd, flags: u32) -> Result<(HostFd, Vec<u8>), Errno> {
    let (ret, address) = with_address(|pointer, len| {
        // SAFETY: the buffers outlive the call.
        unsafe {
            blocking(
                raw::__NR_accept4,
                [fd.arg(), pointer, len, flags as usize, 0, 0],
            )
        }
    });
    Ok((HostFd::from_return(ret?)?, address))
}

/// getsockname(2).
///
/// # Errors
/// What the host said.
pub fn local_address(fd: HostFd) -> Result<Vec<u8>, Errno> {
    let (ret, address) = with_address(|pointer, len| {
        // SAFETY: the buffers outlive the call.
        unsafe { call(raw::__NR_getsockname, [fd.arg(), pointer, len, 0, 0, 0]) }
    });
    ret.map(|_| address)
}

/// getpeername(2).
///
/// # Errors
/// What the host said.
pub fn peer_address(fd: HostFd) -> Result<Vec<u8>, Errno> {
    let (ret, address) = with_address(|pointer, len| {
        // SAFETY: the buffers outlive the call.
        unsafe { call(raw::__NR_getpeername, [fd.arg(), pointer, len, 0, 0, 0]) }
    });
    ret.map(|_| address)
}

fn with_address(
    f: impl FnOnce(usize, usize) -> Result<usize, Errno>,
) -> (Result<usize, Errno>, Vec<u8>) {
    let mut address = alloc::vec![0u8; MAX_ADDRESS];
    let mut len = MAX_ADDRESS as u32;
    let ret = f(
        address.as_mut_ptr() as usize,
        core::ptr::from_mut(&mut len) as usize,
    );
    address.truncate(len as usize);
    (ret, address)
}

/// shutdown(2).
///
/// # Errors
/// What the host said.
pub fn shutdown(fd: HostFd, how: u32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    unsafe { call(raw::__NR_shutdown, [fd.arg(), how as usize, 0, 0, 0, 0]) }.map(drop)
}

/// sendto(2).
///
/// # Errors
/// What the host said.
pub fn send(
    fd: HostFd,
    from: From<'_>,
    flags: u32,
    address: Option<&[u8]>,
) -> Result<usize, Errno> {
    let (pointer, len) = from.parts();
    let (a, a_len) = address.map_or((0, 0), |a| (a.as_ptr() as usize, a.len()));
    let args = [fd.arg(), pointer, len, flags as usize, a, a_len];
    // SAFETY: buffer and address outlive the call.
    counted(unsafe { blocking(raw::__NR_sendto, args) }, len)
}

/// recvfrom(2): bytes received (with `MSG_TRUNC` possibly more than the buffer) and the peer's
/// address.
///
/// # Errors
/// What the host said.
pub fn receive(
    fd: HostFd,
    into: Into<'_>,
    flags: u32,
    want_address: bool,
) -> Result<(usize, Vec<u8>), Errno> {
    let (pointer, len) = into.parts();
    if !want_address {
        let args = [fd.arg(), pointer, len, flags as usize, 0, 0];
        // SAFETY: the buffer is ours or the program's and as long as said.
        let ret = unsafe { blocking(raw::__NR_recvfrom, args) };
        return received(ret, len, flags).map(|n| (n, Vec::new()));
    }
    let (ret, address) = with_address(|a, a_len| {
        // SAFETY: as above; the address buffers outlive the call.
        unsafe {
            blocking(
                raw::__NR_recvfrom,
                [fd.arg(), pointer, len, flags as usize, a, a_len],
            )
        }
    });
    received(ret, len, flags).map(|n| (n, address))
}

fn received(ret: Result<usize, Errno>, len: usize, flags: u32) -> Result<usize, Errno> {
    // With MSG_TRUNC the true length of a datagram is returned; it says nothing about the buffer.
    if flags & net::MSG_TRUNC != 0 {
        ret
    } else {
        counted(ret, len)
    }
}

/// A message for [`send_message`].
pub struct Outgoing<'a> {
    /// Data ranges of the program.
    pub data: &'a UserVector,
    /// Destination.
    pub address: Option<&'a [u8]>,
    /// Ancillary data, made by the kernel.
    pub control: &'a [u8],
}

/// sendmsg(2).
///
/// # Errors
/// What the host said.
pub fn send_message(fd: HostFd, message: &Outgoing<'_>, flags: u32) -> Result<usize, Errno> {
    let header = Header {
        name: message.address.map_or(0, |a| a.as_ptr() as usize),
        name_len: message.address.map_or(0, <[u8]>::len) as u32,
        pad: 0,
        vector: message.data.address(),
        vector_len: message.data.count(),
        control: if message.control.is_empty() {
            0
        } else {
            message.control.as_ptr() as usize
        },
        control_len: message.control.len(),
        flags: 0,
        pad2: 0,
    };
    let args = [
        fd.arg(),
        core::ptr::from_ref(&header) as usize,
        flags as usize,
        0,
        0,
        0,
    ];
    // SAFETY: all parts of the message outlive the call; the data ranges are the program's.
    counted(
        unsafe { blocking(raw::__NR_sendmsg, args) },
        message.data.total(),
    )
}

/// What [`receive_message`] got.
pub struct Incoming {
    /// Bytes received.
    pub len: usize,
    /// Source address.
    pub address: Vec<u8>,
    /// Ancillary data as the host gave it, to be parsed as hostile.
    pub control: Vec<u8>,
    /// `MSG_*` flags.
    pub flags: u32,
}

/// recvmsg(2).
///
/// # Errors
/// What the host said.
pub fn receive_message(fd: HostFd, into: &UserVector, flags: u32) -> Result<Incoming, Errno> {
    let mut address = alloc::vec![0u8; MAX_ADDRESS];
    let mut control = alloc::vec![0u8; MAX_CONTROL];
    let mut header = Header {
        name: address.as_mut_ptr() as usize,
        name_len: MAX_ADDRESS as u32,
        pad: 0,
        vector: into.address(),
        vector_len: into.count(),
        control: control.as_mut_ptr() as usize,
        control_len: control.len(),
        flags: 0,
        pad2: 0,
    };
    let args = [
        fd.arg(),
        core::ptr::from_mut(&mut header) as usize,
        flags as usize,
        0,
        0,
        0,
    ];
    // SAFETY: all buffers outlive the call; the data ranges are the program's.
    let len = received(
        unsafe { blocking(raw::__NR_recvmsg, args) },
        into.total(),
        flags,
    )?;
    address.truncate(header.name_len as usize);
    control.truncate(header.control_len);
    Ok(Incoming {
        len,
        address,
        control,
        flags: header.flags,
    })
}

/// `struct msghdr`, with addresses as integers.
#[repr(C)]
struct Header {
    name: usize,
    name_len: u32,
    pad: u32,
    vector: usize,
    vector_len: usize,
    control: usize,
    control_len: usize,
    flags: u32,
    pad2: u32,
}
const _: () = assert!(size_of::<Header>() == 56);

/// getsockopt(2) into `into`; returns the length that the option has.
///
/// # Errors
/// What the host said.
pub fn option(fd: HostFd, level: u32, name: u32, into: &mut [u8]) -> Result<usize, Errno> {
    let mut len = into.len() as u32;
    let args = [
        fd.arg(),
        level as usize,
        name as usize,
        into.as_mut_ptr() as usize,
        core::ptr::from_mut(&mut len) as usize,
        0,
    ];
    // SAFETY: buffer and length outlive the call.
    unsafe { call(raw::__NR_getsockopt, args) }?;
    counted(Ok(len as usize), into.len())
}

/// setsockopt(2).
///
/// # Errors
/// What the host said.
pub fn set_option(fd: HostFd, level: u32, name: u32, value: &[u8]) -> Result<(), Errno> {
    let args = [
        fd.arg(),
        level as usize,
        name as usize,
        value.as_ptr() as usize,
        value.len(),
        0,
    ];
    // SAFETY: the value outlives the call.
    unsafe { call(raw::__NR_setsockopt, args) }.map(drop)
}
