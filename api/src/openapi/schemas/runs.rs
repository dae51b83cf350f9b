//! How a run stands, what it said and what it gave.

use super::{
    Group,
    shape::{
        anything, flag, list, map, maybe_number, maybe_object, maybe_text, maybe_time, named, number, one_of, record,
        text, time,
    },
};
use serde_json::json;

/// By name.
pub(super) fn all() -> Group {
    let event = record(&[
        ("protocol_version", text()),
        ("run_id", text()),
        ("seq", number()),
        ("ts", time()),
        ("engine", text()),
        ("type", text()),
        ("data", map(anything())),
        ("meta", record(&[("attempt", number()), ("local_seq", number())])),
        ("raw_ref", maybe_object()),
    ]);
    let result = record(&[
        ("status", one_of(&["success", "failed", "canceled"])),
        ("data", anything()),
        ("artifacts", list(text())),
        ("repair_level", text()),
        ("validation_warnings", list(text())),
        ("error", named("Failure")),
        ("pending_interaction", maybe_object()),
    ]);
    vec![
        (
            "RunStatus",
            record(&[
                ("request_id", text()),
                ("run_id", maybe_text()),
                ("status", named("Status")),
                ("skill_id", text()),
                ("engine", text()),
                ("model", maybe_text()),
                ("created_at", time()),
                ("updated_at", time()),
                ("started_at", maybe_time()),
                ("finished_at", maybe_time()),
                ("awaiting_upload", flag()),
                ("execution_mode", one_of(&["auto", "interactive"])),
                ("warnings", list(text())),
                ("error", named("Failure")),
                ("auto_decision_count", number()),
                ("last_auto_decision_at", maybe_time()),
                ("pending_interaction_id", json!({"type": ["integer", "string", "null"]})),
                ("interaction_count", number()),
                ("recovery_state", text()),
                ("recovered_at", maybe_time()),
                ("recovery_reason", maybe_text()),
            ]),
        ),
        ("Event", event),
        ("Result", record(&[("request_id", text()), ("result", result)])),
        ("Artifacts", record(&[("request_id", text()), ("artifacts", list(text()))])),
        (
            "Logs",
            record(&[
                ("request_id", text()),
                ("prompt", json!({"type": "null"})),
                ("stdout", text()),
                ("stderr", text()),
            ]),
        ),
        (
            "LogRange",
            record(&[
                ("stream", one_of(&["stdout", "stderr", "pty"])),
                ("byte_from", number()),
                ("byte_to", number()),
                ("size", number()),
                ("chunk", text()),
            ]),
        ),
        (
            "History",
            record(&[
                ("request_id", text()),
                ("count", number()),
                ("events", list(named("Event"))),
                ("next_from_seq", maybe_number()),
                ("cursor_floor", number()),
                ("cursor_ceiling", number()),
            ]),
        ),
    ]
}
