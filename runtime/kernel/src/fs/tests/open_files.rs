//! Open files, and the tables that hold them.

use super::*;
use std::vec;

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
fn a_child_is_the_last_holder_of_what_it_closes_whenever_it_does() {
    let files = FileTable::new(1);
    let file = OpenFile::host(Kind::Pipe, raw::O_WRONLY);
    for _ in 0..2 {
        let handle = Handle::new(Arc::clone(&file), None, 1);
        files.insert(handle, 0, false, 16).unwrap();
    }
    files.replace(1, files.get(0).unwrap(), false, 16).unwrap();
    // The child may run before the parent's call returns.
    files.fork_with(2, |child| {
        let handle = child.get(0).unwrap();
        child.remove(0).unwrap();
        child.remove(1).unwrap();
        assert_eq!(Arc::strong_count(&handle), 1);
    });
    assert!(Arc::ptr_eq(&files.file(0).unwrap(), &file));
}
