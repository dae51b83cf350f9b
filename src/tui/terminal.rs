//! The terminal's side: text out, keys in, its modes, its foreground.
//!
//! Where standard input is no terminal, keys are read as bytes of it and nothing is switched.

use crate::sys;
use nix::{
    sys::termios::{self, InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios},
    unistd,
};
use std::{
    io::{self, Write},
    os::fd::AsFd,
};

/// A key, as far as the menu cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    Enter,
    Digit(char),
    /// q, Ctrl-C, Ctrl-D, Ctrl-\, or the end of input.
    Leave,
    Other,
}

/// The terminal that the menu runs on.
#[derive(Debug)]
pub(super) struct Terminal {
    modes: Option<Termios>,
}

/// Restores the modes when it is dropped.
#[derive(Debug)]
pub(super) struct Raw<'t>(&'t Terminal);

impl Terminal {
    pub(super) fn new() -> Self {
        Self { modes: termios::tcgetattr(io::stdin().as_fd()).ok() }
    }

    /// Prints lines. A terminal in raw mode gets its carriage returns; a reader that went away is not an error.
    pub(super) fn say(&self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    }

    /// Writes the line of the choice in place of the one before.
    pub(super) fn prompt(&self, line: &str) {
        let clear = if self.modes.is_some() { "\r\u{1b}[K" } else { "\n" };
        let mut out = io::stdout().lock();
        let _ = write!(out, "{clear}{line}").and_then(|()| out.flush());
    }

    /// Keys one by one, without echo; Ctrl-C and Ctrl-Z are keys, not signals.
    pub(super) fn raw(&self) -> Raw<'_> {
        if let Some(modes) = &self.modes {
            let mut raw = modes.clone();
            raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN);
            raw.input_flags.remove(InputFlags::IXON);
            if let Some(least) = raw.control_chars.get_mut(SpecialCharacterIndices::VMIN as usize) {
                *least = 1;
            }
            if let Some(time) = raw.control_chars.get_mut(SpecialCharacterIndices::VTIME as usize) {
                *time = 0;
            }
            let _ = termios::tcsetattr(io::stdin().as_fd(), SetArg::TCSADRAIN, &raw);
        }
        Raw(self)
    }

    /// One key of standard input, which has something to read.
    pub(super) fn key(&self) -> Key {
        let mut bytes = [0; 16];
        match unistd::read(io::stdin(), &mut bytes) {
            Ok(0) | Err(_) => Key::Leave,
            Ok(read) => key(bytes.get(..read).unwrap_or_default()),
        }
    }

    /// Takes the foreground back from a session that ended, forgets what it left unread, and undoes its modes and
    /// the commonest of its escape sequences (colours, hidden cursor, alternate screen, mouse, bracketed paste).
    pub(super) fn reclaim(&self) {
        let Some(modes) = &self.modes else { return };
        sys::terminal::set_foreground(0, sys::terminal::own_group());
        let _ = termios::tcflush(io::stdin().as_fd(), termios::FlushArg::TCIFLUSH);
        let _ = termios::tcsetattr(io::stdin().as_fd(), SetArg::TCSADRAIN, modes);
        let mut out = io::stdout().lock();
        let reset = "\u{1b}[0m\u{1b}[?25h\u{1b}[?1049l\u{1b}[?1000l\u{1b}[?1002l\u{1b}[?1003l\u{1b}[?1006l\u{1b}[?2004l\u{1b}[<u\u{1b}[?1004l";
        let _ = out.write_all(reset.as_bytes()).and_then(|()| out.flush());
    }

    /// Is there a terminal whose foreground can be given away?
    pub(super) fn has_foreground(&self) -> bool {
        self.modes.is_some() && sys::terminal::foreground(0) == Some(sys::terminal::own_group())
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        if let Some(modes) = &self.0.modes {
            let _ = termios::tcsetattr(io::stdin().as_fd(), SetArg::TCSADRAIN, modes);
        }
    }
}

/// What a read of the terminal means. Escape sequences come in one read; a lone byte of them is nothing.
fn key(bytes: &[u8]) -> Key {
    match bytes {
        b"\x1b[A" | b"\x1bOA" | b"k" => Key::Up,
        b"\x1b[B" | b"\x1bOB" | b"j" | b"\t" => Key::Down,
        [b'\r' | b'\n', ..] => Key::Enter,
        [b'q' | b'Q' | 0x03 | 0x04 | 0x1c, ..] => Key::Leave,
        [digit @ b'0'..=b'9'] => Key::Digit(char::from(*digit)),
        _ => Key::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_recognised_in_both_cursor_modes() {
        for (bytes, want) in [
            (b"\x1b[A".as_slice(), Key::Up),
            (b"\x1bOB", Key::Down),
            (b"\r", Key::Enter),
            (b"\n", Key::Enter),
            (b"7", Key::Digit('7')),
            (b"\x03", Key::Leave),
            (b"q", Key::Leave),
            (b"\x1b", Key::Other),
            (b"\x1a", Key::Other),
            (b"", Key::Other),
            ("ä".as_bytes(), Key::Other),
        ] {
            assert_eq!(key(bytes), want, "{bytes:?}");
        }
    }
}
