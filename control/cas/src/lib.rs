//! The configuration and attestation service (CAS).
//!
//! What it decides is in `bannock-cas-core`, what it keeps in `bannock-cas-store`; here are the
//! edges: TLS, the two protocols in it, the LAS, the audit log's file, and the wiring.
//!
//! Connections are served by one blocking thread each rather than by an asynchronous executor:
//! what is measured stays small, the system calls are few (which will count once the CAS runs
//! under the runtime), and the number of connections is bounded anyway.

#![forbid(unsafe_code)]

pub mod audit_log;
pub mod cas;
mod connection;
pub mod http;
pub mod identity;
mod instance;
pub mod log;
pub mod options;
pub mod platform;
mod rest;
pub mod server;
mod tls;
