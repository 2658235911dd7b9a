//! File behaviour as programs see it, the same on every writable file system, and attacks on the
//! walk.

use super::walk::{How, Target};
use super::*;
use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use bannock_measure::{tree::Entry, tree::Manifest, tree::Node, verity::file_digest};
use bannock_platform::{Errno, cache::Pool, host as platform_host, sync::Mutex};
use linux_raw_sys::general as raw;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::vec;

fn pool() -> Arc<Pool> {
    static POOL: std::sync::OnceLock<Arc<Pool>> = std::sync::OnceLock::new();
    bannock_platform::hosted::install();
    Arc::clone(POOL.get_or_init(|| Arc::new(Pool::new())))
}

struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bannock-fs-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn bytes(&self) -> &[u8] {
        std::os::unix::ffi::OsStrExt::as_bytes(self.0.as_os_str())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mount(path: &str, fs: impl FileSystem + 'static, read_only: bool) -> MountRequest {
    MountRequest {
        path: path.into(),
        fs: Arc::new(fs),
        read_only,
    }
}

fn context(requests: Vec<MountRequest>) -> FsContext {
    FsContext::new(Mounts::new(requests, &pool()).unwrap())
}

fn memory() -> MemoryFs {
    MemoryFs::new(pool(), 77, 0o755)
}

fn root() -> Credentials {
    Credentials::default()
}

fn open(context: &FsContext, path: &str, flags: u32) -> Result<Arc<Handle>, Errno> {
    context.open(None, path.as_bytes(), flags, 0o644, How::empty(), &root())
}

fn write(file: &Handle, bytes: &[u8]) -> Result<usize, Errno> {
    file.write(platform_host::From::Kernel(bytes), None)
}

fn contents(context: &FsContext, path: &str) -> Result<Vec<u8>, Errno> {
    let file = open(context, path, raw::O_RDONLY)?;
    let mut all = Vec::new();
    let mut buffer = [0u8; 1000];
    loop {
        match file.read(platform_host::Into::Kernel(&mut buffer), None)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

fn look(context: &FsContext, path: &str, how: How) -> Result<Attributes, Errno> {
    match context.walk(None, path.as_bytes(), how, &root())? {
        Target::Found(_, attributes) => Ok(attributes),
        Target::Open(handle) => handle.attributes(),
    }
}

fn place(context: &FsContext, path: &str) -> Location {
    match context
        .walk(None, path.as_bytes(), How::empty(), &root())
        .unwrap()
    {
        Target::Found(at, _) => at,
        Target::Open(_) => panic!("{path} is an open file"),
    }
}

fn make(
    context: &FsContext,
    directory: &str,
    name: &str,
    kind: filesystem::NewKind<'_>,
) -> Result<(), Errno> {
    let at = place(context, directory);
    let new = filesystem::NewFile {
        kind,
        mode: 0o755,
        uid: 0,
        gid: 0,
    };
    at.fs().make(at.id(), name.as_bytes(), &new)
}

fn names(context: &FsContext, path: &str) -> Vec<String> {
    let entries = context.mounts().entries(&place(context, path)).unwrap();
    let mut names: Vec<String> = entries
        .iter()
        .map(|e| String::from_utf8_lossy(&e.name).into_owned())
        .collect();
    names.sort();
    names
}

/// What Linux does, whatever lies under it.
fn behaves_like_linux(context: &FsContext) {
    use filesystem::{NewKind, RenameMode};
    let file = open(context, "/w/a", raw::O_RDWR | raw::O_CREAT | raw::O_EXCL).unwrap();
    assert_eq!(
        open(context, "/w/a", raw::O_RDWR | raw::O_CREAT | raw::O_EXCL).err(),
        Some(Errno::EEXIST)
    );
    assert_eq!(write(&file, b"hello").unwrap(), 5);
    file.seek(3, raw::SEEK_END).unwrap();
    assert_eq!(write(&file, b"!").unwrap(), 1);
    assert_eq!(contents(context, "/w/a").unwrap(), b"hello\0\0\0!");
    let append = open(context, "/w/a", raw::O_WRONLY | raw::O_APPEND).unwrap();
    append.seek(0, raw::SEEK_SET).unwrap();
    write(&append, b"+").unwrap();
    assert_eq!(contents(context, "/w/a").unwrap(), b"hello\0\0\0!+");
    assert_eq!(file.seek(-1, raw::SEEK_SET), Err(Errno::EINVAL));
    assert_eq!(
        append.read(platform_host::Into::Kernel(&mut [0; 4]), None),
        Err(Errno::EBADF)
    );

    // Growing, shrinking and growing again shows zeros, not what was there.
    let resize = |size| {
        file.ops().change(
            &file,
            &Changes {
                size: Some(size),
                ..Changes::default()
            },
        )
    };
    resize(2).unwrap();
    resize(6).unwrap();
    assert_eq!(contents(context, "/w/a").unwrap(), b"he\0\0\0\0");

    // An open file outlives its name.
    let at = place(context, "/w");
    at.fs().remove(at.id(), b"a", false).unwrap();
    assert_eq!(
        look(context, "/w/a", How::empty()).err(),
        Some(Errno::ENOENT)
    );
    assert_eq!(file.attributes().unwrap().links, 0);
    assert_eq!(file.size().unwrap(), 6);

    make(context, "/w", "d", NewKind::Directory).unwrap();
    make(context, "/w/d", "inner", NewKind::Directory).unwrap();
    assert_eq!(
        make(context, "/w", "d", NewKind::Directory),
        Err(Errno::EEXIST)
    );
    assert_eq!(at.fs().remove(at.id(), b"d", true), Err(Errno::ENOTEMPTY));
    assert_eq!(at.fs().remove(at.id(), b"d", false), Err(Errno::EISDIR));
    let inner = place(context, "/w/d/inner");
    assert_eq!(
        at.fs()
            .rename(at.id(), b"d", inner.id(), b"x", RenameMode::Replace),
        Err(Errno::EINVAL)
    );

    // The way up follows a rename.
    context.set_cwd(inner, &root()).unwrap();
    at.fs()
        .rename(at.id(), b"d", at.id(), b"e", RenameMode::NoReplace)
        .unwrap();
    assert_eq!(context.path(&context.cwd()).unwrap(), b"/w/e/inner");
    assert!(look(context, "../../e", How::empty()).is_ok());
    context.set_cwd(context.root(), &root()).unwrap();

    for name in ["one", "two"] {
        write(
            &open(context, &format!("/w/{name}"), raw::O_WRONLY | raw::O_CREAT).unwrap(),
            name.as_bytes(),
        )
        .unwrap();
    }
    assert_eq!(
        at.fs()
            .rename(at.id(), b"one", at.id(), b"two", RenameMode::NoReplace),
        Err(Errno::EEXIST)
    );
    at.fs()
        .rename(at.id(), b"one", at.id(), b"two", RenameMode::Exchange)
        .unwrap();
    assert_eq!(contents(context, "/w/one").unwrap(), b"two");
    at.fs()
        .rename(at.id(), b"one", at.id(), b"two", RenameMode::Replace)
        .unwrap();
    assert_eq!(contents(context, "/w/two").unwrap(), b"two");

    let two = place(context, "/w/two");
    at.fs().link(two.id(), at.id(), b"three").unwrap();
    assert_eq!(look(context, "/w/three", How::empty()).unwrap().links, 2);
    make(context, "/w", "link", NewKind::Symlink(b"three")).unwrap();
    assert_eq!(contents(context, "/w/link").unwrap(), b"two");
    assert_eq!(
        look(context, "/w/link", How::NO_FOLLOW).unwrap().kind,
        FileType::Symlink
    );
    assert_eq!(
        open(context, "/w/link", raw::O_RDONLY | raw::O_NOFOLLOW).err(),
        Some(Errno::ELOOP)
    );
    assert_eq!(
        open(context, "/w/two/", raw::O_RDONLY).err(),
        Some(Errno::ENOTDIR)
    );
    assert_eq!(
        open(context, "/w/two/x", raw::O_RDONLY).err(),
        Some(Errno::ENOTDIR)
    );
    assert_eq!(
        open(context, "/w/new/", raw::O_WRONLY | raw::O_CREAT).err(),
        Some(Errno::EISDIR)
    );
    assert_eq!(
        open(context, "/w", raw::O_WRONLY).err(),
        Some(Errno::EISDIR)
    );

    // A dangling link is where the new file goes; O_EXCL does not follow it.
    make(context, "/w", "dangling", NewKind::Symlink(b"e/fresh")).unwrap();
    let flags = raw::O_WRONLY | raw::O_CREAT;
    assert_eq!(
        open(context, "/w/dangling", flags | raw::O_EXCL).err(),
        Some(Errno::EEXIST)
    );
    write(&open(context, "/w/dangling", flags).unwrap(), b"f").unwrap();
    assert_eq!(contents(context, "/w/e/fresh").unwrap(), b"f");

    make(context, "/w", "loop", NewKind::Symlink(b"loop")).unwrap();
    assert_eq!(
        look(context, "/w/loop", How::empty()).err(),
        Some(Errno::ELOOP)
    );
    let long = "n".repeat(256);
    assert_eq!(
        look(context, &format!("/w/{long}"), How::empty()).err(),
        Some(Errno::ENAMETOOLONG)
    );
    assert_eq!(
        names(context, "/w"),
        [".", "..", "dangling", "e", "link", "loop", "three", "two"]
    );
    assert_eq!(
        context.mounts().entries(&place(context, "/w/two")).err(),
        Some(Errno::ENOTDIR)
    );
}

#[test]
fn memory_behaves_like_linux() {
    behaves_like_linux(&context(vec![mount("/w", memory(), false)]));
}

#[test]
fn host_mounts_behave_like_linux() {
    pool();
    let scratch = Scratch::new("like-linux");
    behaves_like_linux(&context(vec![mount(
        "/w",
        HostFs::new(scratch.bytes()).unwrap(),
        false,
    )]));
}

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
fn appending_goes_to_the_end_wherever_it_is_told_to_go() {
    let fs = memory();
    fs.inject(b"/f", 0o644, 0, 0, b"12345").unwrap();
    let context = context(vec![mount("/", fs, false)]);
    let file = open(&context, "/f", raw::O_RDWR | raw::O_APPEND).unwrap();
    let at = |offset| file.write(platform_host::From::Kernel(b"x"), Some(offset));
    assert_eq!(at(0), Ok(1));
    assert_eq!(contents(&context, "/f").unwrap(), b"12345x");
    assert_eq!(file.seek(0, raw::SEEK_CUR), Ok(0), "the position stays");
    write(&file, b"y").unwrap();
    assert_eq!(file.seek(0, raw::SEEK_CUR), Ok(7));
    assert_eq!(contents(&context, "/f").unwrap(), b"12345xy");
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
    assert_eq!(context.handle_path(&file), b"/etc/hosts");
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

struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Vec::new())))
    }
}

