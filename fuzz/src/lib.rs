//! What targets and the writer of their seeds have in common.

pub mod pieces;
pub mod store;
pub mod tls;
