//! The folder that holds a platform: private, and written in whole files or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::fault::PlatformFault;

const LOCK_FILE: &str = "lock";

/// A private folder.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    dir: PathBuf,
}

/// Held while the folder is changed; other processes wait.
pub(crate) struct Locked {
    _file: File,
}

impl Store {
    /// Makes the folder if it is missing, for its owner alone.
    pub(crate) fn create(dir: &Path) -> Result<Self, PlatformFault> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io_fault("create", dir))?;
        Self::open(dir)
    }

    /// Refuses a folder that others can enter.
    pub(crate) fn open(dir: &Path) -> Result<Self, PlatformFault> {
        let metadata = match fs::metadata(dir) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(PlatformFault::Missing {
                    path: dir.to_path_buf(),
                });
            }
            Err(error) => return Err(io_fault("look at", dir)(error)),
        };
        require_private(dir, metadata.mode())?;
        Ok(Self {
            dir: dir.to_path_buf(),
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn lock(&self) -> Result<Locked, PlatformFault> {
        let path = self.path(LOCK_FILE);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_fault("open", &path))?;
        file.lock().map_err(io_fault("lock", &path))?;
        Ok(Locked { _file: file })
    }

    pub(crate) fn exists(&self, name: &str) -> Result<bool, PlatformFault> {
        let path = self.path(name);
        path.try_exists().map_err(io_fault("look at", &path))
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), PlatformFault> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => self.sync(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io_fault("remove", &path)(error)),
        }
    }

    /// Replaces a file in one step: a reader sees the old contents or the new ones.
    pub(crate) fn write(&self, name: &str, contents: &[u8]) -> Result<(), PlatformFault> {
        let path = self.path(name);
        let unfinished = self.path(&format!(".{name}.new"));
        // Left over from a run that was interrupted; the lock keeps other writers out.
        match fs::remove_file(&unfinished) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_fault("remove", &unfinished)(error)),
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(io_fault("create", &unfinished))?;
        file.write_all(contents)
            .map_err(io_fault("write", &unfinished))?;
        file.sync_all().map_err(io_fault("write", &unfinished))?;
        fs::rename(&unfinished, &path).map_err(io_fault("replace", &path))?;
        self.sync()
    }

    /// Reads a private file of at most `max` bytes.
    pub(crate) fn read(&self, name: &str, max: usize) -> Result<Zeroizing<Vec<u8>>, PlatformFault> {
        let path = self.path(name);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(PlatformFault::Missing {
                    path: self.dir.clone(),
                });
            }
            Err(error) => return Err(io_fault("open", &path)(error)),
        };
        let metadata = file.metadata().map_err(io_fault("look at", &path))?;
        require_private(&path, metadata.mode())?;
        let too_long = || PlatformFault::Damaged {
            path: path.clone(),
            problem: "it is too long",
        };
        let len = usize::try_from(metadata.len()).map_err(|_| too_long())?;
        if len > max {
            return Err(too_long());
        }
        // Of full size from the start: growing would leave copies of a key behind.
        let mut contents = Zeroizing::new(vec![0; len]);
        file.read_exact(&mut contents)
            .map_err(io_fault("read", &path))?;
        Ok(contents)
    }

    fn sync(&self) -> Result<(), PlatformFault> {
        File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(io_fault("write", &self.dir))
    }
}

fn require_private(path: &Path, mode: u32) -> Result<(), PlatformFault> {
    if mode & 0o077 != 0 {
        return Err(PlatformFault::Permissions {
            path: path.to_path_buf(),
            mode: mode & 0o7777,
        });
    }
    Ok(())
}

fn io_fault(action: &'static str, path: &Path) -> impl Fn(io::Error) -> PlatformFault {
    let path = path.to_path_buf();
    move |source| PlatformFault::Io {
        action,
        path: path.clone(),
        source,
    }
}