impl Denied for Recorder {
    fn denied(&self, reason: String) {
        self.0.lock().push(reason);
    }
}

fn measured(scratch: &Scratch, denied: &Arc<Recorder>) -> FsContext {
    let file = |path: &str, bytes: &[u8]| Entry {
        path: path.as_bytes().into(),
        node: Node::File {
            mode: 0o755,
            size: bytes.len() as u64,
            digest: file_digest(bytes),
        },
    };
    let manifest = Manifest::from_entries(vec![
        Entry {
            path: Box::from(*b"/"),
            node: Node::Directory { mode: 0o755 },
        },
        Entry {
            path: Box::from(*b"/bin"),
            node: Node::Directory { mode: 0o755 },
        },
        Entry {
            path: Box::from(*b"/sbin"),
            node: Node::Symlink {
                target: Box::from(*b"bin"),
            },
        },
        file("/bin/good", b"good"),
        file("/bin/bad", b"right"),
        file("/bin/short", b"0123456789"),
        file("/bin/long", b"0"),
        file("/bin/missing", b""),
        file("/bin/linked", b"good"),
    ])
    .unwrap();
    let denied = Arc::<Recorder>::clone(denied);
    let tree = TreeFs::new(scratch.bytes(), manifest, 88, pool(), denied).unwrap();
    context(vec![mount("/", tree, true)])
}

