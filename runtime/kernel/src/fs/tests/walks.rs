//! Attacks on the walk from a path to a file, and what bounds it.

use super::*;
use std::os::unix::fs::symlink;
use std::vec;

#[test]
fn no_link_leads_out_of_a_host_mount() {
    let scratch = Scratch::new("escape");
    std::fs::create_dir_all(scratch.0.join("mount/sub")).unwrap();
    std::fs::write(scratch.0.join("secret"), b"outside").unwrap();
    for (target, name) in [
        ("/etc", "absolute"),
        ("..", "up"),
        ("../secret", "file"),
        ("sub/../../secret", "sneaky"),
        ("/proc/self/root/etc", "magic"),
    ] {
        symlink(target, scratch.0.join("mount").join(name)).unwrap();
    }
    let root_fs = memory();
    root_fs
        .inject(b"/etc/passwd", 0o644, 0, 0, b"inside")
        .unwrap();
    let source = [scratch.bytes(), b"/mount"].concat();
    let context = context(vec![
        mount("/", root_fs, false),
        mount("/data", HostFs::new(&source).unwrap(), false),
    ]);
    // Links are walked in the container's own tree.
    assert_eq!(
        contents(&context, "/data/absolute/passwd").unwrap(),
        b"inside"
    );
    assert_eq!(
        contents(&context, "/data/up/etc/passwd").unwrap(),
        b"inside"
    );
    for path in [
        "/data/file",
        "/data/sneaky",
        "/data/magic/passwd",
        "/data/../secret",
        "/data/sub/../../secret",
        "/data/absolute/hostname",
    ] {
        assert_eq!(
            contents(&context, path).err(),
            Some(Errno::ENOENT),
            "{path}"
        );
    }
    // A link in the last place is not what gets created through, either.
    assert!(open(&context, "/data/file", raw::O_WRONLY | raw::O_CREAT).is_ok());
    assert_eq!(contents(&context, "/secret").unwrap(), b"");
    assert_eq!(std::fs::read(scratch.0.join("secret")).unwrap(), b"outside");
}

#[test]
fn a_directory_that_becomes_a_link_during_a_walk_leads_nowhere() {
    let scratch = Scratch::new("race");
    std::fs::create_dir_all(scratch.0.join("mount/dir")).unwrap();
    std::fs::create_dir_all(scratch.0.join("outside")).unwrap();
    std::fs::write(scratch.0.join("outside/f"), b"secret").unwrap();
    std::fs::write(scratch.0.join("mount/dir/f"), b"public").unwrap();
    pool();
    let source = [scratch.bytes(), b"/mount"].concat();
    let context = context(vec![mount("/data", HostFs::new(&source).unwrap(), false)]);
    // The walk holds the node of `dir`; then the host replaces it.
    let held = place(&context, "/data/dir");
    std::fs::rename(scratch.0.join("mount/dir"), scratch.0.join("mount/old")).unwrap();
    symlink("../outside", scratch.0.join("mount/dir")).unwrap();
    assert_eq!(
        held.fs().lookup(held.id(), b"f").map(|_| ()),
        Err(Errno::ELOOP)
    );
    let new = filesystem::NewFile {
        kind: filesystem::NewKind::Regular,
        mode: 0o644,
        uid: 0,
        gid: 0,
    };
    assert_eq!(held.fs().make(held.id(), b"g", &new), Err(Errno::ELOOP));
    assert_eq!(held.fs().remove(held.id(), b"f", false), Err(Errno::ELOOP));
    assert_eq!(held.fs().entries(held.id()).err(), Some(Errno::ELOOP));
    assert!(scratch.0.join("outside/f").exists());
}

#[test]
fn mount_points_exist_whatever_lies_below() {
    let below = memory();
    below.inject(b"/var/log/old", 0o644, 0, 0, b"").unwrap();
    below.inject_link(b"/lib", b"usr/lib").unwrap();
    let (logs, deep, lib) = (memory(), memory(), memory());
    lib.inject(b"/x.so", 0o644, 0, 0, b"elf").unwrap();
    logs.inject(b"/new", 0o644, 0, 0, b"").unwrap();
    let context = context(vec![
        mount("/a/b/c", deep, false),
        mount("/var/log", logs, true),
        mount("/lib/x", lib, false),
        mount("/", below, false),
    ]);
    assert_eq!(names(&context, "/"), [".", "..", "a", "lib", "usr", "var"]);
    assert_eq!(names(&context, "/var/log"), [".", "..", "new"]);
    assert_eq!(names(&context, "/a/b"), [".", "..", "c"]);
    assert_eq!(contents(&context, "/usr/lib/x/x.so").unwrap(), b"elf");
    assert_eq!(contents(&context, "/lib/x/x.so").unwrap(), b"elf");
    assert_eq!(
        open(&context, "/a/b/f", raw::O_WRONLY | raw::O_CREAT).err(),
        Some(Errno::EROFS)
    );
    assert_eq!(
        open(&context, "/var/log/new", raw::O_WRONLY).err(),
        Some(Errno::EROFS)
    );
    assert_eq!(
        context.path(&place(&context, "/a/b/c/../../b")).unwrap(),
        b"/a/b"
    );
    assert!(place(&context, "/var/log").is_pinned() && place(&context, "/var").is_pinned());
    // Nothing mounted at the root: an empty read-only directory.
    let empty = self::context(vec![]);
    assert_eq!(names(&empty, "/"), [".", ".."]);
    assert_eq!(
        open(&empty, "/f", raw::O_WRONLY | raw::O_CREAT).err(),
        Some(Errno::EROFS)
    );
}

