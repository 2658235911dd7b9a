//! What the host knows about our processes.

use super::call;
use crate::Errno;
use core::mem::MaybeUninit;
use linux_raw_sys::general as raw;

/// Host process id of the caller, as its PID namespace numbers it.
#[must_use]
pub fn process_id() -> i32 {
    // SAFETY: no pointers; the call cannot fail.
    unsafe { call(raw::__NR_getpid, [0; 6]) }.map_or(0, |v| v as i32)
}

/// Host thread id of the caller.
#[must_use]
pub fn thread_id() -> i32 {
    // SAFETY: no pointers; the call cannot fail.
    unsafe { call(raw::__NR_gettid, [0; 6]) }.map_or(0, |v| v as i32)
}

/// Host user and group id of the caller.
#[must_use]
pub fn user_and_group() -> (u32, u32) {
    // SAFETY: no pointers; the calls cannot fail.
    let get = |number| unsafe { call(number, [0; 6]) }.map_or(u32::MAX, |v| v as u32);
    (get(raw::__NR_getuid), get(raw::__NR_getgid))
}

/// sched_yield(2).
pub fn yield_now() {
    // SAFETY: no pointers.
    let _ = unsafe { call(raw::__NR_sched_yield, [0; 6]) };
}

/// sched_getaffinity(2) of the calling thread; returns the bytes of the host's mask.
///
/// # Errors
/// What the host said.
pub fn affinity(into: &mut [u8]) -> Result<usize, Errno> {
    let args = [0, into.len(), into.as_mut_ptr() as usize, 0, 0, 0];
    // SAFETY: the buffer is ours.
    super::counted(
        unsafe { call(raw::__NR_sched_getaffinity, args) },
        into.len(),
    )
}

/// sched_setaffinity(2) of the calling thread.
///
/// # Errors
/// What the host said.
pub fn set_affinity(mask: &[u8]) -> Result<(), Errno> {
    let args = [0, mask.len(), mask.as_ptr() as usize, 0, 0, 0];
    // SAFETY: the mask outlives the call.
    unsafe { call(raw::__NR_sched_setaffinity, args) }.map(drop)
}

/// CPU and NUMA node that the caller runs on.
#[must_use]
pub fn cpu() -> (u32, u32) {
    let (mut cpu, mut node) = (0u32, 0u32);
    let args = [
        core::ptr::from_mut(&mut cpu) as usize,
        core::ptr::from_mut(&mut node) as usize,
        0,
        0,
        0,
        0,
    ];
    // SAFETY: both words are ours.
    let _ = unsafe { call(raw::__NR_getcpu, args) };
    (cpu, node)
}

/// getrusage(2).
///
/// # Errors
/// What the host said.
pub fn usage(who: i32) -> Result<raw::rusage, Errno> {
    let mut value = MaybeUninit::<raw::rusage>::zeroed();
    // SAFETY: the structure is ours.
    unsafe {
        call(
            raw::__NR_getrusage,
            [
                who as isize as usize,
                value.as_mut_ptr() as usize,
                0,
                0,
                0,
                0,
            ],
        )
    }?;
    // SAFETY: it was zeroed, and integers may hold anything.
    Ok(unsafe { value.assume_init() })
}

/// times(2): clock ticks since boot and [user, system, children's user, children's system].
///
/// # Errors
/// What the host said.
pub fn times() -> Result<(usize, [i64; 4]), Errno> {
    let mut value = [0i64; 4];
    // SAFETY: the structure is ours.
    let ticks = unsafe {
        call(
            raw::__NR_times,
            [value.as_mut_ptr() as usize, 0, 0, 0, 0, 0],
        )
    }?;
    Ok((ticks, value))
}

/// sysinfo(2).
///
/// # Errors
/// What the host said.
pub fn system_information() -> Result<linux_raw_sys::system::sysinfo, Errno> {
    let mut value = MaybeUninit::<linux_raw_sys::system::sysinfo>::zeroed();
    // SAFETY: the structure is ours.
    unsafe {
        call(
            raw::__NR_sysinfo,
            [value.as_mut_ptr() as usize, 0, 0, 0, 0, 0],
        )
    }?;
    // SAFETY: it was zeroed, and integers may hold anything.
    Ok(unsafe { value.assume_init() })
}

/// Sets the name under which the host shows the calling thread.
pub fn set_name(name: &core::ffi::CStr) {
    // SAFETY: the name outlives the call.
    let _ = unsafe {
        call(
            raw::__NR_prctl,
            [raw_prctl_set_name(), name.as_ptr() as usize, 0, 0, 0, 0],
        )
    };
}

const fn raw_prctl_set_name() -> usize {
    linux_raw_sys::prctl::PR_SET_NAME as usize
}

/// Sets whether the calling process goes without huge pages, as its children and what it executes do
/// (`PR_SET_THP_DISABLE`, prctl(2)).
///
/// # Errors
/// What the host said.
pub fn disable_huge_pages(disable: bool) -> Result<(), Errno> {
    let operation = linux_raw_sys::prctl::PR_SET_THP_DISABLE as usize;
    // SAFETY: no pointers; what memory holds does not change.
    unsafe {
        call(
            raw::__NR_prctl,
            [operation, usize::from(disable), 0, 0, 0, 0],
        )
    }
    .map(drop)
}

/// Whether the calling process goes without huge pages (`PR_GET_THP_DISABLE`).
///
/// # Errors
/// What the host said.
pub fn huge_pages_disabled() -> Result<bool, Errno> {
    let operation = linux_raw_sys::prctl::PR_GET_THP_DISABLE as usize;
    // SAFETY: no pointers.
    unsafe { call(raw::__NR_prctl, [operation, 0, 0, 0, 0, 0]) }.map(|value| value != 0)
}
