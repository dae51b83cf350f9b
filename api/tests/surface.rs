//! Everything but jobs over HTTP: alive, skills, engines, models, upgrades, places kept, refusals.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "helpers of tests"
)]

mod common;
use common::*;
use serde_json::json;
use std::fs;

#[test]
fn alive_skills_and_unknown_paths_answer_as_documented() {
    let worker = Setup::new().skill("demo").start();
    assert_eq!(worker.get("/").json(), json!({"message": "Agent Skill Runner is running"}));
    let ping = worker.get("/v1/system/ping");
    assert_eq!((ping.status, ping.body.len()), (204, 0));
    let list = worker.get("/v1/skills").json();
    let skill = &list[0];
    for field in [
        "id",
        "path",
        "version",
        "name",
        "description",
        "engines",
        "unsupported_engines",
        "effective_engines",
        "execution_modes",
        "max_attempt",
        "entrypoint",
        "artifacts",
        "schemas",
        "runtime",
    ] {
        assert!(skill.get(field).is_some(), "{field}");
    }
    assert_eq!(worker.get("/v1/skills/demo").json(), *skill);
    for (method, path, status) in
        [("GET", "/v1/skills/none", 404), ("GET", "/nowhere", 404), ("DELETE", "/v1/skills", 405), ("PUT", "/", 405)]
    {
        let answer = request(worker.address, method, path, &[], b"");
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json()["detail"].is_string(), "{path}");
    }
}

#[test]
fn a_skill_put_on_disk_is_seen_without_a_restart() {
    let worker = Setup::new().skill("demo").start();
    assert_eq!(worker.get("/v1/skills").json().as_array().unwrap().len(), 1);
    write_skill(&worker.path("skills"), "late", &json!({}));
    becomes("it is listed", || worker.get("/v1/skills/late").status == 200);
    fs::remove_dir_all(worker.path("skills/late")).unwrap();
    becomes("it is gone", || worker.get("/v1/skills/late").status == 404);
}

#[test]
fn engines_are_told_from_inits_files_and_never_asked() {
    let worker = Setup::new().cli("codex", "touch asked; exit 1").start();
    let engines = worker.get("/v1/engines").json();
    assert_eq!(
        engines["engines"],
        json!([
            {"engine": "codex", "cli_version_detected": "0.169.0"}, {"engine": "gemini", "cli_version_detected": null},
            {"engine": "iflow", "cli_version_detected": null}, {"engine": "opencode", "cli_version_detected": null},
        ])
    );
    let auth = |worker: &Worker| worker.get("/v1/engines/auth-status").json()["engines"]["codex"].clone();
    let before = auth(&worker);
    assert_eq!(
        (&before["auth_ready"], &before["effective_path_source"]),
        (&json!(false), &json!("managed")),
        "{before}"
    );
    assert_eq!(before["credential_files"], json!({"auth.json": false}));
    let home = worker.path("agent-cache/agent-home/.codex");
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("auth.json"), r#"{"auth_mode": "apikey", "OPENAI_API_KEY": "sk-secret"}"#).unwrap();
    let after = auth(&worker);
    assert_eq!(after["auth_ready"], true, "{after}");
    assert!(!after.to_string().contains("sk-secret"));
    let sandbox = worker.get("/v1/engines/codex/sandbox").json();
    assert_eq!(sandbox["sandbox"]["flags"], json!(["--sandbox", "workspace-write"]));
    assert_eq!(worker.get("/v1/engines/none/sandbox").status, 404);
    assert!(!worker.path("asked").exists());
}

