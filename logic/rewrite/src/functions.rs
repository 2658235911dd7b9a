//! Bounds of functions, from the unwind information (LSB 5.0, "DWARF Extensions": `.eh_frame_hdr`,
//! `.eh_frame`).

use bannock_elf::{Elf, SegmentKind};

/// `DW_EH_PE_pcrel | DW_EH_PE_sdata4`: the one pointer encoding that compilers use for code.
const PC_RELATIVE_4: u8 = 0x1b;
/// `DW_EH_PE_omit`: no pointer.
const OMITTED: u8 = 0xff;
/// How many bytes of code may follow what unwind information describes: glibc's `clone` leaves its system
/// call out, so that unwinding stops in the child.
const UNDESCRIBED: u64 = 32;
/// Size in bytes of an entry of the search table.
const ENTRY_LEN: usize = 8;

/// A function, as an unwinder sees it; addresses are the file's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) start: u64,
    /// End of what its unwind information describes.
    pub(crate) described_end: u64,
    /// End of its code.
    pub(crate) end: u64,
    /// Start of the function after it.
    pub(crate) next: u64,
    /// Whether it returns from a signal handler (augmentation `S`); its bytes are an interface.
    pub(crate) is_signal_frame: bool,
    /// Whether its bounds are a guess.
    pub(crate) is_guess: bool,
}

/// The binary search table of `.eh_frame_hdr`.
pub(crate) struct FunctionIndex<'a> {
    file: &'a [u8],
    elf: &'a Elf,
    address: u64,
    table: &'a [u8],
}

impl<'a> FunctionIndex<'a> {
    /// Finds the table; `None` where the file has none in the form that linkers write.
    pub(crate) fn find(file: &'a [u8], elf: &'a Elf) -> Option<Self> {
        let header = elf.find(SegmentKind::EhFrameHeader)?;
        let start = usize::try_from(header.offset).ok()?;
        let len = usize::try_from(header.file_len).ok()?;
        let section = file.get(start..start.checked_add(len)?)?;
        // Version 1; the .eh_frame pointer is not needed; count as udata4; table as datarel sdata4.
        let ([1, PC_RELATIVE_4, 0x03, 0x3b, _, _, _, _], rest) =
            section.split_first_chunk::<8>()?
        else {
            return None;
        };
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let table = rest.get(..count.checked_mul(ENTRY_LEN)?)?;
        (count > 0).then_some(Self {
            file,
            elf,
            address: header.vaddr,
            table,
        })
    }

    /// Returns the function that contains an address.
    pub(crate) fn containing(&self, address: u64) -> Option<Function> {
        let count = self.table.len() / ENTRY_LEN;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.entry(middle)?.0 <= address {
                low = middle + 1
            } else {
                high = middle
            }
        }
        let index = low.checked_sub(1)?;
        let (start, record) = self.entry(index)?;
        let next = self.entry(low).map_or(u64::MAX, |(start, _)| start);
        let (begin, len, is_signal_frame) = self.frame_description(record)?;
        let described_end = start.checked_add(len)?;
        let end = if address < described_end {
            described_end
        } else {
            described_end.checked_add(UNDESCRIBED)?.min(next)
        };
        (begin == start && address < end).then_some(Function {
            start,
            described_end,
            end,
            next,
            is_signal_frame,
            is_guess: false,
        })
    }

    fn entry(&self, index: usize) -> Option<(u64, u64)> {
        let at = index.checked_mul(ENTRY_LEN)?;
        let entry = self.table.get(at..at.checked_add(ENTRY_LEN)?)?;
        let (start, record) = entry.split_first_chunk::<4>()?;
        let start = i32::from_le_bytes(*start);
        let record = i32::from_le_bytes(record.try_into().ok()?);
        let absolute = |distance: i32| self.address.checked_add_signed(distance.into());
        Some((absolute(start)?, absolute(record)?))
    }

    /// Reads start, length and whether it is a signal frame from a frame description entry.
    fn frame_description(&self, at: u64) -> Option<(u64, u64, bool)> {
        let fields: [u8; 16] = self.bytes(at)?;
        let word = |index: usize| {
            let bytes = fields.get(index..index + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let (len, common) = (word(0)?, word(4)?);
        // 0xffffffff announces the 64-bit format, 0 ends the section.
        if len < 12 || len == u32::MAX || common == 0 {
            return None;
        }
        let common = at.checked_add(4)?.checked_sub(common.into())?;
        let is_signal_frame = self.common_information(common)?;
        let start = at
            .checked_add(8)?
            .checked_add_signed(i64::from(word(8)? as i32))?;
        Some((start, word(12)?.into(), is_signal_frame))
    }

    /// Reads a common information entry: whether it is for signal frames, if it encodes code pointers as
    /// expected.
    fn common_information(&self, at: u64) -> Option<bool> {
        let head: [u8; 9] = self.bytes(at)?;
        let [l0, l1, l2, l3, 0, 0, 0, 0, 1 | 3] = head else {
            return None;
        };
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        let mut rest = self.slice(at.checked_add(9)?, u64::from(len).checked_sub(5)?.min(256))?;
        let augmentation_len = rest.iter().position(|byte| *byte == 0)?;
        let (augmentation, tail) = rest.split_at_checked(augmentation_len)?;
        rest = tail.get(1..)?;
        let letters = augmentation.strip_prefix(b"z")?;
        // Code alignment, data alignment, return address register, length of the augmentation data.
        for _ in 0..4 {
            rest = skip_leb128(rest)?;
        }
        let (mut is_signal_frame, mut encoding) = (false, None);
        for letter in letters {
            match letter {
                b'S' => is_signal_frame = true,
                b'B' => {}
                b'R' | b'L' => {
                    let (first, tail) = rest.split_first()?;
                    rest = tail;
                    if *letter == b'R' {
                        encoding = Some(*first);
                    }
                }
                b'P' => {
                    let (format, tail) = rest.split_first()?;
                    let len = match format & 0x0f {
                        _ if *format == OMITTED => 0,
                        0x02 | 0x0a => 2,
                        0x03 | 0x0b => 4,
                        0x00 | 0x04 | 0x0c => 8,
                        _ => return None,
                    };
                    rest = tail.get(len..)?;
                }
                _ => return None,
            }
        }
        (encoding == Some(PC_RELATIVE_4)).then_some(is_signal_frame)
    }

    fn bytes<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        self.slice(at, N as u64)?.try_into().ok()
    }

    fn slice(&self, at: u64, len: u64) -> Option<&'a [u8]> {
        self.elf.file_range(at, len)?.of(self.file)
    }
}

fn skip_leb128(bytes: &[u8]) -> Option<&[u8]> {
    let last = bytes.iter().position(|byte| byte & 0x80 == 0)?;
    bytes.get(last + 1..)
}
