//! Runtime options: a closed list, each of one type.

use crate::error::{ApiError, ApiResult};
use crate::skills::Mode;
use serde_json::{Map, Value};
use std::time::Duration;

/// What a client may set per run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Neither read nor write the result cache.
    pub no_cache: bool,
    /// `GET bundle` gives the debug bundle.
    pub debug: bool,
    /// Keep a temporary skill's package after the end.
    pub debug_keep_temp: bool,
    /// Log more.
    pub verbose: bool,
    /// Automatic or interactive.
    pub mode: Mode,
    /// Deadline of the engine; `None`: the setting's.
    pub hard_timeout: Option<Duration>,
}

const BOOLEANS: &[&str] = &["verbose", "no_cache", "debug", "debug_keep_temp", "interactive_require_user_reply"];
const SECONDS: &[&str] = &[
    "session_timeout_sec",
    "interactive_wait_timeout_sec",
    "hard_wait_timeout_sec",
    "wait_timeout_sec",
    "hard_timeout_seconds",
];

impl Options {
    /// Checks every key and value; the first mistake is told.
    pub fn parse(value: &Value) -> ApiResult<Self> {
        let empty = Map::new();
        let map = match value {
            Value::Null => &empty,
            Value::Object(map) => map,
            _ => return Err(ApiError::bad_request("runtime_options is not an object")),
        };
        for (key, value) in map {
            let good = match key.as_str() {
                key if BOOLEANS.contains(&key) => value.is_boolean(),
                key if SECONDS.contains(&key) => value.as_u64().is_some_and(|n| (1..=604_800).contains(&n)),
                "execution_mode" => matches!(value.as_str(), Some("auto" | "interactive")),
                _ => return Err(ApiError::bad_request(format!("runtime_options: unknown key '{key}'"))),
            };
            if !good {
                return Err(ApiError::bad_request(format!("runtime_options.{key}: {value} is not allowed")));
            }
        }
        let flag = |key: &str| map.get(key).and_then(Value::as_bool).unwrap_or(false);
        Ok(Self {
            no_cache: flag("no_cache"),
            debug: flag("debug"),
            debug_keep_temp: flag("debug_keep_temp"),
            verbose: flag("verbose"),
            mode: match map.get("execution_mode").and_then(Value::as_str) {
                Some("interactive") => Mode::Interactive,
                _ => Mode::Auto,
            },
            hard_timeout: map.get("hard_timeout_seconds").and_then(Value::as_u64).map(Duration::from_secs),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_keys_and_wrong_types_are_refused() {
        assert!(Options::parse(&json!({"no_cache": true, "hard_timeout_seconds": 5})).unwrap().no_cache);
        for bad in [json!({"nocache": true}), json!({"debug": "yes"}), json!({"execution_mode": "x"}), json!([1])] {
            assert_eq!(Options::parse(&bad).unwrap_err().status, 400, "{bad}");
        }
    }
}
