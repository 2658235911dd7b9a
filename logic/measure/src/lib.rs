//! What files are expected to be: [`verity`] digests of single files and [`tree`] manifests that
//! tie many of them to one root digest.
//!
//! A session names a root digest; the host supplies the manifest and the files. Whoever holds the
//! digest can check all of them, so neither the manifest nor the host is trusted. This crate reads
//! no files: the CLI that measures and the runtime that verifies bring the bytes.

#![no_std]

extern crate alloc;

pub mod escape;
pub mod tree;
pub mod verity;
