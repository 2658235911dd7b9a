//! The program's memory: addresses that a program alleges, and copies of what is there.
//!
//! A [`UserSlice`] says only that a range lies in the program's part of the address space. Whether
//! pages are there is found out by copying, which fails with `EFAULT`. Nothing here hands out a
//! reference: other threads of the program may change the bytes at any time, so each datum is
//! copied once and checked afterwards.

use crate::{Errno, platform};
use alloc::vec::Vec;
use core::mem::{MaybeUninit, size_of};

/// Plain data that may be filled with any bytes.
///
/// # Safety
/// Every bit pattern of `size_of::<Self>()` bytes must be a valid value, without padding that
/// matters.
pub unsafe trait Plain: Copy + 'static {}

macro_rules! plain {
    ($($t:ty),* $(,)?) => { $(
        // SAFETY: an integer (or array of integers, or C structure of integers) has no invalid bit
        // patterns.
        unsafe impl Plain for $t {}
    )* };
}
plain!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, isize);
use linux_raw_sys::general as raw;
plain!(
    raw::stat,
    raw::statx,
    raw::statfs,
    raw::timespec,
    raw::timeval,
    raw::itimerval,
    raw::itimerspec,
    raw::rlimit64,
    raw::rusage,
    raw::iovec,
    raw::pollfd,
    raw::epoll_event,
    raw::flock,
    raw::open_how,
    raw::clone_args,
    raw::__kernel_timespec,
    raw::winsize,
    raw::termios,
    linux_raw_sys::system::new_utsname,
);
// SAFETY: arrays of plain data are plain data.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Declares a `#[repr(C)]` structure of plain fields to be [`Plain`].
#[macro_export]
macro_rules! plain_struct {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident : $ty:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        $vis struct $name { $($(#[$fmeta])* $fvis $field: $ty),* }
        const _: () = {
            const fn plain<T: $crate::user::Plain>() {}
            $(plain::<$ty>();)*
            // Padding would carry kernel bytes out to the program.
            assert!(core::mem::size_of::<$name>() == 0 $(+ core::mem::size_of::<$ty>())*);
        };
        $crate::user::assume_plain!($name);
    };
}

/// Implementation detail of [`plain_struct!`]; the caller has checked the fields.
#[doc(hidden)]
#[macro_export]
macro_rules! __assume_plain {
    ($name:ident) => {
        #[allow(
            unsafe_code,
            reason = "every field is Plain and there is no padding, checked above"
        )]
        // SAFETY: `plain_struct!` asserts that all fields are `Plain` and that there is no padding.
        unsafe impl $crate::user::Plain for $name {}
    };
}
pub use crate::__assume_plain as assume_plain;

/// A range of addresses in the program's part of the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserSlice {
    start: usize,
    len: usize,
}

impl UserSlice {
    /// The range of `len` bytes from `start`.
    ///
    /// # Errors
    /// `EFAULT` when it leaves the program's part of the address space. An empty range is accepted
    /// anywhere, as Linux does.
    pub fn new(start: usize, len: usize) -> Result<Self, Errno> {
        if len == 0 {
            return Ok(Self { start, len });
        }
        let layout = platform().layout();
        let end = start.checked_add(len).ok_or(Errno::EFAULT)?;
        let overlaps_kernel = start < layout.kernel_end && end > layout.kernel_start;
        if start < layout.user_start || end > layout.user_end || overlaps_kernel {
            return Err(Errno::EFAULT);
        }
        Ok(Self { start, len })
    }

    /// First address.
    #[must_use]
    pub const fn start(&self) -> usize {
        self.start
    }

    /// Bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether the range is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first `len` bytes of the range (all of it where it is shorter).
    #[must_use]
    pub fn take(&self, len: usize) -> Self {
        Self {
            start: self.start,
            len: self.len.min(len),
        }
    }

    /// The range without its first `count` bytes.
    #[must_use]
    pub fn skip(&self, count: usize) -> Self {
        let count = count.min(self.len);
        Self {
            start: self.start + count,
            len: self.len - count,
        }
    }

    /// Copies from the program into `into`; the lengths must agree.
    ///
    /// # Errors
    /// `EFAULT` when a page is not readable; `into` is then partly written.
    pub fn read(&self, into: &mut [u8]) -> Result<(), Errno> {
        if into.len() != self.len {
            return Err(Errno::EFAULT);
        }
        // SAFETY: `into` is ours and `self` lies in the program's part (checked in `new`).
        let left = unsafe { platform().copy(into.as_mut_ptr(), self.start as *const u8, self.len) };
        if left == 0 {
            Ok(())
        } else {
            Err(Errno::EFAULT)
        }
    }

