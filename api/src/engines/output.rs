//! What an engine says, read line by line by the rules of its `[output.NAME]` row in the engine table. Pure.

use crate::values;
use serde_json::Value;
use skill_init::agents::catalogue::{Output, OutputForm, Rule};
use std::sync::Arc;

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
    /// What the agent said, in order; of more than [`TEXT_MAX`] the last.
    pub messages: Vec<String>,
    /// How often it said something.
    pub said: u64,
    /// Bytes of the messages.
    kept: usize,
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
    output: Arc<Output>,
    spoken: Spoken,
    /// Whole output, for forms that are not lines.
    text: String,
}

/// Most text that is kept of what was said.
const TEXT_MAX: usize = 16 << 20;

impl Reader {
    /// A fresh one.
    pub fn new(output: Arc<Output>) -> Self {
        Self { output, spoken: Spoken::default(), text: String::new() }
    }

    /// What was said is known at the end only.
    pub fn is_whole(&self) -> bool {
        self.output.form != OutputForm::Lines
    }

    /// A line of standard output, without its newline.
    pub fn line(&mut self, line: &str) -> Line {
        if self.is_whole() {
            if self.text.len() + line.len() < TEXT_MAX {
                self.text.push_str(line);
                self.text.push('\n');
            }
            return Line::default();
        }
        let Ok(value @ Value::Object(_)) = values::parse::<Value>(line.as_bytes()) else {
            if !line.trim().is_empty() {
                self.spoken.unparsed += 1;
            }
            return Line::default();
        };
        let kind = text(&value, "/type").unwrap_or_default();
        let (_, message) = self.spoken.hear(&self.output.rules, &kind, &value);
        Line { message, structured: Some(kind) }
    }

    /// The end of the output.
    pub fn finish(mut self) -> Spoken {
        match self.output.form {
            OutputForm::Lines => {}
            OutputForm::Object => {
                let object = self
                    .text
                    .find('{')
                    .and_then(|at| self.text.get(at..))
                    .filter(|text| values::count(text.as_bytes()) <= values::VALUES_MAX)
                    .and_then(|text| serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok());
                let heard = object.is_some_and(|value| {
                    let kind = text(&value, "/type").unwrap_or_default();
                    self.spoken.hear(&self.output.rules, &kind, &value).0
                });
                if !heard {
                    self.spoken.unparsed += 1;
                    self.spoken.keep(self.text);
                }
            }
            OutputForm::Text => {
                self.spoken.session = self.output.session_after.as_deref().and_then(|mark| {
                    let rest = self.text.get(self.text.rfind(mark)? + mark.len()..)?;
                    let mut words = rest.split(|c: char| !(c.is_alphanumeric() || c == '-'));
                    words.find(|word| word.len() >= 8).map(str::to_owned)
                });
                if !self.text.trim().is_empty() {
                    self.spoken.keep(self.text);
                }
            }
        }
        self.spoken
    }
}

impl Spoken {
    /// Takes in what the rules find in an object: did one fit, and was something said?
    fn hear(&mut self, rules: &[Rule], kind: &str, value: &Value) -> (bool, Option<String>) {
        let (mut fits, mut said) = (false, None);
        for rule in rules.iter().filter(|rule| applies(rule, kind, value)) {
            fits = true;
            if let Some(session) = first(&rule.session, value) {
                self.session = Some(session);
            }
            if rule.recovered {
                self.error = None;
            }
            if let Some(error) = first(&rule.error, value).or_else(|| shown(&rule.error, value)) {
                self.error = Some(error);
            }
            if let Some(message) = first(&rule.message, value)
                && !(rule.repeats && self.messages.last() == Some(&message))
            {
                self.keep(message.clone());
                said = Some(message);
            }
        }
        (fits, said)
    }

    /// One message more. The answer is in the last ones; without a limit an agent's talk would be the worker's memory.
    fn keep(&mut self, message: String) {
        self.said += 1;
        self.kept += cost(&message);
        self.messages.push(message);
        // Many at once, since each time moves the rest.
        if self.kept <= 2 * TEXT_MAX {
            return;
        }
        let mut go = 0;
        while let Some(message) = self.messages.get(go).filter(|_| self.kept > TEXT_MAX && go + 1 < self.messages.len())
        {
            self.kept -= cost(message);
            go += 1;
        }
        self.messages.drain(..go);
    }
}

/// What a message takes, an empty one too.
fn cost(message: &str) -> usize {
    message.len() + size_of::<String>()
}

fn applies(rule: &Rule, kind: &str, value: &Value) -> bool {
    let is = |(pointer, wanted): (&String, &Value)| value.pointer(pointer) == Some(wanted);
    rule.kind.as_ref().is_none_or(|wanted| wanted == kind)
        && rule.given.iter().all(is)
        && !rule.unless.iter().any(is)
        && (rule.any.is_empty() || rule.any.iter().any(|pointer| value.pointer(pointer).is_some()))
}

