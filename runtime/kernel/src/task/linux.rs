//! The kernel as the platform sees it.

use super::{Thread, exec, exit};
use crate::signal::{self, FaultContext, Info, Restart, Signal, deliver::Leave, deliver::attend};
use crate::syscall;
use alloc::sync::Arc;
use bannock_platform::{
    Errno, current, platform,
    upcall::{Entry, Fault, Kernel},
    user,
};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as raw;

/// The kernel as the platform sees it.
pub struct Linux;

const SIGRETURN: usize = raw::__NR_rt_sigreturn as usize;
/// `BUS_ADRERR`: an address after the end of a file.
const AFTER_END: i32 = raw::BUS_ADRERR as i32;

/// The calling thread.
fn caller() -> Arc<Thread> {
    match current::get::<Thread>() {
        Some(thread) => thread,
        None => platform().fail_stop("a thread without an identity entered the kernel"),
    }
}

impl Kernel for Linux {
    fn system_call(&self, entry: &mut Entry<'_>) {
        let thread = caller();
        let number = entry.registers.rax;
        loop {
            let mut restart = None;
            if number == SIGRETURN {
                if signal::sigreturn(&thread, entry).is_err() {
                    signal::force(&thread, Info::kernel(Signal::SEGV));
                }
            } else {
                match syscall::dispatch(&thread, number, entry.registers) {
                    Ok(value) => entry.registers.rax = value,
                    Err(Errno::RESTART) => {
                        restart = Some(Restart {
                            number,
                            after_handler: true,
                        })
                    }
                    Err(Errno::RESTART_NO_HANDLER) => {
                        restart = Some(Restart {
                            number,
                            after_handler: false,
                        })
                    }
                    Err(error) => entry.registers.rax = error.to_return(),
                }
            }
            match attend(&thread, entry, restart) {
                Leave::Resume => return,
                Leave::CallAgain => {}
                Leave::Exit => exit::finish(thread),
                Leave::Replace => exec::replace(thread),
            }
        }
    }

    fn interrupted(&self, entry: &mut Entry<'_>) {
        go_back(caller(), entry);
    }

    fn fault(&self, entry: &mut Entry<'_>, fault: Fault) {
        let thread = caller();
        thread.signals.lock().fault = FaultContext {
            trap: fault.trap,
            error: fault.error,
            address: fault.address,
        };
        let signal = Signal::new(i32::from(fault.signal)).unwrap_or(Signal::SEGV);
        let info = if signal == Signal::SEGV && thread.process.space().is_past_end(fault.address) {
            Info::fault(Signal::BUS, AFTER_END, fault.address)
        } else {
            Info::fault(signal, fault.code, fault.address)
        };
        signal::force(&thread, info);
        go_back(thread, entry);
    }

    fn started(&self, entry: &mut Entry<'_>) {
        let thread = caller();
        let process = &thread.process;
        let ids = platform().host_ids();
        thread.set_host_ids(ids);
        if thread.id == process.id {
            exit::forget_copied(process);
        }
        if exec::is_pending(process) {
            if exec::start(&thread, entry).is_err() {
                exit::kill(&thread);
            }
        } else {
            let word = thread.set_child_tid.swap(0, Ordering::Relaxed);
            if word != 0 {
                // As Linux: a thread starts whether or not this can be written.
                let _ = user::put(word, &thread.id);
            }
        }
        go_back(thread, entry);
    }
}

/// Attends to signals and goes back to the program.
fn go_back(thread: Arc<Thread>, entry: &mut Entry<'_>) {
    match attend(&thread, entry, None) {
        // Without a call there is none to be made again.
        Leave::Resume | Leave::CallAgain => {}
        Leave::Exit => exit::finish(thread),
        Leave::Replace => exec::replace(thread),
    }
}
