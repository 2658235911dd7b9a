//! The line discipline as termios(3) describes it, and pseudo-terminals as pty(7) does.

use super::discipline::{Discipline, Effects};
use super::pty::{Pty, PtyTable};
use super::*;
use crate::fs::{FsContext, Mounts};
use crate::signal::{Action, Signal};
use crate::task::{Container, MAIN, Process, Thread};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::Errno;
use core::sync::atomic::{AtomicI32, Ordering};
use linux_raw_sys::general as raw;
use std::thread;

fn typed(discipline: &mut Discipline, bytes: &[u8]) -> Vec<Signal> {
    let mut effects = Effects::default();
    for byte in bytes {
        discipline.input(*byte, &mut effects);
    }
    effects.signals
}

fn shown(discipline: &mut Discipline) -> Vec<u8> {
    discipline.take_output(usize::MAX)
}

fn changed(discipline: &mut Discipline, change: impl FnOnce(&mut Termios)) {
    let mut settings = discipline.settings;
    change(&mut settings);
    discipline.set(settings);
}

#[test]
fn lines_are_read_one_by_one_and_echoed() {
    let mut tty = Discipline::default();
    typed(&mut tty, b"one\rtwo\nthr");
    assert_eq!(shown(&mut tty), b"one\r\ntwo\r\nthr");
    assert_eq!(tty.take(2), b"on");
    assert_eq!(tty.take(100), b"e\n");
    assert_eq!(tty.take(100), b"two\n");
    assert!(!tty.has_line());
    typed(&mut tty, b"ee\x04");
    assert_eq!(tty.take(100), b"three", "an end of file ends a line");
    typed(&mut tty, b"\x04");
    assert!(tty.has_line());
    assert_eq!(tty.take(100), b"", "and alone is the end");
}

#[test]
fn lines_are_edited() {
    let mut tty = Discipline::default();
    typed(&mut tty, b"ab\x7f\x7f\x7fc\n");
    assert_eq!(shown(&mut tty), b"ab\x08 \x08\x08 \x08c\r\n");
    assert_eq!(tty.take(100), b"c\n");
    typed(&mut tty, b"two words\x17x\n");
    assert_eq!(tty.take(100), b"two x\n");
    typed(&mut tty, b"gone\x15kept\n");
    assert_eq!(tty.take(100), b"kept\n");
    shown(&mut tty);
    typed(&mut tty, b"\x16\x03\x7f\n");
    assert_eq!(shown(&mut tty), b"^\x08^C\x08 \x08\x08 \x08\r\n");
    assert_eq!(tty.take(100), b"\n", "two columns of ^C go together");
    typed(&mut tty, b"a\t\x7fb\n");
    assert_eq!(
        shown(&mut tty),
        b"a\t\x08\x08\x08\x08\x08\x08\x08b\r\n",
        "back to where the tab began"
    );
    assert_eq!(tty.take(100), b"ab\n");
    changed(&mut tty, |t| t.input |= raw::IUTF8);
    typed(&mut tty, "ä\x7f€\n".as_bytes());
    assert_eq!(
        tty.take(100),
        "€\n".as_bytes(),
        "a character is erased whole"
    );
    changed(&mut tty, |t| t.local &= !raw::ECHO);
    shown(&mut tty);
    typed(&mut tty, b"secret\n");
    assert_eq!(shown(&mut tty), b"");
}

#[test]
fn special_characters_raise_signals_and_discard_what_was_typed() {
    let mut tty = Discipline::default();
    assert_eq!(typed(&mut tty, b"abc\x03"), [Signal::INT]);
    assert_eq!(shown(&mut tty), b"abc^C");
    assert_eq!(typed(&mut tty, b"\x1c\x1a"), [Signal::QUIT, Signal::TSTP]);
    typed(&mut tty, b"d\n");
    assert_eq!(tty.take(100), b"d\n");
    changed(&mut tty, |t| t.local |= raw::NOFLSH);
    typed(&mut tty, b"e\x03f\n");
    assert_eq!(tty.take(100), b"ef\n");
    changed(&mut tty, |t| t.local &= !raw::ISIG);
    assert_eq!(typed(&mut tty, b"\x03\n"), []);
    assert_eq!(tty.take(100), b"\x03\n");
    assert!(tty.output_room() > 0);
    typed(&mut tty, b"\x13");
    assert_eq!((tty.output_room(), tty.shown()), (0, 0), "stopped");
    typed(&mut tty, b"\x11");
    assert!(tty.output_room() > 0);
}

#[test]
fn raw_mode_passes_everything_on() {
    let mut tty = Discipline::default();
    typed(&mut tty, b"line\npart");
    changed(&mut tty, |t| {
        t.local &= !(raw::ICANON | raw::ISIG | raw::ECHO);
        t.input = 0;
        t.output &= !raw::OPOST;
    });
    shown(&mut tty);
    typed(&mut tty, b"\x03\r\x00\xff");
    assert_eq!(tty.take(6), b"line\np");
    assert_eq!(tty.take(100), b"art\x03\r\x00\xff");
    tty.put(b'\n');
    assert_eq!(shown(&mut tty), b"\n");
    typed(&mut tty, b"left");
    changed(&mut tty, |t| t.local |= raw::ICANON);
    assert_eq!(tty.take(100), b"left");
}

