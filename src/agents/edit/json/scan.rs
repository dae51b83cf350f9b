//! The scanner: comments and trailing commas out of the way, and where the top-level members of what remains are.

use super::Member;
use serde_json::Value;
use std::ops::Range;

/// The text with comments and trailing commas replaced by as many spaces; where those commas were.
pub(super) fn blank(text: &str) -> (String, Vec<usize>) {
    let mut out = text.as_bytes().to_vec();
    let mut commas = Vec::new();
    // A byte order mark is white space to an editor and an error to JSON.parse: it stays an error.
    let mut at = 0;
    let mut pending: Option<usize> = None;
    let bytes = text.as_bytes();
    let mut wipe = |range: Range<usize>| {
        if let Some(part) = out.get_mut(range) {
            part.fill(b' ');
        }
    };
    while let Some(&byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'"', _) => {
                at = string_end(bytes, at);
                pending = None;
                continue;
            }
            (b'/', Some(b'/')) => {
                let end =
                    bytes.iter().skip(at).position(|b| matches!(b, b'\n' | b'\r')).map_or(bytes.len(), |n| at + n);
                wipe(at..end);
                at = end;
                continue;
            }
            (b'/', Some(b'*')) => {
                let rest = bytes.get(at + 2..).unwrap_or_default();
                // An open comment is no comment: the parser shall refuse it.
                let Some(length) = rest.windows(2).position(|pair| pair == b"*/") else { break };
                wipe(at..at + 4 + length);
                at += 4 + length;
                continue;
            }
            (b',', _) => pending = Some(at),
            (b'}' | b']', _) => {
                if let Some(comma) = pending.take() {
                    commas.push(comma);
                    wipe(comma..comma + 1);
                }
            }
            (b' ' | b'\t' | b'\n' | b'\r', _) => {}
            _ => pending = None,
        }
        at += 1;
    }
    // Only ASCII was written over whole comments and single commas.
    (String::from_utf8(out).unwrap_or_default(), commas)
}

/// The position after a string that begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The members of a text that serde_json has accepted as an object; the elements of one that it has accepted as an array: a
/// text is its own key, anything else has its JSON for one.
pub(super) fn members(text: &str) -> Option<Vec<Member>> {
    let bytes = text.as_bytes();
    let skip = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        at
    };
    let mut found = Vec::new();
    let array = bytes.get(skip(0)) == Some(&b'[');
    let mut at = skip(skip(0) + 1);
    while !matches!(bytes.get(at)?, b'}' | b']') {
        let key_at = at;
        let mut key: Option<String> = None;
        if !array {
            at = string_end(bytes, at);
            key = Some(serde_json::from_str(text.get(key_at..at)?).ok()?);
            at = skip(skip(at) + 1);
        }
        let start = at;
        at = value_end(bytes, at)?;
        let end = start + text.get(start..at)?.trim_end().len();
        let comma_at = (bytes.get(at) == Some(&b',')).then_some(at);
        let value: Value = serde_json::from_str(text.get(start..end)?).ok()?;
        let key = key.unwrap_or_else(|| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        found.push(Member { key, value, key_at, value_at: start..end, comma_at });
        at = skip(at + usize::from(comma_at.is_some()));
    }
    Some(found)
}

/// The position of the comma or bracket after a value that begins at `at`.
fn value_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0usize;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b',' | b'}' | b']' if depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
}
