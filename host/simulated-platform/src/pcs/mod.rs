//! A provisioning certification service for one simulated platform, and a client for it.
//!
//! Paths, headers and bodies are those of Intel's PCS API, version 4 (`rootcacrl` is the PCCS's),
//! so DCAP tools can be pointed at it. It serves plain HTTP on loopback: everything it serves is
//! public and signed.

mod client;
mod message;
mod server;

pub use client::{CollateralSource, FetchFault, fetch_collateral};
pub use message::{
    MAX_HEAD_LEN, MAX_RESPONSE_LEN, Request, RequestFault, Response, ResponseFault, parse_request,
    parse_response,
};
pub use server::{ServeFault, Server, Stopper};

/// Where the API starts in a URL.
const API_PATH: &str = "/sgx/certification/v4";
