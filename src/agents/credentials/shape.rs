//! Reads a credential file by its shape: what it must have, what its own fields say of its age, and the entries in it.

use super::three_way::hash;
use crate::{
    agents::catalogue::{Entries, Kind, Shape},
    sys::utc::Utc,
};
use serde_json::{Map, Value};

/// Why a file is no credential. Says the field, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// Not a text.
    #[error("is not UTF-8 text")]
    NotText,
    /// Not JSON.
    #[error("does not parse as JSON: line {line}, column {column}")]
    Syntax {
        /// 1-based.
        line: usize,
        /// 1-based.
        column: usize,
    },
    /// JSON, but not `{...}`.
    #[error("is not a JSON object")]
    NotObject,
    /// A field is missing or of another type; a name from the shape, never from the file.
    #[error("has no usable {0}")]
    Field(String),
}

/// Parses a credential file and checks that it has the shape that its CLI writes.
pub fn check(shape: &Shape, bytes: &[u8]) -> Result<Map<String, Value>, Bad> {
    let text = std::str::from_utf8(bytes).map_err(|_| Bad::NotText)?;
    let value: Value =
        serde_json::from_str(text).map_err(|error| Bad::Syntax { line: error.line(), column: error.column() })?;
    let Value::Object(object) = value else { return Err(Bad::NotObject) };
    for (field, allowed) in &shape.values {
        let number = at(&object, field).and_then(Value::as_u64);
        let words = || format!("{field} ({})", or(allowed.iter().map(u64::to_string)));
        either(number.is_some_and(|number| allowed.contains(&number)), words)?;
    }
    for (field, kind) in &shape.fields {
        let good = at(&object, field).is_none_or(|value| value.is_null() || is(*kind, value));
        either(good, || format!("{field} ({})", kind.word()))?;
    }
    let some = |fields: &[String], has: &dyn Fn(&Value) -> bool| {
        let good = fields.is_empty() || fields.iter().any(|field| at(&object, field).is_some_and(has));
        either(good, || or(fields.iter().cloned()))
    };
    some(&shape.any, &full)?;
    some(&shape.keys, &|_| true)?;
    if let Some(known) = &shape.entries {
        let all = entries(shape, &object);
        match &known.list {
            Some(list) => {
                either(at(&object, list).is_some_and(Value::is_array), || format!("{list} (list)"))?;
                let id = known.id.as_deref().unwrap_or("object");
                either(all.iter().all(|entry| entry.usable), || format!("{id} in every entry of {list}"))?;
            }
            None => {
                let types = || format!("entry (type {})", or(known.types.keys().cloned()));
                either(all.is_empty() || all.iter().any(|entry| entry.usable), types)?;
            }
        }
    }
    Ok(object)
}

/// One of several credentials in a file.
#[derive(Debug)]
pub struct Entry<'a> {
    /// What it is remembered by: its key, or the hash of the secret that identifies it.
    pub name: String,
    /// What a person may read: its key, or its place in the list.
    pub label: String,
    /// It has the fields that its type needs.
    pub usable: bool,
    /// Its content.
    pub value: &'a Value,
}

/// The credentials in a file of several; none where the shape has no entries.
pub fn entries<'a>(shape: &Shape, object: &'a Map<String, Value>) -> Vec<Entry<'a>> {
    let Some(known) = &shape.entries else { return Vec::new() };
    let Some(list) = &known.list else {
        let entry = |(key, value): (&String, &'a Value)| Entry {
            name: key.clone(),
            label: key.clone(),
            usable: typed(known, value),
            value,
        };
        return object.iter().map(entry).collect();
    };
    let values = at(object, list).and_then(Value::as_array).into_iter().flatten();
    let entry = |(n, value): (usize, &'a Value)| {
        let id = identity(known, value);
        Entry {
            name: id.map(|id| hash(id.as_bytes())).unwrap_or_default(),
            label: format!("entry {}", n + 1),
            usable: id.is_some() && typed(known, value),
            value,
        }
    };
    values.enumerate().map(entry).collect()
}

/// The secret that identifies an entry of a list.
pub(super) fn identity<'a>(known: &Entries, value: &'a Value) -> Option<&'a str> {
    value.get(known.id.as_deref()?).and_then(Value::as_str).filter(|id| !id.is_empty())
}

fn typed(known: &Entries, value: &Value) -> bool {
    let fields = value.get("type").and_then(Value::as_str).and_then(|kind| known.types.get(kind));
    let has = |(field, kind): (&String, &Kind)| value.get(field).is_some_and(|value| is(*kind, value));
    match fields {
        Some(fields) => fields.iter().all(has),
        None => known.types.is_empty() && value.is_object(),
    }
}

