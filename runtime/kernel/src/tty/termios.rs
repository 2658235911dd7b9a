//! Settings of a terminal (termios(3)).

use bannock_platform::Errno;
use linux_raw_sys::general as raw;

/// Special characters in `c_cc`.
const CHARACTERS: usize = 19;
/// Bytes of `struct termios`: four words of flags, the line discipline, the characters.
pub(super) const LEN: usize = 36;
/// Bytes of `struct termios2`: two speeds more.
pub(super) const LEN_2: usize = 44;

/// Settings of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Termios {
    /// `c_iflag`
    pub input: u32,
    /// `c_oflag`
    pub output: u32,
    /// `c_cflag`
    pub control: u32,
    /// `c_lflag`
    pub local: u32,
    line: u8,
    characters: [u8; CHARACTERS],
    speeds: [u32; 2],
}

/// A character that stands for "none" (`_POSIX_VDISABLE`).
const DISABLED: u8 = 0;

impl Default for Termios {
    /// As Linux makes a pseudo-terminal (drivers/tty/pty.c, `tty_std_termios`).
    fn default() -> Self {
        let mut characters = [DISABLED; CHARACTERS];
        for (index, character) in [
            (raw::VINTR, 0x03),
            (raw::VQUIT, 0x1c),
            (raw::VERASE, 0x7f),
            (raw::VKILL, 0x15),
            (raw::VEOF, 0x04),
            (raw::VMIN, 1),
            (raw::VSTART, 0x11),
            (raw::VSTOP, 0x13),
            (raw::VSUSP, 0x1a),
            (raw::VREPRINT, 0x12),
            (raw::VDISCARD, 0x0f),
            (raw::VWERASE, 0x17),
            (raw::VLNEXT, 0x16),
        ] {
            if let Some(slot) = characters.get_mut(index as usize) {
                *slot = character;
            }
        }
        Self {
            input: raw::ICRNL | raw::IXON,
            output: raw::OPOST | raw::ONLCR,
            control: raw::B38400 | raw::CS8 | raw::CREAD,
            local: raw::ISIG
                | raw::ICANON
                | raw::ECHO
                | raw::ECHOE
                | raw::ECHOK
                | raw::ECHOCTL
                | raw::ECHOKE
                | raw::IEXTEN,
            line: 0,
            characters,
            speeds: [38400; 2],
        }
    }
}

impl Termios {
    /// Takes over what `bytes` say, a `struct termios` or `struct termios2`. The line discipline cannot
    /// be changed this way.
    ///
    /// # Errors
    /// `EINVAL` for another length.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let (words, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() || !matches!(bytes.len(), LEN | LEN_2) {
            return Err(Errno::EINVAL);
        }
        let word = |index: usize| words.get(index).map_or(0, |w| u32::from_ne_bytes(*w));
        self.input = word(0);
        self.output = word(1);
        // As for every pseudo-terminal: eight bits, receiver on (drivers/tty/pty.c).
        self.control = word(2) & !(raw::CSIZE | raw::PARENB) | raw::CS8 | raw::CREAD;
        self.local = word(3);
        if let Some(characters) = bytes.get(17..17 + CHARACTERS) {
            self.characters.copy_from_slice(characters);
        }
        if bytes.len() == LEN_2 {
            self.speeds = [word(9), word(10)];
        }
        Ok(())
    }

    /// As `struct termios2`, which starts with `struct termios`.
    #[must_use]
    pub fn encode(&self) -> [u8; LEN_2] {
        let mut bytes = [0; LEN_2];
        let words = [self.input, self.output, self.control, self.local];
        let mut fields = words
            .iter()
            .flat_map(|w| w.to_ne_bytes())
            .chain([self.line])
            .chain(self.characters)
            .chain(self.speeds.iter().flat_map(|w| w.to_ne_bytes()));
        bytes.fill_with(|| fields.next().unwrap_or(0));
        bytes
    }

    /// The special character at `index` (`V*`).
    #[must_use]
    pub fn character(&self, index: u32) -> u8 {
        self.characters.get(index as usize).copied().unwrap_or(0)
    }

    /// Whether `byte` is the special character at `index`.
    #[must_use]
    pub fn is(&self, index: u32, byte: u8) -> bool {
        byte != DISABLED && self.character(index) == byte
    }

    /// Whether a flag of `c_lflag` is set.
    #[must_use]
    pub const fn has_local(&self, flag: u32) -> bool {
        self.local & flag != 0
    }

    /// Whether a flag of `c_iflag` is set.
    #[must_use]
    pub const fn has_input(&self, flag: u32) -> bool {
        self.input & flag != 0
    }

    /// Whether a flag of `c_oflag` is set.
    #[must_use]
    pub const fn has_output(&self, flag: u32) -> bool {
        self.output & flag != 0
    }

    /// Whether input is read in lines.
    #[must_use]
    pub const fn is_canonical(&self) -> bool {
        self.has_local(raw::ICANON)
    }
}
