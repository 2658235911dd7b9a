//! How threads and processes end.

use super::{Ending, ExitStatus, MAIN, Process, Thread, Usage, children};
use crate::mm::{AddressSpace, Placement};
use crate::signal::{self, Signal, absorb, wake};
use alloc::sync::Arc;
use bannock_platform::{
    Errno, current,
    host::{self, FutexArgument},
    platform,
    user::{self, UserSlice},
};
use core::sync::atomic::{AtomicU32, Ordering};
use linux_raw_sys::general as raw;

/// Threads of this host process that have left the process table and are about to be gone. It is
/// the one thing that a thread still touches when it has let go of everything else: whoever
/// replaces the process waits for 0, so that no thread is torn out of the kernel with a lock held.
static LEAVING: AtomicU32 = AtomicU32::new(0);

/// How long to wait before looking again whether other threads are gone, in nanoseconds.
const LOOK_AGAIN: u64 = 200_000;

/// Forgets threads of the process that `process` is a copy of. One that still runs in its parent's
/// memory shares the parent's count.
pub(super) fn forget_copied(process: &Process) {
    if !process.borrows_memory() {
        LEAVING.store(0, Ordering::SeqCst);
    }
}

/// Decides that `process` ends with `status`, unless that is decided already, and has all of its
/// threads end.
pub fn begin(process: &Arc<Process>, status: ExitStatus) {
    process.life.lock().status.get_or_insert(status);
    process.go_on(false);
    for thread in process.threads() {
        wake(&thread, Thread::EXIT);
    }
}

/// Has all other threads of the caller's process end, and waits until they are gone.
///
/// # Errors
/// `EINTR` when the caller itself has to end.
pub(super) fn end_others(thread: &Arc<Thread>) -> Result<(), Errno> {
    let process = &thread.process;
    loop {
        let ticket = process.threads_changed.ticket();
        let mut others = 0;
        for other in process.threads() {
            if other.id != thread.id {
                others += 1;
                if other.attention() & Thread::EXIT == 0 {
                    wake(&other, Thread::EXIT);
                }
            }
        }
        absorb(thread);
        if thread.attention() & Thread::EXIT != 0 {
            return Err(Errno::EINTR);
        }
        if others == 0 && LEAVING.load(Ordering::SeqCst) == 0 {
            return Ok(());
        }
        let _ = process.threads_changed.sleep(ticket, Some(LOOK_AGAIN));
    }
}

/// Ends the calling thread, and its process where it is the last one.
pub(super) fn finish(thread: Arc<Thread>) -> ! {
    release_futexes(&thread);
    LEAVING.fetch_add(1, Ordering::SeqCst);
    signal::leave_to_others(&thread);
    let process = Arc::clone(&thread.process);
    process.container.remove_thread(thread.id);
    if thread.id == process.id {
        process
            .leader_code
            .store(thread.exit_code.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    if process.remove_thread(thread.id) {
        end_process(&process);
    }
    drop(process);
    drop(current::take::<Thread>());
    drop(thread);
    LEAVING.fetch_sub(1, Ordering::SeqCst);
    // The host process ends with its last thread, so none is torn out of the kernel.
    platform().exit_thread()
}

/// What remains of a process whose last thread ends: a status for its parent.
fn end_process(process: &Arc<Process>) {
    let container = &process.container;
    let usage = Usage::of_caller(raw::RUSAGE_SELF as i32);
    drop(process.pending.lock().take());
    process.files.clear();
    process.set_space(AddressSpace::new(Placement::nowhere()));
    process.return_memory();
    let groups = crate::tty::groups_around(process);
    children::orphan(process);
    container.host_ends(platform().host_ids().0);
    let status = {
        let mut life = process.life.lock();
        let code = process.leader_code.load(Ordering::Relaxed) as u8;
        let status = *life.status.get_or_insert(ExitStatus::Exited(code));
        life.ended = Some(usage);
        status
    };
    crate::tty::after_end(process, groups);
    process.over.changed();
    let (code, detail) = status.to_info();
    children::notify_parent(process, code, detail);
    if process.id == MAIN {
        container.end(Ending::Exited(status));
    }
}

/// Tells waiters in the program's memory that the thread is gone. Where that memory is not there,
/// nobody waits.
pub(super) fn release_futexes(thread: &Arc<Thread>) {
    let list = thread.robust_list.swap(0, Ordering::Relaxed);
    if list != 0 {
        let _ = release_robust(thread.id, list);
    }
    let word = thread.clear_child_tid.swap(0, Ordering::Relaxed);
    if word != 0 && user::put(word, &0u32).is_ok() {
        wake_user(word, raw::FUTEX_WAKE);
    }
}

fn wake_user(address: usize, operation: u32) {
    if let (Ok(word), Ok(none)) = (UserSlice::new(address, 4), UserSlice::new(0, 0)) {
        let _ = host::user_futex(word, operation, 1, FutexArgument::Value(0), none, 0);
    }
}

/// Walks a list of robust futexes (Linux `exit_robust_list`): head is next, offset, pending.
fn release_robust(id: i32, list: usize) -> Result<(), Errno> {
    let [first, offset, pending]: [usize; 3] = user::get(list)?;
    // The lowest bit marks a priority-inheriting lock, of which there are none here.
    let mut entry = first & !1;
    let pending = pending & !1;
    for _ in 0..raw::ROBUST_LIST_LIMIT {
        if entry == list {
            break;
        }
        let next = user::get::<usize>(entry);
        if entry != pending {
            mark_dead(id, entry.wrapping_add(offset), false)?;
        }
        entry = next? & !1;
    }
    if pending != 0 {
        mark_dead(id, pending.wrapping_add(offset), true)?;
    }
    Ok(())
}

/// Marks one lock as one whose owner died, where `id` owns it.
fn mark_dead(id: i32, address: usize, pending: bool) -> Result<(), Errno> {
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    let mut value: u32 = user::get(address)?;
    loop {
        if pending && value == 0 {
            // Unlocked, but the waiter was not woken yet.
            wake_user(address, raw::FUTEX_WAKE);
            return Ok(());
        }
        if value & raw::FUTEX_TID_MASK != id as u32 {
            return Ok(());
        }
        let dead = value & raw::FUTEX_WAITERS | raw::FUTEX_OWNER_DIED;
        let found = user::compare_exchange(address, value, dead)?;
        if found == value {
            if value & raw::FUTEX_WAITERS != 0 {
                wake_user(address, raw::FUTEX_WAKE);
            }
            return Ok(());
        }
        value = found;
    }
}

/// The process of `thread` cannot go on: it ends as by SIGKILL.
pub(super) fn kill(thread: &Arc<Thread>) {
    begin(&thread.process, ExitStatus::Killed(Signal::KILL));
}
