//! Changes of the map and of the host's mappings, together.

use super::area::{Area, Attributes, Content, FileInfo, Protection};
use super::space::{Inner, Request, Source};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{
    Errno, PAGE,
    memory::{self, Backing},
};
use core::ops::Range;
use linux_raw_sys::general as raw;

/// Bytes from which on private memory gets huge pages (16 MiB): more than a thread's stack, and so
/// much that what an untouched rest of a huge page wastes does not count.
pub(super) const WORTH_HUGE_PAGES: usize = 16 << 20;

/// A part of a mapping with a backing of its own.
pub(super) struct Piece {
    area: Area,
    backing: Option<Backing>,
}

/// How the host is to map `range` for `request`: one piece, or two where the file ends in between.
pub(super) fn pieces(
    range: &Range<usize>,
    request: &Request<'_>,
    next_object: &mut u64,
) -> Result<Vec<Piece>, Errno> {
    let area = |range: Range<usize>, limit, content, attributes| Area {
        start: range.start,
        end: range.end,
        protection: request.protection,
        limit,
        content,
        attributes: request.attributes | attributes,
        name: request.name,
    };
    let (file, offset) = match request.source {
        Source::Anonymous => {
            let content = if request.shared {
                let object = *next_object;
                *next_object = object.saturating_add(1);
                Content::SharedMemory { object, offset: 0 }
            } else {
                Content::Anonymous
            };
            let backing = Some(Backing::Anonymous {
                shared: request.shared,
            });
            let area = area(
                range.clone(),
                Protection::all(),
                content,
                Attributes::empty(),
            );
            return Ok(alloc::vec![Piece { area, backing }]);
        }
        Source::File(file, offset) => (file, offset),
    };
    let writable = request.protection.contains(Protection::WRITE);
    // Asked even where no byte is shown: it is the file that knows whether it may be mapped.
    let mapped = file.mapped(offset, range.len(), request.shared, writable)?;
    let backed = mapped.backed.map(|end| end & !(PAGE as u64 - 1));
    let within = backed.map_or(u64::MAX, |end| end.saturating_sub(offset));
    let first = range
        .len()
        .min(usize::try_from(within).unwrap_or(usize::MAX));
    let mut limit = Protection::all();
    if request.shared && !file.is_writable() {
        limit.remove(Protection::WRITE);
    }
    let (device, inode) = file.identity();
    let info = Arc::new(FileInfo {
        pin: mapped.pin,
        key: file.key(),
        path: file.shown_path(),
        device,
        inode,
        backed,
    });
    let content = |offset| Content::File {
        info: Arc::clone(&info),
        offset,
        shared: request.shared,
    };
    let history = if writable && !request.shared {
        Attributes::WAS_WRITABLE
    } else {
        Attributes::empty()
    };
    let middle = range.start + first;
    let mut pieces = Vec::new();
    if first > 0 {
        let area = area(range.start..middle, limit, content(offset), history);
        pieces.push(Piece {
            area,
            backing: Some(mapped.backing),
        });
    }
    if middle < range.end {
        let area = area(
            middle..range.end,
            limit,
            content(offset + first as u64),
            history | Attributes::PAST_END,
        );
        pieces.push(Piece {
            area,
            backing: None,
        });
    }
    Ok(pieces)
}

impl Inner {
    /// Checks the limits for `range` being mapped additionally to what is outside of it.
    pub(super) fn check_growth(&self, range: &Range<usize>) -> Result<(), Errno> {
        let replaced: usize = self.map.parts(range.clone()).iter().map(Area::len).sum();
        let total = (self.map.total() - replaced).saturating_add(range.len());
        if total as u64 > self.limits.address_space {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        }
    }

