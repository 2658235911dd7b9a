//! FIFOs on memory mounts, as fifo(7), pipe(7), poll(2) and epoll(7) describe them.

use super::filesystem::{FileSystem, NewFile, NewKind};
use super::*;
use crate::net::{Deadline, EpollFile, Interest, Ready, wait};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{Errno, cache::Pool, host};
use linux_raw_sys::general as raw;
use std::{thread, vec};

const IN: u16 = raw::POLLIN as u16;
const OUT: u16 = raw::POLLOUT as u16;
const HUP: u16 = raw::POLLHUP as u16;
const ERR: u16 = raw::POLLERR as u16;

/// A file system with a FIFO at `/f`.
fn context() -> Arc<FsContext> {
    bannock_platform::hosted::install();
    let pool = Arc::new(Pool::new());
    let memory = MemoryFs::new(Arc::clone(&pool), 70, 0o755);
    let new = NewFile {
        kind: NewKind::Fifo,
        mode: 0o644,
        uid: 0,
        gid: 0,
    };
    memory.make(memory.root(), b"f", &new).unwrap();
    let request = MountRequest {
        path: b"/".to_vec(),
        fs: Arc::new(memory),
        read_only: false,
    };
    Arc::new(FsContext::new(Mounts::new(vec![request], &pool).unwrap()))
}

fn open(context: &FsContext, flags: u32) -> Result<Arc<Handle>, Errno> {
    context.open(
        None,
        b"/f",
        flags,
        0,
        walk::How::empty(),
        &Credentials::default(),
    )
}

fn write(file: &Handle, bytes: &[u8]) -> Result<usize, Errno> {
    file.write(host::From::Kernel(bytes), None)
}

fn read(file: &Handle, len: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; len];
    let count = file.read(host::Into::Kernel(&mut bytes), None)?;
    bytes.truncate(count);
    Ok(bytes)
}

#[test]
fn openers_wait_for_each_other() {
    let context = context();
    let other = Arc::clone(&context);
    let reader = thread::spawn(move || {
        let reader = open(&other, raw::O_RDONLY).unwrap();
        let mut all = Vec::new();
        loop {
            match read(&reader, 1000).unwrap() {
                bytes if bytes.is_empty() => return all,
                bytes => all.extend(bytes),
            }
        }
    });
    let writer = open(&context, raw::O_WRONLY).unwrap();
    // More than the pipe holds: the writer waits for the reader, and nothing is lost.
    let sent: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
    assert_eq!(write(&writer, &sent), Ok(sent.len()));
    drop(writer);
    assert!(reader.join().unwrap() == sent);
}

#[test]
fn without_waiting_a_writer_needs_a_reader() {
    let context = context();
    let nonblocking = |flags| open(&context, flags | raw::O_NONBLOCK);
    assert_eq!(nonblocking(raw::O_WRONLY).err(), Some(Errno::ENXIO));
    let reader = nonblocking(raw::O_RDONLY).unwrap();
    assert_eq!(read(&reader, 1).unwrap(), b"", "nobody writes: the end");
    let writer = nonblocking(raw::O_WRONLY).unwrap();
    assert_eq!(read(&reader, 1), Err(Errno::EAGAIN));
    assert_eq!(reader.pipe_capacity(Some(5000)), Ok(8192));
    assert_eq!(write(&writer, &[1; 9000]), Ok(8192));
    assert_eq!(write(&writer, b"x"), Err(Errno::EAGAIN));
    assert_eq!(reader.pipe_capacity(Some(4096)), Err(Errno::EBUSY));
    assert_eq!(read(&reader, 4095).unwrap().len(), 4095);
    // A write of up to PIPE_BUF bytes is never torn apart.
    assert_eq!(write(&writer, &[2; 4096]), Err(Errno::EAGAIN));
    assert_eq!(write(&writer, &[2; 4095]), Ok(4095));
    drop(reader);
    assert_eq!(write(&writer, b"x"), Err(Errno::EPIPE));
    // What nobody read is gone with the last opener.
    drop(writer);
    let both = open(&context, raw::O_RDWR).unwrap();
    assert_eq!(write(&both, b"self"), Ok(4));
    assert_eq!(read(&both, 9).unwrap(), b"self");
}

#[test]
fn tee_copies_what_stays() {
    let context = context();
    let both = open(&context, raw::O_RDWR).unwrap();
    let other = self::context();
    let target = open(&other, raw::O_RDWR).unwrap();
    assert_eq!(both.tee(&target, 9, false), Err(Errno::EAGAIN));
    write(&both, b"abcdef").unwrap();
    assert_eq!(both.tee(&target, 4, true), Ok(4));
    assert_eq!(read(&target, 9).unwrap(), b"abcd");
    assert_eq!(read(&both, 9).unwrap(), b"abcdef");
}

fn table(handles: &[&Arc<Handle>]) -> FileTable {
    let files = FileTable::new(0);
    for handle in handles {
        files.insert(Arc::clone(handle), 0, false, 16).unwrap();
    }
    files
}

