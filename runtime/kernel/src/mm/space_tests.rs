//! Address spaces with the host's real mappings, in a part of the test process that nobody uses.

use super::*;
use crate::fs::Mapped;
use alloc::sync::Arc;
use bannock_elf::{Elf, FileKind};
use bannock_platform::{Errno, FileBytes, PAGE, host, host::HostFd, memory::Backing, user};
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};
use linux_raw_sys::general as raw;
use std::format;
use std::vec::Vec;

/// Each test gets a terabyte of its own, from where neither programs nor libraries are placed.
static NEXT: AtomicUsize = AtomicUsize::new(0x1000_0000_0000);

fn window() -> Range<usize> {
    bannock_platform::hosted::install();
    let start = NEXT.fetch_add(1 << 40, Ordering::Relaxed);
    start..start + (1 << 40)
}

fn space() -> Arc<AddressSpace> {
    let window = window();
    AddressSpace::new(Placement {
        barred: window.start + (1 << 38)..window.start + (1 << 38) + (1 << 30),
        mapping_top: window.end - (1 << 36),
        stack_top: window.end - PAGE,
        program_base: window.start + (1 << 30),
        heap_gap: 3 * PAGE,
        window,
    })
}

fn map(space: &AddressSpace, place: Place, len: usize) -> Result<usize, Errno> {
    space.map(&Request::anonymous(place, len))
}

fn lines(space: &AddressSpace) -> Vec<std::string::String> {
    let text = std::string::String::from_utf8(space.render()).unwrap();
    text.lines()
        .map(|l| l.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        .collect()
}

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

/// A host file that the tests map.
struct HostFile {
    fd: HostFd,
    len: u64,
    backed: Option<u64>,
}

impl HostFile {
    fn open(path: &core::ffi::CStr) -> Arc<Self> {
        bannock_platform::hosted::install();
        let fd = host::file::open_absolute(path, raw::O_RDONLY).unwrap();
        let len = host::file::status(fd, raw::STATX_SIZE).unwrap().stx_size;
        Arc::new(Self {
            fd,
            len,
            backed: None,
        })
    }
}

impl Drop for HostFile {
    fn drop(&mut self) {
        host::file::close(self.fd);
    }
}

impl FileBytes for HostFile {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Errno> {
        let wanted = into.len();
        let got = host::file::read(
            self.fd,
            host::Into::Kernel(into),
            Some(offset),
            host::file::Wait::Uninterruptible,
        )?;
        if got == wanted {
            Ok(())
        } else {
            Err(Errno::EIO)
        }
    }
}

impl Mappable for HostFile {
    fn mapped(&self, offset: u64, _: usize, shared: bool, _: bool) -> Result<Mapped, Errno> {
        let backing = Backing::Host {
            fd: self.fd,
            offset,
            shared,
        };
        Ok(Mapped {
            backing,
            pin: None,
            backed: self.backed,
        })
    }
    fn is_writable(&self) -> bool {
        false
    }
    fn key(&self) -> Option<u128> {
        Some(1)
    }
    fn shown_path(&self) -> Arc<[u8]> {
        Arc::from(b"/test\nfile".as_slice())
    }
    fn identity(&self) -> ((u32, u32), u64) {
        ((8, 1), 42)
    }
}

fn file_request<'a>(file: &'a HostFile, len: usize, shared: bool) -> Request<'a> {
    let anonymous = Request::anonymous(Place::Hint(0), len);
    Request {
        protection: Protection::READ,
        shared,
        source: Source::File(file, 0),
        ..anonymous
    }
}

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
fn a_program_and_its_dynamic_linker_are_loaded() {
    let space = space();
    let program = HostFile::open(c"/bin/sh");
    let mut asked = Vec::new();
    let plan = loader::Plan::of(program.clone(), &mut |path| {
        asked.push(path.to_vec());
        let path = std::ffi::CString::new(path).unwrap();
        Ok(HostFile::open(&path))
    });
    let plan = plan.unwrap();
    assert_eq!(asked, [b"/lib64/ld-linux-x86-64.so.2".to_vec()]);
    let loaded = plan.load(&space).unwrap();

    let mut bytes = std::vec![0; program.len as usize];
    program.read_at(0, &mut bytes).unwrap();
    let elf = Elf::parse_file(&bytes).unwrap();
    assert_eq!(elf.kind(), FileKind::PositionIndependent);
    let bias = loaded.entry - elf.entry() as usize;
    assert_eq!(bias, space.placement.program_base);
    assert_ne!(loaded.start, loaded.entry);
    assert_eq!(
        user::get::<[u8; 4]>(loaded.interpreter_base),
        Ok(*b"\x7fELF")
    );
    for segment in elf.load_segments() {
        let at = bias + segment.vaddr as usize;
        let inside = bytes[segment.offset as usize..][..segment.file_len as usize].to_vec();
        let mut seen = std::vec![0; inside.len()];
        user::UserSlice::new(at, seen.len())
            .unwrap()
            .read(&mut seen)
            .unwrap();
        assert!(seen == inside, "segment at {at:#x} differs from the file");
        let zeroes = (segment.mem_len - segment.file_len) as usize;
        let mut bss = std::vec![1; zeroes];
        user::UserSlice::new(at + inside.len(), zeroes)
            .unwrap()
            .read(&mut bss)
            .unwrap();
        assert!(bss.iter().all(|b| *b == 0), "bss at {at:#x} is not zeroed");
    }
    let heap = space.set_break(0);
    assert!(heap > loaded.entry && heap.is_multiple_of(PAGE));

    let arguments = [b"sh".to_vec(), b"-c".to_vec(), b"true".to_vec()];
    let environment = [b"HOME=/".to_vec()];
    let start = Start {
        arguments: &arguments,
        environment: &environment,
        path: b"/bin/sh",
        values: AuxiliaryValues {
            user: 7,
            min_signal_stack: 2048,
            ..AuxiliaryValues::default()
        },
        stack_limit: 8 << 20,
    };
    let registers = start.build(&space, &loaded).unwrap();
    assert_eq!(registers.rip, loaded.start);
    assert_eq!(registers.rsp % 16, 0);
    let word = |index: usize| user::get::<usize>(registers.rsp + index * 8).unwrap();
    let string = |at: usize| user::get_string(at, 4096).unwrap();
    assert_eq!(word(0), 3);
    let seen: Vec<Vec<u8>> = (1..4).map(|i| string(word(i))).collect();
    assert_eq!((seen.as_slice(), word(4)), (arguments.as_slice(), 0));
    assert_eq!((string(word(5)), word(6)), (environment[0].clone(), 0));
    let auxiliary = |kind: u32| {
        (0..)
            .map(|i| (word(7 + 2 * i), word(8 + 2 * i)))
            .take_while(|(k, _)| *k != 0)
            .find(|(k, _)| *k == kind as usize)
    };
    use linux_raw_sys::auxvec as aux;
    assert_eq!(auxiliary(aux::AT_ENTRY).map(|v| v.1), Some(loaded.entry));
    assert_eq!(auxiliary(aux::AT_UID).map(|v| v.1), Some(7));
    assert_eq!(
        auxiliary(aux::AT_EXECFN).map(|v| string(v.1)),
        Some(b"/bin/sh".to_vec())
    );
    assert_eq!(auxiliary(aux::AT_SYSINFO_EHDR), None);
    let random = auxiliary(aux::AT_RANDOM).unwrap().1;
    assert_ne!(user::get::<[u8; 16]>(random), Ok([0; 16]));
}