#[test]
fn models_come_from_the_snapshot_that_fits_and_can_be_pinned_once() {
    let worker = Setup::new().cli("codex", "exit 1").start();
    let models = worker.get("/v1/engines/codex/models").json();
    assert_eq!((&models["models"], &models["fallback_reason"]), (&json!([]), &json!("no snapshot is pinned")));
    let pin = json!({"models": [{"id": "gpt-x", "supported_effort": ["low"]}]});
    let path = "/v1/engines/codex/models/snapshots";
    assert_eq!(worker.post(path, &pin).status, 200);
    assert_eq!(worker.post(path, &pin).status, 409);
    let models = worker.get("/v1/engines/codex/models").json();
    assert_eq!((&models["models"][0]["id"], &models["snapshot_version_used"]), (&json!("gpt-x"), &json!("0.169.0")));
    assert_eq!(models["source"], "pinned_snapshot");
    assert_eq!(
        worker.get("/v1/engines/codex/models/manifest").json()["manifest"]["snapshots"][0]["version"],
        "0.169.0"
    );
    assert_eq!(worker.post("/v1/engines/gemini/models/snapshots", &pin).status, 409);
    assert_eq!(worker.post("/v1/engines/opencode/models/snapshots", &pin).status, 409);
    assert_eq!(worker.get("/v1/engines/none/models").status, 404);
    assert_eq!(worker.post(path, &json!({"models": 1})).status, 422);
}

#[test]
fn opencode_is_asked_for_its_models_in_the_background() {
    let worker = Setup::new().cli("opencode", "echo 'Performing one time migration'; echo openai/gpt-x").start();
    assert_eq!(worker.get("/v1/engines/opencode/models").status, 200);
    let models = awaited("opencode has answered", || {
        let models = worker.get("/v1/engines/opencode/models").json();
        (models["source"] == "runtime_probe_cache").then_some(models)
    });
    assert_eq!((&models["models"][0]["provider"], &models["models"][0]["model"]), (&json!("openai"), &json!("gpt-x")));
    assert_eq!(models["models"].as_array().unwrap().len(), 1);
}

#[test]
fn a_cli_that_leaves_something_behind_when_it_is_asked_for_its_models_is_not_waited_for() {
    let left = "sleep 100000 & echo $! >\"${0%/*}/left\"; echo openai/gpt-x";
    let worker = Setup::new().cli("opencode", left).start();
    awaited("the CLI's own list", || {
        let models = worker.get("/v1/engines/opencode/models").json();
        (models["source"] == "runtime_probe_cache").then_some(())
    });
    let pid = fs::read_to_string(worker.path("agent-cache/npm/bin/left")).unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    becomes("what it started is gone", || state().is_empty() || state().contains(") Z "));
}

fn upgraded(worker: &Worker, id: &str) -> serde_json::Value {
    awaited("the upgrade ends", || {
        let record = worker.get(&format!("/v1/engines/upgrades/{id}")).json();
        (record["status"] != "running").then_some(record)
    })
}

#[test]
fn upgrades_go_through_init_one_at_a_time() {
    let worker = Setup::new().init(
        r#"while [ ! -e "${0%/bin/*}/go" ]; do sleep 0.05; done; echo "$*"; case "$*" in *gemini) echo no >&2; exit 1;; esac"#,
    ).start();
    let path = "/v1/engines/upgrades";
    for bad in [
        json!({"mode": "x"}),
        json!({"mode": "single"}),
        json!({"mode": "single", "engine": "none"}),
        json!({"mode": "all", "engine": "codex"}),
        json!({}),
    ] {
        assert_eq!(worker.post(path, &bad).status, 422, "{bad}");
    }
    let first = worker.post(path, &json!({"mode": "single", "engine": "codex"})).json();
    assert_eq!(worker.post(path, &json!({"mode": "all"})).status, 409);
    fs::write(worker.path("go"), "").unwrap();
    let record = upgraded(&worker, first["request_id"].as_str().unwrap());
    assert_eq!((&record["status"], &record["requested_engine"]), (&json!("succeeded"), &json!("codex")));
    assert_eq!(record["results"]["codex"]["stdout"], "agents --json upgrade codex\n");
    let second = awaited("the next may begin", || {
        let answer = worker.post(path, &json!({"mode": "all"}));
        (answer.status == 200).then(|| answer.json())
    });
    let record = upgraded(&worker, second["request_id"].as_str().unwrap());
    assert_eq!((&record["status"], &record["results"]["gemini"]["error"]), (&json!("failed"), &json!("no")));
    assert!(record["results"].get("iflow").is_none(), "what cannot be installed is not tried: {record}");
    assert_eq!(worker.get("/v1/engines/upgrades/none").status, 404);
}

