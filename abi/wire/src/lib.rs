//! Plain data that crosses a trust boundary: what the runtime, the LAS, the CAS and the CLI say to
//! each other, and the two formulas that tie evidence to a launch and to a connection.
//!
//! Every message is CBOR with integer keys in ascending order, definite lengths and shortest
//! integers, which is the deterministic encoding of RFC 8949 §4.2. Messages travel in
//! [`frame`]s. A message that carries a newer [`PROTOCOL_VERSION`] than the reader's is refused by
//! name, never guessed at.
//!
//! This crate does no I/O, holds no keys and knows nothing about TLS beyond the byte strings that
//! enter the [`binding`].

#![no_std]

extern crate alloc;

pub use minicbor;

pub mod binding;
pub mod cas;
pub mod channel;
pub mod config;
pub mod exit;
pub mod frame;
pub mod las;
pub mod launch;

/// Version of all messages in this crate; a peer with a newer one is refused.
pub const PROTOCOL_VERSION: u16 = 1;

/// Why bytes are not the message that was expected.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// The bytes are not the CBOR of this message.
    #[error("not a valid {what} message: {reason}")]
    Cbor {
        /// Name of the message that was expected.
        what: &'static str,
        /// What the decoder found.
        reason: alloc::string::String,
    },
    /// Bytes follow the message.
    #[error("{extra} bytes follow the {what} message")]
    Trailing {
        /// Name of the message that was expected.
        what: &'static str,
        /// Number of bytes left over.
        extra: usize,
    },
    /// The encoding is not the deterministic one, so two byte strings would mean one message.
    #[error("the {what} message is not in deterministic encoding")]
    NotCanonical {
        /// Name of the message that was expected.
        what: &'static str,
    },
}

/// Encodes `message` in deterministic CBOR.
pub fn encode<T: minicbor::Encode<()>>(message: &T) -> alloc::vec::Vec<u8> {
    let mut out = alloc::vec::Vec::new();
    // The writer is a Vec, whose error type is `Infallible`; a message's own encoder cannot fail.
    match minicbor::encode(message, &mut out) {
        Ok(()) => out,
        Err(_) => alloc::vec::Vec::new(),
    }
}

/// Decodes one `what` message that must fill `bytes` exactly and be in deterministic encoding.
///
/// # Errors
/// [`Malformed`] when the bytes are not this message, go on after it, or would encode differently.
pub fn decode<T>(what: &'static str, bytes: &[u8]) -> Result<T, Malformed>
where
    T: for<'b> minicbor::Decode<'b, ()> + minicbor::Encode<()>,
{
    let mut decoder = minicbor::Decoder::new(bytes);
    let message: T = decoder.decode().map_err(|e| Malformed::Cbor {
        what,
        reason: alloc::string::ToString::to_string(&e),
    })?;
    let used = decoder.position();
    if used != bytes.len() {
        return Err(Malformed::Trailing {
            what,
            extra: bytes.len().saturating_sub(used),
        });
    }
    // One meaning, one byte string: whoever signs or hashes a message must not find a second form.
    let again = zeroize::Zeroizing::new(encode(&message));
    if again.as_slice() != bytes {
        return Err(Malformed::NotCanonical { what });
    }
    Ok(message)
}
