//! The engine's configuration for one run: files in the run's folder, or arguments; the global files are never touched.
//!
//! Layers, later ones win: default, the skill's own asset, enforced. codex reads no project file of an untrusted
//! folder and its profiles are global files, so its layers become `-c key=value` overrides. Blocking.

use crate::files;
use serde_json::{Map, Value, json};
use std::{fs, io, path::Path};

/// Writes what the engine reads from the run's folder; gives the arguments that carry the rest.
pub(crate) fn write(engine: &str, skill: &Path, run: &Path) -> io::Result<Vec<String>> {
    let asset = |name: &str| skill.join("assets").join(name);
    match engine {
        "codex" => return codex(&asset("codex_config.toml")),
        "gemini" => layered(
            &asset("gemini_settings.json"),
            &run.join(".gemini/settings.json"),
            json!({"general": {"disableAutoUpdate": true}}),
            json!({"general": {"disableAutoUpdate": true}}),
        )?,
        "iflow" => layered(
            &asset("iflow_settings.json"),
            &run.join(".iflow/settings.json"),
            json!({}),
            json!({"sandbox": "false", "approvalMode": "yolo"}),
        )?,
        "opencode" => layered(
            &asset("opencode_config.json"),
            &run.join("opencode.json"),
            json!({"$schema": "https://opencode.ai/config.json"}),
            json!({"autoupdate": false, "permission": {
                "edit": "allow", "bash": "allow", "webfetch": "allow", "external_directory": "deny", "question": "deny",
            }}),
        )?,
        _ => {}
    }
    Ok(Vec::new())
}

fn layered(asset: &Path, target: &Path, default: Value, enforced: Value) -> io::Result<()> {
    let mut config = default;
    match fs::read(asset) {
        Ok(bytes) => match serde_json::from_slice::<Value>(&bytes) {
            Ok(own @ Value::Object(_)) => merge(&mut config, own),
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} is not a JSON object", asset.display()),
                ));
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    merge(&mut config, enforced);
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    files::write_json(target, &config)
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Object(Map::new())), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// Keys that decide what confines the run: theirs is the verdict's word.
const ENFORCED: &[&str] =
    &["sandbox_mode", "approval_policy", "sandbox_workspace_write", "profile", "profiles", "projects"];

fn codex(asset: &Path) -> io::Result<Vec<String>> {
    let text = match fs::read_to_string(asset) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let document: toml_edit::DocumentMut = text
        .parse()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", asset.display())))?;
    let mut out = Vec::new();
    for (key, item) in document.iter().filter(|(key, _)| !ENFORCED.contains(key)) {
        overrides(key, item, &mut out);
    }
    Ok(out)
}

fn overrides(path: &str, item: &toml_edit::Item, out: &mut Vec<String>) {
    if let Some(table) = item.as_table_like() {
        for (key, item) in table.iter() {
            overrides(&format!("{path}.{key}"), item, out);
        }
    } else if let Some(value) = item.as_value() {
        let mut value = value.clone();
        value.decor_mut().clear();
        out.extend(["-c".to_owned(), format!("{path}={value}")]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skill_cannot_loosen_its_sandbox() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("assets")).unwrap();
        fs::write(
            dir.path().join("assets/codex_config.toml"),
            "model_reasoning_effort = \"high\" # why\nsandbox_mode = \"danger-full-access\"\n[tools]\nweb_search = true\n",
        )
        .unwrap();
        fs::write(
            dir.path().join("assets/opencode_config.json"),
            r#"{"permission":{"external_directory":"allow"},"x":1}"#,
        )
        .unwrap();
        let run = dir.path().join("run");
        fs::create_dir(&run).unwrap();
        assert_eq!(
            write("codex", dir.path(), &run).unwrap(),
            ["-c", "model_reasoning_effort=\"high\"", "-c", "tools.web_search=true"]
        );
        write("opencode", dir.path(), &run).unwrap();
        let config: Value = serde_json::from_slice(&fs::read(run.join("opencode.json")).unwrap()).unwrap();
        assert_eq!((&config["permission"]["external_directory"], &config["x"]), (&json!("deny"), &json!(1)));
        assert!(write("gemini", dir.path(), &run).is_ok() && run.join(".gemini/settings.json").exists());
    }
}
