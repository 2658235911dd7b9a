//! Signal frames, as Linux lays them out on x86-64 (arch/x86/include/asm/sigframe.h,
//! `struct rt_sigframe`; asm/sigcontext.h).
//!
//! A frame comes back from the program's memory at the handler's end, where the program may have
//! changed everything: whatever is read from it is checked, or is the program's own business.

use super::{Action, FaultContext, Info, SignalSet, ThreadSignals};
use crate::task::Thread;
use alloc::sync::Arc;
use bannock_platform::{Errno, Registers, upcall::Entry, user};
use linux_raw_sys::general as raw;

/// Bytes below the stack pointer that the ABI lets functions use (System V AMD64 ABI, 3.2.2).
const RED_ZONE: usize = 128;
/// 64-bit words of a frame without extended state: return address, `ucontext`, `siginfo`.
const WORDS: usize = 55;
/// Word of `siginfo` in a frame.
const INFO: usize = 39;
/// Offset of `struct _fpx_sw_bytes` in the legacy area of extended state.
const SOFTWARE: usize = 464;
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
/// `UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS`.
const CONTEXT_FLAGS: u64 = 7;
/// Selectors of 64-bit programs: `cs` in the low and `ss` in the high word.
const SEGMENTS: u64 = 0x33 | 0x2b << 48;
/// Flags that a frame may change (Linux `FIX_EFLAGS`): AC, OF, DF, TF, SF, ZF, AF, PF, CF, RF.
const CHANGEABLE: usize = 0x5_0dd5;
/// IF and the bit that is always set.
const FIXED: usize = 0x202;
/// DF, RF and TF, which a handler starts without.
const CLEARED: usize = 0x1_0500;
/// Smallest alternate stack in bytes (asm/signal.h `MINSIGSTKSZ`).
const MIN_STACK: usize = 2048;

/// The alternate signal stack of a thread (sigaltstack(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AltStack {
    start: usize,
    len: usize,
    disarm: bool,
}

impl AltStack {
    /// From `struct stack_t` as words: start, flags, size.
    ///
    /// # Errors
    /// `EINVAL` for unknown flags, `ENOMEM` for a stack that is too small.
    pub fn from_words([start, flags, len]: [u64; 3]) -> Result<Self, Errno> {
        let flags = flags as u32;
        let disarm = flags & raw::SS_AUTODISARM != 0;
        match flags & !raw::SS_AUTODISARM {
            raw::SS_DISABLE => Ok(Self::default()),
            0 | raw::SS_ONSTACK if (len as usize) < MIN_STACK => Err(Errno::ENOMEM),
            0 | raw::SS_ONSTACK => Ok(Self {
                start: start as usize,
                len: len as usize,
                disarm,
            }),
            _ => Err(Errno::EINVAL),
        }
    }

    /// As words for a program whose stack pointer is `rsp`.
    #[must_use]
    pub const fn to_words(self, rsp: usize) -> [u64; 3] {
        let mode = if self.len == 0 {
            raw::SS_DISABLE
        } else if self.holds(rsp) {
            raw::SS_ONSTACK
        } else {
            0
        };
        let disarm = if self.disarm { raw::SS_AUTODISARM } else { 0 };
        [self.start as u64, (mode | disarm) as u64, self.len as u64]
    }

    /// Whether a program with the stack pointer `rsp` runs on this stack. One that disarms itself
    /// is never in use.
    #[must_use]
    pub const fn holds(&self, rsp: usize) -> bool {
        !self.disarm && self.contains(rsp)
    }

    const fn contains(&self, rsp: usize) -> bool {
        rsp > self.start && rsp - self.start <= self.len
    }
}

/// General-purpose registers in the order of `struct sigcontext`.
const fn general(registers: &Registers) -> [usize; 18] {
    let r = registers;
    [
        r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx,
        r.rax, r.rcx, r.rsp, r.rip, r.rflags,
    ]
}

