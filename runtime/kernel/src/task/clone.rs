//! New threads and processes.

use super::{Process, ProcessFile, Thread, exit};
use crate::fs::{Handle, OpenFile};
use crate::signal::{AltStack, Signal};
use alloc::sync::Arc;
use bannock_platform::{Errno, Registers, Spawn, SpawnKind, current, platform, user};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as raw;

/// What clone(2) is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// `CLONE_*`, without the exit signal.
    pub flags: u64,
    /// Word that gets a descriptor of the child in the caller (`CLONE_PIDFD`).
    pub pidfd: usize,
    /// Stack pointer of the child; 0 for the caller's.
    pub stack: usize,
    /// Word that gets the id in the caller (`CLONE_PARENT_SETTID`).
    pub parent_tid: usize,
    /// Word that gets the id in the child, or is cleared at its end.
    pub child_tid: usize,
    /// Thread-local storage (`CLONE_SETTLS`).
    pub tls: usize,
    /// Signal to the parent at the end; 0 for none.
    pub exit_signal: i32,
}

const NAMESPACES: u64 = (raw::CLONE_NEWNS
    | raw::CLONE_NEWCGROUP
    | raw::CLONE_NEWUTS
    | raw::CLONE_NEWIPC
    | raw::CLONE_NEWUSER
    | raw::CLONE_NEWPID
    | raw::CLONE_NEWNET
    | raw::CLONE_NEWTIME) as u64;
/// What is understood; `CLONE_PTRACE`, `CLONE_UNTRACED`, `CLONE_DETACHED` and `CLONE_IO` change
/// nothing here, `CLONE_SYSVSEM` has no semaphores to share.
const KNOWN: u64 = raw::CLONE_CLEAR_SIGHAND
    | (raw::CLONE_VM
        | raw::CLONE_FS
        | raw::CLONE_FILES
        | raw::CLONE_SIGHAND
        | raw::CLONE_PIDFD
        | raw::CLONE_VFORK
        | raw::CLONE_PARENT
        | raw::CLONE_THREAD
        | raw::CLONE_SYSVSEM
        | raw::CLONE_SETTLS
        | raw::CLONE_PARENT_SETTID
        | raw::CLONE_CHILD_CLEARTID
        | raw::CLONE_CHILD_SETTID
        | raw::CLONE_PTRACE
        | raw::CLONE_UNTRACED
        | raw::CLONE_DETACHED
        | raw::CLONE_IO) as u64;
/// What only threads of one process can share.
const SHARED: u64 = (raw::CLONE_VM | raw::CLONE_FS | raw::CLONE_FILES | raw::CLONE_SIGHAND) as u64;

impl Request {
    fn has(&self, flag: u32) -> bool {
        self.flags & u64::from(flag) != 0
    }

