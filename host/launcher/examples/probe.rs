//! A program that looks at what it was started with and tries what it must not be able to do; the
//! tests of the launcher start it as an image.
//!
//! Arguments: `facts` prints them one per line; `exit N` exits; `sleep` waits to be killed, after a
//! child of its own was made (whose process id in this namespace it prints).

#![allow(clippy::print_stdout)]

use std::fs;
use std::io::Write;

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("facts") => facts(),
        Some("exit") => {
            let code = arguments.next().and_then(|n| n.parse().ok());
            std::process::exit(code.unwrap_or(99));
        }
        Some("sleep") => {
            let child = std::process::Command::new("/bin/sleep").arg("1000").spawn();
            println!("child {}", child.map_or(0, |child| child.id()));
            let _ = std::io::stdout().flush();
            loop {
                std::thread::park();
            }
        }
        _ => std::process::exit(98),
    }
}

fn facts() {
    println!("argv0 {}", std::env::args().next().unwrap_or_default());
    for (name, value) in std::env::vars() {
        println!("env {name}={value}");
    }
    let mut descriptors: Vec<u32> = fs::read_dir("/dev/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    // The descriptor that listed them is gone by now.
    descriptors.retain(|fd| fs::symlink_metadata(format!("/dev/fd/{fd}")).is_ok());
    descriptors.sort_unstable();
    println!("descriptors {descriptors:?}");
    println!("pid {}", std::process::id());
    println!("uid {}", rustix::process::getuid().as_raw());
    println!("gid {}", rustix::process::getgid().as_raw());
    println!(
        "groups {}",
        rustix::process::getgroups().map_or(999, |all| all.len())
    );
    println!(
        "umask {:o}",
        rustix::process::umask(rustix::fs::Mode::empty()).bits()
    );
    println!(
        "cwd {}",
        std::env::current_dir().unwrap_or_default().display()
    );
    let core = rustix::process::getrlimit(rustix::process::Resource::Core);
    println!("core {:?} {:?}", core.current, core.maximum);
    let dumpable = rustix::process::dumpable_behavior();
    println!("dumpable {dumpable:?}");
    println!(
        "own image {}",
        outcome(fs::read("/proc/self/exe").map(|_| ()))
    );
    println!(
        "chmod own image {}",
        outcome(fs::set_permissions(
            "/proc/self/exe",
            std::os::unix::fs::PermissionsExt::from_mode(0o777)
        ))
    );
    println!(
        "host shadow {}",
        outcome(fs::read("/etc/shadow").map(|_| ()))
    );
    let status = fs::read_to_string("/proc/thread-self/status");
    for line in status.unwrap_or_default().lines() {
        if ["Sig", "Shd", "Cap", "NoNew"]
            .iter()
            .any(|start| line.starts_with(start))
        {
            println!("{}", line.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
}

fn outcome(result: std::io::Result<()>) -> String {
    match result {
        Ok(()) => "succeeds".to_owned(),
        Err(error) => format!("fails: {:?}", error.kind()),
    }
}
