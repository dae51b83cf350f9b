//! The support bundle: one JSON file with what was examined, and no secret.
//!
//! In: findings, facts, settings with origins, the plan, the status of the running init, the contract's status
//! files. Not in, wherever they stand: values of secrets, contents of credentials, prompts, logs, environment variables that are no
//! settings (their names are, their values are not).

use super::examine::{Examination, read_json};
use crate::{
    cli::Context,
    settings::{Value as Setting, keys, service::Essential},
    sys::{
        fs::{FsError, write_atomic},
        utc::Utc,
    },
};
use serde_json::{Map, Value, json};
use std::path::Path;

/// The bundle as a value.
pub(in crate::cli) fn bundle(context: &Context, found: &Examination) -> Value {
    let settings: Map<String, Value> = keys::ALL
        .iter()
        .filter_map(|spec| found.settings.lookup(spec).map(|(value, origin)| (spec, value, origin)))
        .filter(|(_, value, _)| **value != Setting::Unset)
        .map(|(spec, value, origin)| {
            let shown = match value {
                Setting::Secret(_) => json!("[redacted]"),
                value => json!(value.text()),
            };
            (spec.env.to_owned(), json!({ "value": shown, "origin": origin.to_string() }))
        })
        .collect();
    let names: Vec<&String> = context.env.0.keys().collect();
    let layout = &found.layout;
    let files: Map<String, Value> =
        [layout.bootstrap_report(), layout.agent_status(), layout.agent_auth_status(), layout.sandbox_status()]
            .into_iter()
            .map(|path| (path.display().to_string(), read_json(&path).unwrap_or(Value::Null)))
            .collect();
    let services: Vec<Value> = found
        .plan
        .services
        .iter()
        .map(|spec| {
            json!({
                "name": spec.name, "command": spec.command, "cwd": spec.cwd, "user": spec.user, "after": spec.after,
                "restart": spec.restart.name(), "essential": spec.essential == Essential::Yes,
                "readiness": spec.readiness.as_ref().map(|probe| probe.kind.as_in_the_file()),
                "liveness": spec.liveness.as_ref().map(|probe| probe.kind.as_in_the_file()),
                "variables": spec.env.keys().collect::<Vec<_>>(), "secrets": spec.secrets,
            })
        })
        .collect();
    let whole = json!({
        "skill_init": env!("CARGO_PKG_VERSION"),
        "generated_at": Utc::now().rfc3339(),
        "findings": found.findings,
        "facts": found.facts,
        "settings": settings,
        "configuration_file": found.settings.file,
        "environment_names": names,
        "plan": {
            "concurrency": found.plan.concurrency.summary(),
            "landlock_enabled": found.plan.landlock.enabled,
            "landlock_reason": found.plan.landlock.reason,
            "worker": found.plan.worker.name(),
            "services": services,
        },
        "status": found.status,
        "files": files,
    });
    found.scrub.value(whole)
}

/// Writes the bundle, readable by its owner only.
pub(in crate::cli) fn write(path: &Path, bundle: &Value) -> Result<(), FsError> {
    let mut text = serde_json::to_string_pretty(bundle).unwrap_or_default();
    text.push('\n');
    write_atomic(path, text.as_bytes(), 0o600)
}
