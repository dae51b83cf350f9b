//! An engine that nobody has ever written code for: the rows of docs/agents.md, word by word, and a CLI of its own. It is
//! checked, configured, trusted, run, read and served.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod common;

use common::*;
use serde_json::{Value, json};
use skill_init::{
    agents::{
        catalogue::Catalogue,
        check::{self, Surroundings},
        sandbox, status,
    },
    apply,
};
use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

const DOCS: &str = include_str!("../../docs/agents.md");

/// The example of docs/agents.md: the indented lines between the heading and the words about them.
fn rows() -> String {
    let section = DOCS.split("## The table of engines").nth(1).unwrap().split("The built-in rows of").next().unwrap();
    let lines = section.lines().filter_map(|line| line.strip_prefix("    ").or(line.is_empty().then_some("")));
    let rows = lines.collect::<Vec<_>>().join("\n");
    assert!(rows.contains("[engine.mine.run_config]") && rows.contains("[output.mine]"), "{rows}");
    rows
}

/// What the CLI does in a run: it keeps what it was given, and speaks in a way of its own.
const CLI: &str = r#"case $1 in
    --version) echo "agent 1.2.3"; exit ;;
    models) printf 'acme/large\nLoading 1/2 ...\nacme/small\n'; exit ;;
esac
printf '%s\n' "$@" > "$HOME/seen-arguments"
env > "$HOME/seen-environment"
cp .mine/run.toml "$HOME/seen-config"
cp "$HOME/.mine/state.json" "$HOME/seen-trust"
cat "$HOME/.mine/key.json" > "$HOME/seen-key"
echo 'Welcome to the agent'
echo '{"type":"begin","id":"s-77"}'
echo '{"type":"say","role":"user","text":"{\"answer\": 1}"}'
if [ -e "$HOME/refuse" ]; then echo '{"type":"end","ok":false,"reason":"run `agent login` first"}'; exit 1; fi
echo '{"type":"say","role":"agent","parts":[{"text":"{\"answer\""},{"text":": 7}"}]}'
echo '{"type":"end","ok":true}'
"#;

