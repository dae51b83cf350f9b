//! What each CLI writes: the least that a file must have, and what its own fields say about its age.

use crate::{agents::catalogue::Shape, sys::utc::Utc};
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
    /// A field is missing or of another type.
    #[error("has no usable {0}")]
    Field(&'static str),
}

/// Parses a credential file and checks that it has the shape that its CLI writes.
pub fn check(shape: Shape, bytes: &[u8]) -> Result<Map<String, Value>, Bad> {
    let text = std::str::from_utf8(bytes).map_err(|_| Bad::NotText)?;
    let value: Value =
        serde_json::from_str(text).map_err(|error| Bad::Syntax { line: error.line(), column: error.column() })?;
    let Value::Object(object) = value else { return Err(Bad::NotObject) };
    let has = |field: &str| text_at(&object, field).is_some();
    match shape {
        Shape::CodexAuth => codex(&object)?,
        Shape::GoogleOauth => either(has("refresh_token") || has("access_token"), "refresh_token or access_token")?,
        Shape::IflowOauth => {
            either(
                has("refresh_token") || has("access_token") || has("apiKey"),
                "refresh_token, access_token or apiKey",
            )?;
        }
        Shape::GoogleAccounts | Shape::IflowAccounts => {
            let active = object.get("active").is_none_or(|active| active.is_null() || active.is_string());
            let old = object.get("old").is_none_or(Value::is_array);
            either(active && (object.contains_key("active") || object.contains_key("old")), "active account")?;
            either(old, "list of old accounts")?;
            either(object.get("iflowApiKey").is_none_or(Value::is_string), "iflowApiKey")?;
        }
        Shape::OpencodeAuth => {
            let usable = object.values().any(opencode_entry);
            either(usable || object.is_empty(), "provider entry (type oauth, api or wellknown)")?;
        }
        Shape::AntigravityAccounts => {
            either(
                object.get("version").and_then(Value::as_u64).is_some_and(|v| (1..=4).contains(&v)),
                "version 1 to 4",
            )?;
            let accounts = object.get("accounts").and_then(Value::as_array).ok_or(Bad::Field("accounts list"))?;
            either(accounts.iter().all(|account| token_of(account).is_some()), "refreshToken in every account")?;
        }
        Shape::JsonObject => {}
    }
    Ok(object)
}

/// When the CLI last renewed it, or until when it is good: comparable within one shape, in milliseconds.
pub fn freshness(shape: Shape, object: &Map<String, Value>) -> Option<i64> {
    match shape {
        Shape::CodexAuth => Utc::parse(object.get("last_refresh")?.as_str()?).map(|at| at.0),
        Shape::GoogleOauth | Shape::IflowOauth => millis(object.get("expiry_date")?),
        _ => None,
    }
}

/// One provider's entry of opencode's `auth.json`, as its own reader takes it.
pub(super) fn opencode_entry(entry: &Value) -> bool {
    let has = |field: &str| entry.get(field).is_some_and(Value::is_string);
    match entry.get("type").and_then(Value::as_str) {
        Some("oauth") => has("refresh") && has("access") && entry.get("expires").is_some_and(Value::is_number),
        Some("api") => has("key"),
        Some("wellknown") => has("key") && has("token"),
        _ => false,
    }
}

/// The refresh token that identifies an account of the antigravity plugin.
pub(super) fn token_of(account: &Value) -> Option<&str> {
    account.get("refreshToken").and_then(Value::as_str).filter(|token| !token.is_empty())
}

/// A whole or fractional number of milliseconds.
pub(super) fn millis(value: &Value) -> Option<i64> {
    // A float beyond i64 saturates: it only has to compare.
    value.as_i64().or_else(|| value.as_f64().map(|ms| ms as i64))
}

