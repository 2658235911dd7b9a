//! What Linux does, the same on every writable file system.

use super::*;
use std::vec;

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