#[test]
fn measured_trees_show_what_was_measured_or_deny() {
    pool();
    let scratch = Scratch::new("tree");
    std::fs::create_dir(scratch.0.join("bin")).unwrap();
    let put =
        |name: &str, bytes: &[u8]| std::fs::write(scratch.0.join("bin").join(name), bytes).unwrap();
    put("good", b"good");
    put("bad", b"wrong");
    put("short", b"0123");
    put("long", b"00");
    put("unlisted", b"x");
    symlink("good", scratch.0.join("bin/linked")).unwrap();
    std::fs::set_permissions(
        scratch.0.join("bin/good"),
        std::fs::Permissions::from_mode(0o400),
    )
    .unwrap();
    let denied = Recorder::new();
    let context = measured(&scratch, &denied);

    assert_eq!(contents(&context, "/sbin/good").unwrap(), b"good");
    assert_eq!(
        look(&context, "/bin/good", How::empty()).unwrap().mode,
        0o755
    );
    assert_eq!(
        look(&context, "/bin/unlisted", How::empty()).err(),
        Some(Errno::ENOENT)
    );
    assert_eq!(
        names(&context, "/bin"),
        [
            ".", "..", "bad", "good", "linked", "long", "missing", "short"
        ]
    );
    assert_eq!(
        open(&context, "/bin/good", raw::O_WRONLY).err(),
        Some(Errno::EROFS)
    );
    assert!(denied.0.lock().is_empty());

    // What was verified is what is used from now on, whatever the host does.
    put("unlisted", b"y");
    std::fs::remove_file(scratch.0.join("bin/good")).unwrap();
    put("good", b"evil");
    assert_eq!(contents(&context, "/bin/good").unwrap(), b"good");

    for (count, name) in (1..).zip(["bad", "short", "long", "missing", "linked"]) {
        assert_eq!(
            contents(&context, &format!("/bin/{name}")).err(),
            Some(Errno::EIO),
            "{name}"
        );
        let reasons = denied.0.lock();
        assert_eq!(reasons.len(), count);
        assert!(reasons.last().unwrap().contains(&format!("/bin/{name}")));
    }
    // The file as measured is accepted again.
    put("bad", b"right");
    assert_eq!(contents(&context, "/bin/bad").unwrap(), b"right");
}

