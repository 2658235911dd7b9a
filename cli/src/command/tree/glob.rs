//! Patterns for paths: `*`, `?` and `[…]` within a name, `**` for any number of directories.

use super::collect::{Collector, Found, child, components};
use crate::failure::Failure;
use std::collections::BTreeSet;

/// The paths below the collector's root that match `pattern`, in byte order.
///
/// Links to directories are followed, except by `**`.
pub(super) fn expand(collector: &Collector, pattern: &[u8]) -> Result<BTreeSet<Vec<u8>>, Failure> {
    let pattern: Vec<&[u8]> = components(pattern).collect();
    let mut found = BTreeSet::new();
    step(collector, b"/", &pattern, &mut found)?;
    Ok(found)
}

fn step(
    collector: &Collector,
    at: &[u8],
    pattern: &[&[u8]],
    found: &mut BTreeSet<Vec<u8>>,
) -> Result<(), Failure> {
    let Some((first, rest)) = pattern.split_first() else {
        found.insert(at.to_vec());
        return Ok(());
    };
    if *first == b"**" {
        step(collector, at, rest, found)?;
        for name in names(collector, at)? {
            let next = child(at, &name);
            if is_plain_directory(collector, at, &name)? {
                step(collector, &next, pattern, found)?;
            } else if rest.is_empty() {
                found.insert(next);
            }
        }
    } else if is_literal(first) {
        if collector.has(at, first)? {
            step(collector, &child(at, first), rest, found)?;
        }
    } else {
        for name in names(collector, at)? {
            // As in shells, hidden names must be asked for.
            let hidden = name.starts_with(b".") && !first.starts_with(b".");
            if !hidden && matches(first, &name) {
                step(collector, &child(at, &name), rest, found)?;
            }
        }
    }
    Ok(())
}

fn names(collector: &Collector, at: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    match collector.look_up(at)? {
        Found::Directory(directory) => collector.names(&directory),
        _ => Ok(Vec::new()),
    }
}

/// Whether `name` in `at` is a directory and not a link to one.
fn is_plain_directory(collector: &Collector, at: &[u8], name: &[u8]) -> Result<bool, Failure> {
    let Found::Directory(directory) = collector.look_up(at)? else {
        return Ok(false);
    };
    let path = child(&directory, name);
    // Only a link would lead anywhere else.
    Ok(matches!(collector.look_up(&path)?, Found::Directory(end) if end == path))
}

fn is_literal(name: &[u8]) -> bool {
    !name.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Whether `name` matches the pattern of one component.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Going back to the last `*` is enough: a longer match of an earlier one gains nothing.
    let (mut p, mut n) = (pattern, name);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some(rest) = p.strip_prefix(b"*") {
            retry = Some((rest, n));
            p = rest;
            continue;
        }
        match (n.split_first(), take(p)) {
            (None, _) if p.is_empty() => return true,
            (Some((byte, after)), Some((item, rest))) if item.accepts(*byte) => {
                (p, n) = (rest, after);
            }
            _ => match retry {
                Some((rest, from)) if !from.is_empty() => {
                    let from = from.get(1..).unwrap_or_default();
                    retry = Some((rest, from));
                    (p, n) = (rest, from);
                }
                _ => return false,
            },
        }
    }
}

/// What stands for one byte.
enum Item<'a> {
    Any,
    Byte(u8),
    Set { ranges: &'a [u8], negated: bool },
}

impl Item<'_> {
    fn accepts(&self, byte: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Byte(own) => *own == byte,
            Self::Set { ranges, negated } => {
                let mut rest = *ranges;
                let mut inside = false;
                while let Some((first, tail)) = rest.split_first() {
                    if let [b'-', last, tail @ ..] = tail {
                        inside |= (*first..=*last).contains(&byte);
                        rest = tail;
                    } else {
                        inside |= *first == byte;
                        rest = tail;
                    }
                }
                inside != *negated
            }
        }
    }
}

fn take(pattern: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (first, rest) = pattern.split_first()?;
    let item = match first {
        b'?' => Item::Any,
        b'[' => {
            let negated = rest.starts_with(b"!") || rest.starts_with(b"^");
            let body = rest.get(usize::from(negated)..).unwrap_or_default();
            // A `]` that comes first is a member of the set.
            let end = body.iter().skip(1).position(|&byte| byte == b']');
            let Some(end) = end.map(|end| end + 1) else {
                return Some((Item::Byte(b'['), rest));
            };
            let ranges = body.get(..end).unwrap_or_default();
            let after = body.get(end + 1..).unwrap_or_default();
            return Some((Item::Set { ranges, negated }, after));
        }
        other => Item::Byte(*other),
    };
    Some((item, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_shells() {
        for (pattern, yes, no) in [
            ("*.so*", &["a.so", ".so", "a.so.1"][..], &["aso", "a.s"][..]),
            ("lib?.so", &["liba.so"], &["lib.so", "libab.so"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x", "-x"]),
            ("[!a-c]x", &["dx"], &["ax"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("[a", &["[a"], &["a"]),
            ("a*b*c", &["abc", "aXbYbc"], &["ab", "acb"]),
            ("*", &["", "anything"], &[]),
        ] {
            for name in yes {
                assert!(
                    matches(pattern.as_bytes(), name.as_bytes()),
                    "{pattern} {name}"
                );
            }
            for name in no {
                assert!(
                    !matches(pattern.as_bytes(), name.as_bytes()),
                    "{pattern} {name}"
                );
            }
        }
    }
}
