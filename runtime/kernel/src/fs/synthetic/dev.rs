//! `/dev`.

use super::super::attributes::device_number;
use super::super::{MemoryFs, MountRequest};
use super::{Body, Fixed, device::Device};
use alloc::{sync::Arc, vec::Vec};
use bannock_platform::cache::Pool;
use linux_raw_sys::general::TMPFS_MAGIC;

/// `/dev` with its devices, `/dev/shm` in memory, and `/dev/pts`.
#[must_use]
pub fn device_mounts(pool: &Arc<Pool>) -> Vec<MountRequest> {
    let mut tree = Fixed::new("devtmpfs", u64::from(TMPFS_MAGIC), device_number(0, 5));
    let devices: [(&[u8], Device); 6] = [
        (b"null", Device::Null),
        (b"zero", Device::Zero),
        (b"full", Device::Full),
        (b"random", Device::Random { minor: 8 }),
        (b"urandom", Device::Random { minor: 9 }),
        (b"tty", Device::Terminal),
    ];
    for (name, device) in devices {
        tree.add(name, Body::Device(device));
    }
    let links: [(&[u8], &[u8]); 5] = [
        (b"ptmx", b"pts/ptmx"),
        (b"fd", b"/proc/self/fd"),
        (b"stdin", b"/proc/self/fd/0"),
        (b"stdout", b"/proc/self/fd/1"),
        (b"stderr", b"/proc/self/fd/2"),
    ];
    for (name, target) in links {
        tree.add(name, Body::Link(target));
    }
    let shared = MemoryFs::new(Arc::clone(pool), device_number(0, 6), 0o1777);
    // Not read-only as a mount: devices are written to; the tree itself refuses changes.
    Vec::from([
        MountRequest {
            path: b"/dev".to_vec(),
            fs: Arc::new(tree),
            read_only: false,
        },
        MountRequest {
            path: b"/dev/shm".to_vec(),
            fs: Arc::new(shared),
            read_only: false,
        },
        crate::tty::pseudo_terminal_mount(),
    ])
}
