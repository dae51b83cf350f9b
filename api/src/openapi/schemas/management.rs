//! What the management reads show: engines and runs as front ends see them.

use super::{
    Group,
    shape::{anything, flag, list, map, maybe_text, named, number, one_of, record, text, time},
};
use serde_json::json;

/// By name.
pub(super) fn all() -> Group {
    let engine = vec![
        ("engine", text()),
        ("cli_version", maybe_text()),
        ("auth_ready", json!({"type": ["boolean", "null"]})),
        ("auth", json!({"anyOf": [named("EngineAuth"), {"type": "null"}]})),
        ("sandbox_status", one_of(&["supported", "unsupported", "unknown"])),
        ("sandbox", named("Verdict")),
        ("models_count", number()),
    ];
    let mut detail = engine.clone();
    detail.push(("models", list(named("Model"))));
    let run = record(&[
        ("request_id", text()),
        ("run_id", text()),
        ("skill_id", text()),
        ("engine", text()),
        ("model", maybe_text()),
        ("status", named("Status")),
        ("created_at", time()),
        ("updated_at", time()),
        ("error", named("Failure")),
        ("warnings", list(text())),
        ("pending_interaction_id", json!({"type": ["integer", "string", "null"]})),
        ("interaction_count", number()),
    ]);
    let preview = record(&[
        ("mode", one_of(&["text", "binary"])),
        ("content", maybe_text()),
        ("encoding", maybe_text()),
        ("size", number()),
        ("truncated", flag()),
    ]);
    vec![
        ("ManagedEngines", record(&[("engines", list(named("ManagedEngineSummary")))])),
        ("ManagedEngineSummary", record(&engine)),
        ("ManagedEngine", record(&detail)),
        (
            "Concurrency",
            record(&[
                ("running", number()),
                ("queued", number()),
                ("max_concurrent", number()),
                ("max_queue_size", number()),
                ("binds", text()),
                ("advice", text()),
            ]),
        ),
        (
            "Runs",
            record(&[
                ("runs", list(named("Run"))),
                ("total", number()),
                ("page", number()),
                ("page_size", number()),
                ("total_pages", number()),
            ]),
        ),
        ("Run", run),
        ("RunFiles", record(&[("request_id", text()), ("run_id", text()), ("entries", list(named("Entry")))])),
        ("RunFile", record(&[("request_id", text()), ("run_id", text()), ("path", text()), ("preview", preview)])),
        (
            "ProtocolHistory",
            record(&[
                ("request_id", text()),
                ("stream", one_of(&["fcmp", "rasp", "orchestrator"])),
                ("attempt", number()),
                ("available_attempts", list(number())),
                ("count", number()),
                ("events", list(map(anything()))),
            ]),
        ),
    ]
}