#[test]
fn a_line_that_is_too_long_loses_its_end_and_raw_input_waits() {
    let mut tty = Discipline::default();
    changed(&mut tty, |t| t.local &= !raw::ECHO);
    typed(&mut tty, &[b'x'; 5000]);
    assert_eq!(tty.room(), 1);
    typed(&mut tty, b"\n");
    assert_eq!(tty.take(9999).len(), 4096);
    changed(&mut tty, |t| t.local &= !raw::ICANON);
    typed(&mut tty, &[b'y'; 4095]);
    assert_eq!(tty.room(), 0);
}

#[test]
fn settings_come_back_as_they_were_given() {
    let mut settings = Termios::default();
    let bytes = settings.encode();
    let mut other = settings;
    other.update(&bytes).unwrap();
    assert_eq!(other, settings);
    // c_lflag and c_cc[VEOF] lie where Linux has them.
    assert_eq!(
        u32::from_ne_bytes(bytes[12..16].try_into().unwrap()),
        0x8a3b
    );
    assert_eq!(bytes[17 + 4], 4);
    let mut fewer = [0; 36];
    fewer[0] = 1;
    settings.update(&fewer).unwrap();
    assert_eq!((settings.input, settings.local), (1, 0));
    assert_ne!(settings.control & raw::CS8, 0);
    for bad in [0, 35, 37, 43, 45] {
        assert_eq!(settings.update(&[0; 64][..bad]), Err(Errno::EINVAL));
    }
}

fn pty() -> (Arc<PtyTable>, Arc<Pty>) {
    bannock_platform::hosted::install();
    let table = Arc::new(PtyTable::default());
    let pty = table.create(0).unwrap();
    (table, pty)
}

#[test]
fn both_sides_wait_for_each_other_and_notice_the_end() {
    let (table, pty) = pty();
    assert_eq!(table.numbers(), [0]);
    assert_eq!(pty.open_slave(), Err(Errno::EIO), "locked");
    pty.set_locked(false);
    assert_eq!(pty.read_master(10, false), Err(Errno::EAGAIN));
    pty.open_slave().unwrap();
    assert_eq!(pty.read_slave(10, false), Err(Errno::EAGAIN));
    let slave = Arc::clone(&pty);
    let reader = thread::spawn(move || slave.read_slave(10, true));
    pty.write_master(b"hi\n", true, None).unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), b"hi\n");
    assert_eq!(pty.read_master(10, true).unwrap(), b"hi\r\n");
    // More than fits: the writer goes on as the master reads.
    let slave = Arc::clone(&pty);
    let writer = thread::spawn(move || {
        let written = slave.write_slave(&[b'z'; 200_000], true);
        slave.close_slave();
        written
    });
    let mut total = 0;
    let end = loop {
        match pty.read_master(5000, true) {
            Ok(bytes) => total += bytes.len(),
            Err(error) => break error,
        }
    };
    assert_eq!((writer.join().unwrap(), total), (Ok(200_000), 200_000));
    assert_eq!(end, Errno::EIO);
    assert_ne!(pty.master_ready() & raw::POLLHUP, 0);
    pty.open_slave().unwrap();
    pty.close_master(None);
    assert_eq!(pty.read_slave(10, true).unwrap(), b"", "hung up");
    assert_eq!(pty.write_slave(b"x", true), Err(Errno::EIO));
    assert_eq!(pty.open_slave(), Err(Errno::EIO));
    assert!(table.numbers().is_empty());
}

#[test]
fn raw_reads_end_by_number_and_by_time() {
    let (_table, pty) = pty();
    pty.set_locked(false);
    pty.open_slave().unwrap();
    let set = |least: u8, time: u8| {
        let mut bytes = pty.settings().encode();
        bytes[12..16].fill(0);
        (bytes[17 + 6], bytes[17 + 5]) = (least, time);
        pty.set_settings(&bytes, true).unwrap();
    };
    let type_in = |bytes: &[u8]| pty.write_master(bytes, true, None).unwrap();
    set(3, 0);
    type_in(b"ab");
    assert_eq!(pty.read_slave(10, false), Err(Errno::EAGAIN));
    assert_eq!(pty.slave_ready() & raw::POLLIN, 0);
    assert_eq!(
        pty.read_slave(2, false).unwrap(),
        b"ab",
        "no more was asked for"
    );
    type_in(b"cde");
    assert_eq!(pty.read_slave(10, true).unwrap(), b"cde");
    set(0, 0);
    assert_eq!(pty.read_slave(10, true).unwrap(), b"");
    set(0, 1);
    assert_eq!(
        pty.read_slave(10, true).unwrap(),
        b"",
        "after a tenth of a second"
    );
    set(5, 1);
    type_in(b"f");
    assert_eq!(pty.read_slave(10, true).unwrap(), b"f", "nothing more came");
}

