//! Skills, their packages, and stubs of the CLIs that run them.

use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

pub fn write_cli(dir: &Path, name: &str, script: &str) {
    let path = dir.join("agent-cache/npm/bin").join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let status = dir.join("data/agent_status.json");
    let mut known: Value =
        fs::read(&status).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_else(|| json!({}));
    known[name] = json!({"present": true, "version": format!("{name}-cli 0.169.0")});
    fs::write(&status, known.to_string()).unwrap();
}

pub fn write_skill(root: &Path, id: &str, runner: &Value) {
    let assets = root.join(id).join("assets");
    fs::create_dir_all(&assets).unwrap();
    fs::write(root.join(id).join("SKILL.md"), format!("---\nname: {id}\ndescription: a test\n---\n# {id}\n")).unwrap();
    let mut all = json!({
        "id": id, "version": "1.0.0", "execution_modes": ["auto"],
        "schemas": {"input": "assets/input.schema.json", "parameter": "assets/parameter.schema.json",
                    "output": "assets/output.schema.json"},
    });
    for (key, value) in runner.as_object().unwrap() {
        all[key] = value.clone();
    }
    fs::write(assets.join("runner.json"), all.to_string()).unwrap();
    let schema =
        |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required});
    let write = |name: &str, schema: Value| fs::write(assets.join(name), schema.to_string()).unwrap();
    write("input.schema.json", schema(json!({"topic": {"type": "string", "x-input-source": "inline"}}), json!([])));
    write("parameter.schema.json", schema(json!({"n": {"type": "integer"}}), json!([])));
    write("output.schema.json", schema(json!({"answer": {"type": "integer"}}), json!(["answer"])));
}

/// Other input for a skill that is there.
pub fn write_input_schema(root: &Path, id: &str, schema: &Value) {
    fs::write(root.join(id).join("assets/input.schema.json"), schema.to_string()).unwrap();
}

/// Input that is one file, `paper`.
pub fn paper() -> Value {
    json!({"type": "object", "properties": {"paper": {"type": "string"}}, "required": ["paper"]})
}

/// The files of a skill as the entries of its package.
pub fn package_entries(id: &str, runner: &Value) -> Vec<(String, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    write_skill(dir.path(), id, runner);
    let names = skill_api::files::list_files(dir.path()).into_iter();
    names.map(|name| (name.clone(), fs::read(dir.path().join(name)).unwrap())).collect()
}

/// A skill as a package.
pub fn package(id: &str, runner: &Value) -> Vec<u8> {
    zip(&package_entries(id, runner))
}

/// What a codex stub prints for this answer.
pub fn codex_says(answer: &str) -> String {
    let message = json!({"type": "item.completed", "item": {"id": "0", "type": "agent_message", "text": answer}});
    format!(
        "printf '%s\\n' '{{\"type\":\"thread.started\",\"thread_id\":\"t-1\"}}'\ncat <<'EOF'\n{message}\nEOF\nprintf '%s\\n' '{{\"type\":\"turn.completed\"}}'"
    )
}

/// An archive of these entries.
pub fn zip<N: AsRef<str>, C: AsRef<[u8]>>(entries: &[(N, C)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(name.as_ref(), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_ref()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The entries of an archive.
pub fn unzip(archive: Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    let mut entries = BTreeMap::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let name = entry.name().unwrap().into_owned();
        assert!(entries.insert(name, content).is_none(), "an entry is there twice");
    }
    entries
}

/// What the folder of a run that ended has to hold, whichever engine ran.
pub fn whole_folder(folder: &Path) {
    for file in [
        "input.json",
        "status.json",
        "result/result.json",
        "bundle/manifest.json",
        "bundle/run_bundle_debug.zip",
        ".audit/meta.1.json",
        ".audit/stdin.1.log",
        ".audit/stdout.1.log",
        ".audit/stderr.1.log",
        ".audit/fs-before.1.json",
        ".audit/fs-after.1.json",
        ".audit/fs-diff.1.json",
        ".audit/events.1.jsonl",
        ".audit/fcmp_events.1.jsonl",
        ".audit/parser_diagnostics.1.jsonl",
        ".audit/protocol_metrics.1.json",
        ".audit/orchestrator_events.1.jsonl",
    ] {
        assert!(folder.join(file).is_file(), "{file}");
    }
}
