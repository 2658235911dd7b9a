//! Directory records from the host.

use super::super::FileType;
use super::super::filesystem::{DirectoryEntry, NAME_MAX};
use alloc::vec::Vec;
use bannock_platform::Errno;

/// Reads a host's directory entries (`struct linux_dirent64`, getdents64(2)), leaving out `.` and
/// `..`.
///
/// # Errors
/// `EIO` for records that do not fit, and for names that could not be components of a path.
pub fn parse_entries(mut bytes: &[u8], into: &mut Vec<DirectoryEntry>) -> Result<(), Errno> {
    const NAME_AT: usize = 19;
    while !bytes.is_empty() {
        let field = |at: usize, len: usize| bytes.get(at..at + len).ok_or(Errno::EIO);
        let inode = u64::from_le_bytes(field(0, 8)?.try_into().map_err(|_| Errno::EIO)?);
        let length = usize::from(u16::from_le_bytes(
            field(16, 2)?.try_into().map_err(|_| Errno::EIO)?,
        ));
        let kind = bytes.get(18).copied().ok_or(Errno::EIO)?;
        let record = bytes.get(..length).ok_or(Errno::EIO)?;
        let padded = record.get(NAME_AT..).ok_or(Errno::EIO)?;
        let name = padded.split(|b| *b == 0).next().unwrap_or_default();
        if name.len() == padded.len()
            || name.is_empty()
            || name.contains(&b'/')
            || name.len() > NAME_MAX
        {
            return Err(Errno::EIO);
        }
        if name != b"." && name != b".." {
            let kind = FileType::from_mode(u32::from(kind) << 12).ok();
            into.push(DirectoryEntry {
                name: name.into(),
                inode,
                kind,
            });
        }
        bytes = bytes.get(length..).ok_or(Errno::EIO)?;
    }
    Ok(())
}