fn codex(object: &Map<String, Value>) -> Result<(), Bad> {
    let tokens = match object.get("tokens") {
        None | Some(Value::Null) => None,
        Some(tokens) => Some(tokens.as_object().ok_or(Bad::Field("tokens object"))?),
    };
    if let Some(tokens) = tokens {
        let jwt =
            |token: &Value| token.as_str().is_some_and(|jwt| jwt.split('.').filter(|p| !p.is_empty()).count() == 3);
        either(tokens.get("id_token").is_none_or(|token| token.is_null() || jwt(token)), "id_token (three parts)")?;
        if text_at(tokens, "refresh_token").is_some() || text_at(tokens, "access_token").is_some() {
            return Ok(());
        }
    }
    let other = text_at(object, "OPENAI_API_KEY").is_some()
        || text_at(object, "personal_access_token").is_some()
        || object.get("agent_identity").is_some_and(|identity| !identity.is_null());
    either(other, "OPENAI_API_KEY or tokens")
}

fn text_at<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn either(holds: bool, field: &'static str) -> Result<(), Bad> {
    if holds { Ok(()) } else { Err(Bad::Field(field)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ok(shape: Shape, text: &str) -> bool {
        check(shape, text.as_bytes()).is_ok()
    }

    #[test]
    fn what_the_clis_write_is_accepted() {
        assert!(ok(Shape::CodexAuth, r#"{"auth_mode":"apikey","OPENAI_API_KEY":"synthetic"}"#));
        assert!(ok(
            Shape::CodexAuth,
            r#"{"OPENAI_API_KEY":null,"tokens":{"id_token":"a.b.c","access_token":"x","refresh_token":"y"},"last_refresh":"2026-01-01T00:00:00Z"}"#
        ));
        assert!(ok(Shape::GoogleOauth, r#"{"refresh_token":"r","expiry_date":1}"#));
        assert!(ok(Shape::GoogleAccounts, r#"{"active":null,"old":[]}"#));
        assert!(ok(Shape::IflowOauth, r#"{"access_token":"a","apiKey":"k"}"#));
        assert!(ok(Shape::IflowAccounts, r#"{"active":null,"old":[],"iflowApiKey":"k"}"#));
        assert!(ok(Shape::OpencodeAuth, r#"{"a":{"type":"api","key":"k"},"b":{"type":"new"}}"#));
        assert!(ok(Shape::OpencodeAuth, "{}"));
        assert!(ok(Shape::AntigravityAccounts, r#"{"version":4,"accounts":[{"refreshToken":"r"}],"activeIndex":0}"#));
        assert!(ok(Shape::JsonObject, "{}"));
    }

    #[test]
    fn what_they_could_not_use_is_refused() {
        for (shape, text) in [
            (Shape::CodexAuth, "{}"),
            (Shape::CodexAuth, "[]"),
            (Shape::CodexAuth, ""),
            (Shape::CodexAuth, r#"{"OPENAI_API_KEY":""}"#),
            (Shape::CodexAuth, r#"{"tokens":{"id_token":"not a jwt","refresh_token":"r"}}"#),
            (Shape::CodexAuth, r#"{"tokens":3}"#),
            (Shape::GoogleOauth, r#"{"refresh_token":3}"#),
            (Shape::GoogleAccounts, r#"{"active":3}"#),
            (Shape::GoogleAccounts, "{}"),
            (Shape::OpencodeAuth, r#"{"a":{"type":"api"}}"#),
            (Shape::AntigravityAccounts, r#"{"version":5,"accounts":[]}"#),
            (Shape::AntigravityAccounts, r#"{"version":4,"accounts":[{}]}"#),
            (Shape::JsonObject, "3"),
        ] {
            assert!(!ok(shape, text), "{shape:?} {text}");
        }
    }

    proptest! {
        #[test]
        fn no_content_reaches_a_message(secret in "[a-zA-Z0-9]{12,40}", text in "[{}\\[\\]\",: ]{0,20}") {
            for shape in [Shape::CodexAuth, Shape::OpencodeAuth, Shape::AntigravityAccounts, Shape::GoogleAccounts] {
                for input in [format!("{text}{secret}"), format!("{{\"{secret}\":\"{secret}\"}}"), format!("{{\"tokens\":\"{secret}\"}}")] {
                    if let Err(bad) = check(shape, input.as_bytes()) {
                        prop_assert!(!bad.to_string().contains(&secret));
                    }
                }
            }
        }
    }
}
