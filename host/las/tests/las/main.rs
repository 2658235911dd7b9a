//! A LAS in a process of its own, callers with and without privileges, instances that misbehave.

// Clippy's allowance for tests does not reach their helpers.
#![allow(clippy::unwrap_used, clippy::panic)]

mod instances;
mod log;
mod starts;
mod world;
