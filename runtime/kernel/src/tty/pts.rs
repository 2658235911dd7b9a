//! `/dev/pts`.

use super::files::{DEVICE, Master, PTMX, master_attributes, open_by_name, slave_attributes};
use super::pty::{Pty, PtyTable};
use crate::fs::filesystem::{DirectoryEntry, FileSystem, NodeId, Opened, Usage};
use crate::fs::{Attributes, Changes, FileType, MountRequest};
use crate::task::Thread;
use alloc::{format, sync::Arc, vec::Vec};
use bannock_platform::{Errno, current};

const ROOT: NodeId = 1;
const DEVPTS_MAGIC: u64 = 0x1cd1;

/// `/dev/pts`: the multiplexer, and a slave for every open master.
#[derive(Default)]
struct PtsFs {
    table: Arc<PtyTable>,
}

/// `/dev/pts`.
#[must_use]
pub fn pseudo_terminal_mount() -> MountRequest {
    MountRequest {
        path: b"/dev/pts".to_vec(),
        fs: Arc::new(PtsFs::default()),
        read_only: false,
    }
}

impl PtsFs {
    fn slave(&self, node: NodeId) -> Result<Arc<Pty>, Errno> {
        node.checked_sub(PTMX + 1)
            .and_then(|number| u32::try_from(number).ok())
            .and_then(|number| self.table.get(number))
            .ok_or(Errno::ENOENT)
    }
}

impl FileSystem for PtsFs {
    fn kind(&self) -> &'static str {
        "devpts"
    }

    fn device(&self) -> u64 {
        DEVICE
    }

    fn root(&self) -> NodeId {
        ROOT
    }

    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<(NodeId, Attributes), Errno> {
        if directory != ROOT {
            return Err(Errno::ENOTDIR);
        }
        if name == b"ptmx" {
            return Ok((PTMX, master_attributes()));
        }
        let number: u32 = core::str::from_utf8(name)
            .ok()
            .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
            .filter(|text| *text == "0" || !text.starts_with('0'))
            .and_then(|text| text.parse().ok())
            .ok_or(Errno::ENOENT)?;
        let pty = self.table.get(number).ok_or(Errno::ENOENT)?;
        Ok((PTMX + 1 + u64::from(number), slave_attributes(&pty)))
    }

    fn parent(&self, _: NodeId) -> Result<NodeId, Errno> {
        Ok(ROOT)
    }

    fn path(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        match node {
            ROOT => Ok(b"/".to_vec()),
            PTMX => Ok(b"/ptmx".to_vec()),
            _ => self
                .slave(node)
                .map(|pty| format!("/{}", pty.number).into_bytes()),
        }
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes, Errno> {
        match node {
            ROOT => Ok(Attributes::synthetic(
                DEVICE,
                ROOT,
                FileType::Directory,
                0o755,
            )),
            PTMX => Ok(master_attributes()),
            _ => self.slave(node).map(|pty| slave_attributes(&pty)),
        }
    }

    fn change(&self, node: NodeId, changes: &Changes) -> Result<(), Errno> {
        if node == ROOT || changes.size.is_some() {
            return Err(Errno::EPERM);
        }
        // As for open ones: owners and modes are kept as they are.
        self.attributes(node).map(drop)
    }

    fn entries(&self, directory: NodeId) -> Result<Vec<DirectoryEntry>, Errno> {
        if directory != ROOT {
            return Err(Errno::ENOTDIR);
        }
        let entry = |name: Vec<u8>, inode| DirectoryEntry {
            name: name.into(),
            inode,
            kind: Some(FileType::Character),
        };
        let mut all = Vec::from([entry(b"ptmx".to_vec(), PTMX)]);
        for number in self.table.numbers() {
            let name = format!("{number}").into_bytes();
            all.push(entry(name, PTMX + 1 + u64::from(number)));
        }
        Ok(all)
    }

    fn open(&self, node: NodeId, flags: u32) -> Result<Opened, Errno> {
        match node {
            ROOT => Err(Errno::EISDIR),
            PTMX => {
                let thread = current::get::<Thread>();
                let process = thread.as_ref().map(|thread| &thread.process);
                let user = process.map_or(0, |process| process.credentials().uid);
                Ok(Opened::new(Master {
                    pty: self.table.create(user)?,
                    container: process.map(|process| Arc::clone(&process.container)),
                }))
            }
            _ => open_by_name(self.slave(node)?, flags),
        }
    }

    fn usage(&self) -> Result<Usage, Errno> {
        Ok(Usage {
            magic: DEVPTS_MAGIC,
            block_size: 4096,
            ..Usage::default()
        })
    }
}