fn worker() -> Worker {
    let setup = Setup::new().skill("adder");
    let (table, import) = (setup.dir.path().join("engines.toml"), setup.dir.path().join("import"));
    fs::write(&table, rows()).unwrap();
    fs::create_dir_all(import.join("mine")).unwrap();
    fs::write(import.join("mine/key.json"), r#"{"key": "synthetic", "issued_at": 1790000000000}"#).unwrap();
    let asset = setup.dir.path().join("skills/adder/assets/mine_config.toml");
    fs::write(asset, "level = \"high\"\nsandbox = \"off\"\n[network]\nopen = true\n").unwrap();
    let setup = setup
        .env("SKILL_INIT_CATALOGUE", table.to_str().unwrap())
        .env("SKILL_INIT_IMPORT_DIR", import.to_str().unwrap())
        .env("SKILL_INIT_ENGINES", "mine")
        .env("MINE_TOKEN", "for-mine")
        .env("OPENAI_API_KEY", "for-codex");
    let program = setup.dir.path().join("agent-cache/npm/bin/agent");
    fs::write(&program, format!("#!/bin/sh\n{CLI}")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let config = setup.config();
    let report = apply::prepare(&apply::Wanted::new(&config.settings, &config.layout).unwrap());
    assert!(report.warnings().is_empty(), "{:?}", report.warnings());
    let catalogue = Catalogue::load(Some(&table)).unwrap();
    let engines = vec![catalogue.get("mine").unwrap()];
    let around =
        Surroundings { env: &config.env, layout: &config.layout, deadline: Duration::from_secs(60), interrupt: None };
    let checked = check::all(&engines, around);
    assert_eq!(checked[0].effective().map(|(_, answer, _)| answer.line.as_str()), Some("agent 1.2.3"));
    status::write(&config.layout.agent_status(), &status::status(&checked)).unwrap();
    sandbox::publish(&config.layout, &sandbox::judge(&engines, &checked, around, sandbox::Mode::Auto, None)).unwrap();
    setup.start()
}

#[test]
fn an_engine_of_an_override_file_is_checked_configured_trusted_run_read_and_served() {
    let worker = worker();
    let home = |name: &str| fs::read_to_string(worker.path("agent-cache/agent-home").join(name)).unwrap();
    let engines = worker.get("/v1/engines").json();
    assert!(engines.to_string().contains("\"mine\""), "{engines}");
    let known = worker.get("/v1/engines/auth-status").json();
    assert_eq!(known["engines"]["mine"]["auth_ready"], true, "{known}");

    let id = worker.job(&json!({"skill_id": "adder", "engine": "mine", "model": "acme/large", "parameter": {"n": 1}}));
    let status = worker.settled("/v1/jobs", &id);
    assert_eq!(status["status"], "succeeded", "{status}\n{}", worker.get(&format!("/v1/jobs/{id}/logs")).json());
    let result = worker.get(&format!("/v1/jobs/{id}/result")).json();
    assert_eq!(result["result"]["data"], json!({"answer": 7}));

    let folder = worker.run_folder(&id);
    let meta: Value = serde_json::from_slice(&fs::read(folder.join(".audit/meta.1.json")).unwrap()).unwrap();
    assert_eq!(meta["session"], "s-77", "{meta}");
    let arguments = home("seen-arguments");
    assert!(arguments.starts_with("run\n--json\n--model\nacme/large\n"), "{arguments}");
    let (environment, key) = (home("seen-environment"), home("seen-key"));
    assert!(environment.contains("MINE_TOKEN=for-mine") && environment.contains("MINE_NO_UPDATE=1"), "{environment}");
    assert!(!environment.contains("for-codex"), "{environment}");
    assert!(key.contains("synthetic"), "{key}");

    // Default, then the skill's own, then what is enforced; the reserved key is not the skill's.
    let config: Value = toml_edit::de::from_str(&home("seen-config")).unwrap();
    assert_eq!(config, json!({"level": "high", "sandbox": "on"}));

    // Trusted while it ran, beside the runs folder; gone with its end.
    let run = fs::canonicalize(&folder).unwrap();
    let trusted = |text: &str| -> Value { serde_json::from_str::<Value>(text).unwrap()["trust"]["folders"].clone() };
    assert_eq!(trusted(&home("seen-trust"))[run.to_str().unwrap()], json!({"trusted": true}));
    let after = trusted(&home(".mine/state.json"));
    let runs = run.parent().unwrap().to_str().unwrap();
    assert_eq!(after, json!({runs: {"trusted": true}}));
    assert!(!worker.path("agent-cache/agent-home/.mine/state.json.lock").exists());

    let models = awaited("the CLI's models are known", || {
        let models = worker.get("/v1/engines/mine/models").json();
        (models["source"] == "runtime_probe_cache").then_some(models)
    });
    let ids: Vec<&str> =
        models["models"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["acme/large", "acme/small"]);
}

#[test]
fn its_own_words_for_log_in_first_are_understood() {
    let worker = worker();
    fs::write(worker.path("agent-cache/agent-home/refuse"), "").unwrap();
    let id = worker.job(&json!({"skill_id": "adder", "engine": "mine", "parameter": {"n": 1}}));
    let status = worker.settled("/v1/jobs", &id);
    assert_eq!((&status["status"], &status["error"]["code"]), (&json!("failed"), &json!("AUTH_REQUIRED")), "{status}");
}

#[test]
fn a_package_with_a_broken_configuration_for_it_is_refused() {
    let worker = worker();
    let mut entries = package_entries("broken", &json!({}));
    entries.push(("broken/assets/mine_config.toml".to_owned(), b"level =".to_vec()));
    let entries: Vec<(&str, &[u8])> = entries.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let answer = worker.post_form("/v1/skill-packages/install", &[("file", &zip(&entries))]);
    let id = answer.json()["request_id"].as_str().unwrap().to_owned();
    let record = awaited("the package is judged", || {
        let record = worker.get(&format!("/v1/skill-packages/{id}")).json();
        (record["status"] != "queued" && record["status"] != "running").then_some(record)
    });
    assert!(record.to_string().contains("assets/mine_config.toml is not TOML"), "{record}");
}
