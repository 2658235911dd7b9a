//! Making the relocated image and the memory files that all processes of a container share.

use crate::start::{Arguments, PT_LOAD, program_headers, refuse};
use crate::{heap, raw, regions};
use alloc::vec::Vec;
use bannock_elf::MappedLayout;
use bannock_platform::cache::HUGE_PAGE;
use core::ffi::CStr;
use linux_raw_sys::general as sys;

/// Makes the relocated image and the container's memory files, and executes the image.
pub(crate) fn publish(arguments: Arguments, image: *const u8) -> ! {
    const ARENA: usize = 64 << 20;
    let prot = (sys::PROT_READ | sys::PROT_WRITE) as usize;
    let flags = (sys::MAP_PRIVATE | sys::MAP_ANONYMOUS | sys::MAP_NORESERVE) as usize;
    // SAFETY: new memory.
    let arena = unsafe { raw::syscall(sys::__NR_mmap, [0, ARENA, prot, flags, usize::MAX, 0]) };
    if arena < 0 {
        refuse(format_args!(
            "the host has no memory to start with (error {arena})"
        ));
    }
    heap::start_early(arena as usize, arena as usize + ARENA);
    // SAFETY: nothing of ours is open above the channel.
    unsafe {
        raw::syscall(
            sys::__NR_close_range,
            [regions::IMAGE_FD as usize, u32::MAX as usize, 0, 0, 0, 0],
        )
    };

    let file = file_bytes(image);
    let base = random_base(image_len(image));
    let relocated = bannock_elf::relocate_static_pie(&file, base as u64).and_then(|mut file| {
        let layout = bannock_elf::lay_out_as_mapped(&mut file, HUGE_PAGE)?;
        Ok((file, layout))
    });
    let fd = memory_file(c"bannock-runtime", regions::IMAGE_FD, true);
    match relocated {
        Ok((file, layout)) => write_image(fd, &file, &layout),
        Err(why) => refuse(format_args!("cannot relocate the runtime: {why}")),
    }
    // SAFETY: plain calls on our own descriptor.
    let sealed = unsafe {
        raw::syscall(sys::__NR_fchmod, [fd as usize, 0o111, 0, 0, 0, 0]);
        let seals = sys::F_SEAL_WRITE | sys::F_SEAL_SHRINK | sys::F_SEAL_GROW | sys::F_SEAL_SEAL;
        raw::syscall(
            sys::__NR_fcntl,
            [
                fd as usize,
                sys::F_ADD_SEALS as usize,
                seals as usize,
                0,
                0,
                0,
            ],
        )
    };
    if sealed != 0 {
        refuse(format_args!(
            "the host cannot seal a memory file (error {sealed})"
        ));
    }
    for (name, fd, len) in [
        (c"bannock-heap", regions::HEAP_FD, regions::HEAP_LEN),
        (c"bannock-cache", regions::CACHE_FD, regions::CACHE_LEN),
    ] {
        let fd = memory_file(name, fd, false);
        // SAFETY: a plain call on our own descriptor.
        let ret = unsafe { raw::syscall(sys::__NR_ftruncate, [fd as usize, len, 0, 0, 0, 0]) };
        if ret != 0 {
            refuse(format_args!(
                "the host refuses a sparse memory file of {len} bytes (error {ret})"
            ));
        }
    }
    // Everything else was done while the LAS looked.
    await_greeting();
    // SAFETY: the vectors are those that the host made.
    let ret = unsafe { raw::execute(regions::IMAGE_FD, arguments.argv(), arguments.environment()) };
    refuse(format_args!(
        "cannot execute the relocated runtime (error {ret})"
    ))
}

/// Descriptor of the channel to the LAS, where there is one (`bannock_wire::channel::CHANNEL_FD`,
/// which this crate does not see).
const CHANNEL_FD: usize = 3;

/// Waits until the LAS has spoken, without reading what it says.
///
/// The LAS looks at this process before it speaks. While a process executes another image, what the
/// host shows of it is in between: it could be taken for dumpable.
fn await_greeting() {
    const S_IFMT: u32 = 0o170_000;
    const S_IFSOCK: u32 = 0o140_000;
    let mut status = core::mem::MaybeUninit::<sys::stat>::zeroed();
    // SAFETY: the structure is ours and large enough.
    let ret = unsafe {
        raw::syscall(
            sys::__NR_fstat,
            [CHANNEL_FD, status.as_mut_ptr() as usize, 0, 0, 0, 0],
        )
    };
    // SAFETY: it was zeroed, and integers may hold anything.
    let mode = unsafe { status.assume_init() }.st_mode;
    if ret != 0 || mode & S_IFMT != S_IFSOCK {
        return;
    }
    let mut poll = sys::pollfd {
        fd: CHANNEL_FD as i32,
        events: sys::POLLIN as i16,
        revents: 0,
    };
    let args = [core::ptr::from_mut(&mut poll) as usize, 1, 0, 0, 0, 0];
    // SAFETY: the structure outlives the call. Whatever ends the wait, the boot finds out.
    unsafe { raw::syscall(sys::__NR_ppoll, args) };
}

