//! The real codex and opencode run a skill end to end, from their npm packages, against a model server on loopback.
//!
//! `SKILL_API_TEST_NPM_PREFIX` names a prefix that holds them already. Without it they are installed below the target
//! folder; where the registry is out of reach the test says so on stderr and does nothing.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "helpers of tests"
)]

mod common;
#[path = "common/model_server.rs"]
mod model_server;

use common::*;
use model_server::ModelServer;
use serde_json::json;
use skill_init::{
    agents::{
        catalogue::Catalogue,
        check::{self, Surroundings},
        sandbox, status,
    },
    settings::Environment,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// A prefix with this CLI in it, or the reason why there is none.
fn prefix(package: &str, binary: &str) -> Result<PathBuf, String> {
    let given = std::env::var("SKILL_API_TEST_NPM_PREFIX").ok().filter(|text| !text.is_empty()).map(PathBuf::from);
    let prefix = given.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("npm-{binary}")));
    let runs =
        || Command::new(prefix.join("bin").join(binary)).arg("--version").output().is_ok_and(|o| o.status.success());
    if !runs() {
        let npm = Command::new("npm")
            .args(["install", "-g", "--no-audit", "--no-fund", "--fetch-retries=0", "--prefix"])
            .arg(&prefix)
            .arg(package)
            .output()
            .map_err(|error| format!("npm: {error}"))?;
        if !runs() {
            return Err(format!("npm install {package}: {}", String::from_utf8_lossy(&npm.stderr)));
        }
    }
    Ok(prefix)
}

fn skill_with_report(root: &Path) {
    write_skill(
        root,
        "reporter",
        &json!({"artifacts": [{"role": "report", "pattern": "report.md", "required": true}]}),
    );
    let schema = json!({"type": "object", "required": ["answer", "report"], "properties": {
        "answer": {"type": "integer"}, "report": {"type": "string", "x-type": "artifact", "x-filename": "report.md"}}});
    fs::write(root.join("reporter/assets/output.schema.json"), schema.to_string()).unwrap();
}

/// A worker whose managed prefix is the real one, with init's own check and sandbox verdict published.
fn worker(name: &str, prefix: &Path) -> Worker {
    // codex makes no helper links when its home lies below the temporary folder, and its sandbox needs them.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let setup = Setup::new_in(dir)
        .env("OPENCODE_DISABLE_MODELS_FETCH", "1")
        .env("UI_BASIC_AUTH_PASSWORD", "must-not-reach-an-engine");
    let npm = setup.dir.path().join("agent-cache/npm");
    fs::remove_dir_all(&npm).unwrap();
    std::os::unix::fs::symlink(prefix, &npm).unwrap();
    skill_with_report(&setup.dir.path().join("skills"));
    let config = setup.config();
    let (catalogue, env): (Catalogue, Environment) = (Catalogue::built_in(), config.env.clone());
    let engines = vec![catalogue.get(name).unwrap()];
    let around = Surroundings { env: &env, layout: &config.layout, deadline: Duration::from_secs(60), interrupt: None };
    let checked = check::all(&engines, around);
    status::write(&config.layout.agent_status(), &status::status(&checked)).unwrap();
    let verdicts = sandbox::judge(&engines, &checked, around, sandbox::Mode::Auto, None);
    sandbox::publish(&config.layout, &verdicts).unwrap();
    setup.start()
}

