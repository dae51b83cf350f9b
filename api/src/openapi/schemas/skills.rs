//! Skills, and the packages that they come in.

use super::{
    Group,
    shape::{anything, flag, list, maybe_number, maybe_object, maybe_text, named, number, one_of, record, text, time},
};
use serde_json::json;

/// By name.
pub(super) fn all() -> Group {
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
