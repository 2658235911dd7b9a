//! Collecting entries from a root directory, one resolved path component at a time.

use crate::failure::{Because as _, Failure};
use crate::output::note;
use bannock_measure::tree::{Entry, Manifest, Node};
use bannock_measure::verity::FileDigest;
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Most symbolic links on one path (Linux `MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(2);

/// What a path led to, with the path that has no links in it.
pub(super) enum Found {
    /// A regular file.
    File(Vec<u8>),
    /// A directory.
    Directory(Vec<u8>),
    /// Something that a tree does not hold: a device, a socket or a pipe.
    Special,
    /// Nothing.
    Missing,
}

/// Something that a path passes.
enum Step {
    Directory(Vec<u8>),
    Link(Vec<u8>, Vec<u8>),
    File(Vec<u8>, Metadata),
}

/// Entries of a tree, collected below `root`.
pub(super) struct Collector {
    root: PathBuf,
    entries: BTreeMap<Vec<u8>, Node>,
    progress: Progress,
}

struct Progress {
    files: u64,
    bytes: u64,
    told: Instant,
}

impl Progress {
    fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            note(&format!(
                "measured {} files, {} MiB",
                self.files,
                self.bytes >> 20
            ));
        }
    }
}

impl Collector {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            entries: BTreeMap::new(),
            progress: Progress {
                files: 0,
                bytes: 0,
                told: Instant::now(),
            },
        }
    }

    /// The whole content of the file at `path`, which has no links in it.
    pub(super) fn content(&self, path: &[u8]) -> Result<Vec<u8>, Failure> {
        Ok(fs::read(self.host(path)).because(|| format!("cannot read `{}`", shown(path)))?)
    }

    /// The host's path of a path in the tree that has no links in it.
    fn host(&self, path: &[u8]) -> PathBuf {
        let below = path.strip_prefix(b"/").unwrap_or(path);
        self.root.join(OsStr::from_bytes(below))
    }

    /// Adds everything that looking up `path` passes: directories, links and what is at its end.
    ///
    /// A path that leads nowhere adds what was passed on the way, so that it leads nowhere there too.
    pub(super) fn add(&mut self, path: &[u8]) -> Result<Found, Failure> {
        let (steps, found) = self.walk(path)?;
        for step in steps {
            match step {
                Step::Directory(path) => self.add_directory(path)?,
                Step::Link(path, target) => {
                    let target = target.into_boxed_slice();
                    self.entries.insert(path, Node::Symlink { target });
                }
                Step::File(path, metadata) => self.add_file(&path, &metadata)?,
            }
        }
        Ok(found)
    }

    /// What `path` leads to; adds nothing.
    pub(super) fn look_up(&self, path: &[u8]) -> Result<Found, Failure> {
        Ok(self.walk(path)?.1)
    }

    /// Whether there is something called `name` in `directory`, a link that leads nowhere included.
    pub(super) fn has(&self, directory: &[u8], name: &[u8]) -> Result<bool, Failure> {
        let Found::Directory(directory) = self.look_up(directory)? else {
            return Ok(false);
        };
        Ok(fs::symlink_metadata(self.host(&child(&directory, name))).is_ok())
    }

    /// Follows `path` within the root: no link leads out of it.
    fn walk(&self, path: &[u8]) -> Result<(Vec<Step>, Found), Failure> {
        let mut todo: VecDeque<Vec<u8>> = components(path).map(<[u8]>::to_vec).collect();
        let mut at: Vec<u8> = b"/".to_vec();
        let mut steps = vec![Step::Directory(at.clone())];
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == b".." {
                at = parent(&at).to_vec();
                continue;
            }
            let next = child(&at, &name);
            let metadata = match fs::symlink_metadata(self.host(&next)) {
                Ok(metadata) => metadata,
                Err(error) if is_missing(&error) => return Ok((steps, Found::Missing)),
                other => other.because(|| format!("cannot look at `{}`", shown(&next)))?,
            };
            if metadata.is_symlink() {
                links += 1;
                if links > MAX_LINKS {
                    let path = shown(path);
                    return Err(format!("`{path}` passes more than {MAX_LINKS} links").into());
                }
                let target = fs::read_link(self.host(&next))
                    .because(|| format!("cannot read the link `{}`", shown(&next)))?;
                let target = target.into_os_string().into_vec();
                if target.starts_with(b"/") {
                    at = b"/".to_vec();
                }
                for name in components(&target).rev() {
                    todo.push_front(name.to_vec());
                }
                steps.push(Step::Link(next, target));
            } else if metadata.is_dir() {
                steps.push(Step::Directory(next.clone()));
                at = next;
            } else if !todo.is_empty() {
                return Ok((steps, Found::Missing));
            } else if metadata.is_file() {
                steps.push(Step::File(next.clone(), metadata));
                return Ok((steps, Found::File(next)));
            } else {
                return Ok((steps, Found::Special));
            }
        }
        Ok((steps, Found::Directory(at)))
    }

    /// Adds a directory with all that is in it, and gives the files that were met.
    ///
    /// Links are added as links, with the file or the empty directory that they lead to.
    pub(super) fn add_all_below(&mut self, directory: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
        let mut files = Vec::new();
        let mut todo = vec![directory.to_vec()];
        while let Some(directory) = todo.pop() {
            for name in self.names(&directory)? {
                let path = child(&directory, &name);
                let metadata = fs::symlink_metadata(self.host(&path))
                    .because(|| format!("cannot look at `{}`", shown(&path)))?;
                match self.add(&path)? {
                    Found::Directory(at) if metadata.is_dir() => todo.push(at),
                    Found::File(at) => files.push(at),
                    Found::Special => note(&format!("left out, it is no file: {}", shown(&path))),
                    Found::Directory(_) | Found::Missing => {}
                }
            }
        }
        Ok(files)
    }

    /// Names in a directory whose path has no links in it, in byte order.
    pub(super) fn names(&self, directory: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
        let read = || {
            let mut names = fs::read_dir(self.host(directory))?
                .map(|entry| Ok(entry?.file_name().into_vec()))
                .collect::<io::Result<Vec<_>>>()?;
            names.sort();
            Ok::<_, io::Error>(names)
        };
        Ok(read().because(|| format!("cannot list `{}`", shown(directory)))?)
    }

    /// The collected entries as a manifest.
    pub(super) fn finish(self) -> Result<Manifest, Failure> {
        let entries = self.entries.into_iter().map(|(path, node)| Entry {
            path: path.into_boxed_slice(),
            node,
        });
        Ok(Manifest::from_entries(entries.collect())
            .because(|| "the files do not fit into a manifest".to_owned())?)
    }

    fn add_directory(&mut self, path: Vec<u8>) -> Result<(), Failure> {
        if self.entries.contains_key(&path) {
            return Ok(());
        }
        let metadata = fs::metadata(self.host(&path))
            .because(|| format!("cannot look at `{}`", shown(&path)))?;
        let mode = mode(&metadata);
        self.entries.insert(path, Node::Directory { mode });
        Ok(())
    }

    fn add_file(&mut self, path: &[u8], metadata: &Metadata) -> Result<(), Failure> {
        if self.entries.contains_key(path) {
            return Ok(());
        }
        let progress = &mut self.progress;
        progress.files += 1;
        let below = path.strip_prefix(b"/").unwrap_or(path);
        let (size, digest) = digest(&self.root.join(OsStr::from_bytes(below)), |bytes| {
            progress.add(bytes);
        })
        .because(|| format!("cannot read `{}`", shown(path)))?;
        let node = Node::File {
            mode: mode(metadata),
            size,
            digest,
        };
        self.entries.insert(path.to_vec(), node);
        Ok(())
    }
}

/// Length and fs-verity digest of a file that is no link.
pub(super) fn digest(path: &Path, mut progress: impl FnMut(u64)) -> io::Result<(u64, [u8; 32])> {
    let nofollow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut file = File::options()
        .read(true)
        .custom_flags(nofollow)
        .open(path)?;
    let mut digest = FileDigest::new();
    let mut size = 0u64;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((size, digest.finish()));
        }
        digest.update(buffer.get(..count).unwrap_or_default());
        size = size.saturating_add(count as u64);
        progress(count as u64);
    }
}

/// Permission bits.
pub(super) fn mode(metadata: &Metadata) -> u16 {
    // Twelve bits fit.
    (metadata.mode() & 0o7777) as u16
}

/// What kind of thing it is, in a word.
pub(super) fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_dir() {
        "directory"
    } else if kind.is_symlink() {
        "link"
    } else if kind.is_file() {
        "file"
    } else if kind.is_socket() {
        "socket"
    } else if kind.is_fifo() {
        "pipe"
    } else {
        "device"
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Components of a path, without empty ones and `.`.
pub(super) fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
}

/// The directory that holds `path`.
pub(super) fn parent(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        None | Some(0) => b"/",
        Some(slash) => path.get(..slash).unwrap_or(b"/"),
    }
}

/// The path of `name` in `directory`.
pub(super) fn child(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory == b"/" {
        [b"/", name].concat()
    } else {
        [directory, b"/", name].concat()
    }
}

/// A path for messages.
pub(super) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
