//! Processes as `/proc` shows them.

use super::{Container, Process, Thread};
use crate::fs::{
    FileTable, FsContext,
    proc::{ProcessSource, ProcessView},
};
use crate::signal::SignalSet;
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::current;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as raw;

fn joined(strings: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for string in strings {
        bytes.extend_from_slice(string);
        bytes.push(0);
    }
    bytes
}

/// `SIG_IGN`; `SIG_DFL` is below, handlers are above.
const SIG_IGN: usize = 1;

fn bits(set: SignalSet) -> u64 {
    set.iter()
        .fold(0, |bits, signal| bits | 1 << (signal.number() - 1))
}

/// The thread of a process with this id.
fn member(process: &Process, id: i32) -> Option<Arc<Thread>> {
    process.threads().into_iter().find(|thread| thread.id == id)
}

impl ProcessView for Process {
    fn files(&self) -> &FileTable {
        &self.files
    }

    fn fs(&self) -> &FsContext {
        &self.fs
    }

    fn parent(&self) -> i32 {
        self.parent.load(Ordering::Relaxed)
    }

    fn group_and_session(&self) -> (i32, i32) {
        (
            self.group.load(Ordering::Relaxed),
            self.session.load(Ordering::Relaxed),
        )
    }

    fn state(&self) -> char {
        if self.has_ended() {
            'Z'
        } else if self.is_stopped() {
            'T'
        } else {
            'R'
        }
    }

    fn name(&self, id: i32) -> Vec<u8> {
        let name = member(self, id)
            .or_else(|| self.first_thread())
            .map(|thread| thread.name())
            .unwrap_or_default();
        name.into_iter().take_while(|byte| *byte != 0).collect()
    }

    fn executable(&self) -> Vec<u8> {
        self.program.lock().path.clone()
    }

    fn arguments(&self) -> Vec<u8> {
        joined(&self.program.lock().arguments)
    }

    fn environment(&self) -> Vec<u8> {
        joined(&self.program.lock().environment)
    }

    fn threads(&self) -> Vec<i32> {
        let mut ids: Vec<i32> = Self::threads(self).iter().map(|thread| thread.id).collect();
        ids.sort_unstable();
        ids
    }

    fn maps(&self) -> Vec<u8> {
        self.space().render()
    }

    fn memory(&self) -> (u64, u64) {
        let usage = self.space().usage();
        // The host knows what is resident; what is mapped and not a reservation comes close.
        let resident = usage
            .data
            .saturating_add(usage.stack)
            .saturating_add(usage.code);
        (usage.size as u64, resident.min(usage.size) as u64)
    }

    fn users(&self) -> [u32; 4] {
        let ids = self.ids.lock();
        [
            ids.user.real,
            ids.user.effective,
            ids.user.saved,
            ids.user.files,
        ]
    }

    fn groups(&self) -> [u32; 4] {
        let ids = self.ids.lock();
        [
            ids.group.real,
            ids.group.effective,
            ids.group.saved,
            ids.group.files,
        ]
    }

    fn signals(&self, id: i32) -> [u64; 5] {
        let shared = bits(self.signals.lock().pending.set());
        let (own, blocked) = member(self, id).map_or((0, 0), |thread| {
            let signals = thread.signals.lock();
            (bits(signals.pending.set()), bits(signals.mask))
        });
        let signals = self.signals.lock();
        let which = |wanted: fn(&crate::signal::Action) -> bool| {
            (1..=64)
                .filter_map(|number| crate::signal::Signal::new(number).ok())
                .filter(|signal| wanted(&signals.actions.get(*signal)))
                .fold(0, |bits, signal| bits | 1 << (signal.number() - 1))
        };
        [
            own,
            shared,
            blocked,
            which(|action| action.handler == SIG_IGN),
            which(|action| action.handler > SIG_IGN),
        ]
    }

    fn signal_limit(&self) -> u64 {
        self.limits
            .get(raw::RLIMIT_SIGPENDING)
            .map_or(0, |[soft, _]| soft)
    }

    fn no_new_privileges(&self) -> bool {
        self.no_new_privileges.load(Ordering::Relaxed)
    }

    fn times(&self) -> [u64; 3] {
        [0, 0, self.container.started / 10_000_000]
    }

    fn descriptor_limit(&self) -> usize {
        Self::descriptor_limit(self)
    }
}

impl ProcessSource for Container {
    fn ids(&self) -> Vec<i32> {
        self.processes().iter().map(|process| process.id).collect()
    }

    fn get(&self, id: i32) -> Option<Arc<dyn ProcessView>> {
        self.process(id)
            .map(|process| process as Arc<dyn ProcessView>)
    }

    fn of_thread(&self, id: i32) -> Option<(i32, Arc<dyn ProcessView>)> {
        let process = Arc::clone(&self.thread(id)?.process);
        Some((process.id, process as Arc<dyn ProcessView>))
    }

    fn caller(&self) -> (i32, i32) {
        current::get::<Thread>().map_or((0, 0), |thread| (thread.process.id, thread.id))
    }

    fn host_name(&self) -> Vec<u8> {
        self.config.hostname.clone()
    }
}
