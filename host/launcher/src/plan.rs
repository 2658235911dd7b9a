//! What to start, checked and laid out before the process exists.

use crate::{fault::LaunchFault, image::Image};
use std::ffi::{CString, c_char};
use std::os::fd::BorrowedFd;
use std::ptr;

/// For whom an instance is started: the ids that the kernel told of the peer (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// User id in the launcher's user namespace.
    pub uid: u32,
    /// Primary group id in the launcher's user namespace.
    pub gid: u32,
}

/// Namespaces of the caller that the instance joins; it keeps the launcher's where there is none.
///
/// There is no place for a user or a PID namespace: the instance always gets its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Namespaces<'a> {
    /// Mount namespace.
    pub mount: Option<BorrowedFd<'a>>,
    /// Network namespace.
    pub network: Option<BorrowedFd<'a>>,
    /// IPC namespace.
    pub ipc: Option<BorrowedFd<'a>>,
    /// UTS namespace.
    pub uts: Option<BorrowedFd<'a>>,
}

/// What to start.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// The program.
    pub image: &'a Image,
    /// All arguments, `argv[0]` among them; visible to the host.
    pub arguments: &'a [String],
    /// Environment as `NAME=value`; visible to the host.
    pub environment: &'a [String],
    /// For whom.
    pub caller: Caller,
    /// Descriptors 0, 1 and 2 of the instance.
    pub stdio: [BorrowedFd<'a>; 3],
    /// Descriptor 3 of the instance.
    pub channel: BorrowedFd<'a>,
    /// Namespaces to join.
    pub namespaces: Namespaces<'a>,
    /// Directory of the cgroup (version 2) to start in.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// Strings as execve(2) takes them.
pub(crate) struct Strings {
    /// Keeps alive what `pointers` points to.
    _owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Strings {
    fn new(owned: Vec<CString>) -> Self {
        let pointers = owned
            .iter()
            .map(|text| text.as_ptr())
            .chain([ptr::null()])
            .collect();
        Self {
            _owned: owned,
            pointers,
        }
    }

    /// Pointer to a NULL-terminated array of NUL-terminated strings, valid as long as `self`.
    pub(crate) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }

    /// The arguments of `launch`.
    pub(crate) fn arguments(launch: &Launch<'_>) -> Result<Self, LaunchFault> {
        let text = |(number, text): (usize, &String)| {
            CString::new(text.as_bytes()).map_err(|_| LaunchFault::Text {
                what: format!("argument {number}"),
            })
        };
        let owned = launch.arguments.iter().enumerate().map(text);
        Ok(Self::new(owned.collect::<Result<_, _>>()?))
    }

    /// The environment of `launch`.
    pub(crate) fn environment(launch: &Launch<'_>) -> Result<Self, LaunchFault> {
        let text = |(number, text): (usize, &String)| {
            let fault = LaunchFault::Text {
                what: format!("environment variable number {number}"),
            };
            match (text.find('='), CString::new(text.as_bytes())) {
                (Some(1..), Ok(text)) => Ok(text),
                _ => Err(fault),
            }
        };
        let owned = launch.environment.iter().enumerate().map(text);
        Ok(Self::new(owned.collect::<Result<_, _>>()?))
    }
}
