//! Where two ELF files differ, in words that help to find the cause.

use std::{path::Path, process::Command};

use crate::{fault::Fault, process, workspace::read};

/// The first place where two ELF files differ. Symbols are compared before bytes: functions in
/// another order change nearly every byte, and only the symbols say so.
///
/// # Errors
/// When a file cannot be read, or binutils do not understand it.
pub(crate) fn difference(first: &Path, second: &Path) -> Result<String, Fault> {
    let (own, other) = (symbols(first)?, symbols(second)?);
    if let Some((own, other)) = mismatch(&own, &other) {
        return Ok(format!("the symbols {own} and {other}"));
    }
    let (own, other) = (sections(first)?, sections(second)?);
    if let Some((own, other)) = mismatch(&own, &other) {
        return Ok(format!("the sections {own} and {other}"));
    }
    let (own_bytes, other_bytes) = (read(first)?, read(second)?);
    let bytes = own_bytes.iter().zip(&other_bytes);
    Ok(
        match bytes.into_iter().position(|(own, other)| own != other) {
            Some(at) => match own.iter().find(|section| section.contains(at)) {
                Some(section) => format!("byte {:#x} of {}", at - section.offset, section.name),
                None => format!("byte {at:#x} of the file, outside of sections"),
            },
            None => format!(
                "lengths of {} and {} bytes",
                own_bytes.len(),
                other_bytes.len()
            ),
        },
    )
}

/// The first elements that differ, as text; one that is missing is said to be.
fn mismatch<T: PartialEq + std::fmt::Display>(own: &[T], other: &[T]) -> Option<(String, String)> {
    let at = (0..own.len().max(other.len())).find(|&at| own.get(at) != other.get(at))?;
    let text = |list: &[T]| list.get(at).map_or_else(|| "none".to_owned(), T::to_string);
    Some((text(own), text(other)))
}

/// Names of symbols in the order of their addresses, with kinds and sizes.
fn symbols(file: &Path) -> Result<Vec<String>, Fault> {
    let mut nm = Command::new("nm");
    nm.args(["--numeric-sort", "--format=posix"]).arg(file);
    Ok(process::output(&mut nm)?
        .lines()
        .map(|line| {
            let mut words = line.split_whitespace();
            let (name, kind) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            // Between them is the address, which follows from all sizes before.
            let size = words.nth(1).unwrap_or("0");
            format!("{name} ({kind}, size {size})")
        })
        .collect())
}

/// A section, as far as it is compared.
struct Section {
    name: String,
    offset: usize,
    size: usize,
    /// Whether the file holds its bytes.
    stored: bool,
}

impl Section {
    /// Reads a line of `readelf --section-headers --wide`: number in brackets, name, type, address,
    /// offset, size and more.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.split_once(']')?;
        let words: Vec<&str> = rest.split_whitespace().collect();
        let &[name, kind, _, offset, size, ..] = words.as_slice() else {
            return None;
        };
        Some(Self {
            name: name.to_owned(),
            offset: usize::from_str_radix(offset, 16).ok()?,
            size: usize::from_str_radix(size, 16).ok()?,
            stored: kind != "NOBITS",
        })
    }

    fn contains(&self, at: usize) -> bool {
        self.stored && at.checked_sub(self.offset).is_some_and(|at| at < self.size)
    }
}

/// Offsets follow from the sizes of the sections before.
impl PartialEq for Section {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.size) == (&other.name, other.size)
    }
}

impl std::fmt::Display for Section {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} (size {:#x})", self.name, self.size)
    }
}

fn sections(file: &Path) -> Result<Vec<Section>, Fault> {
    let mut readelf = Command::new("readelf");
    readelf.args(["--section-headers", "--wide"]).arg(file);
    Ok(process::output(&mut readelf)?
        .lines()
        .filter_map(Section::parse)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let object = |name: &str, text: &str| {
            let (source, object) = (folder.path().join("source.s"), folder.path().join(name));
            std::fs::write(&source, text).unwrap();
            process::run(Command::new("as").arg("-o").arg(&object).arg(&source)).unwrap();
            object
        };
        let one = object("one", "a: ret\nb: nop\nret\n.data\n.byte 1, 2, 3\n");
        for (text, expected) in [
            (
                "b: nop\nret\na: ret\n.data\n.byte 1, 2, 3\n",
                "the symbols a (t, size 0) and b (t, size 0)",
            ),
            (
                "a: ret\nb: nop\nret\n.data\n.byte 1, 2, 3, 4\n",
                "the sections .data (size 0x3) and .data (size 0x4)",
            ),
            (
                "a: ret\nb: nop\nret\n.data\n.byte 1, 9, 3\n",
                "byte 0x1 of .data",
            ),
        ] {
            assert_eq!(difference(&one, &object("other", text)).unwrap(), expected);
        }
    }
}
