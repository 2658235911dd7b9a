//! Messages of the runtime itself, on standard error.

use core::fmt::{self, Write};
use linux_raw_sys::general as raw;

/// Host descriptor of standard error.
const STDERR: usize = 2;

/// Collects a line, so that it reaches the host in one write and lines of processes do not mix.
struct Line {
    bytes: [u8; 1024],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if let Some(slot) = self.bytes.get_mut(self.len) {
                *slot = byte;
                self.len += 1;
            }
        }
        Ok(())
    }
}

/// Writes `bannock: ` and the message as one line; a message over about 1000 bytes is cut.
pub fn line(message: fmt::Arguments<'_>) {
    let mut line = Line {
        bytes: [0; 1024],
        len: 0,
    };
    let _ = write!(line, "bannock: {message}");
    line.len = line.len.min(line.bytes.len() - 1);
    if let Some(slot) = line.bytes.get_mut(line.len) {
        *slot = b'\n';
    }
    // SAFETY: the buffer outlives the call, and is longer than `len + 1`.
    unsafe {
        crate::raw::syscall(
            raw::__NR_write,
            [STDERR, line.bytes.as_ptr() as usize, line.len + 1, 0, 0, 0],
        );
    }
}