/// The first text that one of these pointers leads to.
fn first(pointers: &[String], value: &Value) -> Option<String> {
    pointers.iter().find_map(|pointer| match pointer.split_once("/*") {
        None => text(value, pointer),
        Some((list, rest)) => {
            let parts = value.pointer(list)?.as_array()?;
            let said: String = parts.iter().filter_map(|part| text(part, rest)).collect();
            (!said.is_empty()).then_some(said)
        }
    })
}

/// What is there and no text, as JSON.
fn shown(pointers: &[String], value: &Value) -> Option<String> {
    pointers.iter().filter_map(|pointer| value.pointer(pointer)).find(|found| !found.is_null()).map(Value::to_string)
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// Does the output say that somebody must log in? `logins`: the commands that do it, as CLIs name them.
pub fn wants_login(text: &str, logins: &[String]) -> bool {
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
    ]
    .into_iter()
    .chain(logins.iter().map(String::as_str))
    .any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;
    use skill_init::agents::catalogue::Catalogue;

    fn read(output: &str, lines: &[&str]) -> Spoken {
        let mut reader = Reader::new(Arc::clone(&Catalogue::built_in().outputs[output]));
        for line in lines {
            reader.line(line);
        }
        reader.finish()
    }

    #[test]
    fn of_endless_talk_the_last_is_kept_and_all_of_it_counted() {
        let mut spoken = Spoken::default();
        for n in 0..100u32 {
            spoken.keep(format!("{n} {}", "a".repeat(1 << 20)));
        }
        assert!((15..=32).contains(&spoken.messages.len()), "{}", spoken.messages.len());
        assert!(spoken.messages.last().unwrap().starts_with("99 "));
        assert_eq!(spoken.said, 100);
        assert_eq!(spoken.kept, spoken.messages.iter().map(|message| cost(message)).sum::<usize>());
        spoken.keep("b".repeat(3 * TEXT_MAX));
        assert_eq!(spoken.messages.len(), 1, "the last is kept whatever it takes");
    }

    #[test]
    fn codex_speaks_in_items_and_an_error_that_was_retried_does_not_count() {
        let spoken = read(
            "codex",
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
        let opencode = read("opencode", &[r#"{"type":"text","sessionID":"s","part":{"type":"text","text":"hi"}}"#]);
        assert_eq!((opencode.messages, opencode.session), (vec!["hi".to_owned()], Some("s".to_owned())));
        let gemini = read("gemini", &["Loaded cached credentials.", "{", r#""session_id":"g","response":"hi"}"#]);
        assert_eq!((gemini.messages, gemini.session), (vec!["hi".to_owned()], Some("g".to_owned())));
        let claude = read(
            "stream-json",
            &[
                r#"{"type":"assistant","session_id":"c","message":{"content":[{"type":"text","text":"hi"}]}}"#,
                r#"{"type":"result","result":"hi","is_error":false}"#,
            ],
        );
        assert_eq!(claude.messages, ["hi"]);
        assert_eq!(read("text", &["a", "b"]).messages, ["a\nb\n"]);
    }

    #[test]
    fn errors_and_sessions_come_from_where_each_format_has_them() {
        let error = |output: &str, line: &str| read(output, &[line]).error;
        let wrapped = r#"{"type":"error","error":{"data":{"message":"deep"},"message":"flat"}}"#;
        assert_eq!(error("opencode", wrapped).as_deref(), Some("deep"));
        assert_eq!(error("opencode", r#"{"type":"error","error":{"code":3}}"#).as_deref(), Some("{\"code\":3}"));
        assert_eq!(error("codex", r#"{"type":"turn.failed","error":{"message":"no"}}"#).as_deref(), Some("no"));
        assert_eq!(error("gemini", r#"{"error":{"message":"no"}}"#).as_deref(), Some("no"));
        let failed = read("stream-json", &[r#"{"type":"result","is_error":true,"result":"no"}"#]);
        assert_eq!((failed.error.as_deref(), failed.messages.len()), (Some("no"), 0));
        let recovered = [r#"{"type":"error","message":"Reconnecting"}"#, r#"{"type":"turn.completed"}"#];
        assert_eq!(read("codex", &recovered).error, None);
        assert_eq!(read("text", &["done", "session-id: 0123-4567 x"]).session.as_deref(), Some("0123-4567"));
        let odd = read("gemini", &["no", "{\"other\": 1}"]);
        assert_eq!((odd.unparsed, odd.messages.len()), (1, 1));
    }

    #[test]
    fn a_refused_login_is_recognised() {
        let logins = ["mine auth login".to_owned()];
        assert!(wants_login("stream error: 401 Unauthorized", &[]));
        assert!(wants_login("Missing bearer or basic authentication", &logins));
        assert!(wants_login("Run `mine auth login` first", &logins));
        assert!(!wants_login("unauthorised use of the word", &logins));
    }
}
