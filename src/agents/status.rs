//! The files that the contract promises: agent_status.json, agent_auth_status.json, and the later releases'
//! agent_bootstrap_report.json. Readers see the old content or the new.

use super::{
    catalogue::{Catalogue, Engine},
    check::{Checked, Found},
    install::{Action, Report},
};
use crate::{
    layout::Layout,
    sys::{
        fs::{FsError, write_atomic},
        utc::Utc,
    },
};
use serde_json::{Map, Value, json};
use std::{fs, path::Path, time::Duration};

/// `agent_status.json`: engine -> `present`, `version` (the line that the CLI printed; empty where none ran).
pub fn status(checked: &[Checked]) -> Value {
    let entry = |checked: &Checked| {
        let version = checked.effective().map(|(_, answer, _)| answer.line.clone());
        json!({"present": version.is_some(), "version": version.unwrap_or_default()})
    };
    Value::Object(checked.iter().map(|c| (c.engine.clone(), entry(c))).collect())
}

/// What stands between an engine and its first run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Command there and credentials there.
    pub ready: bool,
    /// Each thing that is missing or wrong, and what to do.
    pub reasons: Vec<String>,
    /// Worth knowing, in no one's way.
    pub notes: Vec<String>,
}

/// `agent_auth_status.json` in the documented shape. Existence and readiness only; nothing of a content.
pub fn auth(engines: &[&Engine], checked: &[Checked], readiness: &[Readiness], layout: &Layout) -> Value {
    let mut out = Map::new();
    for ((engine, checked), readiness) in engines.iter().zip(checked).zip(readiness) {
        let path = |found: &Found| found.path().map(|p| p.display().to_string());
        let effective = checked.effective();
        let files: Map<String, Value> = engine
            .credentials
            .iter()
            .map(|c| {
                let name = c.source.file_name().unwrap_or_default().to_string_lossy().into_owned();
                (name, layout.agent_home.join(&c.dest).is_file().into())
            })
            .collect();
        out.insert(
            engine.name.clone(),
            json!({
                "managed_present": matches!(checked.managed, Found::Runs(..)),
                "managed_cli_path": path(&checked.managed),
                "global_available": checked.global != Found::Absent,
                "global_cli_path": path(&checked.global),
                "effective_cli_path": effective.map(|(path, ..)| path.display().to_string()),
                "effective_path_source": effective.map_or("missing", |(.., source)| source),
                "credential_files": files,
                "auth_ready": readiness.ready,
            }),
        );
    }
    Value::Object(out)
}

/// `agent_bootstrap_report.json`, in the shape of the later releases.
pub fn bootstrap(
    reports: &[Report],
    checked: &[Checked],
    catalogue: &Catalogue,
    words: &[String],
    total: Duration,
) -> Value {
    let names = |pick: &dyn Fn(&Report) -> bool| -> Vec<String> {
        reports.iter().filter(|r| pick(r)).map(|r| r.engine.clone()).collect()
    };
    let failed = names(&|r| r.action == Action::Failed);
    let requested = names(&|_| true);
    let skipped: Vec<&String> = catalogue.engines.iter().map(|e| &e.name).filter(|n| !requested.contains(n)).collect();
    let mode = match words {
        [word] if word == "all" || word == "none" => word.as_str(),
        _ => "subset",
    };
    let engines: Map<String, Value> = reports
        .iter()
        .map(|report| {
            let path = checked.iter().find(|c| c.engine == report.engine).and_then(|c| c.managed.path());
            let path = path.map(|p| p.display().to_string());
            let entry = json!({
                "engine": report.engine,
                "attempted_install": report.npm_status.is_some(),
                "managed_present_before": report.present.0,
                "managed_present_after": report.present.1,
                "managed_cli_path_before": if report.present.0 { path.clone() } else { None },
                "managed_cli_path_after": if report.present.1 { path } else { None },
                "package": report.package,
                "exit_code": report.npm_status,
                "stdout_summary": "",
                "stderr_summary": summary(&report.reason),
                "duration_ms": report.elapsed.as_millis() as u64,
                "outcome": report.action.word(),
                "version": report.version,
            });
            (report.engine.clone(), entry)
        })
        .collect();
    json!({
        "generated_at": Utc::now().rfc3339(),
        "summary": {
            "outcome": if failed.is_empty() { "ok" } else { "partial_failure" },
            "engines_total": reports.len(),
            "requested_engines": requested,
            "skipped_engines": skipped,
            "resolved_mode": mode,
            "failed_engines": failed,
            "unavailable_engines": names(&|r| r.action == Action::Unavailable),
            "total_duration_ms": total.as_millis() as u64,
        },
        "engines": engines,
    })
}

/// At most 8 lines and 800 characters.
fn summary(lines: &[String]) -> String {
    let text = lines.iter().take(8).cloned().collect::<Vec<_>>().join("\n");
    text.chars().take(800).collect()
}

/// Writes a status file: two spaces of indentation, a newline at the end, 0644.
pub fn write(path: &Path, value: &Value) -> Result<(), FsError> {
    if let Some(parent) = path.parent() {
        // What really stands in the way, the write says.
        let _ = fs::create_dir_all(parent);
    }
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    write_atomic(path, text.as_bytes(), 0o644)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::{catalogue::Version, check::Answer};

    #[test]
    fn the_status_file_has_the_documented_bytes() {
        let answer = |line: &str| Answer { line: line.to_owned(), version: Version(0, 0, 0), elapsed: Duration::ZERO };
        let entry =
            |engine: &str, managed: Found| Checked { engine: engine.to_owned(), managed, global: Found::Absent };
        let value = status(&[
            entry("codex", Found::Runs("/x".into(), answer("codex-cli 0.169.0"))),
            entry("iflow", Found::Broken("/y".into(), "dangling".to_owned())),
        ]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data/agent_status.json");
        write(&path, &value).unwrap();
        let expected = "{\n  \"codex\": {\n    \"present\": true,\n    \"version\": \"codex-cli 0.169.0\"\n  },\n  \
                        \"iflow\": {\n    \"present\": false,\n    \"version\": \"\"\n  }\n}\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }
}
