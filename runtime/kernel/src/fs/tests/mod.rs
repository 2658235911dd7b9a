//! File behaviour as programs see it.

mod linux;
mod measured;
mod open_files;
mod processes;
mod walks;

use super::walk::{How, Target};
use super::*;
use alloc::{format, string::String, sync::Arc, vec::Vec};
use bannock_platform::{Errno, cache::Pool, host as platform_host};
use linux_raw_sys::general as raw;

fn pool() -> Arc<Pool> {
    static POOL: std::sync::OnceLock<Arc<Pool>> = std::sync::OnceLock::new();
    bannock_platform::hosted::install();
    Arc::clone(POOL.get_or_init(|| Arc::new(Pool::new())))
}

struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bannock-fs-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn bytes(&self) -> &[u8] {
        std::os::unix::ffi::OsStrExt::as_bytes(self.0.as_os_str())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mount(path: &str, fs: impl FileSystem + 'static, read_only: bool) -> MountRequest {
    MountRequest {
        path: path.into(),
        fs: Arc::new(fs),
        read_only,
    }
}

fn context(requests: Vec<MountRequest>) -> FsContext {
    FsContext::new(Mounts::new(requests, &pool()).unwrap())
}

fn memory() -> MemoryFs {
    MemoryFs::new(pool(), 77, 0o755)
}

fn root() -> Credentials {
    Credentials::default()
}

fn open(context: &FsContext, path: &str, flags: u32) -> Result<Arc<Handle>, Errno> {
    context.open(None, path.as_bytes(), flags, 0o644, How::empty(), &root())
}

fn write(file: &Handle, bytes: &[u8]) -> Result<usize, Errno> {
    file.write(platform_host::From::Kernel(bytes), None)
}

fn contents(context: &FsContext, path: &str) -> Result<Vec<u8>, Errno> {
    let file = open(context, path, raw::O_RDONLY)?;
    let mut all = Vec::new();
    let mut buffer = [0u8; 1000];
    loop {
        match file.read(platform_host::Into::Kernel(&mut buffer), None)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

fn look(context: &FsContext, path: &str, how: How) -> Result<Attributes, Errno> {
    match context.walk(None, path.as_bytes(), how, &root())? {
        Target::Found(_, attributes) => Ok(attributes),
        Target::Open(handle) => handle.attributes(),
    }
}

fn place(context: &FsContext, path: &str) -> Location {
    match context
        .walk(None, path.as_bytes(), How::empty(), &root())
        .unwrap()
    {
        Target::Found(at, _) => at,
        Target::Open(_) => panic!("{path} is an open file"),
    }
}

fn make(
    context: &FsContext,
    directory: &str,
    name: &str,
    kind: filesystem::NewKind<'_>,
) -> Result<(), Errno> {
    let at = place(context, directory);
    let new = filesystem::NewFile {
        kind,
        mode: 0o755,
        uid: 0,
        gid: 0,
    };
    at.fs().make(at.id(), name.as_bytes(), &new)
}

fn names(context: &FsContext, path: &str) -> Vec<String> {
    let entries = context.mounts().entries(&place(context, path)).unwrap();
    let mut names: Vec<String> = entries
        .iter()
        .map(|e| String::from_utf8_lossy(&e.name).into_owned())
        .collect();
    names.sort();
    names
}