/// The published file as far as segments go, from the running image.
///
/// Relocated words in it do not matter: relocating again replaces them all.
fn file_bytes(image: *const u8) -> Vec<u8> {
    // SAFETY: the image is loaded here.
    let headers = unsafe { program_headers(image) };
    let loads = || headers.iter().filter(|h| h.kind == PT_LOAD);
    let len = loads().map(|h| h.offset + h.file_len).max().unwrap_or(0);
    let mut file = alloc::vec![0u8; len];
    for header in loads() {
        if let Some(part) = file.get_mut(header.offset..header.offset + header.file_len) {
            // SAFETY: the host has loaded `file_len` bytes at `vaddr`; they are read, not borrowed.
            unsafe {
                core::ptr::copy_nonoverlapping(
                    image.add(header.vaddr),
                    part.as_mut_ptr(),
                    part.len(),
                )
            };
        }
    }
    // The file's section headers are not loaded: say that there are none (e_shoff; e_shnum,
    // e_shstrndx), as gABI allows.
    for range in [40..48, 60..64] {
        if let Some(bytes) = file.get_mut(range) {
            bytes.fill(0);
        }
    }
    file
}

/// Bytes that the image takes in memory.
fn image_len(image: *const u8) -> usize {
    // SAFETY: the image is loaded here.
    let headers = unsafe { program_headers(image) };
    headers
        .iter()
        .filter(|h| h.kind == PT_LOAD)
        .map(|h| h.vaddr.saturating_add(h.mem_len))
        .max()
        .unwrap_or(0)
}

/// A base address for an image of `len` bytes.
fn random_base(len: usize) -> usize {
    let mut bytes = [0u8; 8];
    // SAFETY: the buffer is ours.
    let ret = unsafe {
        raw::syscall(
            sys::__NR_getrandom,
            [bytes.as_mut_ptr() as usize, 8, 0, 0, 0, 0],
        )
    };
    if ret != 8 {
        refuse(format_args!("the host has no random numbers (error {ret})"));
    }
    regions::base_from(usize::from_le_bytes(bytes), len)
}

/// Makes a memory file at descriptor `number`.
fn memory_file(name: &CStr, number: i32, executable: bool) -> i32 {
    let flags = sys::MFD_ALLOW_SEALING | if executable { sys::MFD_EXEC } else { 0 };
    let create = |flags: u32| {
        // SAFETY: the name outlives the call.
        unsafe {
            raw::syscall(
                sys::__NR_memfd_create,
                [name.as_ptr() as usize, flags as usize, 0, 0, 0, 0],
            )
        }
    };
    let mut fd = create(flags);
    if fd == -(linux_raw_sys::errno::EINVAL as isize) {
        // Before Linux 6.3 all memory files are executable, and the flag is unknown.
        fd = create(sys::MFD_ALLOW_SEALING);
    }
    if fd < 0 {
        refuse(format_args!("the host refuses a memory file (error {fd})"));
    }
    if fd as i32 != number {
        // SAFETY: both descriptors are ours; nothing is open at `number`.
        unsafe {
            raw::syscall(sys::__NR_dup3, [fd as usize, number as usize, 0, 0, 0, 0]);
            raw::syscall(sys::__NR_close, [fd as usize, 0, 0, 0, 0, 0]);
        }
    }
    number
}

/// Writes the parts of `file` to where `layout` wants them.
fn write_image(fd: i32, file: &[u8], layout: &MappedLayout) {
    // SAFETY: a plain call on our own descriptor.
    let ret = unsafe {
        raw::syscall(
            sys::__NR_ftruncate,
            [fd as usize, layout.len as usize, 0, 0, 0, 0],
        )
    };
    if ret != 0 {
        refuse(format_args!(
            "the host refuses a memory file for the runtime (error {ret})"
        ));
    }
    for piece in &layout.pieces {
        write_all_at(fd, piece.from.of(file).unwrap_or_default(), piece.to);
    }
}

fn write_all_at(fd: i32, bytes: &[u8], at: u64) {
    let (mut rest, mut at) = (bytes, at as usize);
    while !rest.is_empty() {
        // SAFETY: the buffer is ours.
        let n = unsafe {
            raw::syscall(
                sys::__NR_pwrite64,
                [fd as usize, rest.as_ptr() as usize, rest.len(), at, 0, 0],
            )
        };
        match usize::try_from(n)
            .ok()
            .filter(|n| *n > 0)
            .and_then(|n| Some((rest.get(n..)?, at.checked_add(n)?)))
        {
            Some((left, next)) => (rest, at) = (left, next),
            None => refuse(format_args!(
                "cannot write the relocated runtime (error {n})"
            )),
        }
    }
}
