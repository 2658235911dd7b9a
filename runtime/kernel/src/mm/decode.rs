//! The arguments of mmap(2), decoded.

use super::area::{Attributes, Protection};
use super::space::Place;
use bannock_platform::{Errno, PAGE};
use linux_raw_sys::general as raw;

/// What a program asks of mmap(2), besides the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapArguments {
    /// Where.
    pub place: Place,
    /// What the program may do.
    pub protection: Protection,
    /// `MAP_SHARED`.
    pub shared: bool,
    /// Whether there is no file.
    pub anonymous: bool,
    /// Further properties.
    pub attributes: Attributes,
    /// `MAP_POPULATE`.
    pub populate: bool,
}

/// Flags that are known; `MAP_SHARED_VALIDATE` refuses all others.
const KNOWN: u32 = raw::MAP_TYPE
    | raw::MAP_FIXED
    | raw::MAP_FIXED_NOREPLACE
    | raw::MAP_ANONYMOUS
    | raw::MAP_32BIT
    | raw::MAP_GROWSDOWN
    | raw::MAP_DENYWRITE
    | raw::MAP_EXECUTABLE
    | raw::MAP_LOCKED
    | raw::MAP_NORESERVE
    | raw::MAP_POPULATE
    | raw::MAP_NONBLOCK
    | raw::MAP_STACK
    | raw::MAP_HUGETLB;

impl MapArguments {
    /// Decodes the arguments that mmap(2) has.
    ///
    /// # Errors
    /// `EINVAL` for what Linux refuses so, `EOPNOTSUPP` for unknown flags with
    /// `MAP_SHARED_VALIDATE`, `ENOMEM` for huge pages, of which there are none.
    pub fn decode(
        address: usize,
        len: usize,
        protection: u32,
        flags: u32,
        offset: usize,
    ) -> Result<Self, Errno> {
        if !offset.is_multiple_of(PAGE) || len == 0 {
            return Err(Errno::EINVAL);
        }
        let shared = match flags & raw::MAP_TYPE {
            raw::MAP_SHARED => true,
            raw::MAP_SHARED_VALIDATE if flags & !KNOWN != 0 => return Err(Errno::EOPNOTSUPP),
            raw::MAP_SHARED_VALIDATE => true,
            raw::MAP_PRIVATE => false,
            _ => return Err(Errno::EINVAL),
        };
        let has = |flag| flags & flag != 0;
        let anonymous = has(raw::MAP_ANONYMOUS);
        if has(raw::MAP_HUGETLB) {
            return Err(if anonymous {
                Errno::ENOMEM
            } else {
                Errno::EINVAL
            });
        }
        let place = if has(raw::MAP_FIXED_NOREPLACE) {
            Place::Free(address)
        } else if has(raw::MAP_FIXED) {
            Place::Fixed(address)
        } else if has(raw::MAP_32BIT) && address == 0 {
            Place::Low
        } else {
            Place::Hint(address)
        };
        let mut attributes = Attributes::empty();
        attributes.set(Attributes::NO_RESERVE, has(raw::MAP_NORESERVE));
        attributes.set(Attributes::GROWS_DOWN, has(raw::MAP_GROWSDOWN));
        attributes.set(Attributes::LOCKED, has(raw::MAP_LOCKED));
        Ok(Self {
            place,
            protection: Protection::from_bits_truncate(protection),
            shared,
            anonymous,
            attributes,
            populate: has(raw::MAP_POPULATE) && !has(raw::MAP_NONBLOCK),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(flags: u32) -> Result<MapArguments, Errno> {
        MapArguments::decode(0x1000, 1, raw::PROT_READ, flags, 0)
    }

    #[test]
    fn exactly_one_kind_of_sharing_is_needed() {
        assert_eq!(decode(raw::MAP_ANONYMOUS), Err(Errno::EINVAL));
        assert_eq!(decode(raw::MAP_ANONYMOUS | 4), Err(Errno::EINVAL));
        assert!(decode(raw::MAP_PRIVATE).is_ok_and(|a| !a.shared));
        assert!(decode(raw::MAP_SHARED).is_ok_and(|a| a.shared));
        assert!(decode(raw::MAP_SHARED_VALIDATE).is_ok_and(|a| a.shared));
    }

    #[test]
    fn unknown_flags_are_refused_only_where_validated() {
        assert!(decode(raw::MAP_SHARED | 1 << 30).is_ok());
        assert_eq!(
            decode(raw::MAP_SHARED_VALIDATE | 1 << 30),
            Err(Errno::EOPNOTSUPP)
        );
    }

    #[test]
    fn not_replacing_wins_over_replacing() {
        let both = decode(raw::MAP_PRIVATE | raw::MAP_FIXED | raw::MAP_FIXED_NOREPLACE);
        assert_eq!(both.map(|a| a.place), Ok(Place::Free(0x1000)));
    }

    #[test]
    fn there_are_no_huge_pages() {
        assert_eq!(
            decode(raw::MAP_PRIVATE | raw::MAP_ANONYMOUS | raw::MAP_HUGETLB),
            Err(Errno::ENOMEM)
        );
        assert_eq!(
            decode(raw::MAP_PRIVATE | raw::MAP_HUGETLB),
            Err(Errno::EINVAL)
        );
    }
}
