//! Replacing the program of a process (execve(2)).
//!
//! Everything that can go wrong with the new program is found out while the old one still runs
//! ([`prepare`]). Then the process's other threads end, the host process is replaced by a fresh one
//! (`replace`), and that one loads the program (`start`).

use super::{Process, Program, Script, Thread, exit, script};
use crate::fs::{Executable, Location, walk::How};
use crate::mm::{AddressSpace, AuxiliaryValues, Placement, Start, loader};
use crate::signal::{AltStack, Queue};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{Errno, FileBytes, current, host, platform, upcall::Entry};
use core::sync::atomic::Ordering;

/// Most scripts that name each other as interpreters (Linux: `ELOOP` after five).
const MAX_SCRIPTS: u32 = 5;
/// Bytes of a signal frame besides the extended state and its magic word, with what alignment
/// takes (`AT_MINSIGSTKSZ`).
const FRAME: usize = 440 + 4 + 64 + 16 + 128;

/// What is to be executed, in the kernel's memory.
pub struct Request {
    /// Where a relative path starts; `None` is the working directory.
    pub start: Option<Location>,
    /// Path.
    pub path: Vec<u8>,
    /// How to walk it.
    pub how: How,
    /// The name that a script's interpreter gets for it, and `AT_EXECFN`.
    pub shown: Vec<u8>,
    /// Arguments.
    pub arguments: Vec<Vec<u8>>,
    /// Environment.
    pub environment: Vec<Vec<u8>>,
}

/// A program that was found good, until it starts.
pub(super) struct Pending {
    plan: loader::Plan,
    program: Program,
    shown: Vec<u8>,
    /// What the calling thread becomes, where it is not the process's first.
    successor: Option<Arc<Thread>>,
}

/// Looks at a program and everything that it names.
///
/// # Errors
/// As execve(2).
pub(super) fn plan(process: &Process, request: Request) -> Result<Pending, Errno> {
    let credentials = process.credentials();
    let Request {
        start,
        path,
        how,
        shown,
        mut arguments,
        environment,
    } = request;
    if arguments.is_empty() {
        // As Linux since 5.18: a program never starts without a name.
        arguments.push(Vec::new());
    }
    let mut name = shown.clone();
    let mut found: Executable =
        process
            .fs
            .open_for_exec(start.as_ref(), &path, how, &credentials)?;
    let mut rounds = 0;
    while let Some(script) = read_script(&found)? {
        rounds += 1;
        if rounds > MAX_SCRIPTS {
            return Err(Errno::ELOOP);
        }
        arguments = script.arguments(&name, arguments);
        name.clone_from(&script.interpreter);
        found = process
            .fs
            .open_for_exec(None, &script.interpreter, How::empty(), &credentials)?;
    }
    let open = |path: &[u8]| -> Result<loader::ProgramFile, Errno> {
        Ok(process
            .fs
            .open_for_exec(None, path, How::empty(), &credentials)?
            .handle)
    };
    let plan = loader::Plan::of(found.handle, &mut { open }).map_err(|fault| fault.errno())?;
    let program = Program {
        path: found.path,
        arguments,
        environment,
    };
    let pending = Pending {
        plan,
        program,
        shown: name,
        successor: None,
    };
    pending.start(process, AuxiliaryValues::default()).check()?;
    Ok(pending)
}

fn read_script(program: &Executable) -> Result<Option<Script>, Errno> {
    let file = &program.handle;
    let len = FileBytes::len(&**file).min(script::HEAD as u64) as usize;
    let mut head = alloc::vec![0; len];
    FileBytes::read_at(&**file, 0, &mut head)?;
    Script::parse(&head)
}

impl Pending {
    fn start<'a>(&'a self, process: &Process, values: AuxiliaryValues) -> Start<'a> {
        Start {
            arguments: &self.program.arguments,
            environment: &self.program.environment,
            path: &self.shown,
            values,
            stack_limit: process.limits.stack(),
        }
    }
}

