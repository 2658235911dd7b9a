//! `/sys`: the processors, which programs count there.

use super::super::MountRequest;
use super::super::attributes::device_number;
use super::{Body, Fixed};
use alloc::{format, sync::Arc, vec::Vec};
use bannock_platform::{Errno, host};

const SYSFS_MAGIC: u64 = 0x6265_6572;

/// Processors that the container may use.
pub(in super::super) fn processors() -> usize {
    let mut mask = [0u8; 128];
    let count = host::process::affinity(&mut mask).unwrap_or(0);
    let bits: u32 = mask.iter().take(count).map(|b| b.count_ones()).sum();
    usize::try_from(bits).unwrap_or(1).max(1)
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "the signature is that of all generators"
)]
fn range() -> Result<Vec<u8>, Errno> {
    Ok(match processors() {
        1 => b"0\n".to_vec(),
        count => format!("0-{}\n", count - 1).into_bytes(),
    })
}

/// `/sys` with `devices/system/cpu`.
#[must_use]
pub fn system_mount() -> MountRequest {
    let mut tree = Fixed::new("sysfs", SYSFS_MAGIC, device_number(0, 8));
    for name in ["online", "possible", "present"] {
        tree.add(
            format!("devices/system/cpu/{name}").as_bytes(),
            Body::Text(range),
        );
    }
    for number in 0..processors() {
        tree.add(
            format!("devices/system/cpu/cpu{number}").as_bytes(),
            Body::Directory,
        );
    }
    MountRequest {
        path: b"/sys".to_vec(),
        fs: Arc::new(tree),
        read_only: true,
    }
}
