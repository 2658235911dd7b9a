//! Strict parsing of ELF programs for x86-64 (System V gABI, chapters 4 and 5; x86-64 psABI).
//!
//! Every byte of a program file may have been chosen by an attacker: the parser bounds all tables,
//! checks all arithmetic and refuses what it does not understand with a fault that says what is wrong.
//! It knows nothing about how a program is mapped or where its bytes come from.
//!
//! * [`Elf`] – the headers, checked once; everything else starts from it.
//! * [`LoadPlan`] – which bytes of the file go to which pages, for the kernel to carry out.
//! * [`Dynamic`] – what the program asks the dynamic linker for, for tools that follow dependencies.
//! * [`relocate_static_pie`] – a static PIE turned into a program linked at a fixed address.
//! * [`lay_out_as_mapped`] – a program's file laid out as memory is, so that huge pages can map it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bytes;
mod dynamic;
mod fault;
mod header;
mod layout;
mod plan;
mod relocate;

pub use dynamic::{Dynamic, DynamicStrings};
pub use fault::ElfFault;
pub use header::{
    Elf, FileHeader, FileKind, FileRange, MAX_PROGRAM_HEADERS, PAGE_SIZE, ProgramHeader,
    Protection, SegmentKind, StackPermission, TlsTemplate, USER_ADDRESS_LIMIT, parse_interpreter,
};
pub use layout::{MappedLayout, Piece, lay_out_as_mapped};
pub use plan::{FileMapping, LoadPlan, LoadSegment};
pub use relocate::relocate_static_pie;
