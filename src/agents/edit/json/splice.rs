//! Splices of a text: replaced ranges, whole lines, and the white space that begins one.

use std::ops::Range;

/// The text with each range replaced; the ranges do not overlap.
pub(super) fn apply(text: &str, mut splices: Vec<(Range<usize>, String)>) -> Option<String> {
    // Stable: insertions at one place stay in their order.
    splices.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::with_capacity(text.len() + 128);
    let mut at = 0;
    for (range, with) in splices {
        out.push_str(text.get(at..range.start)?);
        out.push_str(&with);
        at = range.end;
    }
    out.push_str(text.get(at..)?);
    Some(out)
}

/// `range`, widened to its whole line where nothing else stands on it.
pub(super) fn whole_line(text: &str, range: Range<usize>) -> Range<usize> {
    let bytes = text.as_bytes();
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    let start = bytes.iter().take(range.start).rposition(|byte| !blank(byte)).map_or(0, |at| at + 1);
    let end = bytes.iter().skip(range.end).position(|byte| !blank(byte)).map_or(bytes.len(), |at| range.end + at);
    let from_newline = start == 0 || bytes.get(start - 1) == Some(&b'\n');
    if from_newline && bytes.get(end) == Some(&b'\n') { start..end + 1 } else { range }
}

/// The white space before a member that begins its line.
pub(super) fn indent(text: &str, at: usize) -> Option<&str> {
    let before = text.get(..at)?;
    let line = before.get(before.rfind('\n')? + 1..)?;
    line.chars().all(|c| c == ' ' || c == '\t').then_some(line)
}
