//! A run's events as lines of a page: at most [`LINES`] at a time, read through the log's index, so that a run of 100,000
//! events costs what a short one does. The page's script makes the same lines of the live stream.

use crate::{error::ApiResult, events, runs::RunFolder};
use serde::Serialize;
use serde_json::Value;

/// Lines of a page.
pub(super) const LINES: u64 = 200;
/// Longest text of a line, in characters; all of it is in the log.
const TEXT: usize = 4000;

/// A line.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    seq: u64,
    at: String,
    /// The event's type, with dashes: the class of the line and the end of its label's key.
    kind: String,
    text: String,
}

/// A page of lines.
#[derive(Debug, Default, Serialize)]
pub(super) struct Output {
    pub(super) lines: Vec<Line>,
    pub(super) first: u64,
    /// Last line shown; where a live stream goes on.
    pub(super) last: u64,
    /// Last line that there is.
    pub(super) end: u64,
    /// First line of the page before and of the one after.
    pub(super) before: Option<u64>,
    pub(super) after: Option<u64>,
}

/// The lines from a sequence number on; the last ones without it.
pub(super) async fn read(folder: RunFolder, from: Option<u64>) -> ApiResult<Output> {
    let read = tokio::task::spawn_blocking(move || {
        let audit = folder.audit();
        let end = events::page(&audit, u64::MAX - 1, u64::MAX, 1)?.last_in_log;
        let from = from.unwrap_or_else(|| end.saturating_sub(LINES) + 1).clamp(1, end.max(1));
        events::page(&audit, from, u64::MAX, LINES)
    });
    let page = read.await??;
    let lines: Vec<Line> = page.lines.split(|byte| *byte == b'\n').filter_map(line).collect();
    let (first, last) = (page.first, page.first + page.count.saturating_sub(1));
    Ok(Output {
        lines,
        first,
        last,
        end: page.last_in_log,
        before: (first > 1).then(|| first.saturating_sub(LINES).max(1)),
        after: (last < page.last_in_log).then_some(last + 1),
    })
}

fn line(bytes: &[u8]) -> Option<Line> {
    let event: Value = serde_json::from_slice(bytes).ok()?;
    let word = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = word(&event, "type");
    let data = event.get("data").cloned().unwrap_or_default();
    let text = match kind.as_str() {
        "assistant.message.final" => word(&data, "text"),
        "raw.stdout" | "raw.stderr" => word(&data, "line"),
        "conversation.state.changed" => format!("{} → {}", word(&data, "from"), word(&data, "to")),
        "diagnostic.warning" => format!("{}: {}", word(&data, "code"), word(&data, "message")),
        "conversation.failed" => {
            let error = data.get("error").cloned().unwrap_or_default();
            format!("{}: {}", word(&error, "code"), word(&error, "message"))
        }
        _ => String::new(),
    };
    Some(Line {
        seq: event.get("seq").and_then(Value::as_u64)?,
        at: word(&event, "ts"),
        kind: kind.replace('.', "-"),
        text: text.chars().take(TEXT).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line_with_its_own_text_and_garbage_is_none() {
        let of = |data: &str, kind: &str| {
            line(format!(r#"{{"seq":7,"ts":"t","type":"{kind}","data":{data}}}"#).as_bytes()).unwrap().text
        };
        assert_eq!(of(r#"{"text":"<b>"}"#, "assistant.message.final"), "<b>");
        assert_eq!(of(r#"{"line":"x"}"#, "raw.stderr"), "x");
        assert_eq!(of(r#"{"from":"queued","to":"running"}"#, "conversation.state.changed"), "queued → running");
        assert_eq!(of(r#"{"error":{"code":"TIMEOUT","message":"late"}}"#, "conversation.failed"), "TIMEOUT: late");
        assert_eq!(of("{}", "something.new"), "");
        assert_eq!(line(b""), None);
        assert_eq!(line(b"{}"), None);
    }
}