/// A session of a leader (10) with a terminal and a child (11) in a group of its own.
fn family() -> (Arc<Container>, [Arc<Thread>; 2], Arc<JobControl>) {
    bannock_platform::hosted::install();
    let container = Container::new();
    let fs = FsContext::new(Mounts::new(Vec::new(), &container.cache).unwrap());
    let make = |id: i32| {
        let process = Process::new(id, Arc::clone(&container), fs.fork());
        let thread = Arc::new(Thread::new(id, Arc::clone(&process)));
        process.add_thread(&thread);
        container.add_process(&process);
        thread
    };
    let threads = [make(10), make(11)];
    let child = &threads[1].process;
    child.parent.store(10, Ordering::Relaxed);
    child.session.store(10, Ordering::Relaxed);
    let control = Arc::new(JobControl::default());
    control.adopt(&threads[0]);
    (container, threads, control)
}

#[test]
fn background_groups_are_stopped_when_they_use_the_terminal() {
    let (container, [leader, child], control) = family();
    assert_eq!(control.foreground(), Some(10));
    assert_eq!(control.check(&leader, Signal::TTIN), Ok(()));
    assert_eq!(control.check(&child, Signal::TTIN), Err(Errno::RESTART));
    let waits = |signal| child.process.signals.lock().pending.set().contains(signal);
    assert!(waits(Signal::TTIN));
    // Who ignores the signal reads nothing and may write.
    let ignore = Action::from_words([1, 0, 0, 0]);
    for signal in [Signal::TTIN, Signal::TTOU] {
        child.process.signals.lock().actions.set(signal, ignore);
    }
    assert_eq!(control.check(&child, Signal::TTIN), Err(Errno::EIO));
    assert_eq!(control.check(&child, Signal::TTOU), Ok(()));
    // Without a parent in the session nobody could continue the group.
    child.process.signals.lock().actions.clear_handlers();
    for signal in [Signal::TTIN, Signal::TTOU] {
        child
            .process
            .signals
            .lock()
            .actions
            .set(signal, Action::default());
    }
    assert!(!is_orphaned(&container, 11));
    assert!(is_orphaned(&container, 10));
    child.process.parent.store(MAIN, Ordering::Relaxed);
    assert!(is_orphaned(&container, 11));
    assert_eq!(control.check(&child, Signal::TTOU), Err(Errno::EIO));
}

#[test]
fn requests_of_job_control_follow_tty_ioctl_4() {
    use linux_raw_sys::ioctl;
    let (container, [leader, child], control) = family();
    let value = AtomicI32::new(0);
    let at = value.as_ptr() as usize;
    let ask = |thread: &Arc<Thread>, request| control.ioctl(thread, request, at, true).unwrap();
    assert_eq!(ask(&child, ioctl::TIOCGSID), Ok(0));
    assert_eq!(value.load(Ordering::SeqCst), 10);
    value.store(11, Ordering::SeqCst);
    assert_eq!(ask(&leader, ioctl::TIOCSPGRP), Ok(0));
    value.store(0, Ordering::SeqCst);
    assert_eq!(ask(&leader, ioctl::TIOCGPGRP), Ok(0));
    assert_eq!(value.load(Ordering::SeqCst), 11);
    value.store(12, Ordering::SeqCst);
    assert_eq!(ask(&child, ioctl::TIOCSPGRP), Err(Errno::ESRCH));
    value.store(10, Ordering::SeqCst);
    assert_eq!(
        ask(&leader, ioctl::TIOCSPGRP),
        Err(Errno::EIO),
        "in the background, and orphaned"
    );
    assert_eq!(ask(&child, ioctl::TIOCSCTTY), Err(Errno::EPERM));
    // The leader's end hangs up on the foreground group.
    assert!(container.sessions.terminal(10).is_some());
    let groups = groups_around(&leader.process);
    assert_eq!(groups.iter().copied().collect::<Vec<_>>(), [10, 11]);
    after_end(&leader.process, groups);
    let waiting = child.process.signals.lock().pending.set();
    assert!(waiting.contains(Signal::HUP));
    assert!(container.sessions.terminal(10).is_none() && control.foreground().is_none());
    assert_eq!(ask(&child, ioctl::TIOCGPGRP), Err(Errno::ENOTTY));
}

#[test]
fn a_stopped_group_that_is_orphaned_is_told() {
    let (container, [leader, child], _control) = family();
    child.process.stop(Signal::TSTP);
    let groups = groups_around(&leader.process);
    child.process.parent.store(MAIN, Ordering::Relaxed);
    container.sessions.detach(&container, 10, false);
    after_end(&leader.process, groups);
    assert!(!child.process.is_stopped(), "continued");
    let waiting = child.process.signals.lock().pending.set();
    assert!(waiting.contains(Signal::HUP));
}
