//! What an engine says: one reader per format, fed line by line. Pure.
//!
//! | engine | format |
//! | --- | --- |
//! | codex | NDJSON: `thread.started`, `item.completed` (`agent_message`), `turn.failed`, `error` |
//! | opencode | NDJSON: `text` parts, `sessionID`, `error` |
//! | gemini | one JSON envelope: `response`, `session_id`, `error` |
//! | claude, qwen | NDJSON (stream-json): `assistant` messages, a final `result` |
//! | others | free text |

use serde_json::Value;

/// Which reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// codex exec --json.
    Codex,
    /// opencode run --format json.
    Opencode,
    /// gemini --output-format json.
    Gemini,
    /// claude -p --output-format stream-json.
    StreamJson,
    /// Anything.
    Text,
}

/// What one line meant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    /// The agent said this.
    pub message: Option<String>,
    /// The line was of the format; its `type`.
    pub structured: Option<String>,
}

/// What the whole output meant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spoken {
    /// What the agent said, in order.
    pub messages: Vec<String>,
    /// The session to resume.
    pub session: Option<String>,
    /// The engine's own error.
    pub error: Option<String>,
    /// Lines that were not of the format.
    pub unparsed: u64,
}

/// A reader at work.
#[derive(Debug)]
pub struct Reader {
    format: Format,
    spoken: Spoken,
    /// Whole output, for formats that are not lines.
    text: String,
}

/// Most text that a format without lines is kept of.
const TEXT_MAX: usize = 16 << 20;

impl Reader {
    /// A fresh one.
    pub fn new(format: Format) -> Self {
        Self { format, spoken: Spoken::default(), text: String::new() }
    }

    /// A line of standard output, without its newline.
    pub fn line(&mut self, line: &str) -> Line {
        match self.format {
            Format::Gemini | Format::Text => {
                if self.text.len() + line.len() < TEXT_MAX {
                    self.text.push_str(line);
                    self.text.push('\n');
                }
                Line::default()
            }
            Format::Codex | Format::Opencode | Format::StreamJson => {
                let Ok(value @ Value::Object(_)) = serde_json::from_str::<Value>(line) else {
                    if !line.trim().is_empty() {
                        self.spoken.unparsed += 1;
                    }
                    return Line::default();
                };
                let kind = text(&value, "/type").unwrap_or_default();
                let message = match self.format {
                    Format::Codex => self.codex(&kind, &value),
                    Format::Opencode => self.opencode(&kind, &value),
                    _ => self.stream_json(&kind, &value),
                };
                if let Some(message) = &message {
                    self.spoken.messages.push(message.clone());
                }
                Line { message, structured: Some(kind) }
            }
        }
    }

    fn codex(&mut self, kind: &str, value: &Value) -> Option<String> {
        match kind {
            "thread.started" => self.spoken.session = text(value, "/thread_id"),
            "item.completed" if text(value, "/item/type").as_deref() == Some("agent_message") => {
                return text(value, "/item/text");
            }
            "turn.failed" => self.spoken.error = text(value, "/error/message"),
            "error" => self.spoken.error = text(value, "/message"),
            "turn.completed" => self.spoken.error = None,
            _ => {}
        }
        None
    }

    fn opencode(&mut self, kind: &str, value: &Value) -> Option<String> {
        if let Some(session) = text(value, "/sessionID") {
            self.spoken.session = Some(session);
        }
        match kind {
            "text" => return text(value, "/part/text"),
            "error" => {
                self.spoken.error = text(value, "/error/data/message")
                    .or_else(|| text(value, "/error/message"))
                    .or_else(|| value.get("error").map(Value::to_string));
            }
            _ => {}
        }
        None
    }

    fn stream_json(&mut self, kind: &str, value: &Value) -> Option<String> {
        if let Some(session) = text(value, "/session_id") {
            self.spoken.session = Some(session);
        }
        match kind {
            "assistant" => {
                let parts = value.pointer("/message/content").and_then(Value::as_array)?;
                let said: String = parts.iter().filter_map(|part| text(part, "/text")).collect();
                return (!said.is_empty()).then_some(said);
            }
            "result" => {
                if value.get("is_error").and_then(Value::as_bool) == Some(true) {
                    self.spoken.error = text(value, "/result");
                } else if let Some(said) = text(value, "/result")
                    && self.spoken.messages.last() != Some(&said)
                {
                    return Some(said);
                }
            }
            _ => {}
        }
        None
    }

