//! Typed calls to the host.
//!
//! One function per call that the kernel makes, by family. Each checks the host's answer against
//! what was asked for: a count larger than the buffer, a negative descriptor or an unknown value
//! is a host that lies or is broken, and ends as `EIO`, never as a length that Rust code believes.
//!
//! The calls made here are the process platform's whole appetite: [`ALLOWED`] lists them, and a
//! seccomp filter built from it proves that nothing else reaches the host.

mod allowed;
pub mod file;
pub mod net;
pub mod poll;
pub mod process;
pub mod splice;
pub mod time;

pub use allowed::ALLOWED;

use crate::{Errno, platform, user::UserSlice};
use core::sync::atomic::AtomicU32;
use linux_raw_sys::general as raw;

/// A descriptor of the host, never seen by a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostFd(i32);

impl HostFd {
    /// A descriptor that the launcher passed by number.
    #[must_use]
    pub const fn inherited(number: i32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    pub(crate) const fn arg(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn from_return(value: usize) -> Result<Self, Errno> {
        i32::try_from(value).map(Self).map_err(|_| Errno::EIO)
    }
}

/// Memory that the host writes to.
pub enum Into<'a> {
    /// The kernel's own memory.
    Kernel(&'a mut [u8]),
    /// The program's memory.
    User(UserSlice),
}

impl Into<'_> {
    fn parts(self) -> (usize, usize) {
        match self {
            Self::Kernel(bytes) => (bytes.as_mut_ptr() as usize, bytes.len()),
            Self::User(slice) => (slice.start(), slice.len()),
        }
    }
}

/// Memory that the host reads from.
pub enum From<'a> {
    /// The kernel's own memory.
    Kernel(&'a [u8]),
    /// The program's memory.
    User(UserSlice),
}

impl From<'_> {
    /// Bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Kernel(bytes) => bytes.len(),
            Self::User(slice) => slice.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn parts(self) -> (usize, usize) {
        match self {
            Self::Kernel(bytes) => (bytes.as_ptr() as usize, bytes.len()),
            Self::User(slice) => (slice.start(), slice.len()),
        }
    }
}

/// A call that cannot block for long.
///
/// # Safety
/// As for [`Platform::host_call`](crate::Platform::host_call).
pub(crate) unsafe fn call(number: u32, args: [usize; 6]) -> Result<usize, Errno> {
    // SAFETY: passed on to the caller.
    Errno::check(unsafe { platform().host_call(number, args) })
}

/// A call that may block; interrupts cut it short with `EINTR`.
///
/// # Safety
/// As for [`Platform::host_call`](crate::Platform::host_call).
pub(crate) unsafe fn blocking(number: u32, args: [usize; 6]) -> Result<usize, Errno> {
    // SAFETY: passed on to the caller.
    Errno::check(unsafe { platform().host_call_interruptible(number, args) })
}

/// A count that the host returned for a buffer of `len` bytes.
pub(crate) fn counted(ret: Result<usize, Errno>, len: usize) -> Result<usize, Errno> {
    match ret {
        Ok(n) if n > len => Err(Errno::EIO),
        other => other,
    }
}