#[test]
fn a_file_mounted_over_a_name_leaves_its_directory_as_it_is() {
    let below = memory();
    below.inject(b"/etc/hosts", 0o644, 0, 0, b"old").unwrap();
    below.inject(b"/etc/passwd", 0o644, 0, 0, b"p").unwrap();
    let single = |bytes| MemoryFs::single(pool(), 90, 0o640, bytes).unwrap();
    let context = context(vec![
        mount("/", below, true),
        mount("/etc/hosts", single(b"new"), false),
        mount("/etc/app/key", single(b"key"), false),
    ]);
    assert_eq!(
        names(&context, "/etc"),
        [".", "..", "app", "hosts", "passwd"]
    );
    assert_eq!(names(&context, "/etc/app"), [".", "..", "key"]);
    assert_eq!(contents(&context, "/etc/hosts").unwrap(), b"new");
    assert_eq!(contents(&context, "/etc/app/../app/key").unwrap(), b"key");
    assert_eq!(contents(&context, "/etc/passwd").unwrap(), b"p");
    let attributes = look(&context, "/etc/hosts", How::empty()).unwrap();
    assert_eq!((attributes.mode, attributes.size), (0o640, 3));
    assert_eq!(attributes.kind, FileType::Regular);
    let listed = context.mounts().entries(&place(&context, "/etc")).unwrap();
    let hosts = listed.iter().find(|e| &*e.name == b"hosts").unwrap();
    assert_eq!(hosts.kind, Some(FileType::Regular));
    // Its bytes may change; its name stays, and nothing else becomes writable.
    let file = open(&context, "/etc/hosts", raw::O_WRONLY | raw::O_TRUNC).unwrap();
    write(&file, b"newer").unwrap();
    assert_eq!(contents(&context, "/etc/hosts").unwrap(), b"newer");
    assert_eq!(context.file_path(file.file()), b"/etc/hosts");
    assert!(place(&context, "/etc/hosts").is_pinned());
    assert_eq!(
        open(&context, "/etc/hosts/x", raw::O_RDONLY).err(),
        Some(Errno::ENOTDIR)
    );
    assert_eq!(
        open(&context, "/etc/new", raw::O_WRONLY | raw::O_CREAT).err(),
        Some(Errno::EROFS)
    );
}

#[test]
fn confined_walks_stay_confined() {
    let fs = memory();
    fs.inject(b"/box/in", 0o644, 0, 0, b"").unwrap();
    fs.inject(b"/out", 0o644, 0, 0, b"").unwrap();
    fs.inject_link(b"/box/escape", b"/out").unwrap();
    fs.inject_link(b"/box/up", b"../out").unwrap();
    fs.inject_link(b"/box/fine", b"in").unwrap();
    let context = context(vec![mount("/", fs, false)]);
    let start = place(&context, "/box");
    let walk = |path: &str, how| {
        context
            .walk(Some(&start), path.as_bytes(), how, &root())
            .map(|_| ())
    };
    assert_eq!(walk("fine", How::BENEATH), Ok(()));
    for path in ["escape", "up", "../out", "/out", "../box/in"] {
        assert_eq!(walk(path, How::BENEATH), Err(Errno::EXDEV), "{path}");
        assert_eq!(walk(path, How::IN_ROOT), Err(Errno::ENOENT), "{path}");
    }
    assert_eq!(walk("/in", How::IN_ROOT), Ok(()));
    assert_eq!(walk("fine", How::NO_SYMLINKS), Err(Errno::ELOOP));
}

#[test]
fn modes_bind_other_users_than_root() {
    let fs = memory();
    fs.inject(b"/private", 0o600, 0, 0, b"").unwrap();
    fs.inject(b"/group", 0o640, 0, 7, b"").unwrap();
    fs.inject(b"/script", 0o644, 0, 0, b"").unwrap();
    let context = context(vec![mount("/", fs, false)]);
    let user = Credentials {
        uid: 5,
        gid: 5,
        groups: vec![7],
    };
    let open = |path: &str, flags| {
        context
            .open(None, path.as_bytes(), flags, 0o644, How::empty(), &user)
            .map(|_| ())
    };
    assert_eq!(open("/private", raw::O_RDONLY), Err(Errno::EACCES));
    assert_eq!(open("/group", raw::O_RDONLY), Ok(()));
    assert_eq!(open("/group", raw::O_RDWR), Err(Errno::EACCES));
    assert_eq!(
        open("/new", raw::O_WRONLY | raw::O_CREAT),
        Err(Errno::EACCES)
    );
    assert_eq!(
        context
            .open_for_exec(None, b"/script", How::empty(), &root())
            .err(),
        Some(Errno::EACCES)
    );
}