#[test]
fn files_that_are_no_programs_are_refused_before_anything_is_mapped() {
    let text = HostFile::open(c"/etc/passwd");
    let fault = loader::Plan::of(text, &mut |_| Err(Errno::ENOENT))
        .err()
        .unwrap();
    assert_eq!(fault.errno(), Errno::ENOEXEC);
    let shell = HostFile::open(c"/bin/sh");
    let fault = loader::Plan::of(shell.clone(), &mut |_| Err(Errno::ENOENT))
        .err()
        .unwrap();
    assert_eq!(fault.errno(), Errno::ENOENT);
    let fault = loader::Plan::of(shell, &mut |_| Ok(HostFile::open(c"/etc/passwd")))
        .err()
        .unwrap();
    assert_eq!(fault.errno(), Errno::EIO);
}

#[test]
fn arguments_over_the_limit_are_refused() {
    let start = |arguments: &[Vec<u8>], limit: u64| {
        let values = AuxiliaryValues::default();
        Start {
            arguments,
            environment: &[],
            path: b"/x",
            values,
            stack_limit: limit,
        }
        .check()
    };
    assert_eq!(start(&[std::vec![b'a'; 131_071]], u64::MAX), Ok(()));
    assert_eq!(
        start(&[std::vec![b'a'; 131_072]], u64::MAX),
        Err(Errno::E2BIG)
    );
    let many: Vec<Vec<u8>> = (0..20).map(|_| std::vec![b'a'; 120_000]).collect();
    assert_eq!(start(&many, 8 << 20), Err(Errno::E2BIG));
    assert_eq!(start(&many, 64 << 20), Ok(()));
}
