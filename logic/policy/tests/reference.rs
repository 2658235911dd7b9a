//! The reference in the documentation is the one that the code makes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

#[test]
fn the_reference_is_up_to_date() {
    common::compare(
        "../../docs/reference/session.md",
        &bannock_policy::reference::markdown(),
    );
}
