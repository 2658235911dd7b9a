//! The container's first program and its supervision.

use alloc::{format, string::String, sync::Arc, vec::Vec};
use bannock_boot::BootFault;
use bannock_kernel::fs::Mounts;
use bannock_kernel::task::{self, Config, Container, Ending, Ids, LaunchSpec};
use bannock_platform::{Errno, Registers, Spawn, SpawnKind, current, host::HostFd, platform};
use bannock_platform_process::{regions, report, start::Arguments, supervise};
use bannock_wire::config::ServiceConfig;
use linux_raw_sys::auxvec;
use zeroize::Zeroize;

/// What is run.
#[derive(Default)]
pub(crate) struct Program {
    /// Path or name, and arguments.
    pub(crate) arguments: Vec<String>,
    /// Environment as `NAME=value`.
    pub(crate) environment: Vec<String>,
    /// Working directory.
    pub(crate) directory: String,
}

impl Program {
    /// What a session says, with host variables only where it names them.
    pub(crate) fn of(config: &ServiceConfig, host: &[String]) -> Self {
        let own = |name: &str| config.environment.iter().any(|v| v.name == name);
        let admitted = |entry: &&String| {
            entry.split_once('=').is_some_and(|(name, _)| {
                config.host_environment.iter().any(|n| n == name) && !own(name)
            })
        };
        let mut environment: Vec<String> = config
            .environment
            .iter()
            .map(|v| format!("{}={}", v.name, v.value))
            .collect();
        environment.extend(host.iter().filter(admitted).cloned());
        Self {
            arguments: config.argv.clone(),
            environment,
            directory: config.pwd.clone(),
        }
    }

    /// Absolute paths to try, in order: a name without a slash is looked up in `PATH`.
    fn candidates(&self) -> Vec<Vec<u8>> {
        const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let Some(name) = self.arguments.first() else {
            return Vec::new();
        };
        if name.contains('/') {
            return alloc::vec![name.clone().into_bytes()];
        }
        let path = self
            .environment
            .iter()
            .find_map(|e| e.strip_prefix("PATH="))
            .unwrap_or(DEFAULT_PATH);
        path.split(':')
            .map(|directory| format!("{directory}/{name}").into_bytes())
            .collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.arguments.zeroize();
        self.environment.zeroize();
    }
}

/// An empty container.
pub(crate) fn make(arguments: Arguments) -> Arc<Container> {
    Container::with(Config {
        hostname: b"bannock".to_vec(),
        hwcap: arguments.auxiliary(auxvec::AT_HWCAP).unwrap_or(0),
        hwcap2: arguments.auxiliary(auxvec::AT_HWCAP2).unwrap_or(0),
        first_descriptor: regions::FIRST_FREE_FD,
    })
}

/// Starts the program and waits for the container's end; returns the exit code.
pub(crate) fn supervise(
    container: &Arc<Container>,
    mounts: Arc<Mounts>,
    program: Program,
    stats: bool,
) -> Result<u8, BootFault> {
    let thread = launch(container, mounts, &program)?;
    drop(program);
    let value = current::into_value(thread);
    let registers = Registers::default();
    let spawn = Spawn {
        kind: SpawnKind::Fork,
        registers: &registers,
        fs_base: None,
        value,
    };
    platform()
        .spawn(&spawn)
        .map_err(|e| BootFault::Failed(format!("the host cannot start a process ({e})")))?;
    let ending = wait(container);
    supervise::end_all();
    if stats {
        for (number, count) in container.absent_calls() {
            let name =
                bannock_kernel::syscall::lookup(number as usize).map_or("unknown", |row| row.name);
            report::line(format_args!(
                "unsupported call {name} ({number}): {count} times"
            ));
        }
    }
    match ending {
        Some(Ending::Exited(status)) => Ok(status.to_shell() as u8),
        Some(Ending::Denied(reason)) => Err(BootFault::Denied(reason)),
        Some(Ending::Failed(reason)) => Err(BootFault::Failed(reason)),
        None => Err(BootFault::Failed(
            "all processes are gone, and none said why".into(),
        )),
    }
}

fn wait(container: &Arc<Container>) -> Option<Ending> {
    loop {
        match supervise::wait() {
            supervise::Event::Gone { process, .. } => {
                task::host_process_gone(container, process);
                supervise::reap(process);
            }
            supervise::Event::Signals(bits) => {
                for number in (1..=64).filter(|n| bits & (1 << (n - 1)) != 0) {
                    // Without a main program, or with too many signals waiting, it is lost, as on Linux.
                    let _ = task::host_signal(container, number);
                }
            }
            supervise::Event::Empty => return container.ending(),
        }
        if let Some(ending) = container.ending() {
            return Some(ending);
        }
    }
}

fn launch(
    container: &Arc<Container>,
    mounts: Arc<Mounts>,
    program: &Program,
) -> Result<Arc<bannock_kernel::Thread>, BootFault> {
    let bytes = |strings: &[String]| {
        strings
            .iter()
            .map(|s| s.clone().into_bytes())
            .collect::<Vec<_>>()
    };
    let name = program.arguments.first().map_or("", String::as_str);
    let mut last = Errno::ENOENT;
    for path in program.candidates() {
        let spec = LaunchSpec {
            mounts: Arc::clone(&mounts),
            path,
            arguments: bytes(&program.arguments),
            environment: bytes(&program.environment),
            directory: program.directory.clone().into_bytes(),
            ids: Ids::new(0, 0, Vec::new()),
            streams: [0, 1, 2].map(|n| Some(HostFd::inherited(n))),
        };
        match task::launch(container, spec) {
            Ok(thread) => return Ok(thread),
            Err(e @ (Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES)) => last = e,
            Err(e) => {
                last = e;
                break;
            }
        }
    }
    if let Some(Ending::Denied(reason)) = container.ending() {
        return Err(BootFault::Denied(reason));
    }
    Err(BootFault::Failed(format!(
        "cannot start `{name}` in `{}` ({last}); check the command, its path and the mounts",
        program.directory
    )))
}
