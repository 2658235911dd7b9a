//! Where things go in an address space.

use bannock_platform::{Errno, Layout, PAGE, host, page_floor, platform};
use core::ops::Range;

/// Bytes of a huge page.
pub(super) const HUGE_PAGE: usize = bannock_platform::cache::HUGE_PAGE as usize;

/// Addresses at the top of the program's part that stay free of it: the host puts its own stack
/// and shared pages of the process there.
const TOP_GAP: usize = 1 << 40;
/// Spread of the stack in bytes (Linux `STACK_RND_MASK` on x86-64: 22 bits of pages).
const STACK_SPREAD: usize = 1 << 34;
/// Spread of mappings and of position-independent programs in bytes (Linux `mmap_rnd_bits`: 28
/// bits of pages).
const SPREAD: usize = 1 << 40;
/// Room for the stack below its top, guard included.
const STACK_ROOM: usize = 1 << 30;
/// Where position-independent programs go, before randomisation (Linux `ELF_ET_DYN_BASE` is two
/// thirds of the address space).
const PROGRAM_BASE: usize = 0x5555_5555_4000;
/// Largest gap between a program and its heap in bytes (Linux `arch_randomize_brk`: 32 MiB).
const HEAP_SPREAD: usize = 32 << 20;

/// The random choices of one address space, made when it is created.
#[derive(Clone, Debug)]
pub struct Placement {
    /// Addresses that programs may use.
    pub window: Range<usize>,
    /// Addresses in between that belong to the runtime.
    pub barred: Range<usize>,
    /// First address after those that mappings are placed at, top-down.
    pub mapping_top: usize,
    /// First address after the stack.
    pub stack_top: usize,
    /// Where position-independent programs go.
    pub program_base: usize,
    /// Distance in bytes from the end of the program to the heap.
    pub heap_gap: usize,
}

impl Placement {
    /// Random choices within the platform's layout.
    ///
    /// # Errors
    /// What the host's random generator said.
    pub fn random() -> Result<Self, Errno> {
        let layout = platform().layout();
        let top = layout.user_end.saturating_sub(TOP_GAP);
        let stack_top = top - random_below(STACK_SPREAD)?;
        let program_base = PROGRAM_BASE + random_below(SPREAD)?;
        let mapping_top = stack_top - STACK_ROOM - random_below(SPREAD)?;
        let mut placement = Self {
            window: layout.user_start..layout.user_end,
            barred: layout.kernel_start..layout.kernel_end,
            mapping_top,
            stack_top,
            program_base,
            heap_gap: random_below(HEAP_SPREAD)?,
        };
        placement.avoid(layout);
        Ok(placement)
    }

    /// Moves stack and mappings below the runtime's regions where they would meet them.
    fn avoid(&mut self, layout: &Layout) {
        let stack = self.stack_top.saturating_sub(STACK_ROOM)..self.stack_top;
        if stack.start < layout.kernel_end && stack.end > layout.kernel_start {
            self.stack_top = layout.kernel_start;
            self.mapping_top = self
                .mapping_top
                .min(layout.kernel_start.saturating_sub(STACK_ROOM));
        }
    }

    /// No addresses at all: nothing can be mapped.
    #[must_use]
    pub const fn nowhere() -> Self {
        Self {
            window: 0..0,
            barred: 0..0,
            mapping_top: 0,
            stack_top: 0,
            program_base: 0,
            heap_gap: 0,
        }
    }

    /// Whether `range` lies in the program's part.
    #[must_use]
    pub fn admits(&self, range: &Range<usize>) -> bool {
        let outside = range.start < self.window.start || range.end > self.window.end;
        let meets = range.start < self.barred.end && range.end > self.barred.start;
        range.start <= range.end && !outside && !meets
    }
}

/// A random multiple of the page size below `limit`, a power of two.
fn random_below(limit: usize) -> Result<usize, Errno> {
    debug_assert!(limit.is_power_of_two() && limit >= PAGE);
    let mut bytes = [0; 8];
    host::random(&mut bytes)?;
    Ok(page_floor(usize::from_le_bytes(bytes) & (limit - 1)))
}
