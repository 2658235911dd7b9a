//! The stack that a program starts with (System V AMD64 ABI, 3.4.1).

use super::area::{Attributes, Protection};
use super::loader::Loaded;
use super::space::{AddressSpace, Place, Request};
use alloc::vec::Vec;
use bannock_platform::{Errno, PAGE, Registers, host, page_ceil, user::UserSlice};
use linux_raw_sys::auxvec as aux;

/// Largest stack in bytes whatever the limit says; it is mapped whole, as it does not grow.
const MAX_STACK: usize = 64 << 20;
/// Smallest stack in bytes.
const MIN_STACK: usize = 128 << 10;
/// Pages below the stack that stay inaccessible, in bytes (Linux `stack_guard_gap`).
const GUARD: usize = 256 * PAGE;
/// Longest single argument or variable in bytes (Linux `MAX_ARG_STRLEN`).
const MAX_STRING: usize = 32 * PAGE;
/// Most bytes of arguments and environment whatever the stack's size (Linux: three quarters of
/// `_STK_LIM`).
const MAX_STRINGS: usize = 6 << 20;

/// Values for the auxiliary vector that others know.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuxiliaryValues {
    /// User id (`AT_UID`, `AT_EUID`).
    pub user: u32,
    /// Group id (`AT_GID`, `AT_EGID`).
    pub group: u32,
    /// `AT_HWCAP`: EDX of CPUID leaf 1.
    pub hwcap: usize,
    /// `AT_HWCAP2`.
    pub hwcap2: usize,
    /// `AT_MINSIGSTKSZ`: bytes that a signal frame needs.
    pub min_signal_stack: usize,
}

/// What a program is started with.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// Arguments, without NULs.
    pub arguments: &'a [Vec<u8>],
    /// Environment, as `NAME=value`.
    pub environment: &'a [Vec<u8>],
    /// Path that was executed (`AT_EXECFN`).
    pub path: &'a [u8],
    /// Values for the auxiliary vector.
    pub values: AuxiliaryValues,
    /// `RLIMIT_STACK` in bytes.
    pub stack_limit: u64,
}

impl Start<'_> {
    /// Bytes of the stack to be mapped.
    fn stack_len(&self) -> usize {
        let limit = usize::try_from(self.stack_limit).unwrap_or(MAX_STACK);
        page_ceil(limit.clamp(MIN_STACK, MAX_STACK)).unwrap_or(MAX_STACK)
    }

    /// Checks that arguments and environment fit; to be called while the old program still runs.
    ///
    /// # Errors
    /// `E2BIG`.
    pub fn check(&self) -> Result<(), Errno> {
        let limit = MAX_STRINGS.min(self.stack_len() / 4).max(MAX_STRING);
        let mut total = self.path.len().saturating_add(1);
        for string in self.arguments.iter().chain(self.environment) {
            if string.len() >= MAX_STRING {
                return Err(Errno::E2BIG);
            }
            // A pointer for each string counts too.
            total = total.saturating_add(string.len() + 1 + size_of::<usize>());
        }
        if total > limit {
            Err(Errno::E2BIG)
        } else {
            Ok(())
        }
    }

    /// Maps the stack of a loaded program and fills it; returns the registers to start with.
    ///
    /// # Errors
    /// `E2BIG` as [`Self::check`], `ENOMEM` where there is no room, and what the host said.
    pub fn build(&self, space: &AddressSpace, loaded: &Loaded) -> Result<Registers, Errno> {
        self.check()?;
        let top = space.placement.stack_top;
        let len = self.stack_len();
        let bottom = top.checked_sub(len).ok_or(Errno::ENOMEM)?;
        let mut protection = Protection::READ | Protection::WRITE;
        protection.set(Protection::EXEC, loaded.executable_stack);
        let stack = Request::anonymous(Place::Free(bottom), len);
        let attributes = Attributes::NO_RESERVE | Attributes::GROWS_DOWN;
        space.map(&Request {
            protection,
            attributes,
            name: "[stack]",
            ..stack
        })?;
        let guard = Request::anonymous(Place::Free(bottom.saturating_sub(GUARD)), GUARD);
        space.map(&Request {
            protection: Protection::empty(),
            attributes: Attributes::NO_RESERVE,
            ..guard
        })?;
        let mut random = [0; 16];
        host::random(&mut random)?;
        let (rsp, image) = self.image(top, loaded, &random)?;
        UserSlice::new(rsp, image.len())?.write(&image)?;
        Ok(Registers {
            rip: loaded.start,
            rsp,
            rflags: 0x202,
            ..Registers::default()
        })
    }

    /// The filled part of a stack that ends at `top`: its address and bytes.
    fn image(
        &self,
        top: usize,
        loaded: &Loaded,
        random: &[u8; 16],
    ) -> Result<(usize, Vec<u8>), Errno> {
        // Strings first, from their lowest address on; Linux leaves a null word above them.
        let mut strings = Strings::default();
        let platform = strings.push(b"x86_64");
        let random = strings.push_raw(random);
        let arguments: Vec<usize> = self.arguments.iter().map(|s| strings.push(s)).collect();
        let environment: Vec<usize> = self.environment.iter().map(|s| strings.push(s)).collect();
        let path = strings.push(self.path);
        strings.push_raw(&[0; size_of::<usize>()]);
        let base = top.checked_sub(strings.bytes.len()).ok_or(Errno::ENOMEM)?;

        let values = &self.values;
        let auxiliary = [
            (aux::AT_HWCAP, values.hwcap),
            (aux::AT_PAGESZ, PAGE),
            (aux::AT_CLKTCK, 100),
            (aux::AT_PHDR, loaded.program_headers),
            (aux::AT_PHENT, 56),
            (aux::AT_PHNUM, usize::from(loaded.program_header_count)),
            (aux::AT_BASE, loaded.interpreter_base),
            (aux::AT_FLAGS, 0),
            (aux::AT_ENTRY, loaded.entry),
            (aux::AT_UID, values.user as usize),
            (aux::AT_EUID, values.user as usize),
            (aux::AT_GID, values.group as usize),
            (aux::AT_EGID, values.group as usize),
            (aux::AT_SECURE, 0),
            (aux::AT_RANDOM, base + random),
            (aux::AT_HWCAP2, values.hwcap2),
            (aux::AT_EXECFN, base + path),
            (aux::AT_PLATFORM, base + platform),
            (aux::AT_MINSIGSTKSZ, values.min_signal_stack),
            (aux::AT_NULL, 0),
        ];
        let mut words = alloc::vec![arguments.len()];
        words.extend(arguments.iter().map(|at| base + at));
        words.push(0);
        words.extend(environment.iter().map(|at| base + at));
        words.push(0);
        // Programs that take no signals need no such entry.
        let wanted = |(kind, value): &(u32, usize)| *kind != aux::AT_MINSIGSTKSZ || *value != 0;
        for (kind, value) in auxiliary.into_iter().filter(wanted) {
            words.extend([kind as usize, value]);
        }
        let below = base
            .checked_sub(words.len() * size_of::<usize>())
            .ok_or(Errno::ENOMEM)?;
        let rsp = below & !15;
        let mut image: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        image.resize(base - rsp, 0);
        image.extend_from_slice(&strings.bytes);
        Ok((rsp, image))
    }
}

/// Bytes above the pointers of a stack, and where in them each string is.
#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
}

impl Strings {
    fn push_raw(&mut self, bytes: &[u8]) -> usize {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        at
    }

    fn push(&mut self, string: &[u8]) -> usize {
        let at = self.push_raw(string);
        self.bytes.push(0);
        at
    }
}