    /// Copies `from` to the program; the lengths must agree.
    ///
    /// # Errors
    /// `EFAULT` when a page is not writable; the program's memory is then partly written.
    pub fn write(&self, from: &[u8]) -> Result<(), Errno> {
        if from.len() != self.len {
            return Err(Errno::EFAULT);
        }
        // SAFETY: as in `read`, with the directions exchanged.
        let left = unsafe { platform().copy(self.start as *mut u8, from.as_ptr(), self.len) };
        if left == 0 {
            Ok(())
        } else {
            Err(Errno::EFAULT)
        }
    }

    /// Copies the range into a new vector of at most `limit` bytes.
    ///
    /// # Errors
    /// `EFAULT` when a page is not readable, `E2BIG` when the range is over the limit.
    pub fn to_vec(&self, limit: usize) -> Result<Vec<u8>, Errno> {
        if self.len > limit {
            return Err(Errno::E2BIG);
        }
        let mut bytes = alloc::vec![0; self.len];
        self.read(&mut bytes)?;
        Ok(bytes)
    }
}

/// Reads one `T` at `address`.
///
/// # Errors
/// `EFAULT`.
pub fn get<T: Plain>(address: usize) -> Result<T, Errno> {
    let slice = UserSlice::new(address, size_of::<T>())?;
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: `value` is ours and as long as the range; the range is the program's.
    let left = unsafe {
        platform().copy(
            value.as_mut_ptr().cast(),
            slice.start as *const u8,
            size_of::<T>(),
        )
    };
    if left != 0 {
        return Err(Errno::EFAULT);
    }
    // SAFETY: all bytes were written, and any bytes are a valid `T` (`Plain`).
    Ok(unsafe { value.assume_init() })
}

/// Writes one `T` at `address`.
///
/// # Errors
/// `EFAULT`.
pub fn put<T: Plain>(address: usize, value: &T) -> Result<(), Errno> {
    let slice = UserSlice::new(address, size_of::<T>())?;
    // SAFETY: `value` is readable for its size; the range is the program's.
    let left = unsafe {
        platform().copy(
            slice.start as *mut u8,
            core::ptr::from_ref(value).cast(),
            size_of::<T>(),
        )
    };
    if left == 0 {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

/// Writes one `T` at `address` unless the address is null.
///
/// # Errors
/// `EFAULT`.
pub fn put_if<T: Plain>(address: usize, value: &T) -> Result<(), Errno> {
    if address == 0 {
        Ok(())
    } else {
        put(address, value)
    }
}

/// Atomically replaces the 32-bit word at `address` when it is `expected`; returns the word found.
///
/// # Errors
/// `EINVAL` when `address` is not a multiple of 4, `EFAULT`.
pub fn compare_exchange(address: usize, expected: u32, new: u32) -> Result<u32, Errno> {
    if !address.is_multiple_of(size_of::<u32>()) {
        return Err(Errno::EINVAL);
    }
    let word = UserSlice::new(address, size_of::<u32>())?;
    // SAFETY: the word lies in the program's part.
    unsafe { platform().compare_exchange_user(word.start, expected, new) }
}

/// Whether `len` bytes at `start` can be a program's at all: what Linux asks before it looks whether
/// they are there (`access_ok`).
///
/// # Errors
/// `EFAULT` where they reach beyond the addresses of programs.
pub fn check_range(start: usize, len: usize) -> Result<(), Errno> {
    match start.checked_add(len) {
        Some(end) if end <= platform().layout().user_end => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Reads `count` consecutive `T`s.
///
/// # Errors
/// `EFAULT`; `EINVAL` when `count` is over `limit`.
pub fn get_many<T: Plain, C: FromIterator<T>>(
    address: usize,
    count: usize,
    limit: usize,
) -> Result<C, Errno> {
    if count > limit {
        return Err(Errno::EINVAL);
    }
    let size = size_of::<T>();
    (0..count)
        .map(|i| get(address.checked_add(i * size).ok_or(Errno::EFAULT)?))
        .collect()
}

/// Reads the NUL-terminated string at `address`, without its NUL, of at most `limit` bytes.
///
/// # Errors
/// `EFAULT`, or `ENAMETOOLONG` when no NUL follows within the limit.
pub fn get_string(address: usize, limit: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut at = address;
    loop {
        // Up to the end of the page, so that a string before an unmapped page can be read.
        let chunk = (crate::PAGE - at % crate::PAGE).min(256);
        let start = bytes.len();
        bytes.resize(start + chunk, 0);
        let (_, fresh) = bytes.split_at_mut(start);
        UserSlice::new(at, chunk)?.read(fresh)?;
        if let Some(end) = fresh.iter().position(|b| *b == 0) {
            bytes.truncate(start + end);
            return if bytes.len() > limit {
                Err(Errno::ENAMETOOLONG)
            } else {
                Ok(bytes)
            };
        }
        if bytes.len() > limit {
            return Err(Errno::ENAMETOOLONG);
        }
        at = at.checked_add(chunk).ok_or(Errno::EFAULT)?;
    }
}
