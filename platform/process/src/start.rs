//! From the published static PIE to a process at the container's own base address.
//!
//! What is published, and measured, is a static PIE. Its first process makes, from its own
//! segments, a program file for a random base address, in a sealed memory file, and executes that;
//! every later exec of the container executes the same file again. So objects of the shared kernel
//! that contain code addresses (vtables) mean the same in every process.
//!
//! The memory file is not readable by its own process (mode 0111), so that a process without
//! privileges stays non-dumpable across exec.

use crate::block::{self, Block};
use crate::{entry, interrupts, process, publish, raw, regions, report, vdso};
use alloc::vec::Vec;
use core::ffi::CStr;
use core::sync::atomic::Ordering;
use linux_raw_sys::{auxvec, general as sys};

core::arch::global_asm!(
    r#"
    .section .text.bannock_start, "ax"
    .globl _start
_start:
    mov rdi, rsp
    lea rsi, [rip + __ehdr_start]
    xor ebp, ebp
    and rsp, -16
    call bannock_start
    ud2
"#
);

/// What the host gave a process on its stack.
#[derive(Clone, Copy)]
pub struct Arguments {
    stack: *const usize,
}

impl Arguments {
    fn count(self) -> usize {
        // SAFETY: the host puts argc at the stack pointer (System V AMD64 ABI, 3.4.1).
        unsafe { *self.stack }
    }

    fn pointer(self, index: usize) -> *const usize {
        // SAFETY: stays within the vectors that follow argc, as callers do.
        unsafe { self.stack.add(1 + index) }
    }

    pub(crate) fn argv(self) -> *const usize {
        self.pointer(0)
    }

    pub(crate) fn environment(self) -> *const usize {
        self.pointer(self.count() + 1)
    }

    fn strings(start: *const usize) -> Vec<&'static CStr> {
        let mut strings = Vec::new();
        let mut at = start;
        // SAFETY: the vectors end with a null, and their strings with a NUL; the stack that they
        // are on stays as long as the process.
        unsafe {
            while *at != 0 {
                strings.push(CStr::from_ptr(*at as *const _));
                at = at.add(1);
            }
        }
        strings
    }

    /// Arguments, the program's name included.
    #[must_use]
    pub fn arguments(self) -> Vec<&'static CStr> {
        Self::strings(self.argv())
    }

    /// Environment as `NAME=value`.
    #[must_use]
    pub fn environment_strings(self) -> Vec<&'static CStr> {
        Self::strings(self.environment())
    }

    /// The value of auxiliary vector entry `kind`.
    #[must_use]
    pub fn auxiliary(self, kind: u32) -> Option<usize> {
        let mut at = self.environment();
        // SAFETY: the environment ends with a null, behind which pairs follow up to AT_NULL.
        unsafe {
            while *at != 0 {
                at = at.add(1);
            }
            at = at.add(1);
            while *at != auxvec::AT_NULL as usize {
                if *at == kind as usize {
                    return Some(*at.add(1));
                }
                at = at.add(2);
            }
        }
        None
    }
}

unsafe extern "Rust" {
    /// The assembler binary's main function, in the container's first process.
    safe fn bannock_main(arguments: Arguments) -> !;
    /// Installs the kernel, in every process.
    safe fn bannock_install();
}

/// ELF constants (gABI and psABI).
const ET_DYN: u16 = 3;
pub(crate) const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PF_X: u32 = 1;
const DT_RELA: usize = 7;
const DT_RELASZ: usize = 8;

/// `Elf64_Phdr`.
#[repr(C)]
pub(crate) struct ProgramHeader {
    pub(crate) kind: u32,
    flags: u32,
    pub(crate) offset: usize,
    pub(crate) vaddr: usize,
    paddr: usize,
    pub(crate) file_len: usize,
    pub(crate) mem_len: usize,
    align: usize,
}

/// The image's program headers.
///
/// # Safety
/// `image` is the address of a loaded image's ELF header.
pub(crate) unsafe fn program_headers(image: *const u8) -> &'static [ProgramHeader] {
    // SAFETY: e_phoff is at 32 and e_phnum at 56; the linker puts both header and table into the
    // first segment.
    unsafe {
        let table = image.add(image.add(32).cast::<usize>().read_unaligned());
        let count = image.add(56).cast::<u16>().read_unaligned();
        core::slice::from_raw_parts(table.cast(), count as usize)
    }
}

