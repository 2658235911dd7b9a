//! Root, working directory and umask of a process.

use super::walk::{How, Target, Walker};
use super::{Credentials, FileType, Location, Mounts, OpenFile};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::{Errno, sync::Mutex};
use core::sync::atomic::{AtomicU32, Ordering};

/// What follows the path of a file that lost its name.
const DELETED: &[u8] = b" (deleted)";

/// Root, working directory and umask.
pub struct FsContext {
    mounts: Arc<Mounts>,
    places: Mutex<Places>,
    umask: AtomicU32,
}

#[derive(Clone)]
struct Places {
    root: Location,
    cwd: Location,
}

impl FsContext {
    /// A context at the root of `mounts` with umask 022.
    #[must_use]
    pub fn new(mounts: Arc<Mounts>) -> Self {
        let root = mounts.root();
        Self {
            places: Mutex::new(Places {
                cwd: root.clone(),
                root,
            }),
            mounts,
            umask: AtomicU32::new(0o022),
        }
    }

    /// A copy for a child.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            mounts: Arc::clone(&self.mounts),
            places: Mutex::new(self.places.lock().clone()),
            umask: AtomicU32::new(self.umask()),
        }
    }

    /// The mount table.
    #[must_use]
    pub fn mounts(&self) -> &Arc<Mounts> {
        &self.mounts
    }

    /// The root directory.
    #[must_use]
    pub fn root(&self) -> Location {
        self.places.lock().root.clone()
    }

    /// The working directory.
    #[must_use]
    pub fn cwd(&self) -> Location {
        self.places.lock().cwd.clone()
    }

    /// The umask.
    #[must_use]
    pub fn umask(&self) -> u32 {
        self.umask.load(Ordering::Relaxed)
    }

    /// Sets the umask; returns the old one.
    pub fn set_umask(&self, mask: u32) -> u32 {
        self.umask.swap(mask & 0o777, Ordering::Relaxed)
    }

    /// Walks `path` from `start` (the working directory where it is `None`).
    ///
    /// # Errors
    /// As path_resolution(7).
    pub fn walk(
        &self,
        start: Option<&Location>,
        path: &[u8],
        how: How,
        credentials: &Credentials,
    ) -> Result<Target, Errno> {
        self.with_walker(start, how, credentials, |walker| walker.walk(path))
    }

    /// Calls `act` with a walker of this context.
    ///
    /// # Errors
    /// Those of `act`.
    pub fn with_walker<R>(
        &self,
        start: Option<&Location>,
        how: How,
        credentials: &Credentials,
        act: impl FnOnce(&Walker<'_>) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let Places { root, cwd } = self.places.lock().clone();
        let walker = Walker {
            mounts: &self.mounts,
            root: &root,
            start: start.unwrap_or(&cwd),
            credentials,
            how,
        };
        act(&walker)
    }

    /// Makes the directory `at` the working directory.
    ///
    /// # Errors
    /// `ENOTDIR`, `EACCES`.
    pub fn set_cwd(&self, at: Location, credentials: &Credentials) -> Result<(), Errno> {
        check_directory(&at, credentials)?;
        self.places.lock().cwd = at;
        Ok(())
    }

    /// Makes the directory `at` the root.
    ///
    /// # Errors
    /// `ENOTDIR`, `EACCES`, `EPERM` for others than user 0.
    pub fn set_root(&self, at: Location, credentials: &Credentials) -> Result<(), Errno> {
        check_directory(&at, credentials)?;
        if credentials.uid != 0 {
            return Err(Errno::EPERM);
        }
        self.places.lock().root = at;
        Ok(())
    }

    /// Path of `at` as this process sees it; `(unreachable)` comes first outside of its root.
    ///
    /// # Errors
    /// `ENOENT` when it has none any more.
    pub fn path(&self, at: &Location) -> Result<Vec<u8>, Errno> {
        let full = self.mounts.path(at)?;
        let root = self.mounts.path(&self.root())?;
        if root == b"/" {
            return Ok(full);
        }
        match full.strip_prefix(&*root) {
            Some(b"") => Ok(b"/".to_vec()),
            Some(rest) if rest.first() == Some(&b'/') => Ok(rest.to_vec()),
            _ => Ok([b"(unreachable)", &*full].concat()),
        }
    }

    /// Path under which an open file is shown.
    #[must_use]
    pub fn file_path(&self, file: &OpenFile) -> Vec<u8> {
        match file.location().map(|at| self.path(at)) {
            Some(Ok(path)) => path,
            // Its name is gone; the one that it was opened by is what Linux shows, too.
            Some(Err(_)) if !file.name().ends_with(DELETED) => [file.name(), DELETED].concat(),
            _ => file.name().to_vec(),
        }
    }
}

fn check_directory(at: &Location, credentials: &Credentials) -> Result<(), Errno> {
    let attributes = at.attributes()?;
    if attributes.kind != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    attributes.check(credentials, super::attributes::X_OK)
}
