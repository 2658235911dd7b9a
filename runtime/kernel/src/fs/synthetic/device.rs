//! Character devices of the kernel's own.

use super::super::attributes::Attributes;
use super::super::ops::{FileOps, Kind, Mapped};
use super::super::{Changes, Handle};
use bannock_platform::{Errno, PAGE, host, memory::Backing, user::UserSlice};
use core::any::Any;
use zeroize::Zeroize;

/// A device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// `/dev/null`
    Null,
    /// `/dev/zero`
    Zero,
    /// `/dev/full`
    Full,
    /// `/dev/random`, `/dev/urandom`
    Random { minor: u32 },
    /// `/dev/tty`: opening it opens the controlling terminal.
    Terminal,
}

impl Device {
    /// Major and minor number (Linux, Documentation/admin-guide/devices.txt).
    pub(super) const fn number(self) -> (u32, u32) {
        match self {
            Self::Null => (1, 3),
            Self::Zero => (1, 5),
            Self::Full => (1, 7),
            Self::Random { minor } => (1, minor),
            Self::Terminal => (5, 0),
        }
    }
}

/// An open device.
pub(super) struct DeviceFile {
    pub(super) device: Device,
    pub(super) attributes: Attributes,
}

/// Fills the program's memory chunk by chunk.
fn fill_user(
    slice: UserSlice,
    mut next: impl FnMut(&mut [u8]) -> Result<(), Errno>,
) -> Result<usize, Errno> {
    let mut chunk = [0u8; PAGE];
    let mut done = 0;
    let mut outcome = Ok(());
    while done < slice.len() && outcome.is_ok() {
        let part = slice.skip(done).take(PAGE);
        let bytes = chunk.get_mut(..part.len()).ok_or(Errno::EIO)?;
        outcome = next(bytes).and_then(|()| part.write(bytes));
        if outcome.is_ok() {
            done += part.len();
        }
    }
    chunk.zeroize();
    if done > 0 {
        Ok(done)
    } else {
        outcome.map(|()| 0)
    }
}

impl FileOps for DeviceFile {
    fn kind(&self) -> Kind {
        Kind::Device
    }

    fn read(&self, _: &Handle, into: host::Into<'_>, _: Option<u64>) -> Result<usize, Errno> {
        match (self.device, into) {
            (Device::Null | Device::Terminal, _) => Ok(0),
            (Device::Zero | Device::Full, host::Into::Kernel(bytes)) => {
                bytes.fill(0);
                Ok(bytes.len())
            }
            (Device::Zero | Device::Full, host::Into::User(slice)) => fill_user(slice, |_| Ok(())),
            (Device::Random { .. }, host::Into::Kernel(bytes)) => {
                host::random(bytes).map(|()| bytes.len())
            }
            (Device::Random { .. }, host::Into::User(slice)) => fill_user(slice, host::random),
        }
    }

    fn write(&self, _: &Handle, from: host::From<'_>, _: Option<u64>) -> Result<usize, Errno> {
        if self.device == Device::Full {
            return Err(Errno::ENOSPC);
        }
        Ok(match from {
            host::From::Kernel(bytes) => bytes.len(),
            host::From::User(slice) => slice.len(),
        })
    }

    fn seek(&self, _: &Handle, _: i64, _: u32) -> Result<u64, Errno> {
        Ok(0)
    }

    fn attributes(&self, _: &Handle) -> Result<Attributes, Errno> {
        Ok(self.attributes)
    }

    fn change(&self, _: &Handle, changes: &Changes) -> Result<(), Errno> {
        // Truncation and times of devices change nothing; their modes are fixed.
        if changes.mode.is_some() || changes.uid.is_some() || changes.gid.is_some() {
            Err(Errno::EPERM)
        } else {
            Ok(())
        }
    }

    fn map(&self, _: &Handle, _: u64, _: u64, shared: bool, _: bool) -> Result<Mapped, Errno> {
        match self.device {
            Device::Zero => Ok(Mapped {
                backing: Backing::Anonymous { shared },
                pin: None,
                backed: None,
            }),
            _ => Err(Errno::ENODEV),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
