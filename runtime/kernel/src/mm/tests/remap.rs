//! Mappings that move.

use super::*;

#[test]
fn mappings_grow_shrink_and_move_with_their_bytes() {
    let space = space();
    let at = map(&space, Place::Hint(0), 2 * PAGE).unwrap();
    user::put(at, &11u64).unwrap();
    assert_eq!(
        space.remap(at, 2 * PAGE, PAGE, RemapFlags::empty(), 0),
        Ok(at)
    );
    assert_eq!(
        space.remap(at, PAGE, 2 * PAGE, RemapFlags::empty(), 0),
        Ok(at),
        "the room above is free"
    );
    assert_eq!(
        user::get::<u64>(at + PAGE),
        Ok(0),
        "what was given up is gone"
    );
    let wall = map(&space, Place::Free(at + 2 * PAGE), PAGE).unwrap();
    space.protect(wall, PAGE, Protection::READ).unwrap();
    assert_eq!(
        space.remap(at, 2 * PAGE, 8 * PAGE, RemapFlags::empty(), 0),
        Err(Errno::ENOMEM)
    );
    let moved = space
        .remap(at, 2 * PAGE, 8 * PAGE, RemapFlags::MAY_MOVE, 0)
        .unwrap();
    assert_ne!(moved, at);
    assert_eq!(user::get::<u64>(moved), Ok(11));
    assert!(!space.is_mapped(at));
    let target = space.placement.window.start + (1 << 33);
    let flags = RemapFlags::MAY_MOVE | RemapFlags::FIXED;
    assert_eq!(
        space.remap(moved, 8 * PAGE, PAGE, flags, target),
        Ok(target)
    );
    assert_eq!(user::get::<u64>(target), Ok(11));
    assert_eq!(
        space.remap(target, PAGE, PAGE, flags, target),
        Err(Errno::EINVAL),
        "overlap"
    );
    assert_eq!(
        space.remap(target, PAGE, 0, RemapFlags::MAY_MOVE, 0),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        space.remap(target, PAGE, PAGE, RemapFlags::FIXED, target),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        space.remap(target + PAGE, PAGE, 2 * PAGE, RemapFlags::MAY_MOVE, 0),
        Err(Errno::EFAULT)
    );
    assert_eq!(space.usage().size, 2 * PAGE);
}

#[test]
fn a_mapping_moves_and_leaves_zeroes_behind() {
    let space = space();
    let at = map(&space, Place::Hint(0), PAGE).unwrap();
    user::put(at, &5u8).unwrap();
    let flags = RemapFlags::MAY_MOVE | RemapFlags::KEEP_OLD;
    let moved = space.remap(at, PAGE, PAGE, flags, 0).unwrap();
    assert_eq!(
        (user::get::<u8>(moved), user::get::<u8>(at)),
        (Ok(5), Ok(0))
    );
}

#[test]
fn shared_memory_can_be_seen_twice_but_private_memory_cannot() {
    let space = space();
    let shared = space
        .map(&Request {
            shared: true,
            ..Request::anonymous(Place::Hint(0), PAGE)
        })
        .unwrap();
    let twin = space
        .remap(shared, 0, PAGE, RemapFlags::MAY_MOVE, 0)
        .unwrap();
    user::put(shared, &9u8).unwrap();
    assert_eq!(user::get::<u8>(twin), Ok(9));
    let private = map(&space, Place::Hint(0), PAGE).unwrap();
    assert_eq!(
        space.remap(private, 0, PAGE, RemapFlags::MAY_MOVE, 0),
        Err(Errno::EINVAL)
    );
}
