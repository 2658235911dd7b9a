//! What the new process does between its making and its first instruction.
//!
//! Everything here runs in a copy of one thread of the launcher: no allocation, no lock, no panic.

use crate::plan::Strings;
use crate::{INNER_ID, sys};
use rustix::io::Errno;
use std::ffi::c_int;

/// Steps that can fail, as numbers that fit a report.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Step {
    UserNamespace = 1,
    Namespaces,
    Identity,
    Privileges,
    Surroundings,
    Descriptors,
    Execute,
}

impl Step {
    /// What the step with this number does, after "could not".
    pub(crate) const fn name(number: u8) -> &'static str {
        match number {
            n if n == Self::UserNamespace as u8 => "enter a user namespace",
            n if n == Self::Namespaces as u8 => "join the caller's namespaces",
            n if n == Self::Identity as u8 => "take the caller's identity",
            n if n == Self::Privileges as u8 => "give up its privileges",
            n if n == Self::Surroundings as u8 => "settle its session, limits and signals",
            n if n == Self::Descriptors as u8 => "arrange its descriptors",
            n if n == Self::Execute as u8 => "execute the image (is it a static x86-64 program?)",
            _ => "start",
        }
    }
}

/// One report from the new process: a step and an errno, 0 where the step went well.
pub(crate) type Report = [u8; 5];

fn report(fd: c_int, step: Step, errno: i32) {
    let [a, b, c, d] = errno.to_le_bytes();
    // A pipe takes five bytes whole; if the launcher is gone there is nobody to tell.
    let _ = sys::write(fd, &[step as u8, a, b, c, d]);
}

/// Everything that the new process needs, ready before it exists.
pub(crate) struct Orders {
    /// Namespaces to join: descriptor and kind.
    pub(crate) namespaces: [Option<(c_int, c_int)>; 4],
    /// Whether the process is made with its user namespace already (a launcher without privileges).
    pub(crate) in_user_namespace: bool,
    /// The caller's ids, for a kernel that refuses user namespaces.
    pub(crate) caller: crate::Caller,
    pub(crate) stdio: [c_int; 3],
    pub(crate) channel: c_int,
    pub(crate) image: c_int,
    /// Where reports go.
    pub(crate) reports: c_int,
    /// Where the launcher says that ids are mapped.
    pub(crate) go: c_int,
    pub(crate) arguments: Strings,
    pub(crate) environment: Strings,
}

/// Becomes the instance, or reports why not and ends.
pub(crate) fn become_instance(orders: &Orders) -> ! {
    let (step, error) = match prepare(orders) {
        Ok(Prepared { image, reports }) => {
            report(reports, Step::Execute, 0);
            // SAFETY: both arrays are NULL-terminated and live in `orders`.
            let error = unsafe {
                sys::execute(
                    image,
                    orders.arguments.as_ptr(),
                    orders.environment.as_ptr(),
                )
            };
            report(reports, Step::Execute, error.raw_os_error());
            sys::exit_now(127)
        }
        Err(failed) => failed,
    };
    report(orders.reports, step, error.raw_os_error());
    sys::exit_now(127)
}

/// Descriptors that were moved out of the way of the instance's own.
struct Prepared {
    image: c_int,
    reports: c_int,
}

fn prepare(orders: &Orders) -> Result<Prepared, (Step, Errno)> {
    let at = |step| move |error| (step, error);

    // The launcher's memory, with its keys, is in this process until execve: hide it first.
    if !orders.in_user_namespace {
        sys::set_not_dumpable().map_err(at(Step::Privileges))?;
        for (fd, kind) in orders.namespaces.into_iter().flatten() {
            sys::setns(fd, kind).map_err(at(Step::Namespaces))?;
        }
    }
    sys::settle().map_err(at(Step::Surroundings))?;

    let mapped = enter_user_namespace(orders)?;
    if mapped || !orders.in_user_namespace {
        // Needs a capability, which in the user namespace the process still has.
        sys::drop_bounding_set().map_err(at(Step::Privileges))?;
        sys::set_no_root().map_err(at(Step::Privileges))?;
    }
    let (uid, gid) = if mapped {
        (INNER_ID, INNER_ID)
    } else {
        (orders.caller.uid, orders.caller.gid)
    };
    sys::set_ids(uid, gid).map_err(at(Step::Identity))?;
    sys::drop_capabilities().map_err(at(Step::Privileges))?;
    sys::set_not_dumpable().map_err(at(Step::Privileges))?;
    sys::set_no_new_privileges().map_err(at(Step::Privileges))?;
    sys::no_core_files().map_err(at(Step::Surroundings))?;
    sys::new_session_keyring().map_err(at(Step::Surroundings))?;

    let prepared = arrange_descriptors(orders).map_err(at(Step::Descriptors))?;

    // Dispositions first: no handler of the launcher may run here once the mask is open.
    sys::default_signals().map_err(|error| (Step::Surroundings, error))?;
    sys::set_signal_mask(0).map_err(|error| (Step::Surroundings, error))?;
    Ok(prepared)
}

/// Whether the process has a user namespace of its own in which its ids are mapped.
fn enter_user_namespace(orders: &Orders) -> Result<bool, (Step, Errno)> {
    let entered = if orders.in_user_namespace {
        Ok(())
    } else {
        // Supplementary groups would survive as ids that no map shows.
        sys::drop_groups().map_err(|error| (Step::Identity, error))?;
        sys::unshare_user()
    };
    let errno = entered.err().map_or(0, Errno::raw_os_error);
    report(orders.reports, Step::UserNamespace, errno);
    let mut answer = [0];
    match sys::read(orders.go, &mut answer) {
        Ok(1) => Ok(answer == [1]),
        Ok(_) => Err((Step::Identity, Errno::PIPE)),
        Err(error) => Err((Step::Identity, error)),
    }
}

fn arrange_descriptors(orders: &Orders) -> Result<Prepared, Errno> {
    // Sources may be anywhere, also on numbers that are targets: move all of them out of the way.
    let image = sys::dup_high(orders.image)?;
    let reports = sys::dup_high(orders.reports)?;
    let [stdin, stdout, stderr] = orders.stdio;
    let mut sources = [stdin, stdout, stderr, orders.channel];
    for source in &mut sources {
        *source = sys::dup_high(*source)?;
    }
    for (source, target) in sources.into_iter().zip(0..) {
        sys::dup_to(source, target)?;
    }
    sys::close_on_exec_from(bannock_wire::channel::CHANNEL_FD + 1)?;
    Ok(Prepared { image, reports })
}
