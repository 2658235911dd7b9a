//! The local attestation service: it starts what it measures, and quotes for nothing else.
//!
//! A caller connects to the LAS's Unix socket and passes an image, its standard streams and its
//! namespaces ([`bannock_wire::las`]). The LAS copies the image into sealed memory, hashes it,
//! starts it with [`bannock_launcher`], and answers on the one channel that the new process
//! inherits ([`bannock_wire::channel`]). Who asks there is known by construction: nothing is
//! measured by looking at a running process.
//!
//! The LAS computes report data itself. Launch identity, measurement and isolation are what it fixed,
//! found and achieved, so a process can make it say nothing else about itself, and nothing at all
//! about another.
//!
//! The LAS knows nothing about sessions, CAS instances or secrets, apart from the sealing key that it hands to
//! what was started as a CAS.

mod asker;
pub mod audit;
mod connection;
mod limit;
mod quoter;
mod server;
mod start;
mod stream;

pub use asker::{Asker, Response};
pub use audit::{AuditFault, AuditLog};
pub use quoter::{QuoteFault, QuoteRequest, Quoter, Simulated};
pub use server::{ServeFault, Server};