#[test]
fn measured_files_are_never_mapped_for_writing() {
    let scratch = Scratch::new("tree-map");
    std::fs::create_dir(scratch.0.join("bin")).unwrap();
    std::fs::write(scratch.0.join("bin/good"), b"good").unwrap();
    pool();
    let context = measured(&scratch, &Recorder::new());
    let file = open(&context, "/bin/good", raw::O_RDONLY).unwrap();
    assert!(file.mapping(0, 4096, false, true).is_ok());
    assert_eq!(file.mapping(0, 4096, true, true).err(), Some(Errno::EACCES));
    assert_eq!(
        file.content_key().map(u128::to_le_bytes).unwrap(),
        file_digest(b"good")[..16]
    );
}

#[test]
fn mapped_files_keep_their_place() {
    let context = context(vec![mount("/", memory(), false)]);
    let file = open(&context, "/f", raw::O_RDWR | raw::O_CREAT).unwrap();
    write(&file, &[7; 10_000]).unwrap();
    let mapped = file.mapping(0, 10_000, true, true).unwrap();
    write(&file, &vec![8; 300_000]).unwrap();
    let again = file.mapping(0, 10_000, true, true).unwrap();
    assert_eq!(mapped.backing, again.backing);
    assert!(mapped.pin.is_some());
    let huge = file.write(platform_host::From::Kernel(b"x"), Some(1 << 40));
    assert_eq!(huge, Err(Errno::EFBIG));
}