/// Address and length of the runtime's executable segment.
pub(crate) fn executable_segment() -> (usize, usize) {
    let image = regions::base();
    // SAFETY: the base is where this image's header is.
    let headers = unsafe { program_headers(image as *const u8) };
    // In the relocated image, addresses are absolute.
    headers
        .iter()
        .find(|h| h.kind == PT_LOAD && h.flags & PF_X != 0)
        .map_or((image, 0), |h| (h.vaddr, h.mem_len))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bannock_start(stack: *const usize, image: *const u8) -> ! {
    let arguments = Arguments { stack };
    // SAFETY: e_type is at offset 16.
    if unsafe { image.add(16).cast::<u16>().read_unaligned() } == ET_DYN {
        // SAFETY: nothing that depends on relocations has run yet.
        unsafe { relocate(image) };
        publish::publish(arguments, image)
    }
    check_processor(arguments);
    regions::attach();
    process::set_layout(regions::layout());
    bannock_platform::install(&process::PROCESS);
    let block = block::first();
    // SAFETY: this is the process's only thread, and the block is its own.
    unsafe { block.enter() };
    let me = bannock_platform::host::process::process_id();
    block.set_host_ids(me, me);
    vdso::find(arguments.auxiliary(auxvec::AT_SYSINFO_EHDR).unwrap_or(0));
    bannock_install();
    interrupts::install();
    if regions::header().running.swap(1, Ordering::SeqCst) == 0 {
        // Ending a container is killing all of a PID namespace: it has to be the container's own.
        if me != crate::supervise::SUPERVISOR {
            refuse(format_args!(
                "the runtime has to be the first process of a PID namespace; start it with `bannock run`"
            ));
        }
        let (text, len) = executable_segment();
        // Every process of the container runs from these pages.
        regions::prefer_huge_pages(text, len);
        regions::create_plans();
        interrupts::arm();
        bannock_main(arguments)
    }
    let Some(value) = regions::take_restart(me) else {
        report::line(format_args!(
            "a process that the container does not know was started in it"
        ));
        process::die()
    };
    Block::current().value.store(value, Ordering::Relaxed);
    interrupts::arm();
    entry::start_thread()
}

/// Applies the image's relocations where it was loaded, all of them `R_X86_64_RELATIVE`.
///
/// # Safety
/// Called once, first, on the image that is running. Uses nothing that needs relocation itself.
unsafe fn relocate(image: *const u8) {
    // SAFETY: the dynamic section and the relocations are where the program headers say; each
    // relocation names a word of the image.
    unsafe {
        let Some(dynamic) = program_headers(image).iter().find(|h| h.kind == PT_DYNAMIC) else {
            return;
        };
        let mut entry = image.add(dynamic.vaddr).cast::<usize>();
        let (mut table, mut len) = (0, 0);
        while *entry != 0 {
            match *entry {
                DT_RELA => table = *entry.add(1),
                DT_RELASZ => len = *entry.add(1),
                _ => {}
            }
            entry = entry.add(2);
        }
        let mut at = image.add(table).cast::<usize>();
        for _ in 0..len / 24 {
            let place = image.add(*at).cast_mut().cast::<usize>();
            place.write_unaligned(image as usize + *at.add(2));
            at = at.add(3);
        }
    }
}

pub(crate) fn refuse(what: core::fmt::Arguments<'_>) -> ! {
    report::line(what);
    raw::exit(regions::bannock_exit_failed())
}

/// `HWCAP2_FSGSBASE` (Linux asm/hwcap2.h).
const HWCAP2_FSGSBASE: usize = 2;

fn check_processor(arguments: Arguments) {
    if arguments.auxiliary(auxvec::AT_HWCAP2).unwrap_or(0) & HWCAP2_FSGSBASE == 0 {
        refuse(format_args!(
            "the processor or the host kernel lacks FSGSBASE; Linux 5.9 or newer on a processor from about 2013 is needed"
        ));
    }
    if !entry::detect_extended_state() {
        refuse(format_args!(
            "the processor's extended state is larger than the runtime provides for"
        ));
    }
}

/// Keeps other processes of the host away from this one and all that it starts: no core files, no
/// tracing by processes without privileges over it.
pub fn harden() {
    let limit = [0u64; 2];
    // SAFETY: plain calls; the limit outlives them.
    unsafe {
        let name = linux_raw_sys::prctl::PR_SET_DUMPABLE as usize;
        raw::syscall(sys::__NR_prctl, [name, 0, 0, 0, 0, 0]);
        let args = [
            0,
            sys::RLIMIT_CORE as usize,
            limit.as_ptr() as usize,
            0,
            0,
            0,
        ];
        raw::syscall(sys::__NR_prlimit64, args);
    }
}

/// Installs the filter of [`crate::filter`] in this process and, by inheritance, all others.
pub fn audit_host_calls() {
    regions::header().audit.store(1, Ordering::Relaxed);
    crate::filter::install();
}
