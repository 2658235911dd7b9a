//! Real processes, started as root for callers with and without privileges.

// Clippy's allowance for tests does not reach their helpers.
#![allow(clippy::unwrap_used, clippy::panic)]

use bannock_launcher::{Caller, Ended, Image, Instance, Launch, LaunchFault, Namespaces, inspect};
use bannock_wire::launch::Isolation;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

const NOBODY: Caller = Caller {
    uid: 65534,
    gid: 65534,
};
const ROOT: Caller = Caller { uid: 0, gid: 0 };

/// The example `probe`, which cargo builds along with the tests.
fn probe() -> File {
    let test = std::env::current_exe().unwrap();
    let path: PathBuf = test.ancestors().nth(2).unwrap().join("examples/probe");
    File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A process that is killed when the test is over, however it ends.
struct Helper(std::process::Child);

impl Helper {
    fn start(command: &mut Command) -> Self {
        Self(command.stdout(std::process::Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Started {
    instance: Instance,
    output: BufReader<File>,
    _channel: UnixStream,
}

fn try_start(
    caller: Caller,
    arguments: &[&str],
    environment: &[&str],
    namespaces: Namespaces<'_>,
) -> Result<Started, LaunchFault> {
    assert!(
        rustix::process::geteuid().is_root(),
        "these tests start processes for other users and must run as root"
    );
    let image = Image::copy(probe().as_fd(), caller.uid)?;
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let null = File::open("/dev/null").unwrap();
    let strings = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let instance = bannock_launcher::launch(&Launch {
        image: &image,
        arguments: &strings(&[&["probe"], arguments].concat()),
        environment: &strings(environment),
        caller,
        stdio: [null.as_fd(), write.as_fd(), null.as_fd()],
        channel: theirs.as_fd(),
        namespaces,
        cgroup: None,
    })?;
    Ok(Started {
        instance,
        output: BufReader::new(File::from(read)),
        _channel: ours,
    })
}

fn start(caller: Caller, arguments: &[&str]) -> Started {
    try_start(caller, arguments, &[], Namespaces::default()).unwrap()
}

fn facts(caller: Caller) -> String {
    let mut started = try_start(
        caller,
        &["facts"],
        &["A=b c", "EMPTY="],
        Namespaces::default(),
    )
    .unwrap();
    let mut text = String::new();
    started.output.read_to_string(&mut text).unwrap();
    assert_eq!(started.instance.wait().unwrap(), Ended::Exited { code: 0 });
    text
}

#[test]
fn an_instance_has_what_it_was_given_and_nothing_else() {
    for caller in [NOBODY, ROOT] {
        let facts = facts(caller);
        for line in [
            "argv0 probe",
            "env A=b c",
            "env EMPTY=",
            "descriptors [0, 1, 2, 3]",
            "pid 1",
            "uid 1000",
            "gid 1000",
            "groups 0",
            "umask 22",
            "cwd /",
            "core Some(0) Some(0)",
            "dumpable Ok(NotDumpable)",
            "own image fails: PermissionDenied",
            "chmod own image fails: PermissionDenied",
            "NoNewPrivs: 1",
            "SigBlk: 0000000000000000",
            "CapInh: 0000000000000000",
            "CapPrm: 0000000000000000",
            "CapEff: 0000000000000000",
            "CapBnd: 0000000000000000",
            "CapAmb: 0000000000000000",
        ] {
            assert!(
                facts.lines().any(|l| l == line),
                "{line:?} not in:\n{facts}"
            );
        }
        assert_eq!(facts.lines().filter(|l| l.starts_with("env ")).count(), 2);
        // Host files are those that the caller may open.
        let shadow = match caller {
            ROOT => "host shadow succeeds",
            _ => "host shadow fails: PermissionDenied",
        };
        assert!(facts.contains(shadow), "{facts}");
    }
}

#[test]
fn isolation_is_full_and_read_back() {
    for caller in [NOBODY, ROOT] {
        let started = start(caller, &["sleep"]);
        assert_eq!(started.instance.isolation(), Isolation::FULL);
        let bytes = {
            let mut bytes = Vec::new();
            probe().read_to_end(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(
            started.instance.measurement(),
            bannock_wire::launch::runtime_measurement(&bytes)
        );
    }
}

#[test]
fn a_process_of_the_same_user_outside_cannot_look_inside() {
    for caller in [NOBODY, ROOT] {
        let started = start(caller, &["sleep"]);
        assert!(!inspect::is_dumpable_for(started.instance.pid(), caller).unwrap());
    }
    // The same attempt does get into an ordinary process, so it is the isolation that stops it.
    for caller in [NOBODY, ROOT] {
        let mut sleep = Command::new("/bin/sleep");
        let ordinary = Helper::start(sleep.arg("1000").uid(caller.uid).gid(caller.gid));
        // A process of root keeps its capabilities, which a prober without them may not look at.
        if caller == NOBODY {
            assert!(inspect::is_dumpable_for(ordinary.pid(), caller).unwrap());
        }
    }
}

#[test]
fn an_ordinary_process_gets_no_flag_it_does_not_deserve() {
    let image = Image::copy(probe().as_fd(), NOBODY.uid).unwrap();
    let mut sleep = Command::new("/bin/sleep");
    let ordinary = Helper::start(sleep.arg("1000").uid(NOBODY.uid).gid(NOBODY.gid));
    let isolation = inspect::isolation(ordinary.pid(), NOBODY, &image).unwrap();
    assert_eq!(isolation, Isolation::SEALED_IMAGE);
}

#[test]
fn exit_codes_and_signals_come_back() {
    let mut started = start(NOBODY, &["exit", "37"]);
    assert_eq!(started.instance.wait().unwrap(), Ended::Exited { code: 37 });
    let mut started = start(NOBODY, &["sleep"]);
    // The first process of a PID namespace ignores what it has no handler for, but not SIGKILL.
    started.instance.signal(9).unwrap();
    assert_eq!(
        started.instance.wait().unwrap(),
        Ended::Killed { signal: 9 }
    );
    assert!(started.instance.signal(0).is_err());
    assert!(started.instance.signal(65).is_err());
}

#[test]
fn dropping_an_instance_ends_its_descendants() {
    let mut started = start(NOBODY, &["sleep"]);
    let mut line = String::new();
    started.output.read_line(&mut line).unwrap();
    assert!(
        line.starts_with("child ") && line.trim() != "child 0",
        "{line}"
    );
    let pid = started.instance.pid();
    drop(started.instance);
    assert!(!fs::exists(format!("/proc/{pid}")).unwrap());
    // Its child holds the other end of the pipe: it is closed once that is gone as well.
    assert_eq!(started.output.read_line(&mut line).unwrap(), 0);
}

#[test]
fn the_network_namespace_of_the_caller_is_joined() {
    let holder =
        Helper::start(Command::new("/usr/bin/unshare").args(["--net", "/bin/sleep", "1000"]));
    let path = format!("/proc/{}/ns/net", holder.pid());
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let theirs = loop {
        let link = fs::read_link(&path).unwrap();
        if link != own {
            break link;
        }
        std::thread::yield_now();
    };
    let namespace = File::open(&path).unwrap();
    let namespaces = Namespaces {
        network: Some(namespace.as_fd()),
        ..Namespaces::default()
    };
    let started = try_start(NOBODY, &["sleep"], &[], namespaces).unwrap();
    let joined = fs::read_link(format!("/proc/{}/ns/net", started.instance.pid())).unwrap();
    assert_eq!(joined, theirs);
    assert_eq!(started.instance.isolation(), Isolation::FULL);
}

#[test]
fn what_is_no_namespace_of_the_right_kind_is_refused() {
    let null = File::open("/dev/null").unwrap();
    let user = File::open("/proc/self/ns/user").unwrap();
    for wrong in [&null, &user] {
        let namespaces = Namespaces {
            network: Some(wrong.as_fd()),
            ..Namespaces::default()
        };
        let fault = try_start(NOBODY, &["facts"], &[], namespaces)
            .err()
            .unwrap();
        assert!(
            matches!(
                fault,
                LaunchFault::Child {
                    step: "join the caller's namespaces",
                    ..
                }
            ),
            "{fault:?}"
        );
    }
}

#[test]
fn a_cgroup_that_is_not_the_callers_is_refused() {
    let image = Image::copy(probe().as_fd(), NOBODY.uid).unwrap();
    let null = File::open("/dev/null").unwrap();
    let (_ours, theirs) = UnixStream::pair().unwrap();
    for directory in ["/sys/fs/cgroup", "/tmp"] {
        let cgroup = File::open(directory).unwrap();
        let fault = bannock_launcher::launch(&Launch {
            image: &image,
            arguments: &["probe".to_owned(), "facts".to_owned()],
            environment: &[],
            caller: NOBODY,
            stdio: [null.as_fd(); 3],
            channel: theirs.as_fd(),
            namespaces: Namespaces::default(),
            cgroup: Some(cgroup.as_fd()),
        })
        .err()
        .unwrap();
        assert!(
            matches!(fault, LaunchFault::Cgroup { uid: 65534 }),
            "{fault:?}"
        );
    }
}

#[test]
fn bad_images_and_strings_are_refused() {
    let mut file = File::from(memory_file());
    assert!(matches!(
        Image::copy(file.as_fd(), 0).unwrap_err(),
        LaunchFault::ImageEmpty
    ));
    file.write_all(b"not a program").unwrap();
    let image = Image::copy(file.as_fd(), NOBODY.uid).unwrap();
    let null = File::open("/dev/null").unwrap();
    let launch = Launch {
        image: &image,
        arguments: &[],
        environment: &[],
        caller: NOBODY,
        stdio: [null.as_fd(); 3],
        channel: null.as_fd(),
        namespaces: Namespaces::default(),
        cgroup: None,
    };
    let fault = bannock_launcher::launch(&launch).unwrap_err();
    assert!(matches!(fault, LaunchFault::Child { .. }), "{fault:?}");
    assert!(fault.to_string().contains("execute the image"), "{fault}");

    file.set_len(bannock_launcher::MAX_IMAGE as u64 + 1)
        .unwrap();
    assert!(matches!(
        Image::copy(file.as_fd(), 0).unwrap_err(),
        LaunchFault::ImageTooLarge { .. }
    ));
    let (pipe, _write) = rustix::pipe::pipe().unwrap();
    assert!(matches!(
        Image::copy(pipe.as_fd(), 0).unwrap_err(),
        LaunchFault::ImageUnreadable(_)
    ));
    for bad in ["NUL=\0", "=x", "noname"] {
        let environment = [bad.to_owned()];
        let launch = Launch {
            environment: &environment,
            ..launch
        };
        assert!(matches!(
            bannock_launcher::launch(&launch).unwrap_err(),
            LaunchFault::Text { .. }
        ));
    }
}

fn memory_file() -> OwnedFd {
    rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap()
}

#[test]
fn nobody_can_change_a_sealed_image() {
    let image = Image::copy(probe().as_fd(), ROOT.uid).unwrap();
    assert!(image.is_sealed());
    let path = format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(&image.as_fd())
    );
    // Root may open it for writing; the seals refuse the write itself.
    let file = File::options().write(true).open(path).unwrap();
    assert!((&file).write_all(b"x").is_err());
    assert!(file.set_len(0).is_err());
    assert!(rustix::fs::fcntl_add_seals(&file, rustix::fs::SealFlags::FUTURE_WRITE).is_err());
}

#[test]
fn instances_can_be_started_at_once() {
    std::thread::scope(|scope| {
        let starts: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..3 {
                        let mut started = start(NOBODY, &["exit", "5"]);
                        assert_eq!(started.instance.wait().unwrap(), Ended::Exited { code: 5 });
                    }
                })
            })
            .collect();
        for start in starts {
            start.join().unwrap();
        }
    });
}
