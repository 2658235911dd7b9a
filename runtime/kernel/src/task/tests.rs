//! Scripts, waiting, ids, the container's end.

use super::*;
use crate::fs::{FsContext, Mounts};
use crate::signal::{Action, Signal};
use alloc::{sync::Arc, vec, vec::Vec};
use bannock_platform::{Errno, hosted};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as raw;

fn family() -> (Arc<Thread>, Arc<Process>) {
    hosted::install();
    let container = Container::new();
    let fs = FsContext::new(Mounts::new(Vec::new(), &container.cache).unwrap());
    let parent = Process::new(20, Arc::clone(&container), fs.fork());
    let thread = Arc::new(Thread::new(20, Arc::clone(&parent)));
    parent.add_thread(&thread);
    let child = Process::new(21, Arc::clone(&container), fs);
    child.parent.store(20, Ordering::Relaxed);
    container.add_process(&parent);
    container.add_process(&child);
    (thread, child)
}

fn end(child: &Arc<Process>, status: ExitStatus) {
    let mut life = child.life.lock();
    life.status = Some(status);
    life.ended = Some(Usage::default());
    drop(life);
    let (code, detail) = status.to_info();
    notify_parent(child, code, detail);
}

#[test]
fn scripts_name_an_interpreter_and_one_argument() {
    let parse = |line: &[u8]| Script::parse(line);
    assert_eq!(parse(b"\x7fELF"), Ok(None));
    let script = parse(b"#! /bin/sh  -e x \nrest").unwrap().unwrap();
    assert_eq!(
        (&*script.interpreter, script.argument.as_deref()),
        (&b"/bin/sh"[..], Some(&b"-e x"[..]))
    );
    let arguments = script.arguments(b"/s", vec![b"name".to_vec(), b"a".to_vec()]);
    assert_eq!(arguments, [&b"/bin/sh"[..], b"-e x", b"/s", b"a"]);
    let script = parse(b"#!/bin/sh").unwrap().unwrap();
    assert_eq!(
        (&*script.interpreter, script.argument),
        (&b"/bin/sh"[..], None)
    );
    for bad in [&b"#!\n"[..], b"#! \t \n", b"#!"] {
        assert_eq!(parse(bad), Err(Errno::ENOEXEC));
    }
    let mut long = b"#!".to_vec();
    long.resize(script::HEAD, b'a');
    assert_eq!(
        parse(&long),
        Err(Errno::ENOEXEC),
        "a path that may be cut off is not run"
    );
}

#[test]
fn an_ended_child_is_seen_once() {
    let (thread, child) = family();
    assert_eq!(
        wait(&thread, Select::Any, raw::WEXITED | raw::WNOHANG),
        Ok(None)
    );
    end(&child, ExitStatus::Exited(3));
    let peeked = wait(&thread, Select::Process(21), raw::WEXITED | raw::WNOWAIT)
        .unwrap()
        .unwrap();
    assert_eq!(
        (peeked.status, peeked.child.id, peeked.child.status),
        (3 << 8, 21, 3)
    );
    assert_eq!(
        wait(&thread, Select::Group(21), raw::WEXITED).unwrap(),
        Some(peeked)
    );
    assert_eq!(wait(&thread, Select::Any, raw::WEXITED), Err(Errno::ECHILD));
    assert!(child.container.process(21).is_none());
}

#[test]
fn a_child_of_a_parent_that_ignores_it_vanishes() {
    let (thread, child) = family();
    thread
        .process
        .signals
        .lock()
        .actions
        .set(Signal::CHLD, Action::from_words([1, 0, 0, 0]));
    end(&child, ExitStatus::Killed(Signal::TERM));
    assert_eq!(wait(&thread, Select::Any, raw::WEXITED), Err(Errno::ECHILD));
}

#[test]
fn stops_and_continues_are_reported_where_asked_for() {
    let (thread, child) = family();
    child.stop(Signal::STOP);
    assert_eq!(
        wait(&thread, Select::Any, raw::WEXITED | raw::WNOHANG),
        Ok(None)
    );
    let stopped = wait(&thread, Select::Any, raw::WSTOPPED).unwrap().unwrap();
    assert_eq!(stopped.status, Signal::STOP.number() << 8 | 0x7f);
    crate::signal::resume(&child, true);
    let continued = wait(&thread, Select::Any, raw::WCONTINUED)
        .unwrap()
        .unwrap();
    assert_eq!(continued.status, 0xffff);
    assert_eq!(
        wait(&thread, Select::Any, raw::WCONTINUED | raw::WNOHANG),
        Ok(None)
    );
}

