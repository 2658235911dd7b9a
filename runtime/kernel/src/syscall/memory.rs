//! Memory: mappings, protection, heap, advice.

use super::Argument::{Fd, Flags, Int, Pointer, Size};
use super::{Call, Outcome, Row};
use crate::mm::{MapArguments, Protection, RemapFlags, Request, Source};
use alloc::vec::Vec;
use bannock_platform::{Errno, PAGE, memory, page_ceil, user, user::UserSlice};
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[
    Row::emulated(raw::__NR_mmap, "mmap", &[Pointer, Size, Flags, Flags, Fd, Size], map).with_notes(
        "MAP_HUGETLB: ENOMEM. MAP_GROWSDOWN: a plain mapping. Beyond the end of a file in the page cache: no access.",
    ),
    Row::emulated(raw::__NR_munmap, "munmap", &[Pointer, Size], unmap),
    Row::emulated(raw::__NR_mprotect, "mprotect", &[Pointer, Size, Flags], protect),
    Row::emulated(raw::__NR_mremap, "mremap", &[Pointer, Size, Size, Flags, Pointer], remap)
        .with_notes("Executable mappings of files do not move: EINVAL."),
    Row::emulated(raw::__NR_brk, "brk", &[Pointer], set_break),
    Row::emulated(raw::__NR_madvise, "madvise", &[Pointer, Size, Int], advise)
        .with_notes("MADV_MERGEABLE, MADV_HWPOISON, MADV_COLLAPSE and guard regions: EINVAL."),
    Row::emulated(raw::__NR_msync, "msync", &[Pointer, Size, Flags], sync),
    Row::emulated(raw::__NR_mincore, "mincore", &[Pointer, Size, Pointer], resident),
    Row::emulated(raw::__NR_mlock, "mlock", &[Pointer, Size], lock).with_notes("Accounting only."),
    Row::emulated(raw::__NR_mlock2, "mlock2", &[Pointer, Size, Flags], lock2).with_notes("Accounting only."),
    Row::emulated(raw::__NR_munlock, "munlock", &[Pointer, Size], unlock),
    Row::emulated(raw::__NR_mlockall, "mlockall", &[Flags], lock_all).with_notes("Accounting only."),
    Row::emulated(raw::__NR_munlockall, "munlockall", &[], unlock_all),
    Row::emulated(raw::__NR_membarrier, "membarrier", &[Int, Flags, Int], barrier)
        .with_notes("All commands but those for restartable sequences."),
    Row::emulated(raw::__NR_mbind, "mbind", &[Pointer, Size, Int, Pointer, Size, Flags], bind_memory)
        .with_notes("There is one node, 0."),
    Row::emulated(raw::__NR_set_mempolicy, "set_mempolicy", &[Int, Pointer, Size], set_policy)
        .with_notes("There is one node, 0."),
    Row::emulated(raw::__NR_get_mempolicy, "get_mempolicy", &[Pointer, Pointer, Size, Pointer, Flags], policy)
        .with_notes("There is one node, 0; the policy is MPOL_DEFAULT."),
    Row::absent(raw::__NR_migrate_pages, "migrate_pages", "There is one node."),
    Row::absent(raw::__NR_move_pages, "move_pages", "There is one node."),
    Row::absent(raw::__NR_pkey_alloc, "pkey_alloc", "Protection keys are not offered."),
    Row::absent(raw::__NR_pkey_free, "pkey_free", "Protection keys are not offered."),
    Row::absent(raw::__NR_pkey_mprotect, "pkey_mprotect", "Protection keys are not offered."),
    Row::absent(raw::__NR_memfd_secret, "memfd_secret", ""),
    Row::absent(raw::__NR_map_shadow_stack, "map_shadow_stack", ""),
    Row::absent(raw::__NR_mseal, "mseal", ""),
    Row::absent(raw::__NR_set_mempolicy_home_node, "set_mempolicy_home_node", "There is one node."),
    Row::refused(raw::__NR_remap_file_pages, "remap_file_pages", "Deprecated since Linux 3.16."),
    Row::refused(raw::__NR_userfaultfd, "userfaultfd", "Would let a program answer the runtime's page faults."),
    Row::refused(raw::__NR_process_vm_readv, "process_vm_readv", "Would read around the shields."),
    Row::refused(raw::__NR_process_vm_writev, "process_vm_writev", "Would write around the shields."),
    Row::refused(raw::__NR_process_madvise, "process_madvise", "Would act on memory of other processes."),
    Row::refused(raw::__NR_process_mrelease, "process_mrelease", "Would act on memory of other processes."),
];

