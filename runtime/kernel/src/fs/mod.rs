//! Mounts, paths, descriptors, files.
//!
//! * [`FileSystem`]: what a file system is to the rest; [`MemoryFs`], [`TreeFs`] and [`HostFs`]
//!   are the ones there are.
//! * [`Mounts`] and [`walk`]: the mount table, and the way from a path to a file.
//! * [`OpenFile`], [`Handle`] and [`FileTable`]: open files, what a process holds of them, and its
//!   descriptors.
//! * [`FsContext`]: root, working directory and umask of a process.

pub mod attributes;
mod context;
mod directory;
pub mod filesystem;
mod handle;
pub mod host;
pub mod locks;
pub mod memory;
pub mod mounts;
mod open;
mod open_file;
pub mod ops;
mod pipe;
#[cfg(test)]
mod pipe_tests;
pub mod proc;
mod synthetic;
mod table;
mod terminal;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod walk;

pub use attributes::{Attributes, Changes, Credentials, FileType, NewTime};
pub use context::FsContext;
pub use directory::RecordFormat;
pub use filesystem::{FileSystem, NodeId, Opened, PATH_MAX};
pub use handle::Handle;
pub use host::HostFs;
pub use memory::MemoryFs;
pub use mounts::{Location, Mount, MountRequest, Mounts};
pub use open::{Executable, KNOWN_FLAGS};
pub use open_file::{OpenFile, SETTABLE_FLAGS};
pub use ops::{FileOps, Kind, Mapped};
pub use synthetic::{device_mounts, system_mount};
pub use table::FileTable;
pub(crate) use terminal::is_terminal;
pub use tree::{Denied, TreeFs};
