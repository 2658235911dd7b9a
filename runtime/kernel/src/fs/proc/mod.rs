//! `/proc`: what programs expect to find there, made by the kernel. The host's is never shown.
//!
//! One entry is one row of a table with one small function.

mod key;
mod process;
mod system;

use self::key::{Key, ROOT};
use super::attributes::{Attributes, FileType, device_number};
use super::filesystem::{DirectoryEntry, FileSystem, MagicTarget, NodeId, Opened, Usage};
use super::synthetic::Text;
use super::{FileTable, FsContext, MountRequest};
use alloc::{format, sync::Arc, vec::Vec};
use bannock_platform::Errno;
use linux_raw_sys::general as raw;

/// Release of Linux whose calls the kernel answers, as uname(2) shows it too.
pub const KERNEL_RELEASE: &str = "6.1.0";

/// What `/proc` shows of a process.
pub trait ProcessView: Send + Sync {
    /// Its descriptors.
    fn files(&self) -> &FileTable;
    /// Its places.
    fn fs(&self) -> &FsContext;
    /// Process id of its parent; 0 where there is none.
    fn parent(&self) -> i32;
    /// Process group and session.
    fn group_and_session(&self) -> (i32, i32);
    /// State letter of proc(5): `R`, `S`, `T`, `Z`.
    fn state(&self) -> char;
    /// Name of the thread `id`, at most 15 bytes; empty where there is none.
    fn name(&self, id: i32) -> Vec<u8>;
    /// Absolute path of the program file.
    fn executable(&self) -> Vec<u8>;
    /// Arguments, each ended by NUL.
    fn arguments(&self) -> Vec<u8>;
    /// Environment, each string ended by NUL.
    fn environment(&self) -> Vec<u8>;
    /// Thread ids, ascending.
    fn threads(&self) -> Vec<i32>;
    /// Text of `maps`.
    fn maps(&self) -> Vec<u8>;
    /// Mapped and resident bytes.
    fn memory(&self) -> (u64, u64);
    /// Real, effective, saved and file-system user ids.
    fn users(&self) -> [u32; 4];
    /// Real, effective, saved and file-system group ids.
    fn groups(&self) -> [u32; 4];
    /// Signals that wait for the thread `id`, for the process, that the thread blocks, that are ignored
    /// and that are caught; bit n-1 for signal n.
    fn signals(&self, id: i32) -> [u64; 5];
    /// Signals that wait, at most.
    fn signal_limit(&self) -> u64;
    /// Whether it gave up gaining privileges.
    fn no_new_privileges(&self) -> bool;
    /// User and system time in clock ticks of 1/100 s, and start after boot in the same.
    fn times(&self) -> [u64; 3];
    /// Soft limit of descriptors.
    fn descriptor_limit(&self) -> usize;
}

/// Where `/proc` finds processes.
pub trait ProcessSource: Send + Sync {
    /// All process ids, ascending.
    fn ids(&self) -> Vec<i32>;
    /// The process with this id.
    fn get(&self, id: i32) -> Option<Arc<dyn ProcessView>>;
    /// The process that the thread with this id belongs to, with its id.
    fn of_thread(&self, id: i32) -> Option<(i32, Arc<dyn ProcessView>)>;
    /// Process and thread id of the caller; zeros where there is none.
    fn caller(&self) -> (i32, i32);
    /// Name of the container's host (uname(2)).
    fn host_name(&self) -> Vec<u8>;
}

/// The `/proc` mount over `source`.
#[must_use]
pub fn process_mount(source: Arc<dyn ProcessSource>) -> MountRequest {
    let mut boot_id = [0u8; 16];
    // A boot id of zeros is as good as none, and nothing depends on it being there.
    let _ = bannock_platform::host::random(&mut boot_id);
    MountRequest {
        path: b"/proc".to_vec(),
        fs: Arc::new(ProcFs { source, boot_id }),
        read_only: false,
    }
}

struct ProcFs {
    source: Arc<dyn ProcessSource>,
    boot_id: [u8; 16],
}