fn map(call: &Call<'_>) -> Outcome {
    let arguments = MapArguments::decode(
        call.word(0),
        call.word(1),
        call.uint(2),
        call.uint(3),
        call.word(5),
    )?;
    let handle = if arguments.anonymous {
        None
    } else {
        Some(super::caller::handle(call, 4)?)
    };
    let source = handle.as_ref().map_or(Source::Anonymous, |h| {
        Source::File(&**h, call.word(5) as u64)
    });
    let len = call.word(1);
    let space = call.thread.process.space();
    let at = space.map(&Request {
        place: arguments.place,
        len,
        protection: arguments.protection,
        shared: arguments.shared,
        source,
        attributes: arguments.attributes,
        name: "",
    })?;
    if arguments.populate {
        let write = arguments.protection.contains(Protection::WRITE);
        let advice = if write {
            raw::MADV_POPULATE_WRITE
        } else {
            raw::MADV_POPULATE_READ
        };
        // mmap(2) does not fail when the mapping cannot be populated.
        let _ = space.advise(at, len, advice);
    }
    Ok(at)
}

fn unmap(call: &Call<'_>) -> Outcome {
    call.thread
        .process
        .space()
        .unmap(call.word(0), call.word(1))
        .map(|()| 0)
}

fn protect(call: &Call<'_>) -> Outcome {
    let bits = call.uint(2);
    let ends = raw::PROT_GROWSDOWN | raw::PROT_GROWSUP;
    // Mappings do not grow here, so there is no such end to extend to.
    if bits & ends != 0 || bits & !(Protection::all().bits() | raw::PROT_SEM) != 0 {
        return Err(Errno::EINVAL);
    }
    let protection = Protection::from_bits_truncate(bits);
    call.thread
        .process
        .space()
        .protect(call.word(0), call.word(1), protection)
        .map(|()| 0)
}

fn remap(call: &Call<'_>) -> Outcome {
    let flags = u32::try_from(call.word(3))
        .ok()
        .and_then(RemapFlags::from_bits)
        .ok_or(Errno::EINVAL)?;
    call.thread.process.space().remap(
        call.word(0),
        call.word(1),
        call.word(2),
        flags,
        call.word(4),
    )
}

fn set_break(call: &Call<'_>) -> Outcome {
    Ok(call.thread.process.space().set_break(call.word(0)))
}

fn advise(call: &Call<'_>) -> Outcome {
    call.thread
        .process
        .space()
        .advise(call.word(0), call.word(1), call.uint(2))
        .map(|()| 0)
}

fn sync(call: &Call<'_>) -> Outcome {
    call.thread
        .process
        .space()
        .sync(call.word(0), call.word(1), call.uint(2))
        .map(|()| 0)
}

fn resident(call: &Call<'_>) -> Outcome {
    /// Pages that are asked for at a time.
    const CHUNK: usize = 4096;
    let (start, vector) = (call.word(0), call.word(2));
    let pages = page_ceil(call.word(1)).ok_or(Errno::ENOMEM)? / PAGE;
    if !start.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let vector = UserSlice::new(vector, pages)?;
    let space = call.thread.process.space();
    let mut done = 0;
    while done < pages {
        let count = (pages - done).min(CHUNK);
        let mut bytes: Vec<u8> = alloc::vec![0; count];
        let at = start.checked_add(done * PAGE).ok_or(Errno::ENOMEM)?;
        space.resident(at, count * PAGE, &mut bytes)?;
        vector.skip(done).take(count).write(&bytes)?;
        done += count;
    }
    Ok(0)
}

fn set_locked(call: &Call<'_>, locked: bool) -> Outcome {
    call.thread
        .process
        .space()
        .set_locked(call.word(0), call.word(1), locked)
        .map(|()| 0)
}

fn lock(call: &Call<'_>) -> Outcome {
    set_locked(call, true)
}

fn lock2(call: &Call<'_>) -> Outcome {
    if call.uint(2) & !raw::MLOCK_ONFAULT != 0 {
        Err(Errno::EINVAL)
    } else {
        set_locked(call, true)
    }
}

fn unlock(call: &Call<'_>) -> Outcome {
    set_locked(call, false)
}

