//! The schemas of bodies, by name. A field of an answer is always there, `null` where it has no value.

use serde_json::{Map, Value, json};

/// Every one.
pub(super) fn all() -> Value {
    let mut out = Map::new();
    for group in [common(), skills(), requests(), runs(), engines(), management()] {
        for (name, schema) in group {
            out.insert(name.to_owned(), schema);
        }
    }
    Value::Object(out)
}

type Group = Vec<(&'static str, Value)>;

/// An object all of whose fields are always there.
fn record(fields: &[(&str, Value)]) -> Value {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// An object that a client sends: only these fields must be there.
fn sent(required: &[&str], fields: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

fn text() -> Value {
    json!({"type": "string"})
}
fn maybe_text() -> Value {
    json!({"type": ["string", "null"]})
}
fn number() -> Value {
    json!({"type": "integer", "minimum": 0})
}
fn maybe_number() -> Value {
    json!({"type": ["integer", "null"], "minimum": 0})
}
fn flag() -> Value {
    json!({"type": "boolean"})
}
fn list(of: Value) -> Value {
    json!({"type": "array", "items": of})
}
fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}
fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}
fn maybe_time() -> Value {
    json!({"type": ["string", "null"], "format": "date-time"})
}
/// An object of any fields, or nothing.
fn maybe_object() -> Value {
    json!({"type": ["object", "null"], "additionalProperties": true})
}
fn map(of: Value) -> Value {
    json!({"type": "object", "additionalProperties": of})
}
fn anything() -> Value {
    json!({})
}
fn named(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn common() -> Group {
    let coded =
        json!({"type": "object", "properties": {"code": text(), "message": text()}, "required": ["code", "message"]});
    vec![
        ("Error", record(&[("detail", json!({"anyOf": [text(), coded]}))])),
        ("Alive", record(&[("message", text())])),
        ("OpenApi", json!({"type": "object", "additionalProperties": true})),
        ("Status", one_of(&["queued", "running", "waiting_user", "succeeded", "failed", "canceled"])),
        (
            "Failure",
            json!({"type": ["object", "null"], "properties": {"code": text(), "message": text()}, "required": ["code", "message"]}),
        ),
    ]
}

fn skills() -> Group {
    let schemas = || record(&[("input", maybe_text()), ("parameter", maybe_text()), ("output", maybe_text())]);
    let modes = || list(one_of(&["auto", "interactive"]));
    let entry = || record(&[("path", text()), ("name", text()), ("is_dir", flag()), ("depth", number())]);
    let engines =
        || [("engines", list(text())), ("unsupported_engines", list(text())), ("effective_engines", list(text()))];
    let [wanted, refused, effective] = engines();
    let summary = vec![
        ("id", text()),
        ("name", text()),
        ("version", text()),
        ("description", text()),
        wanted.clone(),
        refused.clone(),
        effective.clone(),
        ("execution_modes", modes()),
        ("health", one_of(&["healthy"])),
    ];
    let mut detail = summary.clone();
    detail.extend([
        ("schemas", schemas()),
        ("entrypoints", anything()),
        ("artifacts", anything()),
        ("runtime", anything()),
        ("files", list(named("Entry"))),
    ]);
    vec![
        (
            "Skill",
            record(&[
                ("id", text()),
                ("path", text()),
                ("version", text()),
                ("name", text()),
                ("description", text()),
                wanted,
                refused,
                effective,
                ("execution_modes", modes()),
                ("max_attempt", maybe_number()),
                ("entrypoint", anything()),
                ("artifacts", anything()),
                ("schemas", schemas()),
                ("runtime", anything()),
            ]),
        ),
        ("Entry", entry()),
        (
            "ManagedSkills",
            record(&[
                ("skills", list(named("ManagedSkillSummary"))),
                ("invalid", list(record(&[("path", text()), ("reason", text())]))),
            ]),
        ),
        ("ManagedSkillSummary", record(&summary)),
        ("ManagedSkill", record(&detail)),
        (
            "SkillSchemas",
            record(&[
                ("skill_id", text()),
                ("input", maybe_object()),
                ("parameter", maybe_object()),
                ("output", maybe_object()),
            ]),
        ),
        ("InstallAccepted", record(&[("request_id", text()), ("status", one_of(&["queued"]))])),
        (
            "Install",
            record(&[
                ("request_id", text()),
                ("status", one_of(&["queued", "running", "succeeded", "failed"])),
                ("skill_id", maybe_text()),
                ("version", maybe_text()),
                ("action", json!({"enum": ["install", "update", null]})),
                ("error", maybe_text()),
                ("errors", list(text())),
                ("created_at", time()),
                ("updated_at", time()),
            ]),
        ),
    ]
}

fn requests() -> Group {
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
        ("engine", json!({"type": "string", "default": "codex"})),
        ("input", maybe_object()),
        ("parameter", maybe_object()),
        ("model", maybe_text()),
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

fn runs() -> Group {
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

fn engines() -> Group {
    let model = record(&[
        ("id", text()),
        ("display_name", maybe_text()),
        ("deprecated", flag()),
        ("notes", maybe_text()),
        ("supported_effort", json!({"type": ["array", "null"], "items": text()})),
        ("provider", maybe_text()),
        ("model", maybe_text()),
    ]);
    let source = || one_of(&["pinned_snapshot", "runtime_probe_cache"]);
    let upgraded = record(&[
        ("status", one_of(&["succeeded", "failed"])),
        ("stdout", text()),
        ("stderr", text()),
        ("error", maybe_text()),
    ]);
    vec![
        (
            "Engines",
            record(&[("engines", list(record(&[("engine", text()), ("cli_version_detected", maybe_text())])))]),
        ),
        ("AuthStatus", record(&[("engines", map(named("EngineAuth")))])),
        (
            "EngineAuth",
            json!({
                "type": "object", "additionalProperties": true, "properties": {"auth_ready": flag(), "reasons": list(text()), "notes": list(text())},
                "required": ["auth_ready"],
            }),
        ),
        ("Model", model),
        (
            "Models",
            record(&[
                ("engine", text()),
                ("cli_version_detected", maybe_text()),
                ("snapshot_version_used", maybe_text()),
                ("source", source()),
                ("fallback_reason", maybe_text()),
                ("models", list(named("Model"))),
            ]),
        ),
        (
            "ModelManifest",
            record(&[
                ("engine", text()),
                ("cli_version_detected", maybe_text()),
                ("manifest", record(&[("snapshots", list(record(&[("version", text()), ("file", text())])))])),
                ("resolved_snapshot_version", maybe_text()),
                ("resolved_snapshot_file", maybe_text()),
                ("source", source()),
                ("fallback_reason", maybe_text()),
                ("models", list(named("Model"))),
            ]),
        ),
        (
            "NewSnapshot",
            sent(
                &["models"],
                &[(
                    "models",
                    list(json!({
                        "type": "object", "required": ["id"],
                        "properties": {
                            "id": text(), "display_name": maybe_text(), "deprecated": flag(), "notes": maybe_text(),
                            "supported_effort": {"type": ["array", "null"], "items": text()}, "provider": maybe_text(),
                            "model": maybe_text(),
                        },
                    })),
                )],
            ),
        ),
        ("EngineSandbox", record(&[("engine", text()), ("sandbox", named("Verdict"))])),
        (
            "Verdict",
            record(&[
                ("confined", json!({"type": ["boolean", "null"]})),
                ("usable", flag()),
                ("mechanism", maybe_text()),
                ("evidence", text()),
                ("flags", list(text())),
                ("resume_flags", list(text())),
            ]),
        ),
        ("NewUpgrade", sent(&["mode"], &[("mode", one_of(&["single", "all"])), ("engine", maybe_text())])),
        ("UpgradeAccepted", record(&[("request_id", text()), ("status", one_of(&["queued"]))])),
        (
            "Upgrade",
            record(&[
                ("request_id", text()),
                ("mode", one_of(&["single", "all"])),
                ("requested_engine", maybe_text()),
                ("status", one_of(&["queued", "running", "succeeded", "failed"])),
                ("results", map(upgraded)),
                ("created_at", time()),
                ("updated_at", time()),
            ]),
        ),
        (
            "NewAuthSession",
            sent(
                &["engine"],
                &[("engine", text()), ("transport", text()), ("auth_method", text()), ("provider_id", maybe_text())],
            ),
        ),
        ("AuthInput", json!({"type": "object", "additionalProperties": true})),
    ]
}

fn management() -> Group {
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
