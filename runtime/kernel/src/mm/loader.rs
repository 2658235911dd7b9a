//! Programs: what a file asks for, checked before anything is changed, then carried out.
//!
//! Loading has two steps because execve(2) has: until the old program is gone, everything that can
//! be found wrong with the new one is an error that the old one gets ([`Plan::of`]); afterwards
//! ([`Plan::load`]) a failure ends the process.

use super::area::{Attributes, Protection};
use super::file::Mappable;
use super::placement::HUGE_PAGE;
use super::space::{AddressSpace, Place, Request, Source};
use alloc::{sync::Arc, vec::Vec};
use bannock_elf::{
    Elf, ElfFault, FileHeader, FileKind, FileRange, LoadPlan, LoadSegment, StackPermission,
    parse_interpreter,
};
use bannock_platform::{Errno, PAGE, page_ceil, user::UserSlice};
use core::ops::Range;

/// A file as the loader needs it.
pub type ProgramFile = Arc<dyn Mappable + Send + Sync>;

/// Why a program cannot be loaded.
#[derive(Debug)]
pub enum LoadFault {
    /// The file is not a program that can run here.
    Program(ElfFault),
    /// The dynamic linker that the program names is not one.
    Interpreter(ElfFault),
    /// The program names a dynamic linker that cannot be opened.
    OpenInterpreter(Errno),
    /// A file could not be read or mapped, or there is no room for it.
    Map(Errno),
}

impl LoadFault {
    /// What execve(2) answers.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        match self {
            Self::Program(_) => Errno::ENOEXEC,
            // execve(2): "an ELF interpreter was not in a recognized format".
            Self::Interpreter(_) => Errno::EIO,
            Self::OpenInterpreter(e) | Self::Map(e) => *e,
        }
    }
}

impl core::fmt::Display for LoadFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Program(_) => f.write_str("the file is not a program for this platform"),
            Self::Interpreter(_) => f.write_str("the program's dynamic linker is not usable"),
            Self::OpenInterpreter(_) => f.write_str("cannot open the program's dynamic linker"),
            Self::Map(_) => f.write_str("cannot map the program"),
        }
    }
}

impl core::error::Error for LoadFault {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Program(e) | Self::Interpreter(e) => Some(e),
            Self::OpenInterpreter(e) | Self::Map(e) => Some(e),
        }
    }
}

/// A file and what to do with it.
struct Image {
    file: ProgramFile,
    plan: LoadPlan,
}

/// A program that was looked at and found loadable.
pub struct Plan {
    program: Image,
    interpreter: Option<Image>,
    stack: StackPermission,
}

/// A program in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Where execution starts: in the dynamic linker where there is one.
    pub start: usize,
    /// The program's own entry point (`AT_ENTRY`).
    pub entry: usize,
    /// Its program headers (`AT_PHDR`), 0 where no segment holds them.
    pub program_headers: usize,
    /// How many there are (`AT_PHNUM`).
    pub program_header_count: u16,
    /// Where the dynamic linker is (`AT_BASE`), 0 where there is none.
    pub interpreter_base: usize,
    /// Whether the program asks for an executable stack.
    pub executable_stack: bool,
}

impl Plan {
    /// Looks at `program`, and at the dynamic linker that it names, which `open` opens by path.
    ///
    /// # Errors
    /// Fails when one of them cannot be loaded.
    pub fn of(
        program: ProgramFile,
        open: &mut dyn FnMut(&[u8]) -> Result<ProgramFile, Errno>,
    ) -> Result<Self, LoadFault> {
        let elf = headers(&program, LoadFault::Program)?;
        let stack = elf.stack();
        let interpreter = match elf.interpreter() {
            Some(range) => {
                let bytes = read(&program, range)?;
                let path = parse_interpreter(&bytes).map_err(LoadFault::Program)?;
                let file = open(path).map_err(LoadFault::OpenInterpreter)?;
                let elf = headers(&file, LoadFault::Interpreter)?;
                let plan = elf.load_plan().map_err(LoadFault::Interpreter)?;
                Some(Image { file, plan })
            }
            None => None,
        };
        let plan = elf.load_plan().map_err(LoadFault::Program)?;
        Ok(Self {
            program: Image {
                file: program,
                plan,
            },
            interpreter,
            stack,
        })
    }

    /// Maps the program into an empty address space and places its heap.
    ///
    /// # Errors
    /// Fails when there is no room or the host refuses; the address space is then of no use.
    pub fn load(&self, space: &AddressSpace) -> Result<Loaded, LoadFault> {
        self.load_images(space).map_err(LoadFault::Map)
    }

    fn load_images(&self, space: &AddressSpace) -> Result<Loaded, Errno> {
        let place = &space.placement;
        let program = &self.program;
        let bias = program.map(space, Place::Hint(place.program_base))?;
        let end = address(program.plan.span.end, bias)?;
        let gap = end.checked_add(place.heap_gap).ok_or(Errno::ENOMEM)?;
        space.set_heap(page_ceil(gap).ok_or(Errno::ENOMEM)?);
        let entry = address(program.plan.entry, bias)?;
        let (start, interpreter_base) = match &self.interpreter {
            Some(image) => {
                let bias = image.map(space, Place::Hint(0))?;
                // AT_BASE is the distance that the linker was moved by (Linux `load_elf_interp`).
                (address(image.plan.entry, bias)?, bias)
            }
            None => (entry, 0),
        };
        let program_headers = match program.plan.program_headers {
            Some(at) => address(at, bias)?,
            None => 0,
        };
        Ok(Loaded {
            start,
            entry,
            program_headers,
            program_header_count: program.plan.program_header_count,
            interpreter_base,
            executable_stack: self.stack == StackPermission::Executable,
        })
    }
}

