//! Bannock's cryptography: hashes, AEAD, key derivation, and TLS 1.3 without std.
//!
//! Everything here is pure: no I/O, no clock, no global state; randomness comes from the platform through
//! [`random::Random`]. The freestanding runtime and ordinary programs use the same code.
//!
#![doc = include_str!("../BUILD.md")]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod aead;
pub mod digest;
pub mod hkdf;
pub mod hmac;
pub mod random;
pub mod secret;
pub mod tls;
