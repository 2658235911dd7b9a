//! User and group ids (credentials(7)), as the container numbers users.

use crate::fs::Credentials;
use alloc::vec::Vec;
use bannock_platform::Errno;

/// Real, effective, saved and file-system id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdSet {
    /// Real.
    pub real: u32,
    /// Effective.
    pub effective: u32,
    /// Saved.
    pub saved: u32,
    /// For files.
    pub files: u32,
}

/// "Leave as it is", where a system call takes an id.
const KEEP: u32 = u32::MAX;

impl IdSet {
    const fn all(id: u32) -> Self {
        Self {
            real: id,
            effective: id,
            saved: id,
            files: id,
        }
    }

    const fn has(&self, id: u32) -> bool {
        id == self.real || id == self.effective || id == self.saved
    }

    /// setuid(2), setgid(2).
    ///
    /// # Errors
    /// `EPERM`, `EINVAL`.
    pub fn set(&mut self, id: u32, privileged: bool) -> Result<(), Errno> {
        if id == KEEP {
            return Err(Errno::EINVAL);
        }
        if privileged {
            *self = Self::all(id);
        } else if id == self.real || id == self.saved {
            self.effective = id;
            self.files = id;
        } else {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    /// setresuid(2), setresgid(2); `u32::MAX` leaves an id as it is.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn set_all(
        &mut self,
        real: u32,
        effective: u32,
        saved: u32,
        privileged: bool,
    ) -> Result<(), Errno> {
        let allowed = |id| id == KEEP || privileged || self.has(id);
        if !(allowed(real) && allowed(effective) && allowed(saved)) {
            return Err(Errno::EPERM);
        }
        let pick = |id, old| if id == KEEP { old } else { id };
        self.real = pick(real, self.real);
        self.effective = pick(effective, self.effective);
        self.saved = pick(saved, self.saved);
        self.files = self.effective;
        Ok(())
    }

    /// setreuid(2), setregid(2).
    ///
    /// # Errors
    /// `EPERM`.
    pub fn set_pair(&mut self, real: u32, effective: u32, privileged: bool) -> Result<(), Errno> {
        let may_real = real == KEEP || privileged || real == self.real || real == self.effective;
        let may_effective = effective == KEEP || privileged || self.has(effective);
        if !(may_real && may_effective) {
            return Err(Errno::EPERM);
        }
        let old_real = self.real;
        if real != KEEP {
            self.real = real;
        }
        if effective != KEEP {
            self.effective = effective;
        }
        if real != KEEP || effective != KEEP && effective != old_real {
            self.saved = self.effective;
        }
        self.files = self.effective;
        Ok(())
    }

    /// setfsuid(2), setfsgid(2): returns the old id, whether it changed or not.
    pub fn set_files(&mut self, id: u32, privileged: bool) -> u32 {
        let old = self.files;
        if id != KEEP && (privileged || self.has(id) || id == self.files) {
            self.files = id;
        }
        old
    }
}

/// Who a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// User ids.
    pub user: IdSet,
    /// Group ids.
    pub group: IdSet,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

impl Ids {
    /// The same user and group for everything.
    #[must_use]
    pub const fn new(user: u32, group: u32, groups: Vec<u32>) -> Self {
        Self {
            user: IdSet::all(user),
            group: IdSet::all(group),
            groups,
        }
    }

    /// Whether the process may what capabilities allow on Linux: user 0 has all of them.
    #[must_use]
    pub const fn is_privileged(&self) -> bool {
        self.user.effective == 0
    }

    /// As files see it.
    #[must_use]
    pub fn for_files(&self) -> Credentials {
        Credentials {
            uid: self.user.files,
            gid: self.group.files,
            groups: self.groups.clone(),
        }
    }
}
