//! Mappings of files.

use super::*;

#[test]
fn what_lies_after_the_end_of_a_cached_file_is_out_of_reach() {
    let space = space();
    let mut file = HostFile::open(c"/proc/self/exe");
    Arc::get_mut(&mut file).unwrap().backed = Some(2 * PAGE as u64);
    let at = space.map(&file_request(&file, 4 * PAGE, false)).unwrap();
    assert_eq!(user::get::<[u8; 4]>(at), Ok(*b"\x7fELF"));
    assert_eq!(
        (
            space.is_past_end(at + PAGE),
            space.is_past_end(at + 2 * PAGE)
        ),
        (false, true)
    );
    space
        .protect(at, 4 * PAGE, Protection::READ | Protection::WRITE)
        .unwrap();
    assert!(
        space.is_past_end(at + 2 * PAGE),
        "no protection brings it into reach"
    );
    assert_eq!(
        space.remap(at, 2 * PAGE, 3 * PAGE, RemapFlags::MAY_MOVE, 0),
        Err(Errno::ENOMEM)
    );
}

#[test]
fn a_file_opened_for_reading_cannot_become_writable_through_a_shared_mapping() {
    let space = space();
    let file = HostFile::open(c"/proc/self/exe");
    let at = space.map(&file_request(&file, PAGE, true)).unwrap();
    assert_eq!(
        space.protect(at, PAGE, Protection::READ | Protection::WRITE),
        Err(Errno::EACCES)
    );
    assert_eq!(space.advise(at, PAGE, raw::MADV_REMOVE), Err(Errno::EACCES));
    let text = std::string::String::from_utf8(space.render()).unwrap();
    assert_eq!(
        text.lines().count(),
        1,
        "a newline in a path must not forge a line"
    );
    assert!(text.contains("08:01 42"));
}

#[test]
fn file_offsets_that_overflow_are_refused() {
    let space = space();
    let file = HostFile::open(c"/proc/self/exe");
    let source = Source::File(&*file, u64::MAX - PAGE as u64 + 1);
    let request = Request {
        source,
        ..file_request(&file, 2 * PAGE, false)
    };
    assert_eq!(space.map(&request), Err(Errno::EOVERFLOW));
}

#[test]
fn large_parts_of_files_lie_so_that_huge_pages_can_be_mapped() {
    const HUGE: usize = 2 << 20;
    let space = space();
    let file = HostFile::open(c"/proc/self/exe");
    let at = |offset: usize, len| {
        let source = Source::File(&*file, offset as u64);
        let request = Request {
            source,
            ..file_request(&file, len, false)
        };
        space.map(&request).unwrap()
    };
    // Something to be out of step with.
    map(&space, Place::Hint(0), PAGE).unwrap();
    for offset in [0, PAGE, HUGE - PAGE, HUGE + 5 * PAGE] {
        let start = at(offset, HUGE + PAGE);
        assert_eq!((start - offset) % HUGE, 0, "{offset:#x}");
    }
    let small = at(0, PAGE);
    assert_eq!(at(0, PAGE) + PAGE, small, "small parts stay close together");
}
