//! TLS 1.3 (RFC 8446) for attested and pinned connections.
//!
//! [`client::Connection`] is the protocol without sockets, [`stream::Stream`] the same over a blocking transport. What
//! they share is in [`provider`] (algorithms), [`identity`] (keys and certificates), [`peer`] (whose key is
//! accepted), [`spki`] (names of keys) and [`exporter`] (what binds evidence to one connection).

pub mod client;
pub mod exporter;
pub mod identity;
pub mod peer;
pub mod provider;
pub mod spki;
pub mod stream;
