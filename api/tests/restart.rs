//! Stops, crashes and what the next worker finds: the real binary, killed at random moments under load.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "helpers of tests"
)]

mod common;
use common::{
    program::{Program, Random},
    *,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::Read,
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

const SLOW: &str = "echo out; sleep 300";

#[test]
fn queued_work_survives_a_stop_and_running_work_is_told_as_interrupted() {
    let setup = Setup::new().skill("demo").cli("codex", SLOW).env("SKILL_RUNNER_MAX_CONCURRENT", "1");
    let worker = setup.start();
    let body = json!({"skill_id": "demo", "runtime_options": {"no_cache": true}});
    let (running, queued) = (worker.job(&body), worker.job(&body));
    while worker.get(&format!("/v1/jobs/{running}")).json()["status"] != "running" {}
    let setup = worker.stop();
    write_cli(setup.dir.path(), "codex", &codex_says(r#"{"answer": 1}"#));
    let worker = setup.start();
    let status = worker.settled("/v1/jobs", &running);
    assert_eq!(status["error"]["code"], "ORCHESTRATOR_RESTART_INTERRUPTED", "{status}");
    assert_eq!(status["recovery_state"], "failed_reconciled");
    assert_eq!(worker.settled("/v1/jobs", &queued)["status"], "succeeded");
}

#[test]
fn an_upload_that_a_killed_worker_was_receiving_is_removed_by_the_next() {
    let setup = Setup::new().skill("demo").cli("codex", SLOW);
    let requests = setup.dir.path().join("data/requests");
    let left = [requests.join(".upload-1"), requests.join("some-request/.upload-2")];
    fs::create_dir_all(requests.join("some-request")).unwrap();
    for file in &left {
        fs::write(file, "half a form").unwrap();
    }
    let _worker = setup.start();
    for file in &left {
        assert!(!file.exists(), "{}", file.display());
    }
}

#[test]
fn a_stopping_worker_admits_nothing_and_says_good_bye_to_streams() {
    let worker = Setup::new().skill("demo").cli("codex", SLOW).start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    let address = worker.address;
    // The stream must be open before the stop: wait for its first event.
    let mut stream = TcpStream::connect(address).unwrap();
    let ask = format!("GET /v1/jobs/{id}/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    std::io::Write::write_all(&mut stream, ask.as_bytes()).unwrap();
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("event: ") {
        let mut piece = [0; 4096];
        let n = stream.read(&mut piece).unwrap();
        assert!(n > 0, "closed before the first event: {}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&piece[..n]);
    }
    while worker.get(&format!("/v1/jobs/{id}")).json()["status"] != "running" {}
    let mut early = TcpStream::connect(address).unwrap();
    worker.app.stop.set();
    // A connection from before the stop: refused in words, or closed.
    use std::io::Write;
    let text = format!(
        "POST /v1/jobs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 19\r\n\r\n{}",
        r#"{"skill_id":"demo"}"#
    );
    let _ = early.write_all(text.as_bytes());
    let mut answer = String::new();
    let _ = early.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503"), "{answer}");
    stream.read_to_end(&mut said).unwrap();
    let text = String::from_utf8_lossy(&said);
    assert!(text.contains("event: shutdown") || text.contains("conversation.failed"), "{text}");
    worker.stop();
}

#[test]
fn limits_that_init_publishes_are_taken_over() {
    let setup = Setup::new().skill("demo").cli("codex", SLOW).env("SKILL_RUNNER_MAX_CONCURRENT", "1");
    let worker = setup.start();
    fs::write(worker.path("data/concurrency.json"), r#"{"max_concurrent": 3, "max_queue_size": 5}"#).unwrap();
    let app = worker.app.clone();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(app.reload());
    let limits = worker.app.admission.load().limits;
    assert_eq!((limits.max_concurrent, limits.max_queue), (3, 5));
    fs::write(worker.path("data/concurrency.json"), "{").unwrap();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(app.reload());
    assert_eq!(worker.app.admission.load().limits.max_concurrent, 3);
}

fn agents_of(data: &Path) -> Vec<String> {
    let mark = format!("SKILL_RUNNER_RUN_DIR={}/", data.join("runs").display());
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let environ = fs::read(entry.path().join("environ")).ok()?;
            let mine = environ.split(|byte| *byte == 0).any(|part| part.starts_with(mark.as_bytes()));
            mine.then(|| entry.file_name().to_string_lossy().into_owned())
        })
        .collect()
}

#[test]
fn killed_at_fifty_random_moments_nothing_is_lost_doubled_leaked_or_left_behind() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let setup = Setup::new_in(dir).skill("demo");
    let root = setup.dir.path().to_owned();
    // Some end at once, some run when the kill comes, and some leave a child behind that left their group.
    write_cli(
        &root,
        "codex",
        &format!(
            "echo $$ >> {0}/started\nsetsid sleep 60 &\ncase $$ in *[02468]) sleep 0.0$$;; esac\n{1}",
            root.display(),
            codex_says(r#"{"answer": 7, "__SKILL_DONE__": true}"#)
        ),
    );
    let mut random = Random::new(0x2545_F491_4F6C_DD1D);
    let mut known: Vec<String> = Vec::new();
    for _ in 0..50 {
        let mut program = Program::start(&root);
        let until = Instant::now() + Duration::from_millis(random.below(900));
        while Instant::now() < until {
            let body = json!({"skill_id": "demo", "parameter": {"n": random.below(1_000_000)}, "runtime_options": {"no_cache": random.below(2) == 0}});
            if let Some(created) = program.try_json("POST", "/v1/jobs", &body) {
                known.push(created["request_id"].as_str().unwrap().to_owned());
            }
        }
        program.child.kill().unwrap();
        program.child.wait().unwrap();
    }
    let program = Program::start(&root);
    assert!(known.len() > 20, "the load was too small to say anything: {}", known.len());
    let (mut succeeded, mut interrupted) = (0, 0);
    for id in &known {
        let until = Instant::now() + Duration::from_secs(120);
        let status = loop {
            // Accepted is accepted: every request that was answered is known for ever.
            let status =
                program.try_json("GET", &format!("/v1/jobs/{id}"), &json!({})).expect("an accepted request is known");
            if matches!(status["status"].as_str(), Some("succeeded" | "failed" | "canceled")) {
                break status;
            }
            assert!(Instant::now() < until, "never settled: {status}");
            std::thread::yield_now();
        };
        match status["error"]["code"].as_str() {
            None => succeeded += 1,
            Some("ORCHESTRATOR_RESTART_INTERRUPTED") => interrupted += 1,
            Some(other) => panic!("{other}: {status}"),
        }
        let result = program.try_json("GET", &format!("/v1/jobs/{id}/result"), &json!({})).unwrap();
        assert_eq!(result["result"]["status"] == "success", status["status"] == "succeeded", "{result} {status}");
        let history = program.try_json("GET", &format!("/v1/jobs/{id}/events/history"), &json!({})).unwrap();
        let events = history["events"].as_array().unwrap();
        let ends =
            |event: &&Value| matches!(event["type"].as_str(), Some("conversation.completed" | "conversation.failed"));
        assert_eq!(events.iter().filter(ends).count(), 1, "{id}: {history}");
        assert!(events.iter().enumerate().all(|(n, event)| event["seq"] == n + 1), "{history}");
    }
    eprintln!("{} accepted, {succeeded} succeeded, {interrupted} interrupted", known.len());
    assert!(succeeded > 0 && interrupted > 0, "both must have happened");
    // No slot leaked: as many as the limit run at the same time, still.
    assert!(
        fs::read_dir(root.join("data/runs"))
            .unwrap()
            .flatten()
            .all(|e| !e.file_name().to_string_lossy().starts_with(".new-"))
    );
    let until = Instant::now() + Duration::from_secs(30);
    while !agents_of(&root.join("data")).is_empty() {
        assert!(Instant::now() < until, "agents stay: {:?}", agents_of(&root.join("data")));
        std::thread::yield_now();
    }
    let trust = fs::read_to_string(root.join("agent-cache/agent-home/.codex/config.toml")).unwrap_or_default();
    assert!(!trust.contains("/data/runs/"), "{trust}");
    let mut child = program;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.child.id() as i32), nix::sys::signal::Signal::SIGTERM)
        .unwrap();
    assert_eq!(child.child.wait().unwrap().code(), Some(0));
    let database = rusqlite::Connection::open(root.join("data/skill_api.db")).unwrap();
    let sound: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    let left: i64 = database.query_row("SELECT count(*) FROM trust_left", [], |row| row.get(0)).unwrap();
    let doubled: i64 = database
        .query_row("SELECT count(*) FROM (SELECT 1 FROM runs GROUP BY request_id HAVING count(*) > 1)", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!((sound.as_str(), left, doubled), ("ok", 0, 0));
}
