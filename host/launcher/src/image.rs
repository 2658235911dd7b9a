//! Images: programs copied into sealed memory files and measured there.

use crate::fault::LaunchFault;
use crate::spawn::SPAWN;
use rustix::fs::{FileType, MemfdFlags, Mode, OFlags, SealFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::PoisonError;

/// Largest image in bytes (128 MiB): room for images with debug information.
pub const MAX_IMAGE: usize = 128 << 20;

/// Owner of an image whose caller is root: never the caller, who could then change its mode.
const NOBODY: u32 = 65534;

const SEALS: SealFlags = SealFlags::WRITE
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);

/// A program in a sealed memory file, with the measurement of the bytes in it.
#[derive(Debug)]
pub struct Image {
    file: OwnedFd,
    measurement: [u8; 32],
    length: usize,
}

impl Image {
    /// Copies the regular file `source`, from its first byte, for a caller with user id `caller`.
    ///
    /// The source may change meanwhile: what is measured is what was copied.
    ///
    /// # Errors
    /// [`LaunchFault`] when the source cannot be read, is empty or over [`MAX_IMAGE`], or when the
    /// kernel has no sealed memory files.
    pub fn copy(source: BorrowedFd<'_>, caller: u32) -> Result<Self, LaunchFault> {
        let bytes = read(source)?;
        let measurement = bannock_wire::launch::runtime_measurement(&bytes);
        let file = seal(&bytes, caller).map_err(LaunchFault::Seal)?;
        Ok(Self {
            file,
            measurement,
            length: bytes.len(),
        })
    }

    /// Bytes of the image.
    pub(crate) const fn length(&self) -> usize {
        self.length
    }

    /// SHA-256 of the image.
    #[must_use]
    pub const fn measurement(&self) -> [u8; 32] {
        self.measurement
    }

    /// Whether the kernel says that nobody can change the image any more.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        rustix::fs::fcntl_get_seals(&self.file).is_ok_and(|seals| seals.contains(SEALS))
    }
}

impl AsFd for Image {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn read(source: BorrowedFd<'_>) -> Result<Vec<u8>, LaunchFault> {
    let status = regular(source)?;
    let length = usize::try_from(status.st_size).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(length.min(MAX_IMAGE));
    let mut buffer = vec![0; 1 << 20];
    loop {
        let offset = bytes.len() as u64;
        let count = match rustix::io::pread(source, &mut buffer, offset) {
            Ok(0) => break,
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(LaunchFault::ImageUnreadable(error.into())),
        };
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if bytes.len() > MAX_IMAGE {
            return Err(LaunchFault::ImageTooLarge { limit: MAX_IMAGE });
        }
    }
    if bytes.is_empty() {
        return Err(LaunchFault::ImageEmpty);
    }
    Ok(bytes)
}

/// The status of a regular file: a pipe or a device could keep its reader waiting for ever.
pub(crate) fn regular(source: BorrowedFd<'_>) -> Result<Stat, LaunchFault> {
    let unreadable = |error: io::Error| LaunchFault::ImageUnreadable(error);
    let status = rustix::fs::fstat(source).map_err(|error| unreadable(error.into()))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(unreadable(io::Error::other("not a regular file")));
    }
    Ok(status)
}

fn seal(bytes: &[u8], caller: u32) -> io::Result<OwnedFd> {
    // A process made now would inherit the writable descriptor, and as long as one exists the
    // kernel refuses to execute the file.
    let _no_spawn = SPAWN.lock().unwrap_or_else(PoisonError::into_inner);
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let writable = match rustix::fs::memfd_create("bannock", flags | MemfdFlags::EXEC) {
        // Kernels before 6.3 do not know the flag and make every memory file executable.
        Err(Errno::INVAL) => rustix::fs::memfd_create("bannock", flags)?,
        other => other?,
    };
    let mut writable = File::from(writable);
    writable.write_all(bytes)?;
    let path = format!("/proc/self/fd/{}", writable.as_raw_fd());
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::fs::fcntl_add_seals(&writable, SEALS)?;
    drop(writable);
    if caller == 0 && rustix::process::geteuid().is_root() {
        let nobody = rustix::fs::Uid::from_raw(NOBODY);
        rustix::fs::fchown(&file, Some(nobody), Some(rustix::fs::Gid::from_raw(NOBODY)))?;
    }
    // Executable and not readable: the kernel makes whoever executes it non-dumpable.
    rustix::fs::fchmod(&file, Mode::from_raw_mode(0o111))?;
    Ok(file)
}