#[test]
fn tables_share_handles_among_duplicates_and_close_on_exec() {
    let context = context(vec![mount("/", memory(), false)]);
    let table = FileTable::new(0);
    let file = open(&context, "/f", raw::O_RDWR | raw::O_CREAT).unwrap();
    assert_eq!(table.insert(Arc::clone(&file), 0, false, 8), Ok(0));
    assert_eq!(table.insert(Arc::clone(&file), 5, true, 8), Ok(5));
    assert_eq!(
        table.insert(Arc::clone(&file), 9, true, 8),
        Err(Errno::EINVAL)
    );
    table.replace(7, file, false, 8).unwrap();
    assert_eq!(
        table.replace(8, table.get(0).unwrap(), false, 8),
        Err(Errno::EBADF)
    );
    table.fork_with(42, |child| {
        assert_eq!(child.numbers(), [0, 5, 7]);
        assert!(Arc::ptr_eq(&child.get(0).unwrap(), &child.get(7).unwrap()));
        write(&child.get(0).unwrap(), b"abc").unwrap();
    });
    // The offset belongs to the open file, which both have.
    assert_eq!(table.get(7).unwrap().seek(0, raw::SEEK_CUR), Ok(3));
    table.close_on_exec();
    assert_eq!(table.numbers(), [0, 7]);
    assert_eq!(table.remove(5), Err(Errno::EBADF));
    assert_eq!(table.get(-1).err(), Some(Errno::EBADF));
}

#[test]
fn host_descriptors_are_closed_by_their_owner_only() {
    pool();
    let (reader, writer) = platform_host::file::pipe(raw::O_NONBLOCK).unwrap();
    let file = OpenFile::host(Kind::Pipe, raw::O_WRONLY);
    let own = Handle::new(Arc::clone(&file), Some(writer), 0);
    drop(own_elsewhere(&file, writer));
    let mut byte = [0u8; 1];
    let closed = |byte: &mut [u8]| {
        platform_host::file::read(
            reader,
            platform_host::Into::Kernel(byte),
            None,
            platform_host::file::Wait::Interruptible,
        )
    };
    assert_eq!(
        closed(&mut byte),
        Err(Errno::EAGAIN),
        "another process's handle left the descriptor open"
    );
    drop(own);
    assert_eq!(closed(&mut byte), Ok(0));
    platform_host::file::close(reader);
}

fn own_elsewhere(file: &Arc<OpenFile>, fd: platform_host::HostFd) -> Arc<Handle> {
    Handle::new(Arc::clone(file), Some(fd), 4711)
}

#[test]
fn hostile_directory_records_are_refused() {
    let record = |len: u16, name: &[u8]| {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&1u64.to_le_bytes());
        bytes.extend_from_slice(&0u64.to_le_bytes());
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.push(8);
        bytes.extend_from_slice(name);
        bytes
    };
    let parse = |bytes: &[u8]| host::parse_entries(bytes, &mut Vec::new());
    assert_eq!(parse(&record(24, b"abcd\0")), Ok(()));
    for bad in [
        record(0, b"abcd\0"),
        record(19, b"abcd\0"),
        record(1000, b"abcd\0"),
        record(24, b"abcde"),
        record(24, b"a/b\0\0"),
        record(24, b"\0\0\0\0\0"),
        Vec::from([1, 2, 3]),
    ] {
        assert_eq!(parse(&bad), Err(Errno::EIO), "{bad:?}");
    }
}

struct OneProcess {
    files: FileTable,
    fs: FsContext,
}

