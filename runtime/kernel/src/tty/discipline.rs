//! The line discipline: from what is typed to what is read, and what is shown of it (termios(3);
//! Linux, drivers/tty/n_tty.c).

use super::termios::Termios;
use crate::signal::Signal;
use alloc::{collections::VecDeque, vec::Vec};
use linux_raw_sys::general as raw;

/// Most bytes that wait to be read, a line being edited included (`N_TTY_BUF_SIZE`).
const INPUT: usize = 4096;
/// Most bytes that wait to be shown.
const OUTPUT: usize = 64 << 10;
/// Columns between tab stops.
const TAB: usize = 8;

/// The state of a terminal between the program and whoever types.
#[derive(Default)]
pub(super) struct Discipline {
    pub(super) settings: Termios,
    /// Lines that are complete; one without an end stands for an end of file after it.
    lines: VecDeque<Vec<u8>>,
    /// The line that is being edited, or what was typed in raw mode.
    edited: Vec<u8>,
    /// The next character is to be taken literally.
    literal: bool,
    /// Output was stopped (Ctrl-S).
    stopped: bool,
    output: VecDeque<u8>,
    column: usize,
    /// The column where editing of the line began.
    edit_column: usize,
}

/// What the input was about besides being read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Effects {
    /// Signals for the foreground process group, in order.
    pub(super) signals: Vec<Signal>,
}

impl Discipline {
    // Input.

    /// Bytes that are waiting, or are being edited.
    fn held(&self) -> usize {
        self.lines.iter().map(Vec::len).sum::<usize>() + self.edited.len()
    }

    /// Bytes that may be typed now. A line that is too long loses what is too much, rather than
    /// blocking the one who could end it.
    pub(super) fn room(&self) -> usize {
        match INPUT.saturating_sub(self.held() + 1) {
            0 if self.settings.is_canonical() && self.lines.is_empty() => 1,
            room => room,
        }
    }

    /// Takes one typed byte.
    pub(super) fn input(&mut self, byte: u8, effects: &mut Effects) {
        let settings = self.settings;
        let byte = if settings.has_input(raw::ISTRIP) {
            byte & 0x7f
        } else {
            byte
        };
        if core::mem::take(&mut self.literal) {
            self.keep(byte);
            return;
        }
        if settings.has_input(raw::IXON) {
            if settings.is(raw::VSTART, byte) {
                self.stopped = false;
                return;
            }
            if settings.is(raw::VSTOP, byte) {
                self.stopped = true;
                return;
            }
            if settings.has_input(raw::IXANY) {
                self.stopped = false;
            }
        }
        if settings.has_local(raw::ISIG) {
            let signals = [
                (raw::VINTR, Signal::INT),
                (raw::VQUIT, Signal::QUIT),
                (raw::VSUSP, Signal::TSTP),
            ];
            if let Some((_, signal)) = signals.iter().find(|(i, _)| settings.is(*i, byte)) {
                if !settings.has_local(raw::NOFLSH) {
                    // What was written is at the other side already.
                    self.discard_input();
                }
                self.stopped = false;
                self.echo(byte);
                effects.signals.push(*signal);
                return;
            }
        }
        let byte = match byte {
            b'\r' if settings.has_input(raw::IGNCR) => return,
            b'\r' if settings.has_input(raw::ICRNL) => b'\n',
            b'\n' if settings.has_input(raw::INLCR) => b'\r',
            other => other,
        };
        if settings.is_canonical() {
            self.edit(byte);
        } else {
            self.keep(byte);
        }
    }

