//! The map against a naive model: one entry per page.

use super::super::area::{Area, Attributes, Content, Protection};
use super::super::map::AreaMap;
use bannock_platform::PAGE;
use core::ops::Range;
use std::collections::BTreeMap;
use std::vec::Vec;

/// Small generator with a fixed seed (xorshift64*, Vigna 2016), so that a failure repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

const PAGES: usize = 64;
const BASE: usize = 0x1000_0000;

fn area(range: Range<usize>, protection: Protection, object: Option<u64>) -> Area {
    let content = match object {
        Some(object) => Content::SharedMemory { object, offset: 0 },
        None => Content::Anonymous,
    };
    Area {
        start: range.start,
        end: range.end,
        protection,
        limit: Protection::all(),
        content,
        attributes: Attributes::empty(),
        name: "",
    }
}

/// What one page holds: its protection, and for shared memory the object and the offset.
type Page = (Protection, Option<(u64, u64)>);

fn page_of(area: &Area, address: usize) -> Page {
    let shared = match &area.content {
        Content::SharedMemory { object, offset } => {
            Some((*object, offset + (address - area.start) as u64))
        }
        _ => None,
    };
    (area.protection, shared)
}

fn as_pages(map: &AreaMap) -> BTreeMap<usize, Page> {
    let mut pages = BTreeMap::new();
    for area in map.iter() {
        for address in area.range().step_by(PAGE) {
            assert!(
                pages.insert(address, page_of(area, address)).is_none(),
                "areas overlap"
            );
        }
    }
    pages
}

fn check(map: &AreaMap, model: &BTreeMap<usize, Page>) {
    assert_eq!(&as_pages(map), model);
    assert_eq!(map.total(), model.len() * PAGE);
    let areas: Vec<&Area> = map.iter().collect();
    for pair in areas.windows(2) {
        assert!(
            !pair[0].continues_in(pair[1]),
            "adjacent areas that are alike were not joined"
        );
    }
}

#[test]
fn changes_agree_with_a_page_by_page_model() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..60 {
        let mut map = AreaMap::new();
        let mut model = BTreeMap::new();
        for step in 0..120 {
            let from = random.below(PAGES);
            let len = 1 + random.below(PAGES - from);
            let range = BASE + from * PAGE..BASE + (from + len) * PAGE;
            let protection = Protection::from_bits_truncate(random.below(4) as u32);
            match random.below(4) {
                0 | 1 => {
                    let object = (random.below(3) == 0).then_some(round * 1000 + step);
                    drop(map.take(range.clone()));
                    let new = area(range.clone(), protection, object);
                    for address in range.step_by(PAGE) {
                        model.insert(address, page_of(&new, address));
                    }
                    map.insert(new);
                }
                2 => {
                    drop(map.take(range.clone()));
                    model.retain(|address, _| !range.contains(address));
                }
                _ => {
                    map.change(range.clone(), |area| area.protection = protection);
                    for (_, page) in model.range_mut(range) {
                        page.0 = protection;
                    }
                }
            }
            check(&map, &model);
        }
    }
}

#[test]
fn the_highest_free_range_is_found() {
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    let window = BASE..BASE + PAGES * PAGE;
    for round in 0..200 {
        // In some rounds addresses are not used, as when the host refuses a mapping; they may then
        // be passed over for a while, but what fits is found all the same.
        let refusals = round % 4 == 0;
        let mut map = AreaMap::new();
        let barred_from = random.below(PAGES);
        let barred = BASE + barred_from * PAGE..BASE + (barred_from + 1 + random.below(4)) * PAGE;
        for _ in 0..80 {
            if random.below(3) == 0 {
                let from = random.below(PAGES);
                let range =
                    BASE + from * PAGE..BASE + (from + 1 + random.below(PAGES - from)) * PAGE;
                drop(map.take(range));
                continue;
            }
            let len = (1 + random.below(5)) * PAGE;
            let free = map.clone();
            let fits = |start: &usize| {
                let range = *start..*start + len;
                free.is_free(range.clone())
                    && (range.end <= barred.start || range.start >= barred.end)
            };
            let starts = (window.start..window.end - len + PAGE).step_by(PAGE);
            let expected = (starts.clone().rev().find(fits), starts.clone().find(fits));
            let low = map.find_up(len, window.clone(), &barred);
            let found = map.find_down(len, window.clone(), &barred);
            assert_eq!(low, expected.1);
            if refusals {
                assert_eq!(found.is_some(), expected.0.is_some());
                assert!(found.is_none_or(|start| fits(&start)));
            } else {
                assert_eq!(found, expected.0);
            }
            if let Some(start) = found
                && !(refusals && random.below(3) == 0)
            {
                map.insert(area(start..start + len, Protection::READ, None));
            }
        }
    }
}

#[test]
fn holes_are_found() {
    let mut map = AreaMap::new();
    map.insert(area(BASE..BASE + PAGE, Protection::READ, None));
    map.insert(area(
        BASE + 2 * PAGE..BASE + 3 * PAGE,
        Protection::READ,
        None,
    ));
    assert_eq!(map.first_hole(BASE..BASE + PAGE), None);
    assert_eq!(map.first_hole(BASE..BASE + 3 * PAGE), Some(BASE + PAGE));
    assert_eq!(
        map.first_hole(BASE + 2 * PAGE..BASE + 4 * PAGE),
        Some(BASE + 3 * PAGE)
    );
    assert_eq!(map.first_hole(BASE - PAGE..BASE + PAGE), Some(BASE - PAGE));
}
