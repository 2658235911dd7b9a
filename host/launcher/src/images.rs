//! Images that are kept for the next start.

use crate::fault::LaunchFault;
use crate::image::{self, Image};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Most images that are kept.
const MOST: usize = 4;

/// Most bytes of kept images (64 MiB): they are the launcher's memory.
const MOST_BYTES: usize = 64 << 20;

/// How long a source has to have been left alone: a second change within one tick of the file
/// system's clock, 10 ms at most, leaves no trace in its times.
const SETTLED: Duration = Duration::from_secs(2);

/// Sealed images by what they were copied from.
///
/// Instances of one image share its memory, and starting one more neither copies nor hashes. What
/// is started has the measurement that is said of it whatever the source is now: who deceives about
/// the source's status gets an earlier state of the source, measured as that.
#[derive(Debug, Default)]
pub struct Images {
    /// Used last comes last.
    kept: Mutex<Vec<(Source, Arc<Image>)>>,
}

/// What a source looked like when it was copied, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, u64),
    changed: (i64, u64),
    /// Root's images belong to another user, see [`Image::copy`].
    by_root: bool,
}

impl Images {
    /// The image of the regular file `source`, for a caller with user id `caller`.
    ///
    /// # Errors
    /// As [`Image::copy`].
    pub fn get(&self, source: BorrowedFd<'_>, caller: u32) -> Result<Arc<Image>, LaunchFault> {
        let before = Source::of(source, caller)?;
        require_readable(source)?;
        if let Some(image) = self.take(&before) {
            return Ok(image);
        }
        let image = Arc::new(Image::copy(source, caller)?);
        if Source::of(source, caller)? == before && before.is_settled(SystemTime::now()) {
            self.keep(before, &image);
        }
        Ok(image)
    }

    fn take(&self, source: &Source) -> Option<Arc<Image>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(other, _)| other == source)?;
        let entry = kept.remove(at);
        let image = Arc::clone(&entry.1);
        kept.push(entry);
        Some(image)
    }

    fn keep(&self, source: Source, image: &Arc<Image>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // An earlier state of the same file is not asked for again.
        kept.retain(|(other, _)| !other.is_same_file(&source));
        kept.push((source, Arc::clone(image)));
        let bytes = |kept: &[(Source, Arc<Image>)]| -> usize {
            kept.iter().map(|(_, image)| image.length()).sum()
        };
        while kept.len() > MOST || bytes(&kept) > MOST_BYTES {
            kept.remove(0);
        }
    }
}

impl Source {
    fn of(source: BorrowedFd<'_>, caller: u32) -> Result<Self, LaunchFault> {
        let status = image::regular(source)?;
        Ok(Self {
            device: status.st_dev,
            inode: status.st_ino,
            size: status.st_size,
            modified: (status.st_mtime, status.st_mtime_nsec),
            changed: (status.st_ctime, status.st_ctime_nsec),
            by_root: caller == 0,
        })
    }

    fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode, self.by_root) == (other.device, other.inode, other.by_root)
    }

    /// Whether a change after the copy would show.
    fn is_settled(&self, now: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let changed = u64::try_from(seconds).ok().and_then(|seconds| {
            SystemTime::UNIX_EPOCH
                .checked_add(Duration::from_secs(seconds))?
                .checked_add(Duration::from_nanos(nanoseconds))
        });
        changed
            .and_then(|changed| now.duration_since(changed).ok())
            .is_some_and(|age| age >= SETTLED)
    }
}

/// Lets nobody start what he could not have had copied: the descriptor may be open for its name
/// only (`O_PATH`). A regular file keeps no reader waiting.
fn require_readable(source: BorrowedFd<'_>) -> Result<(), LaunchFault> {
    loop {
        match rustix::io::pread(source, &mut [0; 1], 0) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(LaunchFault::ImageUnreadable(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File, OpenOptions};
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    use std::path::PathBuf;

    /// A file of this test that has been left alone.
    struct Program(PathBuf);

    impl Program {
        fn new(name: &str, content: &[u8]) -> Self {
            let path =
                std::env::temp_dir().join(format!("bannock-images-{}-{name}", std::process::id()));
            fs::write(&path, content).unwrap();
            let program = Self(path);
            program.settle();
            program
        }

        fn open(&self) -> File {
            File::open(&self.0).unwrap()
        }

        /// Waits until its times say that it was left alone.
        fn settle(&self) {
            while !Source::of(self.open().as_fd(), 1)
                .unwrap()
                .is_settled(SystemTime::now())
            {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    impl Drop for Program {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn same(one: &Arc<Image>, other: &Arc<Image>) -> bool {
        Arc::ptr_eq(one, other)
    }

    #[test]
    fn an_image_is_copied_once_and_again_when_its_source_changes() {
        let program = Program::new("once", b"first");
        let images = Images::default();
        let first = images.get(program.open().as_fd(), 1).unwrap();
        assert!(same(
            &first,
            &images.get(program.open().as_fd(), 1).unwrap()
        ));
        // As long, and newly written: the times tell.
        fs::write(&program.0, b"other").unwrap();
        let other = images.get(program.open().as_fd(), 1).unwrap();
        assert_ne!(first.measurement(), other.measurement());
        assert!(first.is_sealed() && other.is_sealed());
    }

    #[test]
    fn what_has_just_changed_is_copied_every_time() {
        let program = Program::new("unsettled", b"first");
        fs::write(&program.0, b"again").unwrap();
        let images = Images::default();
        let one = images.get(program.open().as_fd(), 1).unwrap();
        let two = images.get(program.open().as_fd(), 1).unwrap();
        assert!(!same(&one, &two));
        assert_eq!(one.measurement(), two.measurement());
    }

    #[test]
    fn images_of_root_are_others() {
        let program = Program::new("root", b"program");
        let images = Images::default();
        let root = images.get(program.open().as_fd(), 0).unwrap();
        let user = images.get(program.open().as_fd(), 1).unwrap();
        assert!(!same(&root, &user));
        assert!(same(&root, &images.get(program.open().as_fd(), 0).unwrap()));
    }

    #[test]
    fn who_cannot_read_the_source_does_not_get_the_kept_image() {
        let program = Program::new("unreadable", b"program");
        let images = Images::default();
        images.get(program.open().as_fd(), 1).unwrap();
        let write_only = OpenOptions::new().write(true).open(&program.0).unwrap();
        let name_only = OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::PATH.bits() as i32)
            .open(&program.0)
            .unwrap();
        for source in [write_only, name_only] {
            let refused = images.get(source.as_fd(), 1);
            assert!(
                matches!(refused, Err(LaunchFault::ImageUnreadable(_))),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn few_are_kept_and_those_used_last() {
        let programs: Vec<Program> = (0..=MOST)
            .map(|number| Program::new(&format!("few-{number}"), &[number as u8 + 1]))
            .collect();
        let images = Images::default();
        let get = |number: usize| {
            let program: &Program = &programs[number];
            images.get(program.open().as_fd(), 1).unwrap()
        };
        let first: Vec<_> = (0..MOST).map(get).collect();
        assert!(same(&first[0], &get(0)));
        get(MOST);
        assert!(same(&first[0], &get(0)), "used last, so kept");
        assert!(!same(&first[1], &get(1)), "used longest ago, so forgotten");
        let mut large = File::create(&programs[2].0).unwrap();
        large.write_all(&vec![1; MOST_BYTES + 1]).unwrap();
        programs[2].settle();
        assert!(!same(&get(2), &get(2)), "too large to be kept");
    }
}
