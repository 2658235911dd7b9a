//! Files whose text is made when they are opened.

use super::super::attributes::Attributes;
use super::super::ops::{FileOps, Kind};
use super::super::{Changes, Handle, Opened};
use alloc::vec::Vec;
use bannock_platform::{Errno, host};
use core::any::Any;
use linux_raw_sys::general as raw;
use zeroize::Zeroizing;

/// Makes a text.
pub(in super::super) type Generate = fn() -> Result<Vec<u8>, Errno>;

/// An open text. It may hold a program's environment, so its memory is zeroed in the end.
pub(in super::super) struct Text {
    bytes: Zeroizing<Vec<u8>>,
    attributes: Attributes,
}

impl Text {
    pub(in super::super) fn new(bytes: Vec<u8>, attributes: Attributes) -> Self {
        Self {
            bytes: Zeroizing::new(bytes),
            attributes,
        }
    }

    pub(super) fn open(
        generate: Generate,
        attributes: Attributes,
        flags: u32,
    ) -> Result<Opened, Errno> {
        if flags & raw::O_ACCMODE != raw::O_RDONLY {
            return Err(Errno::EACCES);
        }
        Ok(Opened::new(Self::new(generate()?, attributes)))
    }
}

impl FileOps for Text {
    fn kind(&self) -> Kind {
        Kind::Regular
    }

    fn has_kernel_offset(&self) -> bool {
        true
    }

    fn read(&self, _: &Handle, into: host::Into<'_>, at: Option<u64>) -> Result<usize, Errno> {
        let start = usize::try_from(at.unwrap_or(0)).unwrap_or(usize::MAX);
        let left = self.bytes.get(start..).unwrap_or_default();
        match into {
            host::Into::Kernel(bytes) => {
                let count = bytes.len().min(left.len());
                if let (Some(to), Some(from)) = (bytes.get_mut(..count), left.get(..count)) {
                    to.copy_from_slice(from);
                }
                Ok(count)
            }
            host::Into::User(slice) => {
                let count = slice.len().min(left.len());
                slice
                    .take(count)
                    .write(left.get(..count).unwrap_or_default())?;
                Ok(count)
            }
        }
    }

    fn size(&self, _: &Handle) -> Result<u64, Errno> {
        Ok(self.bytes.len() as u64)
    }

    fn attributes(&self, _: &Handle) -> Result<Attributes, Errno> {
        // As on Linux, generated files show no length.
        Ok(self.attributes)
    }

    fn change(&self, _: &Handle, _: &Changes) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
