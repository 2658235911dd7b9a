//! Percent escapes for paths: any byte string as one printable word, in exactly one way.
//!
//! Printable ASCII other than space and `%` stands for itself; every other byte is `%` and two
//! upper-case hex digits. The reader refuses escapes that the writer would not have made.

use alloc::{string::String, vec::Vec};

const DIGITS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
];

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'%'
}

/// Appends `bytes` to `out` in escaped form.
pub fn encode_into(out: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(DIGITS[usize::from(byte >> 4)]);
            out.push(DIGITS[usize::from(byte & 15)]);
        }
    }
}

/// The escaped form of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    encode_into(&mut out, bytes);
    out
}

/// The bytes that `word` stands for, or nothing when it is not what [`encode`] writes.
#[must_use]
pub fn decode(word: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word.iter().copied();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let value = digit(rest.next()?)? << 4 | digit(rest.next()?)?;
            if is_plain(value) {
                return None;
            }
            out.push(value);
        } else if is_plain(byte) {
            out.push(byte);
        } else {
            return None;
        }
    }
    Some(out)
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(encode(&all).as_bytes()).unwrap(), all);
        assert_eq!(encode(b"/a b%\n"), "/a%20b%25%0A");
    }

    #[test]
    fn other_spellings_are_refused() {
        for word in ["%41", "%0a", "%2", "%", "a b", "%zz", "\u{e9}", "%+1"] {
            assert_eq!(decode(word.as_bytes()), None, "{word}");
        }
    }
}
