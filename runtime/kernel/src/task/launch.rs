//! The first processes of a container, and what the supervisor tells the kernel.

use super::{Container, Ids, Limits, MAIN, Process, SUPERVISOR, Thread, exec};
use crate::fs::{
    FileTable, FsContext, Handle, Kind, Location, Mounts, OpenFile, is_terminal,
    walk::{How, Target},
};
use crate::signal::{self, Info, Signal};
use alloc::{format, sync::Arc, vec::Vec};
use bannock_platform::{Errno, host::HostFd};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as raw;

/// What the main program is.
pub struct LaunchSpec {
    /// The mount table.
    pub mounts: Arc<Mounts>,
    /// Path of the program.
    pub path: Vec<u8>,
    /// Arguments, the name first.
    pub arguments: Vec<Vec<u8>>,
    /// Environment.
    pub environment: Vec<Vec<u8>>,
    /// Working directory.
    pub directory: Vec<u8>,
    /// Who it runs as.
    pub ids: Ids,
    /// Host descriptors for standard input, output and error.
    pub streams: [Option<HostFd>; 3],
}

/// Makes the supervisor's process and the main program's, which loads its program when it starts.
///
/// The caller spawns the returned thread as a forked process.
///
/// # Errors
/// As execve(2) and chdir(2); `EEXIST` when the container has a main program already.
pub fn launch(container: &Arc<Container>, spec: LaunchSpec) -> Result<Arc<Thread>, Errno> {
    if container.process(SUPERVISOR).is_some() {
        return Err(Errno::EEXIST);
    }
    let fs = FsContext::new(Arc::clone(&spec.mounts));
    let credentials = spec.ids.for_files();
    let directory: Location = match fs.walk(None, &spec.directory, How::empty(), &credentials)? {
        Target::Found(at, _) => at,
        Target::Open(_) => return Err(Errno::ENOTDIR),
    };
    fs.set_cwd(directory, &credentials)?;
    // Both ids are taken in this order before anyone else can take one.
    let supervisor = Process::new(container.allocate_id(), Arc::clone(container), fs.fork());
    let id = container.allocate_id();
    if supervisor.id != SUPERVISOR || id != MAIN {
        return Err(Errno::EEXIST);
    }
    let files = FileTable::new(id);
    for (number, stream) in (0..).zip(spec.streams) {
        let Some(host) = stream else { continue };
        let file = if is_terminal(host) {
            container.sessions.attach(id, &container.console, id);
            OpenFile::console(raw::O_RDWR)
        } else {
            OpenFile::host(Kind::Stream, raw::O_RDWR)
        };
        files.replace(number, Handle::new(file, Some(host), id), false, usize::MAX)?;
    }
    let process = Process::with(
        id,
        Arc::clone(container),
        fs,
        files,
        spec.ids,
        Limits::default(),
    );
    process.parent.store(SUPERVISOR, Ordering::Relaxed);
    let process = Arc::new(process);
    let request = exec::Request {
        start: None,
        shown: spec.path.clone(),
        path: spec.path,
        how: How::empty(),
        arguments: spec.arguments,
        environment: spec.environment,
    };
    let pending = exec::plan(&process, request)?;
    let thread = Arc::new(Thread::new(id, Arc::clone(&process)));
    pending.name(&thread);
    exec::set_pending(&process, pending);
    process.add_thread(&thread);
    container.add_process(&supervisor);
    container.add_process(&process);
    container.add_thread(&thread);
    Ok(thread)
}

/// Passes a signal from outside of the container to the main program; those of a terminal go to the
/// foreground process group of the console.
///
/// # Errors
/// `EINVAL` for a number that is no signal, `ESRCH` when there is no main program,
/// `EAGAIN` when too many real-time signals wait.
pub fn host_signal(container: &Container, number: i32) -> Result<(), Errno> {
    let signal = Signal::new(number)?;
    if signal.is_of_terminal()
        && let Some(foreground) = container.console.foreground()
    {
        for process in container.group(foreground) {
            signal::send_to_process(&process, Info::kernel(signal))?;
        }
        return Ok(());
    }
    let process = container.process(MAIN).ok_or(Errno::ESRCH)?;
    signal::send_to_process(
        &process,
        Info::from_process(signal, raw::SI_USER as i32, 0, 0),
    )
}

/// To be called once when the host says that `host_process`, which was spawned for the container,
/// has ended, and before its number can be used again. Where it did not end by itself (it may not
/// even have started), it may have left anything behind, so the container fails.
pub fn host_process_gone(container: &Container, host_process: i32) {
    if !container.take_host_end(host_process) {
        container.fail(format!(
            "process {host_process} of the host was killed from outside"
        ));
    }
}
