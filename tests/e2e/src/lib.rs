//! What end-to-end tests share: finding the built binaries, running programs, and comparing a run
//! under Bannock with a native one.
//!
//! The tests run what `cargo xtask build` has put into `target/bannock`; `cargo xtask test` builds
//! it first. The environment variable `BANNOCK_E2E_BINARIES` names another folder.

// All of this is test code: what is unexpected ends the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod developer;
pub mod differential;
pub mod place;
pub mod process;
pub mod snapshot;