#[test]
fn poll_sees_fifos_as_pipe_7_says() {
    let context = context();
    let reader = open(&context, raw::O_RDONLY | raw::O_NONBLOCK).unwrap();
    let interest = |fd| Interest {
        fd,
        events: IN | OUT,
    };
    let quiet = table(&[&reader]);
    assert_eq!(
        wait(&quiet, &[interest(0)], Deadline::after(Some(0))),
        Ok(Ready::from_slice(&[0])),
        "no hang-up before the first writer"
    );
    let writer = open(&context, raw::O_WRONLY).unwrap();
    let files = table(&[&reader, &writer]);
    let both = [interest(0), interest(1)];
    assert_eq!(
        wait(&files, &both, Deadline::after(None)),
        Ok(Ready::from_slice(&[0, OUT]))
    );
    assert_eq!(write(&writer, b"x"), Ok(1));
    assert_eq!(
        wait(&files, &both, Deadline::after(None)),
        Ok(Ready::from_slice(&[IN, OUT]))
    );
    files.remove(1).unwrap();
    drop(writer);
    assert_eq!(
        wait(&files, &[interest(0)], Deadline::after(None)),
        Ok(Ready::from_slice(&[IN | HUP]))
    );
    read(&reader, 1).unwrap();
    assert_eq!(
        wait(&files, &[interest(0)], Deadline::after(None)),
        Ok(Ready::from_slice(&[HUP]))
    );
    let writer = open(&context, raw::O_WRONLY).unwrap();
    let last = table(&[&writer]);
    drop((reader, quiet, files));
    assert_eq!(
        wait(&last, &[interest(0)], Deadline::after(None)),
        Ok(Ready::from_slice(&[OUT | ERR]))
    );
}

#[test]
fn a_sleeping_poll_is_woken_by_a_writer() {
    let context = context();
    let reader = open(&context, raw::O_RDONLY | raw::O_NONBLOCK).unwrap();
    let writer = open(&context, raw::O_WRONLY).unwrap();
    let files = table(&[&reader]);
    let waiter = thread::spawn(move || {
        let interest = Interest { fd: 0, events: IN };
        wait(&files, &[interest], Deadline::after(None))
    });
    write(&writer, b"x").unwrap();
    assert_eq!(waiter.join().unwrap(), Ok(Ready::from_slice(&[IN])));
}

#[test]
fn epoll_watches_fifos_by_level_edge_and_once() {
    let context = context();
    let reader = open(&context, raw::O_RDONLY | raw::O_NONBLOCK).unwrap();
    let writer = open(&context, raw::O_WRONLY).unwrap();
    let epoll = |inner: Option<&Arc<Handle>>, events| {
        let host = host::poll::epoll().unwrap();
        let handle = Handle::new(EpollFile::open(), Some(host), 0);
        let file = EpollFile::of(&handle).unwrap();
        let target = inner.unwrap_or(&reader);
        let fd = (3, &**target);
        file.control(&handle, raw::EPOLL_CTL_ADD, fd, (events, 7))
            .unwrap();
        assert_eq!(
            file.control(&handle, raw::EPOLL_CTL_ADD, fd, (events, 7)),
            Err(Errno::EEXIST)
        );
        handle
    };
    let now = |handle: &Arc<Handle>| {
        let file = EpollFile::of(handle).unwrap();
        file.wait(handle.host().unwrap(), 8, Some(0)).unwrap()
    };
    let level = epoll(None, raw::EPOLLIN);
    let edge = epoll(None, raw::EPOLLIN | raw::EPOLLET);
    let once = epoll(None, raw::EPOLLIN | raw::EPOLLONESHOT);
    let outer = epoll(Some(&level), raw::EPOLLIN);
    for instance in [&level, &edge, &once, &outer] {
        assert!(now(instance).is_empty());
    }
    let ready = [(raw::EPOLLIN, 7)];
    write(&writer, b"x").unwrap();
    for instance in [&level, &edge, &once, &outer] {
        assert_eq!(now(instance), ready);
    }
    assert_eq!((now(&level), now(&edge)), (ready.to_vec(), Vec::new()));
    assert!(now(&once).is_empty() && now(&outer) == ready);
    write(&writer, b"y").unwrap();
    assert_eq!(now(&edge), ready, "a new edge");
    assert!(now(&once).is_empty());
    let file = EpollFile::of(&once).unwrap();
    file.control(&once, raw::EPOLL_CTL_MOD, (3, &reader), (raw::EPOLLIN, 8))
        .unwrap();
    assert_eq!(now(&once), [(raw::EPOLLIN, 8)]);
    file.control(&once, raw::EPOLL_CTL_DEL, (3, &reader), (0, 0))
        .unwrap();
    assert!(now(&once).is_empty());
    // Instances are seen ready by poll, too.
    let files = table(&[&outer]);
    let interest = Interest { fd: 0, events: IN };
    assert_eq!(
        wait(&files, &[interest], Deadline::after(None)),
        Ok(Ready::from_slice(&[IN]))
    );
}
