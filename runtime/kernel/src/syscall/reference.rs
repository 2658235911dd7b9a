//! The reference of system calls, generated from the table.

use super::{State, TABLE};
use alloc::{format, string::String};

/// `docs/reference/syscalls.md`.
#[must_use]
pub fn markdown() -> String {
    let rows = || TABLE.iter().flatten();
    let count = |state: State| rows().filter(|row| row.state == state).count();
    let mut text = format!(
        "# System calls\n\n\
         <!-- Made of the rows in runtime/kernel/src/syscall. Change them there, then run\n     \
         `BANNOCK_BLESS=1 cargo test -p bannock-kernel` in runtime/. -->\n\n\
         What the kernel answers, by number on x86-64: {} calls are emulated, {} are refused because they\n\
         would lead around a shield, and {} are absent and answer `ENOSYS`.\n\n\
         | number | name | state | notes |\n|---|---|---|---|\n",
        count(State::Emulated),
        count(State::Refused),
        count(State::Absent),
    );
    for row in rows() {
        let state = match row.state {
            State::Emulated => "emulated",
            State::Refused => "refused",
            State::Absent => "absent",
        };
        let notes = row.notes.replace('|', "\\|").replace('\n', " ");
        text.push_str(&format!(
            "| {} | `{}` | {state} | {notes} |\n",
            row.number, row.name
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_that_of_the_table() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/reference/syscalls.md"
        );
        let generated = markdown();
        if std::env::var_os("BANNOCK_BLESS").is_some() {
            std::fs::write(path, &generated).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == generated,
            "docs/reference/syscalls.md is out of date: run with BANNOCK_BLESS=1"
        );
    }
}
