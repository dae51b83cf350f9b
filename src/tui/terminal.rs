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

    /// The keys of standard input, which has something to read: one read may bring several.
    pub(super) fn keys(&self) -> Vec<Key> {
        let mut bytes = [0; 64];
        match unistd::read(io::stdin(), &mut bytes) {
            Ok(0) | Err(_) => vec![Key::Leave],
            Ok(read) => keys(bytes.get(..read).unwrap_or_default()),
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
        // Leaving the alternate screen also restores the saved cursor, of that screen or not: without one saved here the menu
        // would be written over the output of an agent that never left the main screen.
        let reset = "\u{1b}[0m\u{1b}[?25h\u{1b}7\u{1b}[?1049l\u{1b}[?1000l\u{1b}[?1002l\u{1b}[?1003l\u{1b}[?1006l\u{1b}[?2004l\u{1b}[<u\u{1b}[?1004l";
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

/// What a read of the terminal means. An escape sequence comes in one piece; a lone escape is nothing.
fn keys(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while let [first, rest @ ..] = bytes {
        let (key, rest) = match (first, rest) {
            (0x1b, [b'[' | b'O', b'A', rest @ ..]) => (Key::Up, rest),
            (0x1b, [b'[' | b'O', b'B', rest @ ..]) => (Key::Down, rest),
            (0x1b, [b'[' | b'O', rest @ ..]) => {
                // Any other sequence, up to its final byte (ECMA-48 5.4).
                let end = rest.iter().position(|byte| (0x40..=0x7e).contains(byte)).map_or(rest.len(), |end| end + 1);
                (Key::Other, rest.get(end..).unwrap_or_default())
            }
            (b'k', rest) => (Key::Up, rest),
            (b'j' | b'\t', rest) => (Key::Down, rest),
            (b'\r' | b'\n', rest) => (Key::Enter, rest),
            (b'q' | b'Q' | 0x03 | 0x04 | 0x1c, rest) => (Key::Leave, rest),
            (digit @ b'0'..=b'9', rest) => (Key::Digit(char::from(*digit)), rest),
            (_, rest) => (Key::Other, rest),
        };
        keys.push(key);
        bytes = rest;
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_recognised_in_both_cursor_modes() {
        for (bytes, want) in [
            (b"\x1b[A".as_slice(), vec![Key::Up]),
            (b"\x1bOB\x1b[B", vec![Key::Down, Key::Down]),
            (b"12\r", vec![Key::Digit('1'), Key::Digit('2'), Key::Enter]),
            (b"\n", vec![Key::Enter]),
            (b"\x03", vec![Key::Leave]),
            (b"\x1b[1;5Cq", vec![Key::Other, Key::Leave]),
            (b"\x1b[200", vec![Key::Other]),
            (b"\x1b", vec![Key::Other]),
            (b"\x1a", vec![Key::Other]),
            (b"", vec![]),
        ] {
            assert_eq!(keys(bytes), want, "{bytes:?}");
        }
    }
}
