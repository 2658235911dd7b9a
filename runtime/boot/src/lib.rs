//! From start to provisioned, as a sequence of types.
//!
//! [`Configured`] knows what the host said and what the LAS fixed. [`Attested`] has proved to the
//! pinned CAS what it is, on one connection. [`Provisioned`] holds what the CAS released. Secrets
//! exist from there on only, and turning it into a program's configuration closes the channel to
//! the LAS first: no application instruction ever runs beside an open channel.
//!
//! This crate knows nothing about files, processes or programs.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod attest;
mod channel;
mod fault;
mod options;
mod socket;

pub use attest::{Attested, Configured, Provisioned};
pub use fault::BootFault;
pub use options::{HostMount, Options, Standalone};
