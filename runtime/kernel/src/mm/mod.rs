//! The address-space map and the program loader.
//!
//! The kernel keeps the map of every process and picks every address; the host only carries the
//! changes out. So a program never learns where the host would have put something, and what
//! `/proc/self/maps` shows is the program's own.
//!
//! * [`AreaMap`]: pure bookkeeping of areas.
//! * [`AddressSpace`]: the map together with the host's mappings.
//! * [`loader`]: programs and their first stack.

mod advise;
mod area;
mod code;
mod decode;
mod file;
mod heap;
mod install;
pub mod loader;
mod map;
mod placement;
mod remap;
mod report;
mod space;
mod stack;

pub use area::{Area, Attributes, Content, FileInfo, Protection};
pub use decode::MapArguments;
pub use file::Mappable;
pub use map::AreaMap;
pub use placement::Placement;
pub use remap::RemapFlags;
pub use report::Usage;
pub use space::{AddressSpace, MemoryLimits, Place, Request, Source};
pub use stack::{AuxiliaryValues, Start};

#[cfg(test)]
mod tests;