/// Makes `entry` run the handler of `action` for `info`, with a frame on the program's stack;
/// `mask` comes back when the handler ends.
///
/// # Errors
/// `EFAULT` when there is no room for the frame, or the action has no restorer.
pub(super) fn build(
    entry: &mut Entry<'_>,
    own: &mut ThreadSignals,
    action: &Action,
    info: &Info,
    mask: SignalSet,
) -> Result<(), Errno> {
    if !action.has(raw::SA_RESTORER) {
        return Err(Errno::EFAULT);
    }
    let old = *entry.registers;
    let stack = own.alt_stack;
    let nested = stack.holds(old.rsp);
    let switches = action.has(raw::SA_ONSTACK) && stack.len != 0 && !nested;
    let top = if switches {
        stack.start.checked_add(stack.len).ok_or(Errno::EFAULT)?
    } else {
        old.rsp.wrapping_sub(RED_ZONE)
    };
    let extended_len = entry.extended.len();
    let state = top
        .checked_sub(extended_len + size_of::<u32>())
        .ok_or(Errno::EFAULT)?
        & !63;
    // As after a call: the return address is at a multiple of 16, less 8.
    let low = state
        .checked_sub(WORDS * size_of::<u64>())
        .ok_or(Errno::EFAULT)?;
    let frame = (low.wrapping_add(8) & !15).wrapping_sub(8);
    if (switches || nested) && !stack.contains(frame) {
        return Err(Errno::EFAULT);
    }

    entry.extended.store(state)?;
    let size = u32::try_from(extended_len).map_err(|_| Errno::EFAULT)?;
    let features = entry.extended.features();
    let software = [
        MAGIC1,
        size + 4,
        features as u32,
        (features >> 32) as u32,
        size,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    user::put(state + SOFTWARE, &software)?;
    user::put(state + extended_len, &MAGIC2)?;

    let mut words = [0u64; WORDS];
    let [start, flags, len] = stack.to_words(old.rsp);
    let FaultContext {
        trap,
        error,
        address,
    } = own.fault;
    let head = [action.restorer as u64, CONTEXT_FLAGS, 0, start, flags, len];
    let tail = [
        SEGMENTS,
        error as u64,
        trap as u64,
        mask.0,
        address as u64,
        state as u64,
    ];
    let context = head
        .into_iter()
        .chain(general(&old).map(|value| value as u64))
        .chain(tail)
        .chain([0; 8])
        .chain([mask.0]);
    for (word, value) in words.iter_mut().zip(context.chain(*info.words())) {
        *word = value;
    }
    user::put(frame, &words)?;

    if stack.disarm && switches {
        own.alt_stack = AltStack::default();
    }
    let registers = &mut *entry.registers;
    registers.rdi = info.signal().number() as usize;
    registers.rsi = frame + INFO * size_of::<u64>();
    registers.rdx = frame + size_of::<u64>();
    registers.rax = 0;
    registers.rip = action.handler;
    registers.rsp = frame;
    registers.rflags = old.rflags & !CLEARED;
    entry.exact = true;
    Ok(())
}

/// rt_sigreturn(2): brings back what the frame on the program's stack says.
///
/// # Errors
/// `EFAULT` or `EINVAL` for a frame that cannot be read or holds state that the processor refuses.
pub fn sigreturn(thread: &Arc<Thread>, entry: &mut Entry<'_>) -> Result<(), Errno> {
    // The return has popped the restorer's address.
    let frame = entry
        .registers
        .rsp
        .checked_sub(size_of::<u64>())
        .ok_or(Errno::EFAULT)?;
    let words: [u64; INFO] = user::get(frame)?;
    let mut words = words.into_iter().skip(3);
    let mut next = || words.next().unwrap_or(0) as usize;
    let stack = [next() as u64, next() as u64, next() as u64];
    let mut registers = Registers::default();
    let r = &mut registers;
    for register in [
        &mut r.r8,
        &mut r.r9,
        &mut r.r10,
        &mut r.r11,
        &mut r.r12,
        &mut r.r13,
        &mut r.r14,
        &mut r.r15,
        &mut r.rdi,
        &mut r.rsi,
        &mut r.rbp,
        &mut r.rbx,
        &mut r.rdx,
        &mut r.rax,
        &mut r.rcx,
        &mut r.rsp,
        &mut r.rip,
        &mut r.rflags,
    ] {
        *register = next();
    }
    // Segments, error, trap, old mask, address: not for the program to choose.
    for _ in 0..5 {
        next();
    }
    let state = next();
    let mask = words.nth(8).unwrap_or(0);

    load_extended(entry, state)?;
    registers.rflags = registers.rflags & CHANGEABLE | FIXED;
    *entry.registers = registers;
    entry.exact = true;
    super::set_mask(thread, SignalSet(mask));
    // As Linux: a stack that is no good leaves the present one.
    if let Ok(stack) = AltStack::from_words(stack) {
        let mut own = thread.signals.lock();
        if !own.alt_stack.holds(entry.registers.rsp) {
            own.alt_stack = stack;
        }
    }
    Ok(())
}

/// Loads extended state of which the frame says that it is complete.
fn load_extended(entry: &mut Entry<'_>, state: usize) -> Result<(), Errno> {
    if state == 0 {
        return entry.extended.load(0);
    }
    if !state.is_multiple_of(64) {
        return Err(Errno::EINVAL);
    }
    let software: [u32; 12] = user::get(state.checked_add(SOFTWARE).ok_or(Errno::EFAULT)?)?;
    let [magic, extended_size, _, _, size, ..] = software;
    let len = entry.extended.len();
    if magic != MAGIC1 || size as usize != len || extended_size as usize != len + 4 {
        return Err(Errno::EINVAL);
    }
    if user::get::<u32>(state.checked_add(len).ok_or(Errno::EFAULT)?)? != MAGIC2 {
        return Err(Errno::EINVAL);
    }
    entry.extended.load(state)
}
