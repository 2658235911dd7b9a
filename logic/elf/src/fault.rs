//! Why a file is not a program that can be loaded.

use thiserror::Error;

/// Why an ELF file was refused; execve(2) answers `ENOEXEC` for each of them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ElfFault {
    /// The file does not start with the ELF magic number.
    #[error("not an ELF file: it does not start with `\\x7fELF`")]
    BadMagic,
    /// The file is ELF, but not for what runs here.
    #[error("unsupported ELF file: {field} is {found}, only {supported} can run")]
    Unsupported {
        /// The field of the ELF header.
        field: &'static str,
        /// Its value.
        found: u64,
        /// What is supported, in words.
        supported: &'static str,
    },
    /// The file ends before something that its headers announce.
    #[error(
        "truncated ELF file: {what} needs {len} bytes at offset {offset:#x}, which are not there"
    )]
    Truncated {
        /// What was to be read.
        what: &'static str,
        /// Where, as an offset into the file.
        offset: u64,
        /// How many bytes were to be read.
        len: u64,
    },
    /// The program header table has a size that is not accepted.
    #[error("{found} program headers, of which 1 to {max} are accepted")]
    ProgramHeaderCount {
        /// How many the file has.
        found: u16,
        /// How many are accepted.
        max: u16,
    },
    /// A program header contradicts itself, the file, or the address space.
    #[error("program header {index} is malformed: {reason}")]
    ProgramHeader {
        /// Position in the program header table.
        index: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is nothing to load.
    #[error("no segment to load (`PT_LOAD`) in the program header table")]
    NothingToLoad,
    /// The entry point is not in an executable segment.
    #[error("entry point {entry:#x} is not in the file's part of an executable segment")]
    EntryOutsideText {
        /// The entry point, as an address in the file's own terms.
        entry: u64,
    },
    /// The path of the interpreter is unusable.
    #[error("path of the interpreter (`PT_INTERP`) is malformed: {reason}")]
    Interpreter {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The dynamic section is unusable.
    #[error("dynamic section is malformed: {reason}")]
    Dynamic {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file is not a static PIE.
    #[error("not a static position-independent executable: {reason}")]
    NotStaticPie {
        /// What distinguishes it from one.
        reason: &'static str,
    },
    /// The file cannot be relocated to the address that was asked for.
    #[error("cannot relocate to {base:#x}: {reason}")]
    Base {
        /// The address.
        base: u64,
        /// Why it is impossible.
        reason: &'static str,
    },
    /// A relocation cannot be applied to the file.
    #[error("relocation at address {address:#x} cannot be applied: {reason}")]
    Relocation {
        /// The address that the relocation is about.
        address: u64,
        /// Why it cannot be applied.
        reason: &'static str,
    },
}
