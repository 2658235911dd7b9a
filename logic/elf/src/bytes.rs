//! Little-endian fields at untrusted offsets.

/// Returns `N` bytes of `bytes` at `offset`, or `None` when they do not exist.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], offset: u64) -> Option<[u8; N]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(N)?)?.try_into().ok()
}

pub(crate) fn u16_at(bytes: &[u8], offset: u64) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], offset: u64) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], offset: u64) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

/// Returns the `len` bytes of `bytes` at `offset`, or `None` when they do not exist.
pub(crate) fn slice_at(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(usize::try_from(len).ok()?)?)
}

/// Overwrites the bytes of `bytes` at `offset` with `new`, or returns `None` when they do not exist.
pub(crate) fn put(bytes: &mut [u8], offset: u64, new: &[u8]) -> Option<()> {
    let start = usize::try_from(offset).ok()?;
    let target = bytes.get_mut(start..start.checked_add(new.len())?)?;
    target.copy_from_slice(new);
    Some(())
}
