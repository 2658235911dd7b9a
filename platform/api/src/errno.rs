//! Error numbers of Linux.

use linux_raw_sys::errno as raw;

/// An error number, always in 1..=4095 (Linux `include/linux/err.h`, `MAX_ERRNO`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(u16);

impl Errno {
    /// The value a system call returns for this error.
    #[must_use]
    pub fn to_return(self) -> usize {
        (-isize::from(self.0 as i16)) as usize
    }

    /// The positive number.
    #[must_use]
    pub const fn code(self) -> i32 {
        self.0 as i32
    }

    /// The error number `code`; numbers outside 1..=4095 become `EIO`.
    #[must_use]
    pub const fn from_code(code: i32) -> Self {
        if code >= 1 && code <= 4095 {
            Self(code as u16)
        } else {
            Self(raw::EIO as u16)
        }
    }

    /// Splits a raw system call return into a value and an error.
    ///
    /// # Errors
    /// The error that the call returned.
    pub fn check(ret: isize) -> Result<usize, Self> {
        match ret {
            -4095..=-1 => Err(Self((-ret) as u16)),
            other => Ok(other as usize),
        }
    }
}

macro_rules! errnos {
    ($($name:ident)*) => {
        impl Errno {
            $(#[doc = concat!("`", stringify!($name), "`.")] pub const $name: Self = Self(raw::$name as u16);)*
        }

        impl core::fmt::Debug for Errno {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match *self {
                    $(Self::$name => f.write_str(stringify!($name)),)*
                    Self::RESTART => f.write_str("RESTART"),
                    Self(code) => write!(f, "errno {code}"),
                }
            }
        }
    };
}

errnos! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT EBUSY
    EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS
    EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENODATA ETIME EPROTO
    EOVERFLOW EBADFD EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT
    ESOCKTNOSUPPORT EOPNOTSUPP EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETUNREACH ECONNABORTED
    ECONNRESET ENOBUFS EISCONN ENOTCONN ETIMEDOUT ECONNREFUSED EHOSTUNREACH EALREADY EINPROGRESS
    ESTALE EKEYREJECTED ECANCELED EOWNERDEAD ENOTRECOVERABLE
}

impl Errno {
    /// Kernel-internal: interrupted before anything was done; restart unless a handler without
    /// `SA_RESTART` runs (Linux `ERESTARTSYS`). Never reaches a program.
    pub const RESTART: Self = Self(512);
    /// Kernel-internal: like [`Self::RESTART`], but any handler makes it `EINTR`
    /// (Linux `ERESTARTNOHAND`). Never reaches a program.
    pub const RESTART_NO_HANDLER: Self = Self(514);
}

impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(self, f)
    }
}

impl core::error::Error for Errno {}