    /// Which kind of child is asked for.
    fn kind(&self) -> Result<SpawnKind, Errno> {
        if self.flags & NAMESPACES != 0 {
            return Err(Errno::EPERM);
        }
        if self.flags & !KNOWN != 0 {
            return Err(Errno::EINVAL);
        }
        let word_twice = self.has(raw::CLONE_PARENT_SETTID) && self.parent_tid == self.pidfd;
        if self.has(raw::CLONE_PIDFD)
            && (word_twice || self.has(raw::CLONE_THREAD) || self.has(raw::CLONE_DETACHED))
        {
            return Err(Errno::EINVAL);
        }
        let shared = self.flags & SHARED;
        if self.has(raw::CLONE_THREAD) {
            // Threads that share less than everything are nothing that a library makes.
            let clears = self.flags & raw::CLONE_CLEAR_SIGHAND != 0;
            return if shared == SHARED && !clears {
                Ok(SpawnKind::Thread)
            } else {
                Err(Errno::EINVAL)
            };
        }
        match (shared as u32, self.has(raw::CLONE_VFORK)) {
            (0, false) => Ok(SpawnKind::Fork),
            (raw::CLONE_VM, true) => Ok(SpawnKind::Vfork),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// clone(2): a new thread or process that continues as `registers` say.
///
/// # Errors
/// `EINVAL` for combinations that are not supported, `EPERM` for namespaces, `EAGAIN`, `ENOMEM`.
pub fn clone(thread: &Arc<Thread>, registers: &Registers, request: &Request) -> Result<i32, Errno> {
    let kind = request.kind()?;
    let exit_signal = Signal::optional(request.exit_signal)?;
    let mut registers = *registers;
    registers.rax = 0;
    if request.stack != 0 {
        registers.rsp = request.stack;
    }
    let id = thread.process.container.allocate_id();
    let start = Start {
        thread,
        registers,
        request,
        kind,
        id,
    };
    match kind {
        SpawnKind::Thread => start.thread(),
        SpawnKind::Fork | SpawnKind::Vfork => start.process(exit_signal),
    }?;
    Ok(id)
}

struct Start<'a> {
    thread: &'a Arc<Thread>,
    registers: Registers,
    request: &'a Request,
    kind: SpawnKind,
    id: i32,
}

impl Start<'_> {
    fn thread(&self) -> Result<(), Errno> {
        let process = &self.thread.process;
        let child = self.make(Arc::clone(process));
        process.add_thread(&child);
        let spawned = self.spawn(&child);
        if spawned.is_err() {
            process.remove_thread(child.id);
        } else if process.life.lock().status.is_some() {
            // The process's end was decided before it had this thread.
            crate::signal::wake(&child, Thread::EXIT);
        }
        spawned
    }

    fn process(&self, exit_signal: Option<Signal>) -> Result<(), Errno> {
        let wants_descriptor = self.request.has(raw::CLONE_PIDFD);
        let descriptor = wants_descriptor
            .then(|| Descriptor::reserve(self.thread, self.request.pidfd))
            .transpose()?;
        let parent = &self.thread.process;
        let space = parent.space();
        let child = parent.files.fork_with(self.id, |files| {
            if let Some(descriptor) = &descriptor {
                // Only the parent has it.
                files.remove(descriptor.number)?;
            }
            let child = parent.fork(self.id, files);
            *child.exit_signal.lock() = exit_signal;
            if self.request.flags & raw::CLONE_CLEAR_SIGHAND != 0 {
                child.signals.lock().actions.clear_handlers();
            }
            if self.request.has(raw::CLONE_PARENT) {
                child
                    .parent
                    .store(parent.parent.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            let child = Arc::new(child);
            if self.kind == SpawnKind::Vfork {
                child.set_space(Arc::clone(&space));
                child.borrow_memory();
                return self.start(&child).map(|()| child);
            }
            space.fork_with(|copy| {
                child.set_space(copy);
                self.start(&child).map(|()| child)
            })
        })?;
        if let Some(descriptor) = descriptor {
            descriptor.keep(&child);
        }
        if child.container.ending().is_some() {
            exit::begin(&child, super::ExitStatus::Killed(Signal::KILL));
        }
        if self.kind == SpawnKind::Vfork {
            child.wait_for_memory(self.thread);
        }
        Ok(())
    }

    fn start(&self, process: &Arc<Process>) -> Result<(), Errno> {
        let child = self.make(Arc::clone(process));
        process.add_thread(&child);
        process.container.add_process(process);
        let spawned = self.spawn(&child);
        if spawned.is_err() {
            process.container.remove_process(process.id);
            process.remove_thread(child.id);
        }
        spawned
    }

    /// The new thread's object, with what it inherits.
    fn make(&self, process: Arc<Process>) -> Arc<Thread> {
        let child = Arc::new(Thread::new(self.id, process));
        child.set_name(&self.thread.name());
        let child_tid = self.request.child_tid;
        if self.request.has(raw::CLONE_CHILD_CLEARTID) {
            child.clear_child_tid.store(child_tid, Ordering::Relaxed);
        }
        if self.request.has(raw::CLONE_CHILD_SETTID) {
            child.set_child_tid.store(child_tid, Ordering::Relaxed);
        }
        let (mask, alt_stack) = {
            let own = self.thread.signals.lock();
            (own.mask, own.alt_stack)
        };
        {
            let mut own = child.signals.lock();
            own.mask = mask;
            // sigaltstack(2): not for what shares memory, vfork excepted.
            own.alt_stack = if self.kind == SpawnKind::Thread {
                AltStack::default()
            } else {
                alt_stack
            };
        }
        child
    }

    fn spawn(&self, child: &Arc<Thread>) -> Result<(), Errno> {
        child.process.container.add_thread(child);
        if self.request.has(raw::CLONE_PARENT_SETTID) {
            // As Linux: the call succeeds whether or not this can be written.
            let _ = user::put(self.request.parent_tid, &self.id);
        }
        let value = current::into_value(Arc::clone(child));
        let fs_base = self
            .request
            .has(raw::CLONE_SETTLS)
            .then_some(self.request.tls);
        let fs_base = fs_base.or_else(|| Some(platform().fs_base()));
        let spawned = platform().spawn(&Spawn {
            kind: self.kind,
            registers: &self.registers,
            fs_base,
            value,
        });
        if let Err(error) = spawned {
            current::discard(value, child);
            child.process.container.remove_thread(child.id);
            return Err(error);
        }
        Ok(())
    }
}

/// A descriptor for a process that is being made; closed where that fails.
struct Descriptor<'a> {
    parent: &'a Process,
    number: i32,
    file: Arc<OpenFile>,
    kept: bool,
}

impl<'a> Descriptor<'a> {
    /// Makes one, and writes its number to `address`.
    fn reserve(thread: &'a Thread, address: usize) -> Result<Self, Errno> {
        let parent = &*thread.process;
        let file = ProcessFile::open(None, 0);
        let handle = Handle::new(Arc::clone(&file), None, parent.id);
        let number = parent
            .files
            .insert(handle, 0, true, parent.descriptor_limit())?;
        let descriptor = Self {
            parent,
            number,
            file,
            kept: false,
        };
        user::put(address, &number)?;
        Ok(descriptor)
    }

    fn keep(mut self, child: &Arc<Process>) {
        if let Some(file) = self.file.downcast::<ProcessFile>() {
            file.set(child);
        }
        self.kept = true;
    }
}

impl Drop for Descriptor<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // Another thread may have closed it already.
            let _ = self.parent.files.remove(self.number);
        }
    }
}
