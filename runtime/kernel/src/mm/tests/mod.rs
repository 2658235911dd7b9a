//! Address spaces with the host's real mappings, in a part of the test process that nobody uses.

mod areas;
mod file;
mod loader;
mod map;
mod remap;

use super::{space::*, *};
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