/// Makes the caller's process ready to be replaced; the calling thread then has
/// [`Thread::REPLACE`] to attend to.
///
/// # Errors
/// As execve(2); `EINTR` when the caller has to end instead.
pub fn prepare(thread: &Arc<Thread>, request: Request) -> Result<(), Errno> {
    let process = &thread.process;
    let mut pending = plan(process, request)?;
    exit::end_others(thread)?;
    // From here on there is no way back to the old program.
    exit::release_futexes(thread);
    let thread_after = if thread.id == process.id {
        Arc::clone(thread)
    } else {
        let successor = Arc::new(Thread::new(process.id, Arc::clone(process)));
        succeed(thread, &successor);
        pending.successor = Some(Arc::clone(&successor));
        successor
    };
    pending.name(&thread_after);
    {
        let mut own = thread_after.signals.lock();
        own.alt_stack = AltStack::default();
        own.saved_mask = None;
    }
    process.signals.lock().actions.reset_for_exec();
    process.timers.clear();
    process.executed.store(true, Ordering::Relaxed);
    process.parent_death_signal.store(0, Ordering::Relaxed);
    process.dumpable.store(1, Ordering::Relaxed);
    *process.exit_signal.lock() = Some(crate::signal::Signal::CHLD);
    process.files.close_on_exec();
    set_pending(process, pending);
    thread.attend(Thread::REPLACE);
    Ok(())
}

/// Gives the id of the process's first thread, which is gone, to the one that executes.
fn succeed(thread: &Arc<Thread>, successor: &Arc<Thread>) {
    let process = &thread.process;
    {
        let mut old = thread.signals.lock();
        let mut new = successor.signals.lock();
        new.mask = old.saved_mask.unwrap_or(old.mask);
        new.pending = core::mem::replace(&mut old.pending, Queue::new());
    }
    successor.set_host_ids(thread.host_ids());
    process.add_thread(successor);
    process.container.add_thread(successor);
    process.remove_thread(thread.id);
    process.container.remove_thread(thread.id);
    if !crate::signal::deliverable(successor).is_empty() {
        successor.attend(Thread::SIGNAL);
    }
}

/// Replaces the calling host process.
pub(super) fn replace(thread: Arc<Thread>) -> ! {
    let process = Arc::clone(&thread.process);
    thread.calm(Thread::REPLACE);
    let successor = process
        .pending
        .lock()
        .as_mut()
        .and_then(|pending| pending.successor.take());
    drop(thread);
    if let Some(successor) = successor {
        current::set(successor);
    }
    drop(process);
    // Returns only on failure. The old program is gone as far as its parent can tell, so whatever
    // the reason is, the process ends.
    let _ = platform().restart_process();
    let Some(thread) = current::get::<Thread>() else {
        platform().fail_stop("a thread without an identity")
    };
    exit::kill(&thread);
    exit::finish(thread)
}

/// Whether a program waits to be started.
pub(super) fn is_pending(process: &Process) -> bool {
    process.pending.lock().is_some()
}

/// Loads the program that waits, and makes `entry` its first instruction.
///
/// # Errors
/// What went wrong; the process has to end.
pub(super) fn start(thread: &Arc<Thread>, entry: &mut Entry<'_>) -> Result<(), Errno> {
    let process = &thread.process;
    let Some(pending) = process.pending.lock().take() else {
        return Ok(());
    };
    let space = AddressSpace::new(Placement::random()?);
    space.set_limits(process.limits.memory(process.is_privileged()));
    process.set_space(Arc::clone(&space));
    process.return_memory();
    let loaded = pending.plan.load(&space).map_err(|fault| fault.errno())?;
    let (user, group) = {
        let ids = process.ids.lock();
        (ids.user.effective, ids.group.effective)
    };
    let config = &process.container.config;
    let values = AuxiliaryValues {
        user,
        group,
        hwcap: config.hwcap,
        hwcap2: config.hwcap2,
        min_signal_stack: entry.extended.len() + FRAME,
    };
    let registers = pending.start(process, values).build(&space, &loaded)?;
    drop(pending);
    close_strays(process);
    entry.extended.load(0)?;
    *entry.registers = registers;
    entry.exact = true;
    platform().set_fs_base(0);
    Ok(())
}

/// Closes host descriptors that no descriptor of the process stands for: copies of what other
/// threads of its parent had open for a moment when it was made.
fn close_strays(process: &Process) {
    let config = &process.container.config;
    let mut keep = process.files.host_numbers();
    keep.extend_from_slice(&process.container.kept());
    keep.sort_unstable();
    keep.dedup();
    host::file::close_others(config.first_descriptor, &keep);
}

impl Pending {
    /// Names `thread` after the program.
    pub(super) fn name(&self, thread: &Thread) {
        thread.set_name(self.shown.rsplit(|b| *b == b'/').next().unwrap_or_default());
    }
}

/// Has `process` load this program when it starts.
pub(super) fn set_pending(process: &Process, pending: Pending) {
    process.program.lock().clone_from(&pending.program);
    *process.pending.lock() = Some(pending);
}