fn check_run(worker: &Worker, engine: &str) -> serde_json::Value {
    let id = worker.job(&json!({"skill_id": "reporter", "engine": engine, "parameter": {"n": 1}}));
    let status = worker.settled("/v1/jobs", &id);
    let logs = worker.get(&format!("/v1/jobs/{id}/logs")).json();
    assert_eq!(status["status"], "succeeded", "{status}\n{logs}");
    let result = worker.get(&format!("/v1/jobs/{id}/result")).json();
    assert_eq!(result["result"]["data"], json!({"answer": 42, "report": "artifacts/report.md"}));
    assert_eq!(result["result"]["artifacts"], json!(["artifacts/report.md"]));
    let artifact = worker.get(&format!("/v1/jobs/{id}/artifacts/artifacts/report.md"));
    assert_eq!((artifact.status, &artifact.body[..]), (200, &b"# made by the agent\n"[..]));
    let folder = worker.run_folder(&id);
    whole_folder(&folder);
    assert!(folder.join(format!(".{engine}/skills/reporter/SKILL.md")).is_file());
    let bundle = worker.get(&format!("/v1/jobs/{id}/bundle"));
    let entries = unzip(bundle.body);
    let packed: Vec<&str> = entries.keys().map(String::as_str).collect();
    assert_eq!(
        (bundle.status, packed),
        (200, vec!["artifacts/report.md", "bundle/manifest.json", "result/result.json"])
    );
    assert_eq!(entries["artifacts/report.md"], artifact.body);
    assert_eq!(entries["result/result.json"], fs::read(folder.join("result/result.json")).unwrap());
    let meta: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join(".audit/meta.1.json")).unwrap()).unwrap();
    assert_eq!((&meta["ended"], &meta["code"]), (&json!("exited"), &json!(0)), "{meta}");
    let passed = meta["environment"].as_array().unwrap();
    assert!(!passed.contains(&json!("UI_BASIC_AUTH_PASSWORD")), "{meta}");
    let difference = fs::read_to_string(folder.join(".audit/fs-diff.1.json")).unwrap();
    assert!(difference.contains("artifacts/report.md"), "{difference}");
    let history = worker.get(&format!("/v1/jobs/{id}/events/history")).json();
    assert!(history["events"].as_array().unwrap().iter().any(|event| event["type"] == "assistant.message.final"));
    assert!(skill_api::engines::process::marked(status["run_id"].as_str().unwrap()).is_empty());
    meta
}

#[test]
fn codex_runs_a_skill_inside_its_sandbox_and_trust_comes_and_goes() {
    let prefix = match prefix("@openai/codex", "codex") {
        Ok(prefix) => prefix,
        Err(reason) => return skips::skip(format_args!("the real codex was not run: {reason}")),
    };
    let worker = worker("codex", &prefix);
    let config = worker.path("agent-cache/agent-home/.codex/config.toml");
    let models = ModelServer::start(config.clone());
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    let text = format!(
        "# kept\nmodel = \"fake\"\nmodel_provider = \"fake\"\n\n[model_providers.fake]\nname = \"fake\"\nbase_url = \"http://{}/v1\"\nwire_api = \"responses\"\n",
        models.address
    );
    fs::write(&config, &text).unwrap();
    let sandbox = worker.get("/v1/engines/codex/sandbox").json();
    let confined = sandbox["sandbox"]["confined"] == true;
    if !confined {
        eprintln!("NOTE: codex cannot confine itself here, so the run is free and says so: {sandbox}");
    }
    let meta = check_run(&worker, "codex");
    let args = meta["args"].to_string();
    let expected = if confined { r#""--sandbox","workspace-write""# } else { "--yolo" };
    assert!(args.contains(expected), "{args}");
    assert_eq!(args.contains("--yolo"), !confined, "{args}");
    let run = format!("data/runs/{}", meta["run_id"].as_str().unwrap());
    let seen = models.seen.lock().unwrap().clone();
    assert!(seen.iter().any(|text| text.contains(&run) && text.contains("trust_level = \"trusted\"")), "{seen:?}");
    let after = fs::read_to_string(&config).unwrap();
    assert!(!after.contains(&run) && after.contains("# kept"), "{after}");
    assert!(models.outputs.lock().unwrap().iter().all(|output| output.contains("exited with code 0")));
}

#[test]
fn opencode_runs_a_skill() {
    let prefix = match prefix("opencode-ai", "opencode") {
        Ok(prefix) => prefix,
        Err(reason) => return skips::skip(format_args!("the real opencode was not run: {reason}")),
    };
    let worker = worker("opencode", &prefix);
    let config = worker.path("agent-cache/agent-home/.config/opencode/opencode.json");
    let models = ModelServer::start(config.clone());
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    let provider = json!({"npm": "@ai-sdk/openai-compatible", "name": "fake", "models": {"m": {"name": "m"}},
        "options": {"baseURL": format!("http://{}/v1", models.address), "apiKey": "x"}});
    let text = json!({"model": "fake/m", "small_model": "fake/m", "provider": {"fake": provider}});
    fs::write(&config, text.to_string()).unwrap();
    let meta = check_run(&worker, "opencode");
    assert!(!meta["args"].to_string().contains("--yolo"), "{meta}");
}
