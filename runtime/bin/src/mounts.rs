//! From what the session or the developer says to the kernel's mounts.

use alloc::{ffi::CString, format, string::String, sync::Arc, vec::Vec};
use bannock_boot::{BootFault, HostMount, Standalone};
use bannock_kernel::fs::{self, HostFs, MemoryFs, MountRequest, Mounts, TreeFs};
use bannock_kernel::task::Container;
use bannock_measure::tree::{self, Manifest};
use bannock_platform::{
    Errno,
    host::{self, file::Wait},
};
use bannock_wire::config::{InjectedFile, MountKind, ServiceConfig, Tree};

/// Largest manifest in bytes.
const MAX_MANIFEST: u64 = 64 << 20;

/// Device numbers of the container's own file systems start here.
const FIRST_DEVICE: u64 = 0x100;

struct Builder<'a> {
    container: &'a Arc<Container>,
    requests: Vec<MountRequest>,
    /// The memory mounts among the requests, by path.
    memory: Vec<(String, Arc<MemoryFs>)>,
    next_device: u64,
}

impl<'a> Builder<'a> {
    fn new(container: &'a Arc<Container>) -> Self {
        let mut requests = fs::device_mounts(&container.cache);
        requests.push(fs::system_mount());
        Self {
            container,
            requests,
            memory: Vec::new(),
            next_device: FIRST_DEVICE,
        }
    }

    fn device(&mut self) -> u64 {
        self.next_device += 1;
        self.next_device
    }

    fn host(&mut self, path: &str, source: &str, read_only: bool) -> Result<(), BootFault> {
        let host = HostFs::new(source.as_bytes()).map_err(|e| {
            BootFault::Failed(format!(
                "cannot open the host directory `{source}` for `{path}` ({e})"
            ))
        })?;
        self.container.keep(host.root_descriptor());
        self.requests.push(MountRequest {
            path: path.into(),
            fs: Arc::new(host),
            read_only,
        });
        Ok(())
    }

    fn memory(&mut self, path: &str, mode: u32) -> Arc<MemoryFs> {
        let device = self.device();
        let memory = Arc::new(MemoryFs::new(
            Arc::clone(&self.container.cache),
            device,
            mode,
        ));
        self.requests.push(MountRequest {
            path: path.into(),
            fs: Arc::<MemoryFs>::clone(&memory),
            read_only: false,
        });
        self.memory.push((path.into(), Arc::clone(&memory)));
        memory
    }

    /// Injected files: part of the memory mount that they are in, or mounted one by one over the
    /// names in a tree or host directory, whose other names stay. Where there is nothing yet, the
    /// directory is in memory.
    fn injected(&mut self, files: &[InjectedFile]) -> Result<(), BootFault> {
        for file in files {
            self.inject(file)
                .map_err(|e| BootFault::Failed(format!("cannot inject `{}` ({e})", file.path)))?;
        }
        Ok(())
    }

