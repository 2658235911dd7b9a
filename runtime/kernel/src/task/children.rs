//! Parents and children: what changes, who is told, who waits.

use super::process::StopChange;
use super::{Process, SUPERVISOR, Thread, Usage};
use crate::signal::{self, Action, ChildChange, Info, Signal};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::Errno;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as raw;

/// Children that a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// Any.
    Any,
    /// The one with this id.
    Process(i32),
    /// Those of this process group.
    Group(i32),
}

/// What a wait found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// As waitid(2) shows it.
    pub child: ChildChange,
    /// As wait4(2) shows it.
    pub status: i32,
    /// What the child used; zero where it has not ended.
    pub usage: Usage,
}

const ALL: u32 = 0x4000_0000;
const CLONED: u32 = 0x8000_0000;

/// Waits for a change of a child of the caller; `options` are `WEXITED`, `WSTOPPED`, `WCONTINUED`,
/// `WNOHANG`, `WNOWAIT`, `__WALL`, `__WCLONE`.
///
/// # Errors
/// `ECHILD` without such children, [`Errno::RESTART`] when interrupted.
pub fn wait(thread: &Arc<Thread>, select: Select, options: u32) -> Result<Option<Change>, Errno> {
    let process = &thread.process;
    loop {
        let ticket = process.children_changed.ticket();
        let children: Vec<Arc<Process>> = process
            .container
            .children(process.id)
            .into_iter()
            .filter(|child| selects(select, options, child))
            .collect();
        if children.is_empty() {
            return Err(Errno::ECHILD);
        }
        for child in children {
            if let Some(change) = look(process, &child, options) {
                return Ok(Some(change));
            }
        }
        if options & raw::WNOHANG != 0 {
            return Ok(None);
        }
        signal::sleep(thread, &process.children_changed, ticket, None)
            .map_err(|_| Errno::RESTART)?;
    }
}

fn selects(select: Select, options: u32, child: &Process) -> bool {
    let cloned = *child.exit_signal.lock() != Some(Signal::CHLD);
    let kind = options & ALL != 0 || cloned == (options & CLONED != 0);
    kind && match select {
        Select::Any => true,
        Select::Process(id) => child.id == id,
        Select::Group(id) => child.group.load(Ordering::Relaxed) == id,
    }
}

/// What there is to see of `child`; what is seen is gone, unless `WNOWAIT` says otherwise.
fn look(parent: &Process, child: &Arc<Process>, options: u32) -> Option<Change> {
    let keep = options & raw::WNOWAIT != 0;
    let mut life = child.life.lock();
    if let (Some(usage), Some(status)) = (life.ended, life.status) {
        if options & raw::WEXITED == 0 {
            return None;
        }
        drop(life);
        let (code, detail) = status.to_info();
        let change = Change {
            child: describe(child, code, detail, usage),
            status: status.to_wait(),
            usage,
        };
        if !keep && !reap(parent, child) {
            // Another thread was faster.
            return None;
        }
        return Some(change);
    }
    let (wanted, code, detail, status) = match life.unseen? {
        StopChange::Stopped(signal) => (
            raw::WSTOPPED,
            raw::CLD_STOPPED,
            signal.number(),
            signal.number() << 8 | 0x7f,
        ),
        StopChange::Continued => (
            raw::WCONTINUED,
            raw::CLD_CONTINUED,
            Signal::CONT.number(),
            0xffff,
        ),
    };
    if options & wanted == 0 {
        return None;
    }
    if !keep {
        life.unseen = None;
    }
    drop(life);
    let usage = Usage::default();
    Some(Change {
        child: describe(child, code as i32, detail, usage),
        status,
        usage,
    })
}

fn describe(child: &Process, code: i32, status: i32, usage: Usage) -> ChildChange {
    ChildChange {
        id: child.id,
        uid: child.ids.lock().user.real,
        code,
        status,
        times: usage.ticks(),
    }
}

/// Removes an ended child; false when it is gone already.
fn reap(parent: &Process, child: &Process) -> bool {
    if !child.container.remove_process(child.id) {
        return false;
    }
    child.over.changed();
    let used = child
        .life
        .lock()
        .ended
        .unwrap_or_default()
        .plus(*child.children_usage.lock());
    let mut sum = parent.children_usage.lock();
    *sum = sum.plus(used);
    true
}

/// Tells the parent of `child` about a change: `code` is `CLD_*`, `status` as in `siginfo_t`.
/// A child that ended and that nobody wants to know of is removed.
pub fn notify_parent(child: &Arc<Process>, code: i32, status: i32) {
    let Some(parent) = child
        .container
        .process(child.parent.load(Ordering::Relaxed))
    else {
        return;
    };
    let ended = child.life.lock().ended;
    if parent.id == SUPERVISOR {
        // The supervisor has nothing to learn here.
        if ended.is_some() {
            reap(&parent, child);
        }
        return;
    }
    let signal = if ended.is_some() {
        *child.exit_signal.lock()
    } else {
        Some(Signal::CHLD)
    };
    let action = parent.signals.lock().actions.get(Signal::CHLD);
    let about_stop = ended.is_none();
    if let Some(signal) = signal
        && !(about_stop && action.has(raw::SA_NOCLDSTOP))
    {
        let change = describe(child, code, status, ended.unwrap_or_default());
        // Over the limit, a real-time exit signal is lost; waiting still finds the child.
        let _ = signal::send_to_process(&parent, Info::child(signal, &change));
    }
    if ended.is_some() && signal == Some(Signal::CHLD) && is_uninterested(&action) {
        reap(&parent, child);
    }
    parent.children_changed.wake();
}

/// Whether children vanish by themselves (sigaction(2), `SA_NOCLDWAIT`).
const fn is_uninterested(action: &Action) -> bool {
    action.is_ignore() || action.has(raw::SA_NOCLDWAIT)
}

/// Gives the children of a process that ends to the nearest ancestor that adopts orphans.
pub(super) fn orphan(process: &Arc<Process>) {
    let container = &process.container;
    let children = container.children(process.id);
    if children.is_empty() {
        return;
    }
    let adopter = adopter(process);
    for child in children {
        child.parent.store(adopter, Ordering::Relaxed);
        if let Ok(Some(signal)) =
            Signal::optional(child.parent_death_signal.load(Ordering::Relaxed))
        {
            // Only a real-time signal over the limit is lost.
            let _ = signal::send_to_process(
                &child,
                Info::from_process(signal, raw::SI_USER as i32, process.id, 0),
            );
        }
        let status = child.life.lock().status;
        if let Some(status) = status.filter(|_| child.has_ended()) {
            let (code, detail) = status.to_info();
            notify_parent(&child, code, detail);
        }
    }
}

fn adopter(process: &Process) -> i32 {
    let mut at = process.parent.load(Ordering::Relaxed);
    // Every step goes up the tree, which is finite.
    while let Some(ancestor) = process.container.process(at) {
        if ancestor.id == SUPERVISOR {
            break;
        }
        if ancestor.subreaper.load(Ordering::Relaxed) && ancestor.thread_count() != 0 {
            return ancestor.id;
        }
        at = ancestor.parent.load(Ordering::Relaxed);
    }
    SUPERVISOR
}