impl Image {
    /// Maps all segments; returns what is added to the file's addresses.
    fn map(&self, space: &AddressSpace, place: Place) -> Result<usize, Errno> {
        let span = size(self.plan.span.start)?..size(self.plan.span.end)?;
        let mut alignment = size(self.plan.alignment)?.max(PAGE);
        if span.len() >= HUGE_PAGE {
            // So that huge pages of the file can be mapped as such.
            alignment = alignment.max(HUGE_PAGE);
        }
        let bias = match self.plan.kind {
            FileKind::Fixed => {
                space
                    .map(&reservation(Place::Free(span.start), span.len()))
                    .map_err(|e| match e {
                        Errno::EEXIST => Errno::ENOMEM,
                        other => other,
                    })?;
                0
            }
            FileKind::PositionIndependent => {
                // More than is needed, so that an aligned base lies within.
                let slack = alignment - PAGE;
                let len = span.len().checked_add(slack).ok_or(Errno::ENOMEM)?;
                let at = space.map(&reservation(place, len))?;
                let base = at
                    .checked_next_multiple_of(alignment)
                    .ok_or(Errno::ENOMEM)?;
                let reserved = at..at + len;
                let used = base..base + span.len();
                for rest in [reserved.start..used.start, used.end..reserved.end] {
                    if !rest.is_empty() {
                        space.unmap(rest.start, rest.len())?;
                    }
                }
                // The first segment's address is a multiple of the alignment in well-formed files;
                // where it is not, relative placement still holds.
                base.wrapping_sub(span.start)
            }
        };
        for segment in &self.plan.segments {
            self.map_segment(space, segment, bias)?;
        }
        Ok(bias)
    }

    fn map_segment(
        &self,
        space: &AddressSpace,
        segment: &LoadSegment,
        bias: usize,
    ) -> Result<(), Errno> {
        let mut protection = Protection::empty();
        protection.set(Protection::READ, segment.protection.read);
        protection.set(Protection::WRITE, segment.protection.write);
        protection.set(Protection::EXEC, segment.protection.execute);
        let pages = moved(&segment.pages, bias)?;
        if let Some(file) = &segment.file {
            let tail = moved(&segment.zero_tail, bias)?;
            let request = Request {
                place: Place::Fixed(pages.start),
                len: size(file.len)?,
                protection,
                shared: false,
                source: Source::File(&*self.file, file.offset),
                attributes: Attributes::empty(),
                name: "",
            };
            if tail.is_empty() {
                space.map(&request)?;
            } else {
                // The last page belongs to the zeroed part too: written first, then protected.
                let writable = Protection::READ | Protection::WRITE;
                space.map(&Request {
                    protection: writable,
                    ..request
                })?;
                zero(&tail)?;
                space.protect(pages.start, request.len, protection)?;
            }
        }
        let zeroes = moved(&segment.zero_pages, bias)?;
        if !zeroes.is_empty() {
            let request = Request::anonymous(Place::Fixed(zeroes.start), zeroes.len());
            space.map(&Request {
                protection,
                ..request
            })?;
        }
        Ok(())
    }
}

/// Address space without access, for segments to be mapped into.
const fn reservation(place: Place, len: usize) -> Request<'static> {
    let request = Request::anonymous(place, len);
    Request {
        protection: Protection::empty(),
        attributes: Attributes::NO_RESERVE,
        ..request
    }
}

fn zero(range: &Range<usize>) -> Result<(), Errno> {
    const ZEROES: [u8; PAGE] = [0; PAGE];
    let slice = UserSlice::new(range.start, range.len())?;
    // At most one page: the rest of the last one that came from the file.
    slice.write(ZEROES.get(..slice.len()).ok_or(Errno::ENOEXEC)?)
}

fn headers(file: &ProgramFile, fault: fn(ElfFault) -> LoadFault) -> Result<Elf, LoadFault> {
    let head = file.len().min(FileHeader::LEN as u64);
    let head = read(
        file,
        FileRange {
            offset: 0,
            len: head,
        },
    )?;
    let header = FileHeader::parse(&head, file.len()).map_err(fault)?;
    let table = read(file, header.table)?;
    Elf::from_table(header, &table, file.len()).map_err(fault)
}

/// Reads bytes whose number the parser has bounded.
fn read(file: &ProgramFile, range: FileRange) -> Result<Vec<u8>, LoadFault> {
    let mut bytes = alloc::vec![0; size(range.len).map_err(LoadFault::Map)?];
    file.read_at(range.offset, &mut bytes)
        .map_err(LoadFault::Map)?;
    Ok(bytes)
}

fn size(value: u64) -> Result<usize, Errno> {
    usize::try_from(value).map_err(|_| Errno::ENOMEM)
}

/// An address of the file as it is in memory.
fn address(value: u64, bias: usize) -> Result<usize, Errno> {
    Ok(size(value)?.wrapping_add(bias))
}

fn moved(range: &Range<u64>, bias: usize) -> Result<Range<usize>, Errno> {
    Ok(address(range.start, bias)?..address(range.end, bias)?)
}

/// Checks at compile time that plans can be kept in the shared heap while a process is replaced.
const _: fn() = || {
    const fn sendable<T: Send + Sync>() {}
    sendable::<Plan>();
};
