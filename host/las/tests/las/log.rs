//! Nothing happens without a record.

use crate::world::*;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A file system with room for one page, unmounted when the test is over.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Self {
        fs::create_dir(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4k", "tmpfs"])
            .arg(&at)
            .status()
            .unwrap();
        assert!(mounted.success());
        Self(at)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn nothing_happens_without_a_record() {
    let mut world = World::new();
    let disk = SmallDisk::mount(world.path("small"));
    world.las.0.kill().unwrap();
    world.las.0.wait().unwrap();
    world.las = World::serve(world.dir.path(), "small/audit");
    let mut quotes = 0;
    let mut is_refused = false;
    for _ in 0..20 {
        let lines = world.run(NOBODY, "service", &["hello", "evidence"]);
        quotes += lines
            .iter()
            .filter(|line| line.starts_with("evidence "))
            .count();
        is_refused |= lines
            .iter()
            .any(|line| line.contains("start refused: cannot append"));
        if is_refused {
            assert!(
                !lines.iter().any(|line| line.starts_with("hello ")),
                "{lines:?}"
            );
        }
    }
    assert!(is_refused);
    let audit = fs::read_to_string(disk.0.join("audit")).unwrap();
    assert!(quotes > 0);
    assert_eq!(quotes, audit.matches("\"event\":\"quote\"").count());
}

#[test]
fn a_log_that_was_changed_stops_the_las() {
    let mut world = World::new();
    world.run(NOBODY, "service", &["exit", "0"]);
    world.las.0.kill().unwrap();
    world.las.0.wait().unwrap();
    let audit = world.audit().replacen("65534", "65533", 1);
    fs::write(world.path("audit"), audit).unwrap();
    let output = Command::new(world.path("serve"))
        .args(["las.sock", "platform", "audit"].map(|name| world.path(name)))
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("Broken"));
}