impl proc::ProcessView for OneProcess {
    fn files(&self) -> &FileTable {
        &self.files
    }
    fn fs(&self) -> &FsContext {
        &self.fs
    }
    fn parent(&self) -> i32 {
        1
    }
    fn group_and_session(&self) -> (i32, i32) {
        (7, 7)
    }
    fn state(&self) -> char {
        'R'
    }
    fn name(&self) -> Vec<u8> {
        b"a) b".to_vec()
    }
    fn executable(&self) -> Vec<u8> {
        b"/bin/prog".to_vec()
    }
    fn arguments(&self) -> Vec<u8> {
        b"prog\0-x\0".to_vec()
    }
    fn environment(&self) -> Vec<u8> {
        b"KEY=value\0".to_vec()
    }
    fn threads(&self) -> Vec<i32> {
        vec![7]
    }
    fn maps(&self) -> Vec<u8> {
        Vec::new()
    }
    fn memory(&self) -> (u64, u64) {
        (8192, 4096)
    }
    fn users(&self) -> [u32; 4] {
        [0; 4]
    }
    fn groups(&self) -> [u32; 4] {
        [0; 4]
    }
    fn signals(&self) -> [u64; 4] {
        [0; 4]
    }
    fn times(&self) -> [u64; 3] {
        [1, 2, 3]
    }
    fn descriptor_limit(&self) -> usize {
        1024
    }
}

struct Source(std::sync::OnceLock<Arc<OneProcess>>);

impl proc::ProcessSource for Source {
    fn ids(&self) -> Vec<i32> {
        vec![7]
    }
    fn get(&self, id: i32) -> Option<Arc<dyn proc::ProcessView>> {
        let process: Arc<dyn proc::ProcessView> = self.0.get().filter(|_| id == 7)?.clone();
        Some(process)
    }
    fn caller(&self) -> (i32, i32) {
        (7, 7)
    }
    fn host_name(&self) -> Vec<u8> {
        b"inside".to_vec()
    }
}

fn with_proc() -> Arc<OneProcess> {
    let fs = memory();
    fs.inject(b"/bin/prog", 0o755, 0, 0, b"ELF").unwrap();
    let source = Arc::new(Source(std::sync::OnceLock::new()));
    let mut requests = device_mounts(&pool());
    requests.push(mount("/", fs, false));
    requests.push(system_mount());
    requests.push(proc::process_mount(Arc::<Source>::clone(&source)));
    let process = Arc::new(OneProcess {
        files: FileTable::new(0),
        fs: context(requests),
    });
    assert!(source.0.set(Arc::clone(&process)).is_ok());
    process
}

fn link_text(context: &FsContext, path: &str) -> Vec<u8> {
    match context
        .walk(None, path.as_bytes(), How::NO_FOLLOW, &root())
        .unwrap()
    {
        Target::Found(at, _) => at.fs().read_link(at.id()).unwrap(),
        Target::Open(_) => panic!("{path} was followed"),
    }
}

#[test]
fn proc_shows_the_container_and_not_the_host() {
    let process = with_proc();
    let context = &process.fs;
    assert_eq!(link_text(context, "/proc/self"), b"7");
    assert_eq!(link_text(context, "/proc/self/exe"), b"/bin/prog");
    assert_eq!(contents(context, "/proc/self/exe").unwrap(), b"ELF");
    assert_eq!(contents(context, "/proc/7/cmdline").unwrap(), b"prog\0-x\0");
    assert!(
        contents(context, "/proc/self/stat")
            .unwrap()
            .starts_with(b"7 (a) b) R 1 7 7 0 -1 ")
    );
    let fields = String::from_utf8(contents(context, "/proc/self/stat").unwrap()).unwrap();
    assert_eq!(
        fields
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .count(),
        50
    );
    assert_eq!(
        contents(context, "/proc/sys/kernel/hostname").unwrap(),
        b"inside\n"
    );
    let mounts = String::from_utf8(contents(context, "/proc/mounts").unwrap()).unwrap();
    assert!(
        mounts.lines().any(|l| l == "proc /proc proc rw 0 0"),
        "{mounts}"
    );
    for absent in [
        "/proc/1",
        "/proc/07",
        "/proc/kcore",
        "/proc/sys/kernel/core_pattern",
        "/proc/self/mem",
        "/sys/kernel",
    ] {
        assert_eq!(
            look(context, absent, How::empty()).err(),
            Some(Errno::ENOENT),
            "{absent}"
        );
    }
    assert_eq!(
        open(context, "/proc/self/cmdline", raw::O_RDWR).err(),
        Some(Errno::EACCES)
    );
    let uuid = contents(context, "/proc/sys/kernel/random/uuid").unwrap();
    assert_eq!((uuid.len(), uuid[14]), (37, b'4'));
    assert_ne!(
        uuid,
        contents(context, "/proc/sys/kernel/random/uuid").unwrap()
    );
    assert!(
        contents(context, "/sys/devices/system/cpu/online")
            .unwrap()
            .starts_with(b"0")
    );
}

