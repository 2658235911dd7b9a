//! The reference in the documentation is the one that the code makes.

mod common;

#[test]
fn the_reference_is_up_to_date() {
    common::compare(
        "../../docs/reference/session.md",
        &bannock_policy::reference::markdown(),
    );
}
