//! Small file systems that the kernel makes up: fixed trees of texts, links and devices.

mod dev;
mod device;
mod sys;
mod text;

pub use dev::device_mounts;
pub(super) use sys::processors;
pub use sys::system_mount;
use text::Generate;
pub(super) use text::Text;

use super::attributes::{Attributes, FileType, device_number};
use super::filesystem::{DirectoryEntry, FileSystem, NodeId, Opened, Usage};
use alloc::{boxed::Box, vec::Vec};
use bannock_platform::Errno;
use device::{Device, DeviceFile};

const ROOT: NodeId = 1;

/// A tree that never changes.
struct Fixed {
    kind: &'static str,
    magic: u64,
    device: u64,
    nodes: Vec<FixedNode>,
}

struct FixedNode {
    name: Box<[u8]>,
    parent: usize,
    body: Body,
}

enum Body {
    Directory,
    Text(Generate),
    Link(&'static [u8]),
    Device(Device),
}

impl Fixed {
    fn new(kind: &'static str, magic: u64, device: u64) -> Self {
        let root = FixedNode {
            name: Box::default(),
            parent: 0,
            body: Body::Directory,
        };
        Self {
            kind,
            magic,
            device,
            nodes: Vec::from([root]),
        }
    }

    /// Adds `path` (components separated by slashes), and directories on the way.
    fn add(&mut self, path: &[u8], body: Body) {
        let mut at = 0;
        let mut names = super::mounts::components(path).peekable();
        let mut body = Some(body);
        while let Some(name) = names.next() {
            let found = self
                .nodes
                .iter()
                .enumerate()
                .skip(1)
                .position(|(_, n)| n.parent == at && &*n.name == name);
            at = match found {
                Some(position) => position + 1,
                None => {
                    let own = if names.peek().is_none() {
                        body.take()
                    } else {
                        None
                    };
                    self.nodes.push(FixedNode {
                        name: name.into(),
                        parent: at,
                        body: own.unwrap_or(Body::Directory),
                    });
                    self.nodes.len() - 1
                }
            };
        }
    }

    fn get(&self, node: NodeId) -> Result<(usize, &FixedNode), Errno> {
        let index = usize::try_from(node)
            .ok()
            .and_then(|n| n.checked_sub(1))
            .ok_or(Errno::ENOENT)?;
        self.nodes
            .get(index)
            .map(|n| (index, n))
            .ok_or(Errno::ENOENT)
    }

    fn children(&self, index: usize) -> impl Iterator<Item = (usize, &FixedNode)> {
        self.nodes
            .iter()
            .enumerate()
            .skip(1)
            .filter(move |(_, n)| n.parent == index)
    }

    fn attributes_of(&self, index: usize, node: &FixedNode) -> Attributes {
        let (kind, mode) = match &node.body {
            Body::Directory => (FileType::Directory, 0o755),
            Body::Text(_) => (FileType::Regular, 0o444),
            Body::Link(_) => (FileType::Symlink, 0o777),
            Body::Device(_) => (FileType::Character, 0o666),
        };
        let mut attributes = Attributes::synthetic(self.device, index as u64 + 1, kind, mode);
        match &node.body {
            Body::Link(target) => attributes.size = target.len() as u64,
            Body::Device(device) => {
                let (major, minor) = device.number();
                attributes.special = device_number(major, minor);
            }
            Body::Directory | Body::Text(_) => {}
        }
        attributes
    }
}

impl FileSystem for Fixed {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn device(&self) -> u64 {
        self.device
    }

    fn root(&self) -> NodeId {
        ROOT
    }

    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<(NodeId, Attributes), Errno> {
        let (index, node) = self.get(directory)?;
        if !matches!(node.body, Body::Directory) {
            return Err(Errno::ENOTDIR);
        }
        let (found, child) = self
            .children(index)
            .find(|(_, n)| &*n.name == name)
            .ok_or(Errno::ENOENT)?;
        Ok((found as NodeId + 1, self.attributes_of(found, child)))
    }

    fn parent(&self, node: NodeId) -> Result<NodeId, Errno> {
        self.get(node).map(|(_, n)| n.parent as NodeId + 1)
    }

    fn path(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        let (mut index, mut at) = self.get(node)?;
        let mut path = Vec::new();
        while index != 0 {
            path.splice(0..0, [b"/", &*at.name].concat());
            (index, at) = self.get(at.parent as NodeId + 1)?;
        }
        if path.is_empty() {
            path.push(b'/');
        }
        Ok(path)
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, Errno> {
        self.get(node)
            .map(|(index, n)| self.attributes_of(index, n))
    }

    fn change(&self, _: NodeId, _: &super::Changes) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        match self.get(node)?.1.body {
            Body::Link(target) => Ok(target.to_vec()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn entries(&self, directory: NodeId) -> Result<Vec<DirectoryEntry>, Errno> {
        let (index, node) = self.get(directory)?;
        if !matches!(node.body, Body::Directory) {
            return Err(Errno::ENOTDIR);
        }
        let entry = |(index, node): (usize, &FixedNode)| DirectoryEntry {
            name: node.name.clone(),
            inode: index as u64 + 1,
            kind: Some(self.attributes_of(index, node).kind),
        };
        Ok(self.children(index).map(entry).collect())
    }

    fn open(&self, node: NodeId, flags: u32) -> Result<Opened, Errno> {
        let (index, found) = self.get(node)?;
        let attributes = self.attributes_of(index, found);
        match &found.body {
            Body::Text(generate) => Text::open(*generate, attributes, flags),
            Body::Device(Device::Terminal) => crate::tty::open_slave(flags),
            Body::Device(device) => Ok(Opened::new(DeviceFile {
                device: *device,
                attributes,
            })),
            Body::Directory => Err(Errno::EISDIR),
            Body::Link(_) => Err(Errno::ELOOP),
        }
    }

    fn usage(&self) -> Result<Usage, Errno> {
        Ok(Usage {
            magic: self.magic,
            block_size: 4096,
            ..Usage::default()
        })
    }
}
