//! The table: one row per x86-64 system call.

use super::{Handler, Row, State};

/// Numbers above this are unknown to the table.
pub const LIMIT: usize = 512;

/// All families, each in its own file.
const FAMILIES: &[&[Row]] = &[
    super::absent::ROWS,
    super::attribute::ROWS,
    super::descriptor::ROWS,
    super::directory::ROWS,
    super::event::ROWS,
    super::extended::ROWS,
    super::file::ROWS,
    super::futex::ROWS,
    super::identity::ROWS,
    super::limits::ROWS,
    super::memory::ROWS,
    super::message::ROWS,
    super::pidfd::ROWS,
    super::poll::ROWS,
    super::process::ROWS,
    super::random::ROWS,
    super::signal::ROWS,
    super::socket::ROWS,
    super::splice::ROWS,
    super::status::ROWS,
    super::system::ROWS,
    super::thread::ROWS,
    super::time::ROWS,
    super::timer::ROWS,
    super::wait::ROWS,
];

/// Rows by number.
pub static TABLE: [Option<Row>; LIMIT] = build();

const fn build() -> [Option<Row>; LIMIT] {
    let mut table = [None; LIMIT];
    let mut family = 0;
    while family < FAMILIES.len() {
        let rows = FAMILIES[family];
        let mut i = 0;
        while i < rows.len() {
            let number = rows[i].number as usize;
            assert!(number < LIMIT, "a system call number is over the limit");
            assert!(table[number].is_none(), "two rows for one system call");
            table[number] = Some(rows[i]);
            i += 1;
        }
        family += 1;
    }
    table
}

/// What answers each call that is there, by number. Rows are far apart in memory; of these, a dozen
/// that a program keeps making are in the processor's cache together.
static HANDLERS: [Option<Handler>; LIMIT] = handlers();

const fn handlers() -> [Option<Handler>; LIMIT] {
    let mut handlers = [None; LIMIT];
    let mut number = 0;
    while number < LIMIT {
        if let Some(row) = &TABLE[number]
            && !matches!(row.state, State::Absent)
        {
            handlers[number] = Some(row.handler);
        }
        number += 1;
    }
    handlers
}

/// What answers call `number`, where it is there.
pub(super) fn handler(number: usize) -> Option<Handler> {
    HANDLERS.get(number).copied().flatten()
}

/// The row for `number`.
#[must_use]
pub fn lookup(number: usize) -> Option<&'static Row> {
    TABLE.get(number).and_then(Option::as_ref)
}
