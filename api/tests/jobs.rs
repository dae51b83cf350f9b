//! `/v1/jobs` over HTTP against a running worker, with a stub CLI.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails panics"
)]

mod common;
use common::*;
use serde_json::json;
use std::{fs, io::Write, net::TcpStream, time::Duration};

fn worker() -> Worker {
    Setup::new().skill("demo").cli("codex", &codex_says(r#"{"answer": 42, "__SKILL_DONE__": true}"#)).start()
}

#[test]
fn a_job_runs_to_its_result_and_everything_about_it_can_be_read() {
    let worker = worker();
    let id = worker.job(&json!({"skill_id": "demo", "input": {"topic": "x"}, "parameter": {"n": 3}}));
    let status = worker.settled("/v1/jobs", &id);
    assert_eq!((status["status"].as_str(), &status["error"]), (Some("succeeded"), &json!(null)), "{status}");
    let result = worker.get(&format!("/v1/jobs/{id}/result")).json();
    assert_eq!(result["result"]["status"], "success");
    assert_eq!(result["result"]["data"], json!({"answer": 42}));
    assert_eq!(result["result"]["repair_level"], "none");
    let logs = worker.get(&format!("/v1/jobs/{id}/logs")).json();
    assert!(logs["prompt"].is_null() && logs["stdout"].as_str().unwrap().contains("thread.started"));
    let range = worker.get(&format!("/v1/jobs/{id}/logs/range?stream=stdout&byte_from=2&byte_to=6")).json();
    assert_eq!(range["chunk"], "type");
    let bundle = worker.get(&format!("/v1/jobs/{id}/bundle"));
    assert!(bundle.header("content-disposition").unwrap().contains("run_bundle.zip"));
    assert!(unzip(bundle.body).contains_key("result/result.json"));
    let folder = worker.run_folder(&id);
    whole_folder(&folder);
    assert!(fs::read_to_string(folder.join(".codex/skills/demo/SKILL.md")).unwrap().contains("Output contract"));
    assert_eq!(fs::read_to_string(folder.join("input.json")).unwrap().lines().count(), 1);
    let config = fs::read_to_string(worker.path("agent-cache/agent-home/.codex/config.toml")).unwrap_or_default();
    assert!(!config.contains(folder.to_str().unwrap()), "trust stayed: {config}");
}

#[test]
fn a_second_equal_job_is_answered_from_the_cache() {
    let worker = worker();
    let body = json!({"skill_id": "demo", "parameter": {"n": 1}});
    let first = worker.job(&body);
    worker.settled("/v1/jobs", &first);
    let second = worker.post("/v1/jobs", &body).json();
    assert_eq!((&second["cache_hit"], &second["status"]), (&json!(true), &json!("succeeded")));
    let id = second["request_id"].as_str().unwrap();
    assert_eq!(worker.get(&format!("/v1/jobs/{id}/result")).json()["result"]["data"]["answer"], 42);
    for other in [
        json!({"skill_id": "demo", "parameter": {"n": 2}}),
        json!({"skill_id": "demo", "parameter": {"n": 1}, "runtime_options": {"no_cache": true}}),
    ] {
        assert_eq!(worker.post("/v1/jobs", &other).json()["cache_hit"], false);
    }
}

#[test]
fn what_is_wrong_with_a_job_is_said_before_anything_is_written() {
    let worker = worker();
    for (status, detail, body) in [
        (404, "not found", json!({"skill_id": "nope"})),
        (400, "SKILL_ENGINE_UNSUPPORTED", json!({"skill_id": "demo", "engine": "nope"})),
        (
            400,
            "SKILL_EXECUTION_MODE_UNSUPPORTED",
            json!({"skill_id": "demo", "runtime_options": {"execution_mode": "interactive"}}),
        ),
        (400, "unknown key", json!({"skill_id": "demo", "runtime_options": {"x": 1}})),
        (400, "parameter validation", json!({"skill_id": "demo", "parameter": {"n": "x"}})),
        (400, "input validation", json!({"skill_id": "demo", "input": {"topic": 1}})),
        (400, "not an object", json!({"skill_id": "demo", "input": [1]})),
        (400, "model", json!({"skill_id": "demo", "model": "--yolo"})),
        (422, "skill_id", json!({})),
    ] {
        let answer = worker.post("/v1/jobs", &body);
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.json()["detail"].to_string().contains(detail), "{body}: {}", answer.json());
    }
    assert_eq!(fs::read_dir(worker.path("data/runs")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(worker.path("data/requests")).unwrap().count(), 0);
}

#[test]
fn unknown_requests_and_unfinished_runs_answer_404() {
    let worker = Setup::new().skill("demo").cli("codex", "exec sleep 30").start();
    for path in
        ["", "/result", "/artifacts", "/bundle", "/logs", "/logs/range?stream=stdout", "/events", "/events/history"]
    {
        assert_eq!(worker.get(&format!("/v1/jobs/none{path}")).status, 404, "{path}");
    }
    assert_eq!(worker.post("/v1/jobs/none/cancel", &json!({})).status, 404);
    let id = worker.job(&json!({"skill_id": "demo"}));
    assert_eq!(worker.get(&format!("/v1/jobs/{id}/result")).status, 404);
    assert_eq!(worker.get(&format!("/v1/jobs/{id}/bundle")).status, 404);
    assert_eq!(worker.get(&format!("/v1/temp-skill-runs/{id}")).status, 404);
    assert_eq!(worker.get(&format!("/v1/jobs/{id}/artifacts/artifacts/x")).status, 404);
    assert_eq!(worker.get(&format!("/v1/jobs/{id}/artifacts/input.json")).status, 400);
    assert_eq!(worker.get(&format!("/v1/jobs/{id}/logs/range?stream=nope")).status, 400);
    let pending = worker.get(&format!("/v1/jobs/{id}/interaction/pending"));
    assert_eq!((pending.status, &pending.json()["pending"]), (200, &json!(null)));
    assert_eq!(worker.post(&format!("/v1/jobs/{id}/interaction/reply"), &json!({"response": "x"})).status, 400);
}

#[test]
fn files_are_uploaded_checked_and_given_to_the_engine() {
    let setup = Setup::new().cli(
        "codex",
        &format!("mkdir -p artifacts; cat uploads/paper > artifacts/copy.txt\n{}", codex_says(r#"{"answer": 1}"#)),
    );
    let wanted = json!({"artifacts": [{"role": "copy", "pattern": "copy.txt", "required": true}]});
    write_skill(&setup.skills(), "reader", &wanted);
    let worker = setup.input("reader", &paper()).start();
    let created = worker.post("/v1/jobs", &json!({"skill_id": "reader"})).json();
    assert_eq!(created["status"], json!(null));
    let id = created["request_id"].as_str().unwrap().to_owned();
    let upload = format!("/v1/jobs/{id}/upload");
    assert_eq!(worker.post_form(&upload, &[("file", b"no zip")]).status, 400);
    assert_eq!(worker.post_form(&upload, &[("other", b"x")]).status, 422);
    let wrong = worker.post_form(&upload, &[("file", &zip(&[("wrong.txt", b"x")]))]);
    assert_eq!((wrong.status, wrong.json()["detail"].as_str().unwrap().contains("paper")), (400, true));
    assert_eq!(worker.post_form(&upload, &[("file", &zip(&[("../../evil", b"x")]))]).status, 400);
    assert!(!worker.path("data/evil").exists());
    let good = worker.post_form(&upload, &[("file", &zip(&[("paper", b"hello")]))]);
    assert_eq!((good.status, &good.json()["extracted_files"]), (200, &json!(["paper"])));
    let status = worker.settled("/v1/jobs", &id);
    assert_eq!(status["status"], "succeeded", "{status}");
    assert_eq!(worker.get(&format!("/v1/jobs/{id}/artifacts")).json()["artifacts"], json!(["artifacts/copy.txt"]));
    let artifact = worker.get(&format!("/v1/jobs/{id}/artifacts/artifacts/copy.txt"));
    assert_eq!((artifact.status, artifact.body), (200, b"hello".to_vec()));
    assert_eq!(worker.get(&format!("/v1/jobs/{id}/artifacts/artifacts/../input.json")).status, 404);
    assert_eq!(worker.post_form(&upload, &[("file", &zip(&[("paper", b"again")]))]).status, 409);
}

#[test]
fn failures_say_what_happened() {
    for (script, code) in [
        ("echo boom >&2; exit 3", "ENGINE_FAILED"),
        ("echo '401 Unauthorized' >&2; exit 1", "AUTH_REQUIRED"),
        ("kill -9 $$", "ENGINE_FAILED"),
        ("exit 0", "OUTPUT_MISSING"),
        (&codex_says(r#"{"answer": "x"}"#), "OUTPUT_INVALID"),
    ] {
        let worker = Setup::new().skill("demo").cli("codex", script).start();
        let id = worker.job(&json!({"skill_id": "demo"}));
        let status = worker.settled("/v1/jobs", &id);
        assert_eq!(
            (status["status"].as_str(), status["error"]["code"].as_str()),
            (Some("failed"), Some(code)),
            "{script}"
        );
        assert_eq!(worker.get(&format!("/v1/jobs/{id}/result")).json()["result"]["error"]["code"], code);
    }
    let worker = Setup::new().skill("demo").start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    assert_eq!(worker.settled("/v1/jobs", &id)["error"]["code"], "ENGINE_NOT_INSTALLED");
}

#[test]
fn a_prompt_that_no_program_can_be_given_is_told_with_what_to_do() {
    let worker = worker();
    let id = worker.job(&json!({"skill_id": "demo", "input": {"topic": "x".repeat(3 << 20)}}));
    let error = worker.settled("/v1/jobs", &id)["error"].clone();
    assert_eq!(error["code"], "PROMPT_INVALID", "{error}");
    assert!(error["message"].as_str().unwrap().ends_with("let long input come as a file"), "{error}");
}

#[test]
fn megabytes_in_an_error_or_a_parameter_stay_out_of_what_is_said_about_them() {
    let script = "printf '{\"type\":\"turn.failed\",\"error\":{\"message\":\"'; head -c 1000000 /dev/zero | tr '\\0' x; echo '\"}}'; exit 1";
    let worker = Setup::new().skill("demo").cli("codex", script).start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    let status = worker.settled("/v1/jobs", &id);
    let message = status["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("exit status 1: xxx") && message.ends_with("x…"), "{}", message.len());
    assert!(message.len() < 5000, "{}", message.len());
    let many: Vec<String> = (0..100).map(|n| format!("{n}{}", "y".repeat(10_000))).collect();
    let refused = worker.post("/v1/jobs", &json!({"skill_id": "demo", "parameter": {"n": many}}));
    assert_eq!(refused.status, 400);
    assert!(refused.body.len() < 5000, "{}", refused.body.len());
}

#[test]
fn a_deadline_ends_the_engine_and_what_escaped_its_group() {
    let script = "setsid sh -c 'trap \"\" TERM; sleep 300' & trap '' TERM; sleep 300 & wait; wait";
    let worker = Setup::new().skill("demo").cli("codex", script).start();
    let id = worker.job(&json!({"skill_id": "demo", "runtime_options": {"hard_timeout_seconds": 1}}));
    let status = worker.settled("/v1/jobs", &id);
    assert_eq!(status["error"]["code"], "TIMEOUT", "{status}");
    let run = status["run_id"].as_str().unwrap();
    assert!(skill_api::engines::process::marked(run).is_empty());
}

#[test]
fn cancel_ends_a_running_job_and_a_queued_one() {
    let setup =
        Setup::new().skill("demo").cli("codex", "echo started; sleep 300").env("SKILL_RUNNER_MAX_CONCURRENT", "1");
    let worker = setup.start();
    let options = json!({"no_cache": true});
    let running = worker.job(&json!({"skill_id": "demo", "runtime_options": options}));
    let queued = worker.job(&json!({"skill_id": "demo", "runtime_options": options}));
    let answer = worker.post(&format!("/v1/jobs/{queued}/cancel"), &json!({})).json();
    assert_eq!((&answer["accepted"], &answer["status"]), (&json!(true), &json!("canceled")));
    // It runs once its first words are in the log.
    becomes("the engine speaks", || {
        worker.get(&format!("/v1/jobs/{running}/logs")).json()["stdout"].as_str().unwrap_or("").contains("started")
    });
    assert_eq!(worker.post(&format!("/v1/jobs/{running}/cancel"), &json!({})).json()["accepted"], true);
    assert_eq!(worker.settled("/v1/jobs", &running)["status"], "canceled");
    assert_eq!(worker.settled("/v1/jobs", &queued)["status"], "canceled");
    let again = worker.post(&format!("/v1/jobs/{running}/cancel"), &json!({})).json();
    assert_eq!((&again["accepted"], &again["status"]), (&json!(false), &json!("canceled")));
    let history = worker.get(&format!("/v1/jobs/{queued}/events/history")).json();
    assert_eq!(history["events"].as_array().unwrap().last().unwrap()["type"], "conversation.failed");
}

#[test]
fn a_canceled_run_is_running_until_its_engine_has_ended() {
    let setup = Setup::new().skill("demo");
    let root = setup.dir.path().display().to_string();
    // Asked to end, it says so and goes on until it is let go.
    let leave = format!("touch {root}/asked; while [ ! -e {root}/go ]; do sleep 0.02; done; exit 0");
    let setup = setup.cli("codex", &format!("trap '{leave}' TERM; echo started; while :; do sleep 0.02; done"));
    let mut config = setup.config();
    config.kill_grace = Duration::from_secs(3600);
    let worker = setup.start_with(config);
    let id = worker.job(&json!({"skill_id": "demo"}));
    becomes("the engine speaks", || {
        worker.get(&format!("/v1/jobs/{id}/logs")).json()["stdout"].as_str().unwrap_or("").contains("started")
    });
    let answer = worker.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).json();
    assert_eq!((&answer["accepted"], &answer["status"]), (&json!(true), &json!("running")));
    becomes("the engine is asked to end", || worker.path("asked").exists());
    assert_eq!(worker.get(&format!("/v1/jobs/{id}")).json()["status"], "running");
    fs::write(worker.path("go"), "").unwrap();
    assert_eq!(worker.settled("/v1/jobs", &id)["status"], "canceled");
}

#[test]
fn cleanup_removes_what_has_ended_and_keeps_what_runs() {
    let worker = worker();
    let done = worker.job(&json!({"skill_id": "demo"}));
    worker.settled("/v1/jobs", &done);
    write_cli(worker.dir.path(), "codex", "sleep 300");
    let running = worker.job(&json!({"skill_id": "demo", "runtime_options": {"no_cache": true}}));
    let counts = worker.post("/v1/jobs/cleanup", &json!({})).json();
    assert_eq!(counts, json!({"runs_deleted": 1, "requests_deleted": 1, "cache_entries_deleted": 1, "runs_active": 1}));
    assert_eq!(worker.get(&format!("/v1/jobs/{done}")).status, 404);
    assert_eq!(worker.get(&format!("/v1/jobs/{running}")).status, 200);
}

#[test]
fn a_temporary_skill_is_checked_and_run() {
    let worker = worker();
    let package = package("passing", &json!({}));
    let created = worker.post("/v1/temp-skill-runs", &json!({"parameter": {"n": 1}})).json();
    let id = created["request_id"].as_str().unwrap().to_owned();
    let upload = format!("/v1/temp-skill-runs/{id}/upload");
    assert_eq!(worker.post_form(&upload, &[("skill_package", &zip(&[("a/x", b""), ("b/x", b"")]))]).status, 400);
    assert_eq!(worker.post_form(&upload, &[("skill_package", &zip(&[("a/x", b"")]))]).status, 400);
    assert_eq!(worker.post_form(&upload, &[("skill_package", &package)]).status, 200);
    let status = worker.settled("/v1/temp-skill-runs", &id);
    assert_eq!((&status["status"], &status["skill_id"]), (&json!("succeeded"), &json!("passing")), "{status}");
    assert_eq!(worker.get("/v1/skills/passing").status, 404);
    let skill = |id: &str| worker.path("data/requests").join(id).join("skill/passing/SKILL.md");
    assert!(!skill(&id).exists(), "it has served its run");
    let keep = json!({"parameter": {"n": 2}, "runtime_options": {"debug_keep_temp": true}});
    let kept = worker.post("/v1/temp-skill-runs", &keep).json()["request_id"].as_str().unwrap().to_owned();
    assert_eq!(
        worker.post_form(&format!("/v1/temp-skill-runs/{kept}/upload"), &[("skill_package", &package)]).status,
        200
    );
    worker.settled("/v1/temp-skill-runs", &kept);
    assert!(skill(&kept).exists());
    assert_eq!(worker.post("/v1/temp-skill-runs", &json!({"engine": "nope"})).status, 400);
}

#[test]
fn a_client_that_is_gone_leaves_no_run_that_nobody_starts() {
    let worker = worker();
    let body = json!({"skill_id": "demo", "runtime_options": {"no_cache": true}}).to_string();
    let head = format!(
        "POST /v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // Gone at every moment of what the worker does about it: each one a little later than the last.
    for n in 0..40 {
        let mut stream = TcpStream::connect(worker.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_micros(400 * n));
    }
    let last = worker.job(&json!({"skill_id": "demo", "runtime_options": {"no_cache": true}}));
    worker.settled("/v1/jobs", &last);
    becomes("every run ends", || {
        let runs = worker.get("/v1/management/runs?limit=200").json();
        let load = worker.app.admission.load();
        runs["runs"].as_array().unwrap().iter().all(|run| run["status"] == "succeeded")
            && (load.running, load.queued) == (0, 0)
    });
    let new = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with(".new-");
    assert!(!fs::read_dir(worker.path("data/runs")).unwrap().flatten().any(new));
}

#[test]
fn a_result_is_kept_under_the_skill_that_made_it_although_a_newer_one_came_while_it_waited() {
    let setup = Setup::new().skill("demo").env("SKILL_RUNNER_MAX_CONCURRENT", "1");
    let gate = setup.dir.path().join("gate");
    // The answer is the number that the skill's own document holds.
    let script = format!(
        "while [ ! -e {} ]; do sleep 0.02; done\nn=$(sed -n 's/^answer is //p' .codex/skills/demo/SKILL.md)\n\
         printf '{{\"type\":\"item.completed\",\"item\":{{\"id\":\"0\",\"type\":\"agent_message\",\"text\":\"{{\\\\\"answer\\\\\": %s}}\"}}}}\\n' $n",
        gate.display()
    );
    let worker = setup.cli("codex", &script).start();
    let document = worker.path("skills/demo/SKILL.md");
    let version = |n: u32| fs::write(&document, format!("---\nname: demo\n---\nanswer is {n}\n")).unwrap();
    version(1);
    let first = worker.job(&json!({"skill_id": "demo", "runtime_options": {"no_cache": true}}));
    worker.running(&first);
    let body = json!({"skill_id": "demo"});
    let queued = worker.job(&body);
    version(2);
    fs::write(&gate, "").unwrap();
    let answer = |id: &str| {
        assert_eq!(worker.settled("/v1/jobs", id)["status"], "succeeded");
        worker.get(&format!("/v1/jobs/{id}/result")).json()["result"]["data"]["answer"].clone()
    };
    assert_eq!(answer(&queued), 2);
    let again = worker.post("/v1/jobs", &body).json();
    assert_eq!((&again["cache_hit"], answer(again["request_id"].as_str().unwrap())), (&json!(true), json!(2)));
    // The old skill is back: the result of the newer one is not its result.
    version(1);
    let old = worker.post("/v1/jobs", &body).json();
    assert_eq!((&old["cache_hit"], answer(old["request_id"].as_str().unwrap())), (&json!(false), json!(1)));
}
