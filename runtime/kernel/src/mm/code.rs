//! Executable mappings of files, whose system calls the platform redirects.

use super::area::{Area, Attributes, Content, Protection};
use super::space::{AddressSpace, Request, Source};
use alloc::vec::Vec;
use bannock_platform::{CodeMapping, Errno, FileBytes, page_ceil, platform, user::UserSlice};
use core::ops::Range;

impl AddressSpace {
    /// Reserves `len` bytes within `near` for the runtime, out of the program's reach.
    ///
    /// Nothing is mapped there yet; the caller, a platform that places trampolines, does that.
    pub fn reserve_near(&self, near: Range<usize>, len: usize) -> Option<Range<usize>> {
        let len = page_ceil(len)?;
        let window =
            near.start.max(self.placement.window.start)..near.end.min(self.placement.window.end);
        let mut inner = self.lock();
        let start = inner.map.find_up(len, window, &self.placement.barred)?;
        let range = start..start.checked_add(len)?;
        inner.map.insert(Area {
            start: range.start,
            end: range.end,
            protection: Protection::READ | Protection::EXEC,
            limit: Protection::READ | Protection::EXEC,
            content: Content::Runtime,
            attributes: Attributes::empty(),
            name: "[trampolines]",
        });
        Some(range)
    }

    /// Gives back a range from [`Self::reserve_near`] in which nothing is mapped.
    pub fn release(&self, range: Range<usize>) {
        let mut inner = self.lock();
        if inner.map.parts(range.clone()).iter().all(Area::is_runtime) {
            let _ = inner.map.take(range);
        }
    }

    /// Has system calls redirected in a file that was just mapped executable.
    pub(super) fn redirect_new(&self, range: &Range<usize>, request: &Request<'_>) {
        let Source::File(file, offset) = request.source else {
            return;
        };
        let Some(key) = file.key() else { return };
        let within = file.len().saturating_sub(offset);
        let len = range
            .len()
            .min(usize::try_from(within).unwrap_or(usize::MAX));
        if len > 0 {
            self.redirect(
                range.start,
                len,
                offset,
                request.protection.bits(),
                key,
                file,
            );
        }
    }

    /// Has system calls redirected in a part of a file area that just became executable.
    ///
    /// The file may be closed by now, so it is read where it is mapped.
    pub(super) fn redirect_mapped(&self, part: &Area) {
        let Content::File {
            info,
            offset,
            shared: false,
        } = &part.content
        else {
            return;
        };
        let Some(key) = info.key else { return };
        let file = MappedBytes { space: self, key };
        self.redirect(
            part.start,
            part.len(),
            *offset,
            part.protection.bits(),
            key,
            &file,
        );
    }

    /// Has the platform redirect the system calls of one mapping.
    fn redirect(
        &self,
        address: usize,
        len: usize,
        file_offset: u64,
        protection: u32,
        key: u128,
        file: &dyn FileBytes,
    ) {
        let reserve =
            |near: Range<usize>, len| self.reserve_near(near, len).map(|range| range.start);
        let reserve = &reserve;
        platform().code_mapped(&CodeMapping {
            address,
            len,
            file_offset,
            protection,
            key,
            file,
            reserve,
        });
    }
}

/// A file, read where a program has it mapped and never had the chance to change it.
struct MappedBytes<'a> {
    space: &'a AddressSpace,
    key: u128,
}

impl MappedBytes<'_> {
    /// Each trustworthy area of the file: its offset in the file, address, length.
    fn areas(&self) -> Vec<(u64, usize, usize)> {
        let inner = self.space.lock();
        let pristine = |area: &&Area| {
            let changed = Attributes::PAST_END | Attributes::WAS_WRITABLE;
            !area.attributes.intersects(changed) && area.protection.contains(Protection::READ)
        };
        let place = |area: &Area| match &area.content {
            Content::File {
                info,
                offset,
                shared: false,
            } if info.key == Some(self.key) => Some((*offset, area.start, area.len())),
            _ => None,
        };
        inner
            .map
            .iter()
            .filter(pristine)
            .filter_map(place)
            .collect()
    }
}

impl FileBytes for MappedBytes<'_> {
    fn len(&self) -> u64 {
        self.areas()
            .iter()
            .map(|(offset, _, len)| offset.saturating_add(*len as u64))
            .max()
            .unwrap_or(0)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Errno> {
        let wanted = into.len() as u64;
        for (from, address, len) in self.areas() {
            let Some(skip) = offset.checked_sub(from) else {
                continue;
            };
            if skip
                .checked_add(wanted)
                .is_some_and(|end| end <= len as u64)
            {
                let at = address + skip as usize;
                let slice = UserSlice::new(at, into.len())?;
                return slice.read(into).map_err(|_| Errno::EIO);
            }
        }
        Err(Errno::EIO)
    }
}
