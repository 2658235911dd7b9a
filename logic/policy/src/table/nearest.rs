//! Which key a typing error meant.

/// The nearest of `candidates` to `text`, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(
    text: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    // Long texts are no typing errors, and the distance costs their product.
    if text.len() > 64 {
        return None;
    }
    let limit = (text.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|candidate| (distance(text, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) that lead from `a` to `b`; case does not count.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], k: usize| row.get(k).copied().unwrap_or(usize::MAX / 2);
            let mut cost = (at(&above, j) + usize::from(x != y))
                .min(at(&above, j + 1) + 1)
                .min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            row.push(cost);
        }
        before = core::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::{TOP, keys};
    use super::nearest;

    #[test]
    fn typing_errors_find_the_key_that_was_meant() {
        let top = || keys(TOP).map(|key| key.name);
        assert_eq!(nearest("serivces", top()), Some("services"));
        assert_eq!(nearest("Name", top()), Some("name"));
        assert_eq!(nearest("secret", top()), Some("secrets"));
        assert_eq!(nearest("hostname", top()), None);
        assert_eq!(nearest(&"a".repeat(1000), top()), None);
    }
}
