//! The ordered map of areas: pure bookkeeping, which changes nothing on the host.

use super::area::Area;
use alloc::{collections::BTreeMap, vec::Vec};
use core::ops::Range;

/// Areas by address, without overlap; adjacent areas that are alike are one.
#[derive(Clone, Default)]
pub struct AreaMap {
    areas: BTreeMap<usize, Area>,
    total: usize,
    search: Search,
}

/// Where the search for free addresses goes on.
///
/// Every gap between `from` and the top of the window is at most `skipped` bytes long, so that a
/// longer range need not be looked for there.
#[derive(Clone, Copy, Default)]
struct Search {
    window: (usize, usize),
    from: usize,
    skipped: usize,
}

impl AreaMap {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of all areas.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.total
    }

    /// All areas in order.
    pub fn iter(&self) -> impl Iterator<Item = &Area> {
        self.areas.values()
    }

    /// The area that holds `address`.
    #[must_use]
    pub fn at(&self, address: usize) -> Option<&Area> {
        let (_, area) = self.areas.range(..=address).next_back()?;
        (area.end > address).then_some(area)
    }

    /// The areas that meet `range`, in order, whole.
    pub fn overlapping(&self, range: Range<usize>) -> impl Iterator<Item = &Area> {
        let first = self.at(range.start).map_or(range.start, |area| area.start);
        // A reversed range would be refused by the tree with a panic.
        self.areas
            .range(first..range.end.max(first))
            .map(|(_, area)| area)
    }

    /// The parts of areas that lie within `range`, in order.
    #[must_use]
    pub fn parts(&self, range: Range<usize>) -> Vec<Area> {
        self.overlapping(range.clone())
            .filter_map(|area| area.clipped(&range))
            .collect()
    }

    /// Whether nothing is in `range`.
    #[must_use]
    pub fn is_free(&self, range: Range<usize>) -> bool {
        self.overlapping(range).next().is_none()
    }

    /// The first address of `range` where nothing is.
    #[must_use]
    pub fn first_hole(&self, range: Range<usize>) -> Option<usize> {
        let mut at = range.start;
        for area in self.overlapping(range.clone()) {
            if area.start > at {
                return Some(at);
            }
            at = area.end;
        }
        (at < range.end).then_some(at)
    }

    /// Adds an area where nothing is, joining it with its neighbours where they are alike.
    pub fn insert(&mut self, area: Area) {
        debug_assert!(!area.is_empty() && self.is_free(area.range()));
        let mut area = area;
        self.total += area.len();
        if let Some((&start, before)) = self.areas.range_mut(..area.start).next_back()
            && before.continues_in(&area)
        {
            before.end = area.end;
            area = before.clone();
            self.areas.remove(&start);
        }
        if let Some(after) = self.areas.get(&area.end)
            && area.continues_in(after)
        {
            let end = after.end;
            self.areas.remove(&area.end);
            area.end = end;
        }
        self.areas.insert(area.start, area);
    }

    /// Removes everything in `range` and returns it; the caller drops it after releasing its lock.
    #[must_use = "what areas keep alive must be dropped outside of the lock"]
    pub fn take(&mut self, range: Range<usize>) -> Vec<Area> {
        let taken = self.extract(range.clone());
        self.note_gap(&range);
        taken
    }

    fn extract(&mut self, range: Range<usize>) -> Vec<Area> {
        self.split(range.start);
        self.split(range.end);
        let starts: Vec<usize> = self
            .areas
            .range(range.start..range.end.max(range.start))
            .map(|(&s, _)| s)
            .collect();
        let taken: Vec<Area> = starts
            .iter()
            .filter_map(|start| self.areas.remove(start))
            .collect();
        self.total -= taken.iter().map(Area::len).sum::<usize>();
        taken
    }

    /// Changes every area's part within `range`.
    pub fn change(&mut self, range: Range<usize>, mut change: impl FnMut(&mut Area)) {
        for mut area in self.extract(range) {
            change(&mut area);
            self.insert(area);
        }
    }

    fn split(&mut self, address: usize) {
        if let Some((_, area)) = self.areas.range_mut(..address).next_back()
            && area.end > address
        {
            let upper = area.split_off(address);
            self.areas.insert(address, upper);
        }
    }

    /// The highest free range of `len` bytes within `window` that avoids `barred`, which is not
    /// in the map.
    #[must_use]
    pub fn find_down(
        &mut self,
        len: usize,
        window: Range<usize>,
        barred: &Range<usize>,
    ) -> Option<usize> {
        let known = self.search.window == (window.start, window.end);
        if known && len > self.search.skipped {
            let mut skipped = self.search.skipped;
            let gaps = self.gaps_down(window.start..self.search.from, barred);
            if let Some(found) = descend(gaps, len, &mut skipped) {
                self.search = Search {
                    from: found,
                    skipped,
                    ..self.search
                };
                return Some(found);
            }
        }
        // From the top again: also where an address found before was not used after all.
        let mut skipped = 0;
        let found = descend(self.gaps_down(window.clone(), barred), len, &mut skipped)?;
        self.search = Search {
            window: (window.start, window.end),
            from: found,
            skipped,
        };
        Some(found)
    }

    /// The lowest free range of `len` bytes within `window` that avoids `barred`.
    #[must_use]
    pub fn find_up(
        &self,
        len: usize,
        window: Range<usize>,
        barred: &Range<usize>,
    ) -> Option<usize> {
        let mut at = window.start;
        loop {
            let end = at.checked_add(len).filter(|end| *end <= window.end)?;
            if at < barred.end && end > barred.start {
                at = barred.end;
            } else if let Some(area) = self.overlapping(at..end).next() {
                at = area.end;
            } else {
                return Some(at);
            }
        }
    }

    /// The free ranges within `window`, from the highest to the lowest.
    fn gaps_down<'a>(
        &'a self,
        window: Range<usize>,
        barred: &'a Range<usize>,
    ) -> impl Iterator<Item = Range<usize>> + 'a {
        let mut used = self
            .areas
            .range(..window.end)
            .rev()
            .map(|(_, area)| area.range())
            .peekable();
        let mut barred = Some(barred.clone()).filter(|b| b.start < window.end && b.start < b.end);
        let mut top = window.end;
        core::iter::from_fn(move || {
            if top <= window.start {
                return None;
            }
            // The highest of what is used next: an area, or the barred range.
            let next = match (used.peek(), &barred) {
                (Some(area), Some(b)) if b.start > area.start => barred.take(),
                (None, Some(_)) => barred.take(),
                _ => used.next(),
            };
            let (floor, below) = next.map_or((window.start, window.start), |r| (r.end, r.start));
            let gap = floor.max(window.start).min(top)..top;
            top = below.min(top);
            Some(gap)
        })
    }

    /// Takes account of `range` having become free.
    fn note_gap(&mut self, range: &Range<usize>) {
        if range.end <= self.search.from {
            return;
        }
        let below = self
            .areas
            .range(..range.start)
            .next_back()
            .map_or(0, |(_, area)| area.end);
        let above = self
            .areas
            .range(range.end..)
            .next()
            .map_or(usize::MAX, |(&start, _)| start);
        let gap = below.max(self.search.window.0)..above.min(self.search.window.1);
        self.search.skipped = self.search.skipped.max(gap.len());
    }
}

/// The top of the first gap of at least `len` bytes; `skipped` becomes the longest one passed.
fn descend(
    gaps: impl Iterator<Item = Range<usize>>,
    len: usize,
    skipped: &mut usize,
) -> Option<usize> {
    for gap in gaps {
        if gap.len() >= len {
            // What is left of this gap lies below the address found, where the search goes on.
            return Some(gap.end - len);
        }
        *skipped = (*skipped).max(gap.len());
    }
    None
}
