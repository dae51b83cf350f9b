//! Engines: login, models, confinement, upgrades.

use super::{
    Group,
    shape::{flag, list, map, maybe_text, named, one_of, record, sent, text, time},
};
use serde_json::json;

/// By name.
pub(super) fn all() -> Group {
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