/// Sleeps while `word` is `expected`, between processes; spurious returns happen.
pub fn futex_wait(word: &AtomicU32, expected: u32) {
    let args = [
        word.as_ptr() as usize,
        raw::FUTEX_WAIT as usize,
        expected as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the word outlives the call, and the host only compares it.
    let _ = unsafe { call(raw::__NR_futex, args) };
}

/// Like [`futex_wait`], but interruptible and with a timeout in nanoseconds.
///
/// # Errors
/// `EINTR` or `ETIMEDOUT`; a changed word is a success.
pub fn futex_wait_interruptible(
    word: &AtomicU32,
    expected: u32,
    timeout: Option<u64>,
) -> Result<(), Errno> {
    let time = timeout.map(time::Timespec::from_nanos);
    let pointer = time.as_ref().map_or(0, |t| core::ptr::from_ref(t) as usize);
    let args = [
        word.as_ptr() as usize,
        raw::FUTEX_WAIT as usize,
        expected as usize,
        pointer,
        0,
        0,
    ];
    // SAFETY: the word and the time outlive the call, and the host only reads them.
    match unsafe { blocking(raw::__NR_futex, args) } {
        Ok(_) | Err(Errno::EAGAIN) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Wakes up to `count` sleepers on `word`.
pub fn futex_wake(word: &AtomicU32, count: i32) {
    let args = [
        word.as_ptr() as usize,
        raw::FUTEX_WAKE as usize,
        count as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the host uses the word's address only as a name.
    let _ = unsafe { call(raw::__NR_futex, args) };
}

/// A program's own futex call on words in its memory; see futex(2) for the meaning of `args`.
///
/// The caller has checked the operation, and that the words lie in the program's memory.
///
/// # Errors
/// What the host said.
pub fn user_futex(
    word: UserSlice,
    op: u32,
    value: u32,
    timeout_or_value2: FutexArgument,
    word2: UserSlice,
    value3: u32,
) -> Result<usize, Errno> {
    let fourth = match &timeout_or_value2 {
        FutexArgument::Timeout(Some(t)) => core::ptr::from_ref(t) as usize,
        FutexArgument::Timeout(None) => 0,
        FutexArgument::Value(v) => *v as usize,
    };
    let args = [
        word.start(),
        op as usize,
        value as usize,
        fourth,
        word2.start(),
        value3 as usize,
    ];
    // SAFETY: both words lie in the program's memory; the timeout outlives the call.
    unsafe { blocking(raw::__NR_futex, args) }
}

/// The fourth argument of futex(2).
pub enum FutexArgument {
    /// A timeout, relative or absolute as the operation says.
    Timeout(Option<time::Timespec>),
    /// A second count.
    Value(u32),
}

/// Fills `into` with random bytes from the host's generator.
///
/// On the process platform the guest kernel's generator is inside the trust boundary.
///
/// # Errors
/// What the host said; never a partly filled buffer.
pub fn random(into: &mut [u8]) -> Result<(), Errno> {
    for chunk in into.chunks_mut(256) {
        // Up to 256 bytes arrive whole and are not interrupted (getrandom(2)).
        let args = [chunk.as_mut_ptr() as usize, chunk.len(), 0, 0, 0, 0];
        // SAFETY: the chunk is ours and as long as said.
        let n = unsafe { call(raw::__NR_getrandom, args) }?;
        if n != chunk.len() {
            return Err(Errno::EIO);
        }
    }
    Ok(())
}

/// Punches a hole into the page cache's memory file.
pub(crate) fn cache_discard(offset: u64, len: u64) -> Result<(), Errno> {
    let mode = raw::FALLOC_FL_KEEP_SIZE | raw::FALLOC_FL_PUNCH_HOLE;
    let fd = platform().layout().cache_fd;
    let args = [fd.arg(), mode as usize, offset as usize, len as usize, 0, 0];
    // SAFETY: no pointers; the caller has the extent, so no reference points into it.
    unsafe { call(raw::__NR_fallocate, args) }.map(drop)
}

/// Backs the [`HUGE_PAGE`](crate::cache::HUGE_PAGE) bytes at `offset` of the page cache with one huge
/// page, if the host has one (madvise(2), `MADV_COLLAPSE`, since Linux 6.1; it needs no setting of
/// the administrator's).
pub(crate) fn cache_huge_page(offset: u64) -> Result<(), Errno> {
    let start = platform().layout().cache_start + offset as usize;
    // There has to be a page: Linux takes an empty range for one that was just truncated.
    // SAFETY: the byte is in the cache window, and of an extent that the caller has for itself.
    let left = unsafe { platform().copy(start as *mut u8, [0u8].as_ptr(), 1) };
    if left != 0 {
        return Err(Errno::ENOMEM);
    }
    let len = crate::cache::HUGE_PAGE as usize;
    let args = [start, len, raw::MADV_COLLAPSE as usize, 0, 0, 0];
    // SAFETY: advice that changes no content, on a range of the cache window.
    unsafe { call(raw::__NR_madvise, args) }.map(drop)
}
