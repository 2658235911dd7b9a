//! The table at the end: tried, expected, seen.

/// One line.
struct Row {
    tried: String,
    expected: String,
    seen: String,
}

impl Row {
    fn is_as_expected(&self) -> bool {
        self.expected == self.seen
    }
}

/// All lines.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds a line, shows it, and says whether it is as expected.
    pub(super) fn row(
        &mut self,
        tried: &str,
        expected: impl Into<String>,
        seen: impl Into<String>,
    ) -> bool {
        let row = Row {
            tried: tried.into(),
            expected: expected.into(),
            seen: seen.into(),
        };
        let is_as_expected = row.is_as_expected();
        if is_as_expected {
            println!("  ok   {}", row.tried);
        } else {
            println!("  NOT AS EXPECTED   {}: {}", row.tried, row.seen);
        }
        self.rows.push(row);
        is_as_expected
    }

    /// How many lines are not as expected.
    pub(super) fn wrong(&self) -> usize {
        self.rows.iter().filter(|row| !row.is_as_expected()).count()
    }

    /// Prints all lines.
    pub(super) fn print(&self) {
        let width = |column: fn(&Row) -> &str| {
            let cells = self.rows.iter().map(|row| column(row).chars().count());
            cells.max().unwrap_or(0)
        };
        let (tried, expected) = (width(|row| &row.tried), width(|row| &row.expected));
        println!("\n{:<tried$}  {:<expected$}  seen", "tried", "expected");
        for row in &self.rows {
            println!(
                "{:<tried$}  {:<expected$}  {}",
                row.tried, row.expected, row.seen
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_in_any_row_counts() {
        let mut table = Table::default();
        assert!(table.row("a", "x", "x"));
        assert_eq!(table.wrong(), 0);
        assert!(!table.row("b", "x", "xy"));
        assert_eq!(table.wrong(), 1);
    }
}