    fn edit(&mut self, byte: u8) {
        let settings = self.settings;
        let extended = settings.has_local(raw::IEXTEN);
        if settings.is(raw::VERASE, byte) {
            self.erase();
        } else if settings.is(raw::VKILL, byte) {
            self.kill(byte);
        } else if extended && settings.is(raw::VWERASE, byte) {
            self.erase_word();
        } else if extended && settings.is(raw::VLNEXT, byte) {
            self.literal = true;
            if settings.has_local(raw::ECHO) && settings.has_local(raw::ECHOCTL) {
                self.show(b"^\x08");
            }
        } else if extended && settings.has_local(raw::ECHO) && settings.is(raw::VREPRINT, byte) {
            self.echo(byte);
            self.show(b"\n");
            for byte in core::mem::take(&mut self.edited) {
                self.echo(byte);
                self.edited.push(byte);
            }
        } else if settings.is(raw::VEOF, byte) {
            self.finish();
        } else if byte == b'\n' {
            if settings.has_local(raw::ECHO) || settings.has_local(raw::ECHONL) {
                self.show(b"\n");
            }
            self.edited.push(byte);
            self.finish();
        } else if settings.is(raw::VEOL, byte) || extended && settings.is(raw::VEOL2, byte) {
            self.echo(byte);
            self.edited.push(byte);
            self.finish();
        } else {
            self.keep(byte);
        }
    }

    fn finish(&mut self) {
        let line = core::mem::take(&mut self.edited);
        self.lines.push_back(line);
    }

    /// Keeps a byte for reading, and shows it.
    fn keep(&mut self, byte: u8) {
        if self.held() + 1 >= INPUT {
            if self.settings.has_input(raw::IMAXBEL) {
                self.show(b"\x07");
            }
            return;
        }
        if self.edited.is_empty() {
            self.edit_column = self.column;
        }
        self.echo(byte);
        self.edited.push(byte);
    }

    /// Columns that `byte` takes when it is shown at `column`.
    fn width(&self, byte: u8, column: usize) -> usize {
        match byte {
            b'\t' => TAB - column % TAB,
            0x80..0xc0 if self.settings.has_input(raw::IUTF8) => 0,
            byte if byte.is_ascii_control() => {
                if self.settings.has_local(raw::ECHOCTL) {
                    2
                } else {
                    0
                }
            }
            _ => 1,
        }
    }

    /// Takes the last character of the line away; whether there was one.
    fn erase(&mut self) -> bool {
        let mut taken = Vec::new();
        while let Some(byte) = self.edited.pop() {
            taken.push(byte);
            if !(self.settings.has_input(raw::IUTF8) && (0x80..0xc0).contains(&byte)) {
                break;
            }
        }
        if taken.is_empty() {
            return false;
        }
        if self.settings.has_local(raw::ECHO) {
            if self.settings.has_local(raw::ECHOE) {
                let before = self
                    .edited
                    .iter()
                    .fold(self.edit_column, |c, b| c + self.width(*b, c));
                let after = taken
                    .iter()
                    .rev()
                    .fold(before, |c, b| c + self.width(*b, c));
                let tab = taken.contains(&b'\t');
                for _ in before..after {
                    self.show(if tab { b"\x08" } else { b"\x08 \x08" });
                }
            } else {
                let erase = self.settings.character(raw::VERASE);
                self.echo(erase);
            }
        }
        true
    }

    fn erase_word(&mut self) {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
        let mut seen = false;
        while let Some(last) = self.edited.last() {
            if is_word(last) {
                seen = true;
            } else if seen {
                break;
            }
            self.erase();
        }
    }

    fn kill(&mut self, byte: u8) {
        let (settings, echoes) = (self.settings, self.settings.has_local(raw::ECHO));
        if echoes && settings.has_local(raw::ECHOKE) && settings.has_local(raw::ECHOE) {
            while self.erase() {}
            return;
        }
        self.edited.clear();
        if echoes {
            self.echo(byte);
            if settings.has_local(raw::ECHOK) {
                self.show(b"\n");
            }
        }
    }

    /// Shows a typed byte.
    fn echo(&mut self, byte: u8) {
        if !self.settings.has_local(raw::ECHO) {
            return;
        }
        let visible = !byte.is_ascii_control() || matches!(byte, b'\t' | b'\n');
        if visible || !self.settings.has_local(raw::ECHOCTL) {
            self.show(&[byte]);
        } else {
            self.show(&[b'^', byte ^ 0x40]);
        }
    }

