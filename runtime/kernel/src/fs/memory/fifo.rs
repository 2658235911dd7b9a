//! Open FIFOs in memory.

use super::super::attributes::{Attributes, Changes};
use super::super::ops::{FileOps, Kind};
use super::super::pipe::PipeEnd;
use super::super::{Handle, NodeId};
use super::tree::Shared;
use crate::readiness::Readiness;
use alloc::sync::Arc;
use bannock_platform::{Errno, host, user};
use core::any::Any;
use linux_raw_sys::{general as raw, ioctl};

/// An open FIFO in memory.
pub(in super::super) struct FifoFile {
    pub(super) shared: Arc<Shared>,
    pub(super) node: NodeId,
    pub(super) end: PipeEnd,
}

fn waits(handle: &Handle) -> bool {
    handle.file().flags() & raw::O_NONBLOCK == 0
}

impl FifoFile {
    /// The pipe's end.
    pub(in super::super) fn end(&self) -> &PipeEnd {
        &self.end
    }
}

impl FileOps for FifoFile {
    fn kind(&self) -> Kind {
        Kind::Pipe
    }

    fn read(&self, handle: &Handle, into: host::Into<'_>, _: Option<u64>) -> Result<usize, Errno> {
        self.end.read(into, waits(handle))
    }

    fn write(&self, handle: &Handle, from: host::From<'_>, _: Option<u64>) -> Result<usize, Errno> {
        self.end.write(from, waits(handle))
    }

    fn breaks(&self) -> bool {
        true
    }

    fn attributes(&self, _: &Handle) -> Result<Attributes, Errno> {
        self.shared.attributes(self.node)
    }

    fn change(&self, _: &Handle, changes: &Changes) -> Result<(), Errno> {
        self.shared.change(self.node, changes)
    }

    fn ready(&self) -> u32 {
        self.end.ready()
    }

    fn readiness(&self) -> Option<Arc<Readiness>> {
        Some(self.end.readiness())
    }

    fn ioctl(&self, _: &Handle, request: u32, argument: usize) -> Result<usize, Errno> {
        match request {
            ioctl::FIONREAD => {
                let waiting = i32::try_from(self.end.waiting()).unwrap_or(i32::MAX);
                user::put(argument, &waiting).map(|()| 0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
