//! Data to stdout, words to stderr. A reader that went away is not an error.

use serde::Serialize;
use std::io::Write;

/// Prints text on stdout, as it is.
pub fn text(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
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
    let _ = std::io::stderr().lock().write_all(format!("skill-init: {message}\n").as_bytes());
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