    /// Shows bytes, as far as there is room: nobody waits to show what was typed.
    fn show(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.output.len() < OUTPUT {
                self.put(*byte);
            }
        }
    }

    /// Takes over settings. What was typed so far can be read as it is when lines begin or end to
    /// matter.
    pub(super) fn set(&mut self, settings: Termios) {
        if settings.is_canonical() && !self.settings.is_canonical() && !self.edited.is_empty() {
            self.finish();
        }
        if !settings.has_input(raw::IXON) {
            self.stopped = false;
        }
        self.settings = settings;
    }

    /// Bytes that a read would give now.
    pub(super) fn readable(&self) -> usize {
        if self.settings.is_canonical() {
            self.lines.front().map_or(0, Vec::len)
        } else {
            self.held()
        }
    }

    /// Whether a read in lines ends now, maybe with an end of file.
    pub(super) fn has_line(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Takes up to `len` bytes: of one line, or of everything in raw mode.
    pub(super) fn take(&mut self, len: usize) -> Vec<u8> {
        if self.settings.is_canonical() {
            let Some(mut line) = self.lines.pop_front() else {
                return Vec::new();
            };
            if line.len() > len {
                let rest = line.split_off(len);
                self.lines.push_front(rest);
            }
            return line;
        }
        let mut all: Vec<u8> = self.lines.drain(..).flatten().collect();
        all.append(&mut self.edited);
        self.edited = all.split_off(all.len().min(len));
        all
    }

    /// Forgets what was typed and not read.
    pub(super) fn discard_input(&mut self) {
        self.lines.clear();
        self.edited.clear();
        self.literal = false;
    }

    // Output.

    /// Bytes that may be written now, each of which may be shown as several.
    pub(super) fn output_room(&self) -> usize {
        if self.stopped {
            0
        } else {
            OUTPUT.saturating_sub(self.output.len()) / TAB
        }
    }

    /// Writes one byte, processed as the settings say.
    pub(super) fn put(&mut self, byte: u8) {
        let settings = self.settings;
        if !settings.has_output(raw::OPOST) {
            self.output.push_back(byte);
            return;
        }
        match byte {
            b'\n' if settings.has_output(raw::ONLCR) => {
                self.column = 0;
                self.output.extend(b"\r\n");
            }
            b'\n' => {
                if settings.has_output(raw::ONLRET) {
                    self.column = 0;
                }
                self.output.push_back(byte);
            }
            b'\r' if settings.has_output(raw::ONOCR) && self.column == 0 => {}
            b'\r' if settings.has_output(raw::OCRNL) => self.output.push_back(b'\n'),
            b'\r' => {
                self.column = 0;
                self.output.push_back(byte);
            }
            b'\t' => {
                let spaces = TAB - self.column % TAB;
                self.column += spaces;
                if settings.output & raw::TABDLY == raw::XTABS {
                    self.output.extend(core::iter::repeat_n(b' ', spaces));
                } else {
                    self.output.push_back(byte);
                }
            }
            0x08 => {
                self.column = self.column.saturating_sub(1);
                self.output.push_back(byte);
            }
            _ => {
                let inside = settings.has_input(raw::IUTF8) && (0x80..0xc0).contains(&byte);
                if !(inside || byte.is_ascii_control()) {
                    self.column += 1;
                }
                self.output.push_back(byte);
            }
        }
    }

    /// Bytes that wait to be shown.
    pub(super) fn shown(&self) -> usize {
        if self.stopped { 0 } else { self.output.len() }
    }

    /// Takes up to `len` bytes that are to be shown.
    pub(super) fn take_output(&mut self, len: usize) -> Vec<u8> {
        let count = self.shown().min(len);
        self.output.drain(..count).collect()
    }

    /// Forgets what was written and not shown.
    pub(super) fn discard_output(&mut self) {
        self.output.clear();
    }

    /// Stops or restarts output (tcflow(3)).
    pub(super) fn stop(&mut self, stopped: bool) {
        self.stopped = stopped;
    }
}
