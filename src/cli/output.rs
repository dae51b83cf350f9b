//! Data to stdout, words to stderr. A reader that went away is not an error; a full disk is.

use crate::exit::Exit;
use serde::Serialize;
use std::{
    io::{self, Write},
    sync::OnceLock,
};

/// Why stdout took no more, at the first time that it did not.
static REFUSED: OnceLock<io::Error> = OnceLock::new();

/// Prints text on stdout, as it is.
pub fn text(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The first reason is the one to tell.
        let _ = REFUSED.set(error);
    }
}

/// Has stdout stopped taking what is printed? For commands that print again and again.
pub fn refused() -> bool {
    REFUSED.get().is_some()
}

/// The exit of a command that reports on stdout: a report that is not whole is a failure, and is said. A reader that
/// wanted no more (`| head`) has what it wanted.
pub fn whole(exit: Exit) -> Exit {
    match REFUSED.get() {
        Some(reason) if reason.kind() != io::ErrorKind::BrokenPipe => {
            error(&format!("what was printed is not whole: stdout: {reason}; write it where there is room"));
            if exit == Exit::OK { Exit::FAILURE } else { exit }
        }
        _ => exit,
    }
}

/// Prints a line on stdout.
pub fn line(line: &str) {
    text(&format!("{line}\n"));
}

/// Prints pretty JSON and a newline on stdout.
pub fn json<T: Serialize + ?Sized>(value: &T) {
    match serde_json::to_string_pretty(value) {
        Ok(json) => line(&json),
        Err(reason) => error(&format!("cannot print as JSON: {reason}")),
    }
}

/// Prints `skill-init: MESSAGE` on stderr, in one write: others write to the same pipe.
pub fn error(message: &str) {
    let _ = io::stderr().lock().write_all(format!("skill-init: {message}\n").as_bytes());
}

/// Columns of text, aligned, two spaces apart; the first row is the heading.
pub fn table(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(column) {
                Some(known) => *known = (*known).max(width),
                None => widths.push(width),
            }
        }
    }
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "bbb".to_owned()], vec!["cccc".to_owned(), "d".to_owned()]];
        assert_eq!(super::table(&rows), "a     bbb\ncccc  d\n");
    }
}
