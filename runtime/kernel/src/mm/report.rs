//! What `/proc` shows of an address space.

use super::area::{Area, Content, Protection};
use super::space::AddressSpace;
use alloc::{format, string::String, vec::Vec};

/// Sizes in bytes, as `/proc/self/status` and `statm` report them (proc(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// `VmSize`: everything that is mapped.
    pub size: usize,
    /// `VmLck`.
    pub locked: usize,
    /// `VmData`: private writable memory besides the stack.
    pub data: usize,
    /// `VmStk`.
    pub stack: usize,
    /// `VmExe` and `VmLib`: executable files.
    pub code: usize,
}

impl AddressSpace {
    /// Sizes of the address space.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let inner = self.lock();
        let mut usage = Usage {
            size: inner.map.total(),
            locked: inner.locked,
            ..Usage::default()
        };
        for area in inner.map.iter() {
            let writable = area.protection.contains(Protection::WRITE);
            if area.name == "[stack]" {
                usage.stack += area.len();
            } else if writable && !area.content.is_shared() {
                usage.data += area.len();
            } else if area.protection.contains(Protection::EXEC)
                && matches!(area.content, Content::File { .. })
            {
                usage.code += area.len();
            }
        }
        usage
    }

    /// `/proc/self/maps` (proc(5)), the runtime's trampolines included.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let areas: Vec<Area> = self.lock().map.iter().cloned().collect();
        let mut text = Vec::new();
        for area in &areas {
            render_area(area, &mut text);
        }
        text
    }
}

fn render_area(area: &Area, into: &mut Vec<u8>) {
    let may = |what, letter| {
        if area.protection.contains(what) {
            letter
        } else {
            '-'
        }
    };
    let nothing: &[u8] = &[];
    let (offset, (major, minor), inode, path) = match &area.content {
        Content::File { info, offset, .. } => (*offset, info.device, info.inode, &*info.path),
        Content::SharedMemory { object, offset } => {
            (*offset, (0, 1), *object, b"/dev/zero (deleted)".as_slice())
        }
        Content::Anonymous | Content::Runtime => (0, (0, 0), 0, nothing),
    };
    let name = if path.is_empty() {
        area.name.as_bytes()
    } else {
        path
    };
    let mut line: String = format!(
        "{:08x}-{:08x} {}{}{}{} {offset:08x} {major:02x}:{minor:02x} {inode} ",
        area.start,
        area.end,
        may(Protection::READ, 'r'),
        may(Protection::WRITE, 'w'),
        may(Protection::EXEC, 'x'),
        if area.content.is_shared() { 's' } else { 'p' },
    );
    if !name.is_empty() {
        // Names start in column 73 (fs/proc/task_mmu.c).
        while line.len() < 73 {
            line.push(' ');
        }
    }
    into.extend_from_slice(line.as_bytes());
    for &byte in name {
        // A newline in a path would forge a line.
        match byte {
            b'\n' => into.extend_from_slice(b"\\012"),
            other => into.push(other),
        }
    }
    into.push(b'\n');
}
