//! Places, protection, limits.

use super::*;

#[test]
fn memory_is_zeroed_usable_and_top_down() {
    let space = space();
    let first = map(&space, Place::Hint(0), 2 * PAGE).unwrap();
    let second = map(&space, Place::Hint(0), 1).unwrap();
    assert_eq!(second + PAGE, first);
    assert_eq!(user::get::<u64>(first), Ok(0));
    user::put(first, &7u64).unwrap();
    assert_eq!(user::get::<u64>(first), Ok(7));
    assert_eq!(
        lines(&space),
        [format!("{second:08x}-{:08x} rw-p", first + 2 * PAGE)]
    );
}

#[test]
fn places_are_kept_as_asked() {
    let space = space();
    let base = space.placement.window.start + (1 << 32);
    assert_eq!(map(&space, Place::Hint(base + 1), PAGE), Ok(base + PAGE));
    assert_eq!(
        map(&space, Place::Free(base + PAGE), PAGE),
        Err(Errno::EEXIST)
    );
    user::put(base + PAGE, &1u8).unwrap();
    assert_eq!(
        map(&space, Place::Fixed(base + PAGE), PAGE),
        Ok(base + PAGE)
    );
    assert_eq!(
        user::get::<u8>(base + PAGE),
        Ok(0),
        "a replaced page is fresh"
    );
    assert_eq!(
        map(&space, Place::Fixed(base + 1), PAGE),
        Err(Errno::EINVAL)
    );
    // A hint that is taken counts as none.
    assert_ne!(map(&space, Place::Hint(base + PAGE), PAGE), Ok(base + PAGE));
}

#[test]
fn the_runtimes_pages_are_out_of_reach() {
    let space = space();
    let barred = space.placement.barred.clone();
    assert_eq!(
        map(&space, Place::Fixed(barred.start), PAGE),
        Err(Errno::ENOMEM)
    );
    assert_eq!(
        map(&space, Place::Fixed(barred.start - PAGE), 2 * PAGE),
        Err(Errno::ENOMEM)
    );
    assert_eq!(space.unmap(barred.start, PAGE), Err(Errno::EINVAL));
    assert_eq!(
        space.protect(barred.start, PAGE, Protection::all()),
        Err(Errno::ENOMEM)
    );
    assert_eq!(
        space.advise(barred.start, PAGE, raw::MADV_DONTNEED),
        Err(Errno::ENOMEM)
    );
    let flags = RemapFlags::MAY_MOVE | RemapFlags::FIXED;
    let mine = map(&space, Place::Hint(0), PAGE).unwrap();
    assert_eq!(
        space.remap(mine, PAGE, PAGE, flags, barred.start),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        space.remap(barred.start, PAGE, PAGE, flags, mine),
        Err(Errno::EFAULT)
    );
    assert_eq!(
        map(&space, Place::Fixed(usize::MAX & !(PAGE - 1)), PAGE),
        Err(Errno::ENOMEM)
    );
    assert_eq!(map(&space, Place::Hint(0), usize::MAX), Err(Errno::ENOMEM));
    assert_eq!(map(&space, Place::Fixed(0), PAGE), Err(Errno::EPERM));
}

#[test]
fn trampolines_survive_whatever_the_program_unmaps() {
    let space = space();
    let base = space.placement.window.start + (1 << 32);
    map(&space, Place::Fixed(base), PAGE).unwrap();
    let reserved = space.reserve_near(base..base + (1 << 20), PAGE).unwrap();
    assert_eq!(reserved, base + PAGE..base + 2 * PAGE);
    map(&space, Place::Fixed(base + 2 * PAGE), PAGE).unwrap();
    assert_eq!(
        map(&space, Place::Fixed(base), 3 * PAGE),
        Err(Errno::ENOMEM)
    );
    assert_eq!(
        space.protect(base, 3 * PAGE, Protection::READ),
        Err(Errno::ENOMEM)
    );
    assert_eq!(space.unmap(base, 3 * PAGE), Ok(()));
    assert_eq!(
        lines(&space),
        [format!("{:08x}-{:08x} r-xp", reserved.start, reserved.end)]
    );
    space.release(reserved);
    assert!(lines(&space).is_empty());
}

#[test]
fn unmapping_splits_and_tolerates_holes() {
    let space = space();
    let at = map(&space, Place::Hint(0), 5 * PAGE).unwrap();
    space.unmap(at + PAGE, PAGE).unwrap();
    space.unmap(at + PAGE, 2 * PAGE).unwrap();
    assert_eq!(space.unmap(at + 1, PAGE), Err(Errno::EINVAL));
    assert_eq!(space.unmap(at, 0), Err(Errno::EINVAL));
    let areas = [
        format!("{at:08x}-{:08x} rw-p", at + PAGE),
        format!("{:08x}-{:08x} rw-p", at + 3 * PAGE, at + 5 * PAGE),
    ];
    assert_eq!(lines(&space), areas);
    assert_eq!(space.usage().size, 3 * PAGE);
}