/// What an entry is.
enum Body {
    Directory,
    /// Text about the whole container.
    System(fn(&ProcFs) -> Result<Vec<u8>, Errno>),
    /// Text about a process.
    Process(fn(&Subject) -> Result<Vec<u8>, Errno>),
    /// A link by its text.
    Link(fn(&ProcFs) -> Result<Vec<u8>, Errno>),
    /// A link to what a process has, not followed by its text.
    Magic(
        fn(&Subject) -> Result<Vec<u8>, Errno>,
        fn(&Subject) -> Result<MagicTarget, Errno>,
    ),
    /// A link for each descriptor.
    Descriptors,
    /// A text for each descriptor.
    DescriptorTexts,
    /// A directory for each thread.
    Threads,
}

/// One entry: its name, the index of its directory in the same table, what it is.
struct Entry {
    name: &'static str,
    parent: usize,
    body: Body,
}

/// A process, or one of its threads, that is looked at.
struct Subject {
    /// Of the thread that is looked at; of a process, its first.
    id: i32,
    /// Of the process.
    group: i32,
    process: Arc<dyn ProcessView>,
}

const PROC_DEVICE: u64 = device_number(0, 4);
const PROC_MAGIC: u64 = 0x9fa0;

impl ProcFs {
    fn table(key: Key) -> &'static [Entry] {
        if key.process == 0 {
            system::ENTRIES
        } else {
            process::ENTRIES
        }
    }

    fn entry(key: Key) -> Result<&'static Entry, Errno> {
        Self::table(key).get(key.entry).ok_or(Errno::ENOENT)
    }

    fn subject(&self, key: Key) -> Result<Subject, Errno> {
        let found = if key.is_thread {
            self.source.of_thread(key.process)
        } else {
            self.source.get(key.process).map(|p| (key.process, p))
        };
        let (group, process) = found.ok_or(Errno::ENOENT)?;
        Ok(Subject {
            id: key.process,
            group,
            process,
        })
    }

    /// Whether that is the caller's own process.
    fn is_own(&self, subject: &Subject) -> bool {
        subject.group == self.source.caller().0
    }

    fn kind(key: Key, entry: &Entry) -> FileType {
        match entry.body {
            Body::DescriptorTexts if key.descriptor.is_some() => FileType::Regular,
            _ if key.descriptor.is_some() => FileType::Symlink,
            Body::Directory | Body::Descriptors | Body::DescriptorTexts | Body::Threads => {
                FileType::Directory
            }
            Body::System(_) | Body::Process(_) => FileType::Regular,
            Body::Link(_) | Body::Magic(..) => FileType::Symlink,
        }
    }

    fn attributes_of(&self, key: Key) -> Result<Attributes, Errno> {
        let entry = Self::entry(key)?;
        if key.process != 0 {
            self.subject(key)?;
        }
        let kind = Self::kind(key, entry);
        let mode = match kind {
            FileType::Directory => 0o555,
            FileType::Symlink => 0o777,
            _ if entry.name == "environ" => 0o400,
            _ => 0o444,
        };
        let mut attributes = Attributes::synthetic(PROC_DEVICE, key.pack(), kind, mode);
        if key.process != 0 {
            let subject = self.subject(key)?;
            let [_, uid, ..] = subject.process.users();
            let [_, gid, ..] = subject.process.groups();
            (attributes.uid, attributes.gid) = (uid, gid);
        }
        Ok(attributes)
    }

    fn find(&self, directory: Key, name: &[u8]) -> Result<Key, Errno> {
        let entry = Self::entry(directory)?;
        match entry.body {
            _ if directory.descriptor.is_some() => return Err(Errno::ENOTDIR),
            Body::Directory => {}
            Body::Threads => {
                let id = number(name).ok_or(Errno::ENOENT)?;
                let subject = self.subject(directory)?;
                if !subject.process.threads().contains(&id) {
                    return Err(Errno::ENOENT);
                }
                return Ok(Key::of_thread(id));
            }
            Body::Descriptors | Body::DescriptorTexts => {
                let descriptor = number(name).ok_or(Errno::ENOENT)?;
                self.subject(directory)?
                    .process
                    .files()
                    .file(descriptor)
                    .map_err(|_| Errno::ENOENT)?;
                return Ok(Key {
                    descriptor: Some(descriptor),
                    ..directory
                });
            }
            _ => return Err(Errno::ENOTDIR),
        }
        let found = Self::table(directory)
            .iter()
            .enumerate()
            .skip(1)
            .find(|(_, e)| is_in(e, directory) && e.name.as_bytes() == name);
        if let Some((entry, _)) = found {
            return Ok(Key { entry, ..directory });
        }
        let id = number(name)
            .filter(|id| directory == ROOT && *id > 0)
            .ok_or(Errno::ENOENT)?;
        self.source.get(id).ok_or(Errno::ENOENT)?;
        Ok(Key::of_process(id))
    }
}

