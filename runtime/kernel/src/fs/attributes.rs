//! What is known about a file besides its bytes.

use super::OpenFile;
use alloc::vec::Vec;
use bannock_platform::{Errno, host::time, host::time::Timespec};
use linux_raw_sys::general as raw;

/// User id that stands for every owner that the container has no name for.
pub const NOBODY: u32 = 65534;

/// Type of a file (`S_IFMT`, inode(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// `S_IFREG`
    Regular,
    /// `S_IFDIR`
    Directory,
    /// `S_IFLNK`
    Symlink,
    /// `S_IFIFO`
    Fifo,
    /// `S_IFSOCK`
    Socket,
    /// `S_IFCHR`
    Character,
    /// `S_IFBLK`
    Block,
}

impl FileType {
    /// The type in `mode`.
    ///
    /// # Errors
    /// `EIO` for bits that mean no type: only a lying host shows them.
    pub const fn from_mode(mode: u32) -> Result<Self, Errno> {
        Ok(match mode & raw::S_IFMT {
            raw::S_IFREG => Self::Regular,
            raw::S_IFDIR => Self::Directory,
            raw::S_IFLNK => Self::Symlink,
            raw::S_IFIFO => Self::Fifo,
            raw::S_IFSOCK => Self::Socket,
            raw::S_IFCHR => Self::Character,
            raw::S_IFBLK => Self::Block,
            _ => return Err(Errno::EIO),
        })
    }

    /// `S_IFMT` bits.
    #[must_use]
    pub const fn mode_bits(self) -> u32 {
        match self {
            Self::Regular => raw::S_IFREG,
            Self::Directory => raw::S_IFDIR,
            Self::Symlink => raw::S_IFLNK,
            Self::Fifo => raw::S_IFIFO,
            Self::Socket => raw::S_IFSOCK,
            Self::Character => raw::S_IFCHR,
            Self::Block => raw::S_IFBLK,
        }
    }

    /// `d_type` of a directory entry (readdir(3)).
    #[must_use]
    pub const fn entry_type(self) -> u8 {
        (self.mode_bits() >> 12) as u8
    }
}

/// Attributes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Device number of its file system, as `makedev` encodes it for stat(2).
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Type.
    pub kind: FileType,
    /// Permission bits, 0 to 0o7777.
    pub mode: u32,
    /// Hard links.
    pub links: u32,
    /// Owner, as the container numbers users.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a device file.
    pub special: u64,
    /// Length in bytes.
    pub size: u64,
    /// Preferred size of transfers in bytes.
    pub block_size: u32,
    /// Allocated units of 512 bytes.
    pub blocks: u64,
    /// Last access.
    pub accessed: Timespec,
    /// Last change of the bytes.
    pub modified: Timespec,
    /// Last change of the attributes.
    pub changed: Timespec,
    /// Birth.
    pub born: Timespec,
}

impl Attributes {
    /// Attributes of an open file without a place, which only its descriptors stand for.
    #[must_use]
    pub fn without_place(file: &OpenFile, mode: u32) -> Self {
        /// Device number (Linux shows its `anon_inodefs`).
        const DEVICE: u64 = 14;
        Self::synthetic(DEVICE, file.id(), FileType::Regular, mode)
    }

    /// Attributes of a file of the kernel's own: owned by root, no bytes, no times.
    #[must_use]
    pub const fn synthetic(device: u64, inode: u64, kind: FileType, mode: u32) -> Self {
        const EPOCH: Timespec = Timespec {
            seconds: 0,
            nanoseconds: 0,
        };
        Self {
            device,
            inode,
            kind,
            mode,
            links: if matches!(kind, FileType::Directory) {
                2
            } else {
                1
            },
            uid: 0,
            gid: 0,
            special: 0,
            size: 0,
            block_size: 4096,
            blocks: 0,
            accessed: EPOCH,
            modified: EPOCH,
            changed: EPOCH,
            born: EPOCH,
        }
    }

    /// `st_mode`.
    #[must_use]
    pub const fn mode_bits(&self) -> u32 {
        self.kind.mode_bits() | self.mode
    }

    /// Checks what the classic mode bits let `credentials` do; `wanted` is a set of `R_OK`, `W_OK`
    /// and `X_OK`. User 0 may everything, except execute what nobody may execute.
    ///
    /// # Errors
    /// `EACCES`.
    pub fn check(&self, credentials: &Credentials, wanted: u32) -> Result<(), Errno> {
        if credentials.uid == 0 {
            let executable = self.mode & 0o111 != 0 || self.kind == FileType::Directory;
            return if wanted & X_OK == 0 || executable {
                Ok(())
            } else {
                Err(Errno::EACCES)
            };
        }
        let shift = if credentials.uid == self.uid {
            6
        } else if credentials.in_group(self.gid) {
            3
        } else {
            0
        };
        if (self.mode >> shift) & wanted == wanted {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }

    /// Checks that `credentials` own the file.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn check_owner(&self, credentials: &Credentials) -> Result<(), Errno> {
        if credentials.uid == 0 || credentials.uid == self.uid {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }
}

/// access(2): may be read.
pub const R_OK: u32 = 4;
/// access(2): may be written.
pub const W_OK: u32 = 2;
/// access(2): may be executed or searched.
pub const X_OK: u32 = 1;

/// Who asks, as files see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// File-system user id.
    pub uid: u32,
    /// File-system group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

impl Credentials {
    /// Whether `gid` is among the groups.
    #[must_use]
    pub fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}

/// A time to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewTime {
    /// The present (`UTIME_NOW`).
    Now,
    /// This time.
    At(Timespec),
}

/// Attributes to change; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Length in bytes.
    pub size: Option<u64>,
    /// Last access.
    pub accessed: Option<NewTime>,
    /// Last change of the bytes.
    pub modified: Option<NewTime>,
}

/// Real time now.
#[must_use]
pub fn now() -> Timespec {
    time::clock(raw::CLOCK_REALTIME as i32).unwrap_or_default()
}

impl NewTime {
    /// The time meant.
    #[must_use]
    pub fn resolve(self) -> Timespec {
        match self {
            Self::Now => now(),
            Self::At(time) => time,
        }
    }
}

/// A device number as stat(2) shows it (`makedev(3)`).
#[must_use]
pub const fn device_number(major: u32, minor: u32) -> u64 {
    let (major, minor) = (major as u64, minor as u64);
    ((major & 0xffff_f000) << 32)
        | ((major & 0xfff) << 8)
        | ((minor & 0xffff_ff00) << 12)
        | (minor & 0xff)
}

/// Major and minor of a device number as stat(2) shows it.
#[must_use]
pub const fn device_parts(number: u64) -> (u32, u32) {
    let major = ((number >> 32) & 0xffff_f000) | ((number >> 8) & 0xfff);
    let minor = ((number >> 12) & 0xffff_ff00) | (number & 0xff);
    (major as u32, minor as u32)
}