#[test]
fn descriptors_can_be_opened_again_through_proc() {
    let process = with_proc();
    let context = &process.fs;
    let file = open(context, "/tmp-file", raw::O_RDWR | raw::O_CREAT).unwrap();
    write(&file, b"text").unwrap();
    assert_eq!(process.files.insert(file, 0, false, 10), Ok(0));
    assert_eq!(names(context, "/proc/self/fd"), [".", "..", "0"]);
    assert_eq!(link_text(context, "/proc/self/fd/0"), b"/tmp-file");
    assert_eq!(contents(context, "/dev/stdin").unwrap(), b"text");
    assert_eq!(contents(context, "/dev/fd/0").unwrap(), b"text");
    assert_eq!(contents(context, "/dev/fd/1").err(), Some(Errno::ENOENT));
    let at = place(context, "/");
    at.fs().remove(at.id(), b"tmp-file", false).unwrap();
    assert_eq!(
        link_text(context, "/proc/self/fd/0"),
        b"/tmp-file (deleted)"
    );
    assert_eq!(contents(context, "/dev/stdin").unwrap(), b"text");
    let confined = context
        .walk(None, b"/proc/self/fd/0", How::NO_MAGICLINKS, &root())
        .map(|_| ());
    assert_eq!(confined, Err(Errno::ELOOP));
}

#[test]
fn devices_do_what_they_are_known_for() {
    let process = with_proc();
    let context = &process.fs;
    let read = |name: &str, into: &mut [u8]| {
        open(context, name, raw::O_RDWR)
            .unwrap()
            .read(platform_host::Into::Kernel(into), None)
    };
    let mut bytes = [1u8; 64];
    assert_eq!(read("/dev/null", &mut bytes), Ok(0));
    assert_eq!(read("/dev/zero", &mut bytes), Ok(64));
    assert_eq!(bytes, [0; 64]);
    assert_eq!(read("/dev/urandom", &mut bytes), Ok(64));
    assert_ne!(bytes, [0; 64]);
    assert_eq!(
        write(&open(context, "/dev/full", raw::O_WRONLY).unwrap(), b"x"),
        Err(Errno::ENOSPC)
    );
    assert_eq!(
        write(
            &open(
                context,
                "/dev/null",
                raw::O_WRONLY | raw::O_TRUNC | raw::O_CREAT
            )
            .unwrap(),
            b"x"
        ),
        Ok(1)
    );
    assert_eq!(
        open(context, "/dev/tty", raw::O_RDWR).err(),
        Some(Errno::ENXIO)
    );
    assert_eq!(
        look(context, "/dev/null", How::empty()).unwrap().special,
        attributes::device_number(1, 3)
    );
    assert!(open(context, "/dev/shm/x", raw::O_RDWR | raw::O_CREAT).is_ok());
    assert_eq!(
        open(context, "/dev/x", raw::O_RDWR | raw::O_CREAT).err(),
        Some(Errno::EROFS)
    );
}