    fn inject(&mut self, file: &InjectedFile) -> Result<(), Errno> {
        let (directory, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let covering = self
            .requests
            .iter()
            .filter(|request| below(&request.path, file.path.as_bytes()).is_some())
            .map(|request| request.path.len())
            .max();
        let memory = self
            .memory
            .iter()
            .find(|(path, _)| Some(path.len()) == covering)
            .filter(|(path, _)| below(path.as_bytes(), file.path.as_bytes()).is_some());
        let (memory, inside) = match (memory, covering) {
            (Some((path, memory)), _) => (
                Arc::clone(memory),
                below(path.as_bytes(), file.path.as_bytes()).unwrap_or_default(),
            ),
            (None, Some(_)) => {
                let device = self.device();
                let cache = Arc::clone(&self.container.cache);
                let single = MemoryFs::single(cache, device, file.mode, &file.content)?;
                self.requests.push(MountRequest {
                    path: file.path.clone().into(),
                    fs: Arc::new(single),
                    read_only: false,
                });
                return Ok(());
            }
            (None, None) => {
                let directory = if directory.is_empty() { "/" } else { directory };
                (self.memory(directory, 0o755), name.as_bytes())
            }
        };
        memory.inject(inside, file.mode, 0, 0, &file.content)
    }

    fn tree(&mut self, wanted: &Tree, manifests: &[String]) -> Result<(), BootFault> {
        let manifest = find(wanted, manifests)?;
        let device = self.device();
        let denied: Arc<dyn fs::Denied> = Arc::clone(self.container) as Arc<dyn fs::Denied>;
        let tree = TreeFs::new(
            b"/",
            manifest,
            device,
            Arc::clone(&self.container.cache),
            denied,
        )
        .map_err(|e| BootFault::Failed(format!("cannot open the host's root directory ({e})")))?;
        self.container.keep(tree.root_descriptor());
        self.requests.push(MountRequest {
            path: wanted.path.clone().into(),
            fs: Arc::new(tree),
            read_only: true,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<Arc<Mounts>, BootFault> {
        self.requests.push(fs::proc::process_mount(
            Arc::clone(self.container) as Arc<dyn fs::proc::ProcessSource>
        ));
        Mounts::new(self.requests, &self.container.cache)
            .map_err(|e| BootFault::Failed(format!("the mounts do not fit together ({e})")))
    }
}

/// What follows `mount` in `path`, where that lies in it.
fn below<'a>(mount: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    let mount = mount.strip_suffix(b"/").unwrap_or(mount);
    path.strip_prefix(mount)
        .filter(|rest| rest.first() == Some(&b'/') && rest.len() > 1)
}

/// The manifest with the wanted digest, among those that the host offers.
fn find(wanted: &Tree, manifests: &[String]) -> Result<Manifest, BootFault> {
    let mut tried = Vec::new();
    for path in manifests.iter().chain(&wanted.manifest) {
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(e) => {
                tried.push(format!("`{path}`: {e}"));
                continue;
            }
        };
        if tree::root_digest(&bytes) != wanted.digest {
            tried.push(format!("`{path}`: another digest"));
            continue;
        }
        return Manifest::parse(&bytes).map_err(|e| {
            BootFault::Denied(format!(
                "the manifest `{path}` has the right digest but is malformed: {e}"
            ))
        });
    }
    let digest: String = wanted.digest.iter().map(|b| format!("{b:02x}")).collect();
    Err(BootFault::Denied(format!(
        "no manifest with the digest {digest} for the tree at `{}`: {}; give the right one with `--tree`",
        wanted.path,
        if tried.is_empty() {
            "the host offers none".into()
        } else {
            tried.join("; ")
        }
    )))
}

/// Reads a host file into memory of our own.
fn read(path: &str) -> Result<Vec<u8>, Errno> {
    let name = CString::new(path).map_err(|_| Errno::EINVAL)?;
    let fd = host::file::open_absolute(&name, 0)?;
    let mut bytes = Vec::new();
    let outcome = loop {
        let at = bytes.len();
        if at as u64 > MAX_MANIFEST {
            break Err(Errno::EFBIG);
        }
        bytes.resize(at + (256 << 10), 0);
        let into = host::Into::Kernel(bytes.get_mut(at..).unwrap_or_default());
        match host::file::read(fd, into, Some(at as u64), Wait::Uninterruptible) {
            Ok(n) => {
                bytes.truncate(at + n);
                if n == 0 {
                    break Ok(());
                }
            }
            Err(e) => break Err(e),
        }
    };
    host::file::close(fd);
    outcome.map(|()| bytes)
}

/// What a session says; nothing else is there.
pub(crate) fn attested(
    container: &Arc<Container>,
    config: &ServiceConfig,
    manifests: &[String],
) -> Result<Arc<Mounts>, BootFault> {
    let mut builder = Builder::new(container);
    for tree in &config.trees {
        builder.tree(tree, manifests)?;
    }
    for mount in &config.mounts {
        match &mount.kind {
            MountKind::Memory => drop(builder.memory(&mount.path, 0o1777)),
            MountKind::Host { source, read_only } => {
                builder.host(&mount.path, source, *read_only)?
            }
        }
    }
    builder.injected(&config.files)?;
    builder.finish()
}

/// The host's root, and what the developer adds.
pub(crate) fn standalone(
    container: &Arc<Container>,
    standalone: &Standalone,
) -> Result<Arc<Mounts>, BootFault> {
    let mut builder = Builder::new(container);
    builder.host("/", "/", false)?;
    for mount in &standalone.mounts {
        match mount {
            HostMount::Host {
                path,
                source,
                read_only,
            } => builder.host(path, source, *read_only)?,
            HostMount::Memory { path } => drop(builder.memory(path, 0o1777)),
        }
    }
    builder.finish()
}
