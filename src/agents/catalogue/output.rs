//! How a CLI's output is read, as data: its form, and rules over JSON pointers. The worker reads by it; a new engine's
//! output needs no code.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The form of an output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputForm {
    /// A JSON object a line; other lines are noise.
    Lines,
    /// One JSON object behind any other words.
    Object,
    /// Words.
    #[default]
    Text,
}

/// How an output is read; the default takes it as text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Its form.
    pub form: OutputForm,
    /// What JSON objects mean; every rule that fits counts.
    #[serde(default, rename = "on")]
    pub rules: Vec<Rule>,
    /// In a text: the session is the first word of at least eight letters, digits and `-` behind the last such mark.
    #[serde(default)]
    pub session_after: Option<String>,
}

/// When it fits an object, and what that one then says. Fields are JSON pointers; in `message`, `*` is every part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// The object's `type`; absent: any.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Fields with these values.
    #[serde(rename = "where")]
    pub given: BTreeMap<String, Value>,
    /// One of these is there, be it null.
    pub any: Vec<String>,
    /// It does not fit where one of these fields has this value.
    pub unless: BTreeMap<String, Value>,
    /// The session to resume.
    pub session: Vec<String>,
    /// What the agent said.
    pub message: Vec<String>,
    /// The message counts only where it is not the last one once more.
    pub repeats: bool,
    /// The CLI's own error; what is no text is shown as JSON.
    pub error: Vec<String>,
    /// An error of before was got over.
    pub recovered: bool,
}

impl Rule {
    /// Every pointer that it names.
    pub fn pointers(&self) -> impl Iterator<Item = &String> {
        let lists = [&self.any, &self.session, &self.message, &self.error];
        lists.into_iter().flatten().chain(self.given.keys()).chain(self.unless.keys())
    }
}