#[test]
fn protection_applies_up_to_the_first_hole() {
    let space = space();
    let at = map(&space, Place::Hint(0), 4 * PAGE).unwrap();
    space.unmap(at + 2 * PAGE, PAGE).unwrap();
    assert_eq!(
        space.protect(at, 4 * PAGE, Protection::READ),
        Err(Errno::ENOMEM)
    );
    let areas = [
        format!("{at:08x}-{:08x} r--p", at + 2 * PAGE),
        format!("{:08x}-{:08x} rw-p", at + 3 * PAGE, at + 4 * PAGE),
    ];
    assert_eq!(lines(&space), areas);
    assert_eq!(space.protect(at, 0, Protection::READ), Ok(()));
    assert_eq!(
        space.protect(at + 1, PAGE, Protection::READ),
        Err(Errno::EINVAL)
    );
}

#[test]
fn terabytes_can_be_reserved() {
    let space = space();
    let request = Request {
        protection: Protection::empty(),
        attributes: Attributes::NO_RESERVE,
        ..Request::anonymous(Place::Hint(0), 1 << 37)
    };
    let at = space.map(&request).unwrap();
    space
        .protect(at, PAGE, Protection::READ | Protection::WRITE)
        .unwrap();
    user::put(at, &1u8).unwrap();
    space.unmap(at, 1 << 37).unwrap();
    assert_eq!(space.usage().size, 0);
}

#[test]
fn the_heap_moves_only_into_free_room() {
    let space = space();
    let start = space.placement.window.start + (1 << 34);
    space.set_heap(start);
    assert_eq!(space.set_break(0), start);
    assert_eq!(space.set_break(start + 100), start + 100);
    user::put(start, &3u8).unwrap();
    map(&space, Place::Fixed(start + 4 * PAGE), PAGE).unwrap();
    assert_eq!(space.set_break(start + 4 * PAGE + 1), start + 100);
    assert_eq!(space.set_break(start + 4 * PAGE), start + 4 * PAGE);
    assert_eq!(space.set_break(start), start);
    assert_eq!(space.set_break(start + 1), start + 1);
    assert_eq!(user::get::<u8>(start), Ok(0), "memory given back is zeroed");
    space.set_limits(MemoryLimits {
        data: 2 * PAGE as u64,
        ..MemoryLimits::default()
    });
    assert_eq!(space.set_break(start + 3 * PAGE), start + 1);
}

#[test]
fn limits_hold() {
    let space = space();
    space.set_limits(MemoryLimits {
        address_space: 4 * PAGE as u64,
        locked: PAGE as u64,
        ..MemoryLimits::default()
    });
    let at = map(&space, Place::Hint(0), 3 * PAGE).unwrap();
    assert_eq!(map(&space, Place::Hint(0), 2 * PAGE), Err(Errno::ENOMEM));
    assert_eq!(
        map(&space, Place::Fixed(at), 3 * PAGE),
        Ok(at),
        "replacing is no growth"
    );
    assert_eq!(space.set_locked(at, 2 * PAGE, true), Err(Errno::ENOMEM));
    assert_eq!(space.set_locked(at + 5, 1, true), Ok(()));
    assert_eq!(space.usage().locked, PAGE);
    space.unmap(at, PAGE).unwrap();
    assert_eq!(space.usage().locked, 0);
}

#[test]
fn advice_that_changes_content_is_checked() {
    let space = space();
    let at = map(&space, Place::Hint(0), 2 * PAGE).unwrap();
    user::put(at, &1u8).unwrap();
    space.advise(at, PAGE, raw::MADV_DONTNEED).unwrap();
    assert_eq!(user::get::<u8>(at), Ok(0));
    assert_eq!(
        space.advise(at, PAGE, raw::MADV_HWPOISON),
        Err(Errno::EINVAL)
    );
    assert_eq!(space.advise(at, PAGE, raw::MADV_REMOVE), Err(Errno::EINVAL));
    assert_eq!(
        space.advise(at, 3 * PAGE, raw::MADV_COLD),
        Err(Errno::ENOMEM)
    );
    space.set_locked(at, PAGE, true).unwrap();
    assert_eq!(
        space.advise(at, PAGE, raw::MADV_DONTNEED),
        Err(Errno::EINVAL)
    );
}

#[test]
fn children_get_what_they_should() {
    let space = space();
    let at = map(&space, Place::Hint(0), 3 * PAGE).unwrap();
    space.advise(at, PAGE, raw::MADV_DONTFORK).unwrap();
    space.set_locked(at + PAGE, PAGE, true).unwrap();
    let child = space.fork();
    assert!(!child.is_mapped(at));
    assert!(child.is_mapped(at + PAGE));
    assert_eq!((space.usage().locked, child.usage().locked), (PAGE, 0));
    // What one does later does not show in the other.
    child
        .lock()
        .map
        .change(at..at + 3 * PAGE, |area| area.protection = Protection::READ);
    assert!(lines(&space).iter().all(|line| line.ends_with("rw-p")));
}
