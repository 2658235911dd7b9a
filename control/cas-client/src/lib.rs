//! Client of the CAS.
//!
//! First contact is [`attest`] (evidence of the CAS, bound to the connection) or, explicitly,
//! [`trust_on_first_use`]; either gives the CAS's key. From then on a [`Client`] talks to whoever
//! holds that key and to nobody else, whatever the address.

#![forbid(unsafe_code)]

mod attest;
mod client;
mod fault;
pub mod http;
mod identity;
mod tls;

pub use attest::{AttestedCas, Expectation, attest, trust_on_first_use};
pub use client::Client;
pub use fault::{ClientFault, Distrust};
pub use identity::{IdentityFault, OwnerIdentity};
