//! Numbers of nodes.

use super::super::filesystem::NodeId;
use bannock_platform::Errno;

/// A node's number taken apart: 31 bits process or thread, a bit that says which, 8 bits entry, 20 bits
/// descriptor and one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// 0 for entries of the container.
    pub(super) process: i32,
    /// Whether that is a thread, below its process's `task`.
    pub(super) is_thread: bool,
    /// Index in the table of a process, or of the container.
    pub(super) entry: usize,
    /// Descriptor below a directory of descriptors.
    pub(super) descriptor: Option<i32>,
}

const ENTRY_BITS: u32 = 8;
const DESCRIPTOR_BITS: u32 = 21;

impl Key {
    /// The directory of a process; 0 for that of the container.
    pub(super) const fn of_process(process: i32) -> Self {
        Self {
            process,
            is_thread: false,
            entry: 0,
            descriptor: None,
        }
    }

    /// The directory of a thread.
    pub(super) const fn of_thread(id: i32) -> Self {
        Self {
            is_thread: true,
            ..Self::of_process(id)
        }
    }

    pub(super) fn pack(self) -> NodeId {
        let descriptor = self.descriptor.map_or(0, |d| d as u64 + 1);
        let subject = (self.process as u64) << 1 | u64::from(self.is_thread);
        ((subject << ENTRY_BITS | self.entry as u64) << DESCRIPTOR_BITS | descriptor) + 1
    }

    pub(super) fn unpack(node: NodeId) -> Result<Self, Errno> {
        let value = node.checked_sub(1).ok_or(Errno::ENOENT)?;
        let descriptor = value & ((1 << DESCRIPTOR_BITS) - 1);
        let rest = value >> DESCRIPTOR_BITS;
        let subject = rest >> ENTRY_BITS;
        let process = i32::try_from(subject >> 1).map_err(|_| Errno::ENOENT)?;
        let entry = (rest & ((1 << ENTRY_BITS) - 1)) as usize;
        let descriptor = descriptor
            .checked_sub(1)
            .and_then(|d| i32::try_from(d).ok());
        Ok(Self {
            process,
            is_thread: subject & 1 != 0,
            entry,
            descriptor,
        })
    }
}

/// The directory of the whole container.
pub(super) const ROOT: Key = Key::of_process(0);