/// When the CLI last renewed it, or until when it is good: comparable within one shape, in milliseconds.
pub(super) fn freshness(shape: &Shape, object: &Map<String, Value>) -> Option<i64> {
    shape.fresh.iter().find_map(|field| at(object, field)).and_then(moment)
}

/// A moment in milliseconds: a whole or fractional number, or a date.
pub(super) fn moment(value: &Value) -> Option<i64> {
    let date = || value.as_str().and_then(Utc::parse).map(|at| at.0);
    // A float beyond i64 saturates: it only has to compare.
    value.as_i64().or_else(|| value.as_f64().map(|ms| ms as i64)).or_else(date)
}

/// The value at a dotted path.
fn at<'a>(object: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut words = path.split('.');
    let first = object.get(words.next()?)?;
    words.try_fold(first, |value, word| value.get(word))
}

fn is(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Text => value.is_string(),
        Kind::Number => value.is_number(),
        Kind::List => value.is_array(),
        Kind::Object => value.is_object(),
        Kind::Jwt => value.as_str().is_some_and(|jwt| jwt.split('.').filter(|part| !part.is_empty()).count() == 3),
    }
}

/// There, and with something in it.
fn full(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty()) || value.as_object().is_some_and(|map| !map.is_empty())
}

fn either(holds: bool, field: impl FnOnce() -> String) -> Result<(), Bad> {
    if holds { Ok(()) } else { Err(Bad::Field(field())) }
}

/// `a, b or c`.
fn or(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> = words.collect();
    match (words.pop(), words.is_empty()) {
        (Some(last), false) => format!("{} or {last}", words.join(", ")),
        (last, _) => last.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::shape, *};
    use proptest::prelude::*;

    fn ok(name: &str, text: &str) -> bool {
        check(&shape(name), text.as_bytes()).is_ok()
    }

    #[test]
    fn what_the_clis_write_is_accepted() {
        assert!(ok("codex-auth", r#"{"auth_mode":"apikey","OPENAI_API_KEY":"synthetic"}"#));
        assert!(ok(
            "codex-auth",
            r#"{"OPENAI_API_KEY":null,"tokens":{"id_token":"a.b.c","access_token":"x","refresh_token":"y"},"last_refresh":"2026-01-01T00:00:00Z"}"#
        ));
        assert!(ok("google-oauth", r#"{"refresh_token":"r","expiry_date":1}"#));
        assert!(ok("google-accounts", r#"{"active":null,"old":[]}"#));
        assert!(ok("iflow-oauth", r#"{"access_token":"a","apiKey":"k"}"#));
        assert!(ok("iflow-accounts", r#"{"active":null,"old":[],"iflowApiKey":"k"}"#));
        assert!(ok("opencode-auth", r#"{"a":{"type":"api","key":"k"},"b":{"type":"new"}}"#));
        assert!(ok("opencode-auth", "{}"));
        assert!(ok("antigravity-accounts", r#"{"version":4,"accounts":[{"refreshToken":"r"}],"activeIndex":0}"#));
        assert!(ok("json-object", "{}"));
    }

    #[test]
    fn what_they_could_not_use_is_refused() {
        for (shape, text) in [
            ("codex-auth", "{}"),
            ("codex-auth", "[]"),
            ("codex-auth", ""),
            ("codex-auth", r#"{"OPENAI_API_KEY":""}"#),
            ("codex-auth", r#"{"tokens":{"id_token":"not a jwt","refresh_token":"r"}}"#),
            ("codex-auth", r#"{"tokens":3}"#),
            ("google-oauth", r#"{"refresh_token":3}"#),
            ("google-accounts", r#"{"active":3}"#),
            ("google-accounts", "{}"),
            ("opencode-auth", r#"{"a":{"type":"api"}}"#),
            ("antigravity-accounts", r#"{"version":5,"accounts":[]}"#),
            ("antigravity-accounts", r#"{"version":4,"accounts":[{}]}"#),
            ("json-object", "3"),
        ] {
            assert!(!ok(shape, text), "{shape:?} {text}");
        }
    }

    proptest! {
        #[test]
        fn no_content_reaches_a_message(secret in "[a-zA-Z0-9]{12,40}", text in "[{}\\[\\]\",: ]{0,20}") {
            for shape in ["codex-auth", "opencode-auth", "antigravity-accounts", "google-accounts"] {
                for input in [format!("{text}{secret}"), format!("{{\"{secret}\":\"{secret}\"}}"), format!("{{\"tokens\":\"{secret}\"}}")] {
                    if let Err(bad) = check(&super::super::testing::shape(shape), input.as_bytes()) {
                        prop_assert!(!bad.to_string().contains(&secret));
                    }
                }
            }
        }
    }
}