#[test]
fn orphans_go_to_the_nearest_subreaper_and_else_to_the_supervisor() {
    let (thread, child) = family();
    let grandchild = Process::new(22, Arc::clone(&child.container), child.fs.fork());
    grandchild.parent.store(21, Ordering::Relaxed);
    child.container.add_process(&grandchild);
    thread.process.subreaper.store(true, Ordering::Relaxed);
    children::orphan(&child);
    assert_eq!(grandchild.parent.load(Ordering::Relaxed), 20);
    thread.process.subreaper.store(false, Ordering::Relaxed);
    children::orphan(&thread.process);
    assert_eq!(grandchild.parent.load(Ordering::Relaxed), SUPERVISOR);
}

#[test]
fn the_first_reason_to_end_stands_and_everyone_ends() {
    let (thread, _) = family();
    let container = &thread.process.container;
    container.deny("file /x is not what was measured".into());
    container.fail("later".into());
    assert_eq!(
        container.ending(),
        Some(Ending::Denied("file /x is not what was measured".into()))
    );
    assert_ne!(thread.attention() & Thread::EXIT, 0);
}

#[test]
fn a_host_process_that_was_not_ended_by_the_kernel_fails_the_container() {
    let (thread, _) = family();
    let container = &thread.process.container;
    container.host_ends(100);
    host_process_gone(container, 100);
    assert_eq!(container.ending(), None);
    host_process_gone(container, 101);
    assert!(matches!(container.ending(), Some(Ending::Failed(_))));
}

#[test]
fn clone_refuses_what_it_cannot_do() {
    let (thread, _) = family();
    let registers = bannock_platform::Registers::default();
    let flags = |flags: u32| clone::Request {
        flags: u64::from(flags),
        ..clone::Request::default()
    };
    let made = |request: &clone::Request| clone::clone(&thread, &registers, request);
    assert_eq!(made(&flags(raw::CLONE_NEWUSER)), Err(Errno::EPERM));
    for bad in [
        raw::CLONE_PIDFD | raw::CLONE_THREAD | raw::CLONE_VM,
        raw::CLONE_PIDFD | raw::CLONE_PARENT_SETTID,
        raw::CLONE_VM,
        raw::CLONE_FILES,
        raw::CLONE_THREAD,
        raw::CLONE_VFORK,
    ] {
        assert_eq!(made(&flags(bad)), Err(Errno::EINVAL), "{bad:#x}");
    }
    assert_eq!(
        made(&clone::Request {
            exit_signal: 65,
            ..clone::Request::default()
        }),
        Err(Errno::EINVAL)
    );
    // The hosted platform starts nothing: nothing must be left of the attempt.
    let before = thread.process.container.processes().len();
    assert_eq!(made(&clone::Request::default()), Err(Errno::ENOSYS));
    assert_eq!(thread.process.container.processes().len(), before);
}

#[test]
fn user_ids_change_as_linux_allows() {
    let mut ids = Ids::new(0, 0, Vec::new());
    ids.user.set_all(u32::MAX, 1000, u32::MAX, true).unwrap();
    assert_eq!(
        (ids.user.effective, ids.user.files, ids.is_privileged()),
        (1000, 1000, false)
    );
    ids.user.set(0, false).unwrap();
    assert!(ids.is_privileged(), "the saved id lets it come back");
    ids.user.set(1000, true).unwrap();
    assert_eq!(ids.user.set(0, false), Err(Errno::EPERM));
    assert_eq!(ids.user.set(u32::MAX, true), Err(Errno::EINVAL));
}

#[test]
fn hard_limits_only_fall_without_privilege() {
    let limits = Limits::default();
    assert_eq!(
        limits.set(raw::RLIMIT_NOFILE, [10, 5], true),
        Err(Errno::EINVAL)
    );
    limits.set(raw::RLIMIT_NOFILE, [64, 64], false).unwrap();
    assert_eq!(
        limits.set(raw::RLIMIT_NOFILE, [64, 65], false),
        Err(Errno::EPERM)
    );
    assert_eq!(limits.get(16), Err(Errno::EINVAL));
    assert_eq!(limits.descriptors(), 64);
}

#[test]
fn every_call_of_the_table_has_a_name() {
    for number in (0..=334usize).chain(424..=462) {
        assert!(crate::syscall::lookup(number).is_some(), "{number}");
    }
}
