//! Sockets and polling.
//!
//! Sockets are the host's, with the kernel in between for everything that a program could trust:
//! names, credentials, descriptors that arrive. One [`Socket`] stands for each, so that a shield
//! finds its place in it.

pub mod address;
pub mod control;
mod epoll;
mod file;
mod names;
pub mod options;
mod rights;
mod select;
mod socket;

pub use epoll::EpollFile;
pub use file::SocketFile;
pub use names::{Key, Names, Registration};
pub use rights::{InFlight, Parcel, Sendable};
pub use select::{Deadline, Few, Interest, Ready, wait};
pub use socket::{PeerCredentials, Received, Socket};

#[cfg(test)]
mod socket_tests;