/// Whether `directory` shows `entry`: a thread has no threads of its own.
fn is_in(entry: &Entry, directory: Key) -> bool {
    entry.parent == directory.entry && !(directory.is_thread && matches!(entry.body, Body::Threads))
}

/// A number as `/proc` spells it: no sign, no leading zeros.
fn number(name: &[u8]) -> Option<i32> {
    let text = core::str::from_utf8(name).ok()?;
    let canonical = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|n: &i32| canonical && *n >= 0)
}

impl FileSystem for ProcFs {
    fn kind(&self) -> &'static str {
        "proc"
    }

    fn device(&self) -> u64 {
        PROC_DEVICE
    }

    fn root(&self) -> NodeId {
        ROOT.pack()
    }

    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<(NodeId, Attributes), Errno> {
        let key = self.find(Key::unpack(directory)?, name)?;
        Ok((key.pack(), self.attributes_of(key)?))
    }

    fn parent(&self, node: NodeId) -> Result<NodeId, Errno> {
        let key = Key::unpack(node)?;
        let up = match key {
            Key {
                descriptor: Some(_),
                ..
            } => Key {
                descriptor: None,
                ..key
            },
            Key {
                entry: 0,
                is_thread: true,
                ..
            } => Key {
                entry: process::TASK,
                ..Key::of_process(self.subject(key)?.group)
            },
            Key { entry: 0, .. } => ROOT,
            _ => Key {
                entry: Self::entry(key)?.parent,
                ..key
            },
        };
        Ok(up.pack())
    }

    fn path(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        let key = Key::unpack(node)?;
        let mut path = key
            .descriptor
            .map_or_else(alloc::string::String::new, |d| format!("/{d}"));
        let mut at = key.entry;
        while at != 0 {
            let entry = Self::entry(Key { entry: at, ..key })?;
            path.insert_str(0, &format!("/{}", entry.name));
            at = entry.parent;
        }
        if key.process != 0 {
            path.insert_str(0, &format!("/{}", key.process));
        }
        if key.is_thread {
            path.insert_str(0, &format!("/{}/task", self.subject(key)?.group));
        }
        if path.is_empty() {
            path.push('/');
        }
        Ok(path.into_bytes())
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, Errno> {
        self.attributes_of(Key::unpack(node)?)
    }

    fn change(&self, _: NodeId, _: &super::Changes) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        let key = Key::unpack(node)?;
        if let Some(descriptor) = key.descriptor {
            if matches!(Self::entry(key)?.body, Body::DescriptorTexts) {
                return Err(Errno::EINVAL);
            }
            let subject = self.subject(key)?;
            let file = subject
                .process
                .files()
                .file(descriptor)
                .map_err(|_| Errno::ENOENT)?;
            return Ok(subject.process.fs().file_path(&file));
        }
        match Self::entry(key)?.body {
            Body::Link(text) => text(self),
            Body::Magic(text, _) => text(&self.subject(key)?),
            _ => Err(Errno::EINVAL),
        }
    }

    fn magic_link(&self, node: NodeId) -> Option<Result<MagicTarget, Errno>> {
        let key = Key::unpack(node).ok()?;
        if let Some(descriptor) = key.descriptor {
            if matches!(Self::entry(key).ok()?.body, Body::DescriptorTexts) {
                return None;
            }
            return Some(self.subject(key).and_then(|subject| {
                let files = subject.process.files();
                let file = files.file(descriptor).map_err(|_| Errno::ENOENT)?;
                // A handle of another process names host descriptors of that process.
                let own = self.is_own(&subject);
                match file.location() {
                    Some(at) if at.attributes().is_ok() => Ok(MagicTarget::Location(at.clone())),
                    _ if own => files
                        .get(descriptor)
                        .map(MagicTarget::Open)
                        .map_err(|_| Errno::ENOENT),
                    _ => Err(Errno::EACCES),
                }
            }));
        }
        match Self::entry(key).ok()?.body {
            Body::Magic(_, target) => Some(self.subject(key).and_then(|s| target(&s))),
            _ => None,
        }
    }

    fn entries(&self, directory: NodeId) -> Result<Vec<DirectoryEntry>, Errno> {
        let key = Key::unpack(directory)?;
        let named = |name: &str, key: Key, kind| DirectoryEntry {
            name: name.as_bytes().into(),
            inode: key.pack(),
            kind: Some(kind),
        };
        match Self::entry(key)?.body {
            _ if key.descriptor.is_some() => Err(Errno::ENOTDIR),
            Body::Descriptors | Body::DescriptorTexts => {
                let numbers = self.subject(key)?.process.files().numbers();
                let entry = |d: i32| {
                    let key = Key {
                        descriptor: Some(d),
                        ..key
                    };
                    Ok(named(
                        &format!("{d}"),
                        key,
                        Self::kind(key, Self::entry(key)?),
                    ))
                };
                numbers.into_iter().map(entry).collect()
            }
            Body::Threads => {
                let threads = self.subject(key)?.process.threads();
                let entry =
                    |id: i32| named(&format!("{id}"), Key::of_thread(id), FileType::Directory);
                Ok(threads.into_iter().map(entry).collect())
            }
            Body::Directory => {
                if key.process != 0 {
                    self.subject(key)?;
                }
                let table = Self::table(key)
                    .iter()
                    .enumerate()
                    .skip(1)
                    .filter(|(_, e)| is_in(e, key));
                let mut all: Vec<DirectoryEntry> = table
                    .map(|(entry, e)| {
                        let key = Key { entry, ..key };
                        named(e.name, key, Self::kind(key, e))
                    })
                    .collect();
                if key == ROOT {
                    all.extend(self.source.ids().into_iter().map(|id| {
                        named(&format!("{id}"), Key::of_process(id), FileType::Directory)
                    }));
                }
                Ok(all)
            }
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn open(&self, node: NodeId, flags: u32) -> Result<Opened, Errno> {
        let key = Key::unpack(node)?;
        let attributes = self.attributes_of(key)?;
        let text = match (&Self::entry(key)?.body, key.descriptor) {
            (Body::DescriptorTexts, Some(descriptor)) => {
                let subject = self.subject(key)?;
                process::descriptor_text(&subject, descriptor, self.is_own(&subject))?
            }
            (Body::System(text), None) => text(self)?,
            (Body::Process(text), None) => text(&self.subject(key)?)?,
            (Body::Directory | Body::Descriptors | Body::DescriptorTexts | Body::Threads, None) => {
                return Err(Errno::EISDIR);
            }
            (Body::Link(_) | Body::Magic(..), None) | (_, Some(_)) => return Err(Errno::ELOOP),
        };
        if flags & raw::O_ACCMODE != raw::O_RDONLY {
            return Err(Errno::EACCES);
        }
        Ok(Opened::new(Text::new(text, attributes)))
    }

    fn usage(&self) -> Result<Usage, Errno> {
        Ok(Usage {
            magic: PROC_MAGIC,
            block_size: 4096,
            ..Usage::default()
        })
    }
}
