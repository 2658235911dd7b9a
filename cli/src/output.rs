//! What commands print: results to standard output as a table or JSON, everything else to standard
//! error.

use crate::failure::Failure;
use serde::Serialize;
use std::io::{self, Write};

/// A result that a command prints.
pub(crate) trait Report: Serialize {
    /// The result for people; JSON comes from [`Serialize`].
    fn table(&self) -> Table;
}

/// Rows of cells; the first row may be a heading.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a row.
    pub(crate) fn row<S: Into<String>>(mut self, cells: impl IntoIterator<Item = S>) -> Self {
        self.rows.push(cells.into_iter().map(Into::into).collect());
        self
    }

    /// The table with aligned columns, one line per row.
    fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Where results go, and in which form.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// Results as JSON or as tables.
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether results are wanted as JSON.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a result.
    pub(crate) fn show(&self, report: &impl Report) -> Result<(), Failure> {
        if self.json {
            self.bytes(format!("{}\n", serde_json::to_string_pretty(report)?).as_bytes())
        } else {
            self.bytes(report.table().render().as_bytes())
        }
    }

    /// Writes bytes as they are: results that are files of their own.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            // The reader took what it wanted, as in `bannock … | head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }
}

/// Says something that is not a result. A closed standard error stops nobody.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_space() {
        let table = Table::new().row(["a", "long cell", "x"]).row(["bbb", "c"]);
        assert_eq!(table.render(), "a    long cell  x\nbbb  c\n");
    }
}