fn lock_all(call: &Call<'_>) -> Outcome {
    let flags = call.uint(0);
    let all = raw::MCL_CURRENT | raw::MCL_FUTURE | raw::MCL_ONFAULT;
    if flags & !all != 0 || flags & (raw::MCL_CURRENT | raw::MCL_FUTURE) == 0 {
        return Err(Errno::EINVAL);
    }
    let current = (flags & raw::MCL_CURRENT != 0).then_some(true);
    call.thread
        .process
        .space()
        .set_all_locked(current, flags & raw::MCL_FUTURE != 0)
        .map(|()| 0)
}

fn unlock_all(call: &Call<'_>) -> Outcome {
    call.thread
        .process
        .space()
        .set_all_locked(Some(false), false)
        .map(|()| 0)
}

fn barrier(call: &Call<'_>) -> Outcome {
    /// `MEMBARRIER_CMD_*` from `GLOBAL` (1) to `REGISTER_PRIVATE_EXPEDITED_SYNC_CORE` (64).
    const SUPPORTED: u32 = 0x7f;
    /// `MEMBARRIER_CMD_QUERY`.
    const QUERY: u32 = 0;
    let (command, flags) = (call.uint(0), call.uint(1));
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    if command == QUERY {
        return memory::barrier(QUERY, 0).map(|mask| mask & SUPPORTED as usize);
    }
    if command & !SUPPORTED != 0 || !command.is_power_of_two() {
        return Err(Errno::EINVAL);
    }
    memory::barrier(command, 0)
}

/// Checks a memory policy: its mode, and that its nodes are among those that there are, which is
/// only node 0.
fn check_policy(mode: u32, nodes: usize, max_node: usize) -> Result<(), Errno> {
    /// Modes up to `MPOL_WEIGHTED_INTERLEAVE`, and the flags that may come with them.
    const MODES: u32 = 7;
    const MODE_FLAGS: u32 = 0xe000;
    /// `MPOL_DEFAULT` and `MPOL_LOCAL` take no nodes.
    const DEFAULT: u32 = 0;
    /// Linux refuses masks of more than a page.
    const MAX_BITS: usize = PAGE * 8;
    let kind = mode & !MODE_FLAGS;
    if kind >= MODES {
        return Err(Errno::EINVAL);
    }
    // One bit less than the number says (get_mempolicy(2), "maxnode").
    let bits = max_node.saturating_sub(1);
    if bits > MAX_BITS {
        return Err(Errno::EINVAL);
    }
    let words = if nodes == 0 { 0 } else { bits.div_ceil(64) };
    let mask: Vec<u64> = user::get_many(nodes, words, MAX_BITS / 64)?;
    let foreign = mask
        .iter()
        .enumerate()
        .any(|(i, word)| if i == 0 { word & !1 != 0 } else { *word != 0 });
    let empty = mask.iter().all(|word| *word == 0);
    if foreign || (kind == DEFAULT && !empty) {
        Err(Errno::EINVAL)
    } else {
        Ok(())
    }
}

fn bind_memory(call: &Call<'_>) -> Outcome {
    if !call.word(0).is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    check_policy(call.uint(2), call.word(3), call.word(4)).map(|()| 0)
}

fn set_policy(call: &Call<'_>) -> Outcome {
    check_policy(call.uint(0), call.word(1), call.word(2)).map(|()| 0)
}

fn policy(call: &Call<'_>) -> Outcome {
    /// `MPOL_F_NODE`
    const NODE: u32 = 1;
    /// `MPOL_F_ADDR`
    const ADDRESS: u32 = 2;
    /// `MPOL_F_MEMS_ALLOWED`
    const ALLOWED: u32 = 4;
    let (mode, nodes, max_node, flags) = (call.word(0), call.word(1), call.word(2), call.uint(4));
    if flags & !(NODE | ADDRESS | ALLOWED) != 0 || (flags & ALLOWED != 0 && flags != ALLOWED) {
        return Err(Errno::EINVAL);
    }
    if flags & ADDRESS != 0 && !call.thread.process.space().is_mapped(call.word(3)) {
        return Err(Errno::EFAULT);
    }
    // Node 0, or MPOL_DEFAULT: the same number.
    user::put_if(mode, &0i32)?;
    if nodes != 0 {
        let words = max_node.saturating_sub(1).div_ceil(64);
        if words == 0 || words > PAGE / 8 {
            return Err(Errno::EINVAL);
        }
        let mut bytes = alloc::vec![0u8; words * 8];
        if let Some(first) = bytes.first_mut() {
            *first = u8::from(flags & ALLOWED != 0);
        }
        UserSlice::new(nodes, bytes.len())?.write(&bytes)?;
    }
    Ok(0)
}