    /// Maps the pieces on the host and records them; returns what they replaced.
    pub(super) fn install(
        &mut self,
        range: &Range<usize>,
        request: &Request<'_>,
        pieces: Vec<Piece>,
    ) -> Result<Vec<Area>, Errno> {
        let mut flags = 0;
        if request.attributes.contains(Attributes::NO_RESERVE) {
            flags |= raw::MAP_NORESERVE;
        }
        for (index, piece) in pieces.iter().enumerate() {
            let pages = memory::Range::new(piece.area.start, piece.area.len())?;
            let mapped = match piece.backing {
                Some(backing) => memory::map(pages, request.protection.bits(), backing, flags),
                None => no_access(pages),
            };
            if let Err(error) = mapped {
                if index > 0 {
                    // What was there is gone, so the map must not show it any longer.
                    memory::unmap(memory::Range::new(range.start, range.len())?)?;
                    drop(self.map.take(range.clone()));
                }
                return Err(error);
            }
            if is_worth_huge_pages(&piece.area) {
                // Advice: without, pages are small.
                let _ = memory::advise(pages, raw::MADV_HUGEPAGE);
            }
        }
        let replaced = self.map.take(range.clone());
        self.forget_locked(&replaced);
        for mut piece in pieces {
            if self.lock_future || piece.area.attributes.contains(Attributes::LOCKED) {
                piece.area.attributes.insert(Attributes::LOCKED);
                self.locked += piece.area.len();
            }
            self.map.insert(piece.area);
        }
        Ok(replaced)
    }

    /// Unmaps the program's pages in `range` and appends what they were to `removed`.
    pub(super) fn remove(
        &mut self,
        range: &Range<usize>,
        removed: &mut Vec<Area>,
    ) -> Result<(), Errno> {
        let kept = self.map.parts(range.clone());
        let mut kept = kept
            .iter()
            .filter(|area| area.is_runtime())
            .map(Area::range);
        let mut start = range.start;
        loop {
            let hole = kept.next();
            let end = hole.as_ref().map_or(range.end, |hole| hole.start);
            if start < end {
                if !self.map.is_free(start..end) {
                    memory::unmap(memory::Range::new(start, end - start)?)?;
                }
                let mut areas = self.map.take(start..end);
                self.forget_locked(&areas);
                removed.append(&mut areas);
            }
            match hole {
                Some(hole) => start = hole.end,
                None => return Ok(()),
            }
        }
    }

    pub(super) fn forget_locked(&mut self, areas: &[Area]) {
        let locked = areas
            .iter()
            .filter(|a| a.attributes.contains(Attributes::LOCKED))
            .map(Area::len);
        self.locked = self.locked.saturating_sub(locked.sum());
    }

    /// Applies `protection` to `range`; `code` gets the parts of files that became executable.
    pub(super) fn protect(
        &mut self,
        range: &Range<usize>,
        protection: Protection,
        code: &mut Vec<Area>,
    ) -> Result<(), Errno> {
        let hole = self.map.first_hole(range.clone()).unwrap_or(range.end);
        for part in self.map.parts(range.start..hole) {
            if part.is_runtime() {
                return Err(Errno::ENOMEM);
            }
            if !part.limit.contains(protection) {
                return Err(Errno::EACCES);
            }
            if part.protection == protection {
                continue;
            }
            // Pages after the end of a file stay out of reach.
            if !part.attributes.contains(Attributes::PAST_END) {
                memory::protect(
                    memory::Range::new(part.start, part.len())?,
                    protection.bits(),
                )?;
            }
            let private_file = matches!(part.content, Content::File { shared: false, .. });
            self.map.change(part.range(), |area| {
                area.protection = protection;
                if private_file && protection.contains(Protection::WRITE) {
                    area.attributes.insert(Attributes::WAS_WRITABLE);
                }
            });
            let pristine = !part
                .attributes
                .intersects(Attributes::WAS_WRITABLE | Attributes::PAST_END);
            let readable = Protection::READ | Protection::EXEC;
            if private_file
                && pristine
                && protection == readable
                && !part.protection.contains(Protection::EXEC)
            {
                code.push(Area { protection, ..part });
            }
        }
        if hole < range.end {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        }
    }
}

/// Whether a new mapping gets huge pages without being asked for: what is this large and is not
/// announced to stay sparse is a pool or a heap that a program spends its time in.
fn is_worth_huge_pages(area: &Area) -> bool {
    area.len() >= WORTH_HUGE_PAGES
        && matches!(area.content, Content::Anonymous)
        && area.protection.contains(Protection::WRITE)
        && !area.attributes.contains(Attributes::NO_RESERVE)
}

/// Maps pages that nobody can access.
pub(super) fn no_access(pages: memory::Range) -> Result<(), Errno> {
    memory::map(
        pages,
        raw::PROT_NONE,
        Backing::Anonymous { shared: false },
        raw::MAP_NORESERVE,
    )
}
