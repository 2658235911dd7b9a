//! Measured trees.

use super::*;
use alloc::boxed::Box;
use bannock_measure::{tree::Entry, tree::Manifest, tree::Node, verity::file_digest};
use bannock_platform::sync::Mutex;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::vec;

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

fn directory(path: &str) -> Entry {
    Entry {
        path: path.as_bytes().into(),
        node: Node::Directory { mode: 0o755 },
    }
}

fn file(path: &str, bytes: &[u8]) -> Entry {
    Entry {
        path: path.as_bytes().into(),
        node: Node::File {
            mode: 0o755,
            size: bytes.len() as u64,
            digest: file_digest(bytes),
        },
    }
}

fn measured(scratch: &Scratch, denied: &Arc<Recorder>) -> FsContext {
    let manifest = Manifest::from_entries(vec![
        directory("/"),
        directory("/bin"),
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
fn large_files_are_verified_to_their_last_byte() {
    pool();
    let scratch = Scratch::new("tree-large");
    let path = scratch.0.join("large");
    let good: Vec<u8> = (0..(3 << 20) + 5).map(|at| (at / 4096) as u8).collect();
    let manifest = Manifest::from_entries(vec![directory("/"), file("/large", &good)]).unwrap();
    let tree = TreeFs::new(scratch.bytes(), manifest, 88, pool(), Recorder::new()).unwrap();
    let context = context(vec![mount("/", tree, true)]);
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    // Blocks that change places have the same hashes in another order.
    let mut exchanged = good.clone();
    exchanged.copy_within(0..4096, 4096);
    exchanged[..4096].copy_from_slice(&good[4096..8192]);
    let bad = [
        changed(0),
        changed(1 << 20),
        changed(good.len() - 1),
        exchanged,
        good[..good.len() - 1].to_vec(),
        [&good[..], b"0"].concat(),
        good[..4096].to_vec(),
    ];
    for (number, bytes) in bad.iter().enumerate() {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(
            contents(&context, "/large").err(),
            Some(Errno::EIO),
            "{number}"
        );
    }
    std::fs::write(&path, &good).unwrap();
    assert_eq!(contents(&context, "/large").unwrap(), good);
}
