//! Sockets and polling.

pub mod address;
pub mod control;
pub mod names;
pub mod options;
mod socket;

pub use socket::{PeerCredentials, Received, Socket};
