//! Sockets and polling.
