//! Signals as a file (signalfd(2)).

use super::{Info, SignalSet, take};
use crate::fs::{Attributes, Changes, FileOps, Handle, Kind, OpenFile};
use crate::readiness::Readiness;
use crate::task::Thread;
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{Errno, current, host, sync::Mutex};
use core::any::Any;
use linux_raw_sys::general as raw;

/// Bytes of a `struct signalfd_siginfo`.
const RECORD: usize = 128;

/// A file that signals are read from. Whoever reads it gets its own signals.
pub struct SignalFile {
    mask: Mutex<SignalSet>,
}

impl SignalFile {
    /// An open file for the signals in `mask`.
    #[must_use]
    pub fn open(mask: SignalSet, flags: u32) -> Arc<OpenFile> {
        let file = Self {
            mask: Mutex::new(mask.as_mask()),
        };
        OpenFile::anonymous(file, raw::O_RDWR | flags, b"anon_inode:[signalfd]")
    }

    /// Makes `handle` one for the signals in `mask`.
    ///
    /// # Errors
    /// `EINVAL` where it is no file of signals.
    pub fn set_mask(handle: &Handle, mask: SignalSet) -> Result<(), Errno> {
        let file = handle.file().downcast::<Self>().ok_or(Errno::EINVAL)?;
        *file.mask.lock() = mask.as_mask();
        if let Some(readiness) = file.readiness() {
            readiness.changed();
        }
        Ok(())
    }

    /// Takes signals that wait, at most `most` of them.
    fn take(&self, thread: &Thread, most: usize) -> Vec<u8> {
        let mask = *self.mask.lock();
        let mut bytes = Vec::new();
        while bytes.len() < most.saturating_mul(RECORD)
            && let Some(info) = take(thread, mask)
        {
            bytes.extend_from_slice(&record(&info));
        }
        bytes
    }
}

/// `struct signalfd_siginfo` (signalfd(2)), as `fs/signalfd.c` fills it.
fn record(info: &Info) -> [u8; RECORD] {
    let words = info.words();
    let [_, _, second, third, fourth, fifth, ..] = *words;
    let mut bytes = [0; RECORD];
    let mut put = |at: usize, value: &[u8]| {
        if let Some(place) = bytes.get_mut(at..at + value.len()) {
            place.copy_from_slice(value);
        }
    };
    let (signal, code) = (info.signal(), info.code());
    put(0, &signal.number().to_ne_bytes());
    put(4, &((words[0] >> 32) as u32).to_ne_bytes());
    put(8, &code.to_ne_bytes());
    let process = |put: &mut dyn FnMut(usize, &[u8])| {
        put(12, &(second as u32).to_ne_bytes());
        put(16, &((second >> 32) as u32).to_ne_bytes());
    };
    let value = |put: &mut dyn FnMut(usize, &[u8])| {
        put(44, &(third as u32).to_ne_bytes());
        put(48, &third.to_ne_bytes());
    };
    if code == raw::SI_TIMER {
        put(24, &(second as u32).to_ne_bytes());
        put(32, &((second >> 32) as u32).to_ne_bytes());
        value(&mut put);
    } else if code < 0 && code != raw::SI_TKILL {
        process(&mut put);
        value(&mut put);
    } else if signal == super::Signal::CHLD && code > 0 && code != raw::SI_KERNEL as i32 {
        process(&mut put);
        put(40, &(third as u32).to_ne_bytes());
        put(56, &fourth.to_ne_bytes());
        put(64, &fifth.to_ne_bytes());
    } else if SignalSet::SYNCHRONOUS.contains(signal) && code > 0 {
        put(72, &second.to_ne_bytes());
    } else {
        process(&mut put);
    }
    bytes
}

impl FileOps for SignalFile {
    fn kind(&self) -> Kind {
        Kind::Signals
    }

    fn read(&self, handle: &Handle, into: host::Into<'_>, _: Option<u64>) -> Result<usize, Errno> {
        let len = match &into {
            host::Into::Kernel(bytes) => bytes.len(),
            host::Into::User(slice) => slice.len(),
        };
        let most = len / RECORD;
        let thread = current::get::<Thread>().ok_or(Errno::EINVAL)?;
        if most == 0 {
            return Err(Errno::EINVAL);
        }
        let readiness = &thread.process.signals_changed;
        let taken = loop {
            let ticket = readiness.ticket();
            let taken = self.take(&thread, most);
            if !taken.is_empty() {
                break taken;
            }
            if handle.file().flags() & raw::O_NONBLOCK != 0 {
                return Err(Errno::EAGAIN);
            }
            readiness.sleep(ticket, None)?;
        };
        match into {
            host::Into::Kernel(bytes) => {
                if let Some(part) = bytes.get_mut(..taken.len()) {
                    part.copy_from_slice(&taken);
                }
            }
            // As on Linux, what cannot be delivered is lost.
            host::Into::User(slice) => slice.take(taken.len()).write(&taken)?,
        }
        Ok(taken.len())
    }

    fn attributes(&self, handle: &Handle) -> Result<Attributes, Errno> {
        Ok(Attributes::without_place(handle.file(), 0o600))
    }

    fn change(&self, _: &Handle, _: &Changes) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn ready(&self) -> u32 {
        let Some(thread) = current::get::<Thread>() else {
            return 0;
        };
        let shared = thread.process.signals.lock().pending.set();
        let own = thread.signals.lock().pending.set();
        if shared.union(own).intersection(*self.mask.lock()).is_empty() {
            0
        } else {
            raw::POLLIN | raw::POLLRDNORM
        }
    }

    fn readiness(&self) -> Option<Arc<Readiness>> {
        current::get::<Thread>().map(|thread| Arc::clone(&thread.process.signals_changed))
    }

    fn is_watched(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{ChildChange, Signal};

    fn word(bytes: &[u8; RECORD], at: usize) -> u32 {
        u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn records_show_what_signalfd_2_says() {
        let sent = record(&Info::from_process(
            Signal::TERM,
            raw::SI_USER as i32,
            5,
            1000,
        ));
        assert_eq!([0, 8, 12, 16].map(|at| word(&sent, at)), [15, 0, 5, 1000]);
        let child = record(&Info::child(
            Signal::CHLD,
            &ChildChange {
                id: 8,
                uid: 3,
                code: raw::CLD_EXITED as i32,
                status: 42,
                times: [7, 9],
            },
        ));
        let shown = [0, 8, 12, 16, 40, 56, 64].map(|at| word(&child, at));
        assert_eq!(shown, [17, 1, 8, 3, 42, 7, 9]);
        let timer = record(&Info::timer(Signal::ALRM, 3, 77).with_overrun(2));
        let shown = [0, 8, 12, 24, 32, 44, 48].map(|at| word(&timer, at));
        assert_eq!(shown, [14, raw::SI_TIMER as u32, 0, 3, 2, 77, 77]);
        let mut words = [0; 16];
        (words[1], words[2], words[3]) = (raw::SI_QUEUE as u32 as u64, 5 | 6 << 32, 0x1_0000_0002);
        let queued = record(&Info::from_words(Signal::new(40).unwrap(), words));
        let shown = [0, 12, 16, 44, 48, 52].map(|at| word(&queued, at));
        assert_eq!(shown, [40, 5, 6, 2, 2, 1]);
    }
}