#[test]
fn an_upgrade_is_not_told_the_password_of_the_pages() {
    let worker = Setup::new().guarded("me", "hunter2").init("env; exit 0").start();
    let with = [("content-type", "application/json"), ("authorization", "Basic bWU6aHVudGVyMg==")];
    let ask = |method: &str, path: &str, body: &[u8]| request(worker.address, method, path, &with, body).json();
    let accepted = ask("POST", "/v1/engines/upgrades", br#"{"mode": "single", "engine": "codex"}"#);
    let path = format!("/v1/engines/upgrades/{}", accepted["request_id"].as_str().unwrap());
    let record = awaited("the upgrade ends", || {
        let record = ask("GET", &path, b"");
        (record["status"] != "running").then_some(record)
    });
    let told = record["results"]["codex"]["stdout"].as_str().unwrap();
    assert!(told.contains("PATH=") && !told.contains("UI_BASIC_AUTH") && !told.contains("hunter2"), "{told}");
}

#[test]
fn an_interrupted_upgrade_never_blocks_the_next_one() {
    let worker = Setup::new().init("sleep 300").start();
    let id =
        worker.post("/v1/engines/upgrades", &json!({"mode": "single", "engine": "codex"})).json()["request_id"].clone();
    let worker = worker.stop().start();
    assert_eq!(upgraded(&worker, id.as_str().unwrap())["status"], "failed");
    assert_eq!(worker.post("/v1/engines/upgrades", &json!({"mode": "single", "engine": "codex"})).status, 200);
}

#[test]
fn the_places_of_the_login_flows_are_kept() {
    let worker = Setup::new().start();
    for path in ["oauth-proxy/sessions", "oauth-proxy/sessions/x/input", "cli-delegate/sessions", "sessions/x/cancel"] {
        assert_eq!(worker.post(&format!("/v1/engines/auth/{path}"), &json!({})).status, 501, "{path}");
    }
    assert_eq!(worker.get("/auth/callback").status, 501);
}

#[test]
fn with_require_an_engine_that_cannot_be_confined_is_refused() {
    let worker = Setup::new().skill("demo").env("SKILL_INIT_SANDBOX", "require").cli("opencode", "exit 0").start();
    let answer = worker.post("/v1/jobs", &json!({"skill_id": "demo", "engine": "opencode"}));
    assert_eq!((answer.status, &answer.json()["detail"]["code"]), (400, &json!("ENGINE_SANDBOX_UNAVAILABLE")));
}

#[test]
fn an_unconfined_run_says_so() {
    let answer = r#"printf '%s\n' '{"type":"text","sessionID":"s","part":{"type":"text","text":"{\"answer\": 5}"}}'"#;
    let worker = Setup::new().skill("demo").cli("opencode", answer).start();
    let id = worker.job(&json!({"skill_id": "demo", "engine": "opencode", "model": "p/m"}));
    let status = worker.settled("/v1/jobs", &id);
    assert_eq!(status["status"], "succeeded", "{status}");
    assert!(status["warnings"][0].as_str().unwrap().starts_with("UNCONFINED_RUN"), "{status}");
    let config = fs::read_to_string(worker.run_folder(&id).join("opencode.json")).unwrap();
    assert!(config.contains("\"external_directory\": \"deny\""), "{config}");
}

#[test]
fn basic_auth_guards_what_it_is_told_to_and_every_answer_is_hardened() {
    let on =
        |scope: &str| Setup::new().skill("demo").guarded("käthe", "ß:wort").env("UI_BASIC_AUTH_SCOPE", scope).start();
    let worker = on("documented");
    let refused = worker.get("/v1/engines/auth-status");
    assert_eq!((refused.status, &refused.json()["detail"]), (401, &json!("Authentication required")));
    assert!(refused.header("www-authenticate").unwrap().starts_with("Basic realm="));
    assert_eq!(refused.header("x-content-type-options"), Some("nosniff"));
    let with = |worker: &Worker, credentials: &str, path: &str| {
        request(worker.address, "GET", path, &[("authorization", credentials)], b"").status
    };
    // "käthe:ß:wort" and "käthe:x".
    let (right, wrong) = ("Basic a8OkdGhlOsOfOndvcnQ=", "Basic a8OkdGhlOng=");
    assert_eq!(with(&worker, right, "/v1/engines/auth-status"), 200);
    assert_eq!(with(&worker, wrong, "/v1/engines/auth-status"), 401);
    assert_eq!(worker.get("/v1/skills").status, 200);
    let crossing = [("sec-fetch-site", "cross-site"), ("content-type", "application/json")];
    assert_eq!(request(worker.address, "POST", "/v1/jobs/cleanup", &crossing, b"").status, 403);
    let worker = on("all");
    assert_eq!((worker.get("/v1/skills").status, with(&worker, right, "/v1/skills")), (401, 200));
    assert_eq!(worker.post("/v1/jobs/cleanup", &json!({})).status, 401);
    assert_eq!((worker.get("/").status, worker.get("/v1/system/ping").status), (200, 204));
}

#[test]
fn management_reads_what_the_worker_keeps() {
    let worker = Setup::new().skill("demo").cli("codex", &codex_says(r#"{"answer": 1}"#)).start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    worker.settled("/v1/jobs", &id);
    let get = |path: &str| worker.get(&format!("/v1/management{path}"));
    assert_eq!(get("/skills").json()["skills"][0]["id"], "demo");
    assert!(get("/skills/demo").json()["files"].to_string().contains("SKILL.md"));
    assert_eq!(get("/skills/demo/schemas").json()["output"]["required"], json!(["answer"]));
    assert_eq!(get("/engines").json()["engines"].as_array().unwrap().len(), 4);
    assert_eq!(get("/engines/codex").json()["cli_version"], "0.169.0");
    assert_eq!(get("/concurrency").json()["max_concurrent"], 2);
    let runs = get("/runs?limit=5").json();
    assert_eq!((&runs["total"], &runs["runs"][0]["request_id"]), (&json!(1), &json!(id)));
    assert_eq!(get(&format!("/runs/{id}")).json()["status"], "succeeded");
    assert!(get(&format!("/runs/{id}/files")).json().to_string().contains("result/result.json"));
    let preview = get(&format!("/runs/{id}/file?path=result/result.json")).json();
    assert!(preview["preview"]["content"].as_str().unwrap().contains("success"));
    assert_eq!(get(&format!("/runs/{id}/file?path=../../skill_api.db")).status, 400);
    assert_eq!(get(&format!("/runs/{id}/file?path=none")).status, 404);
    assert!(get(&format!("/runs/{id}/events/history")).json()["count"].as_u64().unwrap() > 3);
    assert!(String::from_utf8(get(&format!("/runs/{id}/events")).body).unwrap().contains("conversation.completed"));
    for stream in ["fcmp", "rasp", "orchestrator"] {
        let path = format!("/runs/{id}/protocol/history?stream={stream}");
        assert!(get(&path).json()["count"].as_u64().unwrap() > 0, "{stream}");
    }
    assert_eq!(get(&format!("/runs/{id}/protocol/history?stream=x")).status, 400);
    assert_eq!(get(&format!("/runs/{id}/logs/range?stream=stdout&byte_to=1")).json()["chunk"], "{");
    assert_eq!(get(&format!("/runs/{id}/pending")).json()["pending"], json!(null));
    let post = |path: &str| worker.post(&format!("/v1/management/runs/{id}/{path}"), &json!({}));
    assert_eq!((post("reply").status, post("cancel").json()["accepted"].as_bool()), (409, Some(false)));
    for path in ["/skills/none", "/skills/none/schemas", "/engines/none", "/runs/none", "/runs/none/files"] {
        assert_eq!(get(path).status, 404, "{path}");
    }
}

#[test]
fn the_program_says_its_version_and_serves_only_without_arguments() {
    let run = |arguments: &[&str]| {
        let program = std::process::Command::new(env!("CARGO_BIN_EXE_skill-api")).args(arguments).env_clear().output();
        let output = program.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(run(&["--version"]), (Some(0), format!("skill-api {}\n", env!("CARGO_PKG_VERSION"))));
    assert!(run(&["--help"]).1.contains("Usage: skill-api"));
    for wrong in [&["serve"][..], &["--version", "x"], &["--port=1"]] {
        assert_eq!(run(wrong), (Some(2), String::new()), "{wrong:?}");
    }
}
