//! What a client sends to have a skill run, and what it learns at once.

use super::{
    Group,
    shape::{anything, flag, list, maybe_object, maybe_text, named, number, one_of, record, sent, text},
};
use serde_json::{Map, Value, json};

/// By name.
pub(super) fn all() -> Group {
    let flags = ["verbose", "no_cache", "debug", "debug_keep_temp", "interactive_require_user_reply"];
    let seconds = [
        "session_timeout_sec",
        "interactive_wait_timeout_sec",
        "hard_wait_timeout_sec",
        "wait_timeout_sec",
        "hard_timeout_seconds",
    ];
    let mut options: Map<String, Value> = flags.iter().map(|name| ((*name).to_owned(), flag())).collect();
    let duration = json!({"type": "integer", "minimum": 1, "maximum": 604_800});
    options.extend(seconds.iter().map(|name| ((*name).to_owned(), duration.clone())));
    options.insert("execution_mode".to_owned(), one_of(&["auto", "interactive"]));
    let shared = [
        ("engine", json!({"type": "string", "default": crate::runs::DEFAULT_ENGINE})),
        ("input", maybe_object()),
        ("parameter", maybe_object()),
        ("model", json!({"type": ["string", "null"], "minLength": 1, "maxLength": 256, "pattern": "^[^-]"})),
        ("runtime_options", json!({"anyOf": [named("RuntimeOptions"), {"type": "null"}]})),
    ];
    let mut job = vec![("skill_id", text())];
    job.extend(shared.clone());
    let waiting = json!({"anyOf": [named("Status"), {"type": "null"}]});
    vec![
        ("RuntimeOptions", json!({"type": "object", "properties": options, "additionalProperties": false})),
        ("NewJob", sent(&["skill_id"], &job)),
        ("NewTempRun", sent(&[], &shared)),
        ("Created", record(&[("request_id", text()), ("cache_hit", flag()), ("status", waiting.clone())])),
        (
            "Uploaded",
            record(&[
                ("request_id", text()),
                ("cache_hit", flag()),
                ("status", waiting),
                ("extracted_files", list(text())),
            ]),
        ),
        (
            "Canceled",
            record(&[
                ("request_id", text()),
                ("run_id", maybe_text()),
                ("status", named("Status")),
                ("accepted", flag()),
                ("message", text()),
            ]),
        ),
        (
            "Cleaned",
            record(&[
                ("runs_deleted", number()),
                ("requests_deleted", number()),
                ("cache_entries_deleted", number()),
                ("runs_active", number()),
            ]),
        ),
        (
            "Reply",
            sent(
                &["interaction_id", "response"],
                &[
                    ("interaction_id", json!({"type": ["integer", "string"]})),
                    ("response", anything()),
                    ("idempotency_key", maybe_text()),
                ],
            ),
        ),
        ("ReplyAccepted", record(&[("request_id", text()), ("status", named("Status")), ("accepted", flag())])),
        ("Pending", record(&[("request_id", text()), ("status", named("Status")), ("pending", maybe_object())])),
    ]
}