    /// The end of the output.
    pub fn finish(mut self) -> Spoken {
        match self.format {
            Format::Gemini => {
                let envelope = self
                    .text
                    .find('{')
                    .and_then(|at| self.text.get(at..))
                    .and_then(|text| serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok());
                match envelope.filter(|value| value.get("response").is_some() || value.get("error").is_some()) {
                    Some(value) => {
                        self.spoken.session = text(&value, "/session_id");
                        self.spoken.error = text(&value, "/error/message");
                        self.spoken.messages.extend(text(&value, "/response"));
                    }
                    None => {
                        self.spoken.unparsed += 1;
                        self.spoken.messages.push(self.text);
                    }
                }
            }
            Format::Text => {
                self.spoken.session = self
                    .text
                    .rfind("session-id")
                    .and_then(|at| self.text.get(at + 10..))
                    .and_then(|rest| rest.split(|c: char| !(c.is_alphanumeric() || c == '-')).find(|w| w.len() >= 8))
                    .map(str::to_owned);
                if !self.text.trim().is_empty() {
                    self.spoken.messages.push(self.text);
                }
            }
            _ => {}
        }
        self.spoken
    }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// Does the output say that somebody must log in?
pub fn wants_login(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [
        "401 unauthorized",
        "missing bearer",
        "not logged in",
        "login required",
        "please log in",
        "please set an auth method",
        "refresh_token_reused",
        "token_expired",
        "invalid_api_key",
        "incorrect api key",
        "codex login",
        "opencode auth login",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: Format, lines: &[&str]) -> Spoken {
        let mut reader = Reader::new(format);
        for line in lines {
            reader.line(line);
        }
        reader.finish()
    }

    #[test]
    fn codex_speaks_in_items_and_an_error_that_was_retried_does_not_count() {
        let spoken = read(
            Format::Codex,
            &[
                r#"{"type":"thread.started","thread_id":"t-1"}"#,
                r#"{"type":"error","message":"Reconnecting... 1/5"}"#,
                r#"{"type":"item.completed","item":{"id":"0","type":"agent_message","text":"{\"a\":1}"}}"#,
                r#"{"type":"item.completed","item":{"id":"1","type":"command_execution","aggregated_output":"x"}}"#,
                "WARNING: something",
                r#"{"type":"turn.completed","usage":{}}"#,
            ],
        );
        assert_eq!(spoken.messages, [r#"{"a":1}"#]);
        assert_eq!((spoken.session.as_deref(), spoken.error, spoken.unparsed), (Some("t-1"), None, 1));
    }

    #[test]
    fn every_other_format_is_read() {
        let opencode =
            read(Format::Opencode, &[r#"{"type":"text","sessionID":"s","part":{"type":"text","text":"hi"}}"#]);
        assert_eq!((opencode.messages, opencode.session), (vec!["hi".to_owned()], Some("s".to_owned())));
        let gemini = read(Format::Gemini, &["Loaded cached credentials.", "{", r#""session_id":"g","response":"hi"}"#]);
        assert_eq!((gemini.messages, gemini.session), (vec!["hi".to_owned()], Some("g".to_owned())));
        let claude = read(
            Format::StreamJson,
            &[
                r#"{"type":"assistant","session_id":"c","message":{"content":[{"type":"text","text":"hi"}]}}"#,
                r#"{"type":"result","result":"hi","is_error":false}"#,
            ],
        );
        assert_eq!(claude.messages, ["hi"]);
        assert_eq!(read(Format::Text, &["a", "b"]).messages, ["a\nb\n"]);
    }

    #[test]
    fn a_refused_login_is_recognised() {
        assert!(wants_login("stream error: 401 Unauthorized"));
        assert!(wants_login("Missing bearer or basic authentication"));
        assert!(!wants_login("unauthorised use of the word"));
    }
}
