//! What the worker does by itself: limits that move, retention on schedule, trust that could not be removed at once.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests"
)]

mod common;
use common::*;
use serde_json::{Value, json};
use std::{fs, time::Duration};

const ANSWER: &str = r#"{"answer": 1}"#;

fn no_cache() -> Value {
    json!({"skill_id": "demo", "runtime_options": {"no_cache": true}})
}

/// An engine that says which run it is of and waits for the file `go`.
fn gated(setup: Setup) -> Setup {
    let root = setup.dir.path().display().to_string();
    let script = format!(
        "echo \"$SKILL_RUNNER_RUN_ID\" >> {root}/started\nwhile [ ! -e {root}/go ]; do sleep 0.02; done\n{}",
        codex_says(ANSWER)
    );
    setup.cli("codex", &script)
}

fn publish(worker: &Worker, max_concurrent: usize, max_queue_size: usize) {
    let plan = json!({"max_concurrent": max_concurrent, "max_queue_size": max_queue_size});
    fs::write(worker.path("data/concurrency.json"), plan.to_string()).unwrap();
    worker.block_on(worker.app.reload());
}

fn load(worker: &Worker) -> (usize, usize) {
    let load = worker.app.admission.load();
    (load.running, load.queued)
}

#[test]
fn limits_that_move_start_what_waits_end_nothing_and_keep_the_order() {
    let worker = gated(Setup::new().skill("demo")).env("SKILL_RUNNER_MAX_CONCURRENT", "1").start();
    let ids: Vec<String> = (0..5).map(|_| worker.job(&no_cache())).collect();
    becomes("one runs and four wait", || load(&worker) == (1, 4));
    publish(&worker, 3, 2);
    becomes("three run and two wait", || load(&worker) == (3, 2));
    // The queue is full by the new plan, too.
    assert_eq!(worker.post("/v1/jobs", &no_cache()).status, 429);
    publish(&worker, 1, 2);
    assert_eq!(load(&worker), (3, 2), "a smaller limit ends nothing");
    assert_eq!(worker.post("/v1/jobs", &no_cache()).status, 429);
    for id in &ids[..3] {
        worker.running(id);
    }
    fs::write(worker.path("go"), "").unwrap();
    for id in &ids {
        assert_eq!(worker.settled("/v1/jobs", id)["status"], "succeeded");
    }
    becomes("nothing runs or waits", || load(&worker) == (0, 0));
    let run_of = |id: &String| worker.get(&format!("/v1/jobs/{id}")).json()["run_id"].as_str().unwrap().to_owned();
    let runs: Vec<String> = ids.iter().map(run_of).collect();
    let started = fs::read_to_string(worker.path("started")).unwrap();
    let started: Vec<&str> = started.lines().collect();
    // Three began side by side; before and after them it is one by one.
    assert_eq!(
        (started.len(), started[0], started[3], started[4]),
        (5, runs[0].as_str(), runs[3].as_str(), runs[4].as_str())
    );
    assert_eq!(worker.job(&no_cache()).len(), 36);
}

#[test]
fn a_full_queue_answers_429_before_anything_is_written() {
    let setup = gated(Setup::new().skill("demo"))
        .env("SKILL_RUNNER_MAX_CONCURRENT", "1")
        .env("SKILL_RUNNER_MAX_QUEUE_SIZE", "1");
    let worker = setup.reader().start();
    let open = worker.job(&json!({"skill_id": "reader"}));
    let temp = worker.post("/v1/temp-skill-runs", &json!({})).json()["request_id"].as_str().unwrap().to_owned();
    let first = worker.job(&no_cache());
    worker.job(&no_cache());
    becomes("one runs and one waits", || load(&worker) == (1, 1));
    // The last that the worker writes before it starts the engine.
    let ready = worker.run_folder(&first).join(".audit/fs-before.1.json");
    becomes("its engine is about to start", || ready.exists());
    let seen = || {
        let names = |below: &str| {
            let mut names: Vec<String> = skill_api::files::list_files(&worker.path(below));
            names.retain(|name| !name.contains(".audit/") && !name.contains(".codex/"));
            names
        };
        let database = rusqlite::Connection::open(worker.path("data/skill_api.db")).unwrap();
        let count = |table: &str| -> i64 {
            database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        (names("data/requests"), names("data/runs"), ["requests", "runs", "cache_entries", "folders"].map(count))
    };
    let before = seen();
    for _ in 0..3 {
        assert_eq!(worker.post("/v1/jobs", &no_cache()).status, 429);
        let paper = zip(&[("paper", b"x")]);
        assert_eq!(worker.post_form(&format!("/v1/jobs/{open}/upload"), &[("file", &paper)]).status, 429);
        let upload = format!("/v1/temp-skill-runs/{temp}/upload");
        assert_eq!(worker.post_form(&upload, &[("skill_package", &package("passing", &json!({})))]).status, 429);
    }
    assert_eq!(seen(), before);
    assert_eq!(load(&worker), (1, 1));
    // Nothing was used up: with room the same uploads are taken.
    fs::write(worker.path("go"), "").unwrap();
    becomes("there is room", || load(&worker) == (0, 0));
    let paper = zip(&[("paper", b"x")]);
    assert_eq!(worker.post_form(&format!("/v1/jobs/{open}/upload"), &[("file", &paper)]).status, 200);
    assert_eq!(worker.settled("/v1/jobs", &open)["status"], "succeeded");
}

#[test]
fn old_runs_go_on_schedule_from_the_first_minute_and_young_ones_stay() {
    let plain = Setup::new().config();
    assert!(plain.first_cleanup <= Duration::from_secs(60) && plain.cleanup_interval <= Duration::from_secs(12 * 3600));
    let ticking = |setup: &Setup, retention: Duration| {
        let mut config = setup.config();
        config.upkeep_tick = Duration::from_millis(20);
        config.first_cleanup = Duration::ZERO;
        config.cleanup_interval = Duration::from_millis(50);
        (config.run_retention, config.temp_retention) = (retention, Duration::ZERO);
        config
    };
    let setup = Setup::new().skill("demo").cli("codex", &codex_says(ANSWER));
    let config = ticking(&setup, Duration::from_secs(3600));
    let worker = setup.start_with(config);
    let done = worker.job(&no_cache());
    worker.settled("/v1/jobs", &done);
    // A request that never starts is older than its retention at once: that it goes shows that a cleanup has been.
    let two_cleanups = |worker: &Worker| {
        for _ in 0..2 {
            let marker =
                worker.post("/v1/temp-skill-runs", &json!({})).json()["request_id"].as_str().unwrap().to_owned();
            becomes("a cleanup has been", || worker.get(&format!("/v1/temp-skill-runs/{marker}")).status == 404);
            becomes("its folder is gone", || !worker.path("data/requests").join(&marker).exists());
        }
    };
    two_cleanups(&worker);
    assert_eq!(worker.get(&format!("/v1/jobs/{done}/result")).status, 200);
    let setup = worker.stop();
    write_cli(setup.dir.path(), "codex", "exec sleep 1000");
    let config = ticking(&setup, Duration::ZERO);
    let worker = setup.start_with(config);
    let running = worker.job(&no_cache());
    becomes("the old run goes", || worker.get(&format!("/v1/jobs/{done}")).status == 404);
    two_cleanups(&worker);
    worker.running(&running);
    becomes("one folder is left", || {
        fs::read_dir(worker.path("data/runs")).unwrap().flatten().filter(|e| e.path().is_dir()).count() == 1
    });
}

#[test]
fn folders_of_removed_runs_are_deleted_later_and_those_of_others_stay() {
    let setup = Setup::new().skill("demo").cli("codex", &codex_says(ANSWER)).start().stop();
    let data = setup.dir.path().join("data");
    // What a worker leaves that is killed between the rows and the folders, and what another worker has there.
    for folder in ["runs/removed", "requests/removed", "requests/never-came", "runs/foreign", "requests/foreign"] {
        fs::create_dir_all(data.join(folder).join("below")).unwrap();
    }
    let database = rusqlite::Connection::open(data.join("skill_api.db")).unwrap();
    for (path, new) in [("runs/removed", 0), ("requests/removed", 0), ("requests/never-came", 1)] {
        database.execute("INSERT INTO folders (path, is_new) VALUES (?1, ?2)", rusqlite::params![path, new]).unwrap();
    }
    drop(database);
    let worker = setup.start();
    for gone in ["runs/removed", "requests/removed", "requests/never-came"] {
        assert!(!data.join(gone).exists(), "{gone}");
    }
    worker.post("/v1/jobs/cleanup", &json!({}));
    assert!(data.join("runs/foreign/below").exists() && data.join("requests/foreign/below").exists());
}

#[test]
fn trust_that_cannot_be_removed_changes_no_status_and_is_removed_later() {
    let setup = Setup::new().skill("demo");
    let home = setup.dir.path().join("agent-cache/agent-home/.codex");
    let config = home.join("config.toml");
    // The engine leaves a folder where the trust store was: no entry can be removed from that.
    let script = format!("mv {0} {0}.kept && mkdir -p {0}/in-the-way\n{1}", config.display(), codex_says(ANSWER));
    let setup = setup.cli("codex", &script);
    let mut ticking = setup.config();
    ticking.upkeep_tick = Duration::from_millis(50);
    let worker = setup.start_with(ticking);
    let id = worker.job(&json!({"skill_id": "demo"}));
    let status = worker.settled("/v1/jobs", &id);
    assert_eq!((&status["status"], &status["warnings"]), (&json!("succeeded"), &json!([])), "{status}");
    let folder = worker.run_folder(&id).display().to_string();
    let left = || -> i64 {
        let database = rusqlite::Connection::open(worker.path("data/skill_api.db")).unwrap();
        database.query_row("SELECT count(*) FROM trust_left", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(left(), 1, "it is remembered");
    let kept = home.join("config.toml.kept");
    assert!(fs::read_to_string(&kept).unwrap().contains(&folder), "the entry was there");
    // At once: without any file in between there would be nothing to remove.
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    renameat2(AT_FDCWD, &kept, AT_FDCWD, &config, RenameFlags::RENAME_EXCHANGE).unwrap();
    becomes("the entry is gone", || !fs::read_to_string(&config).unwrap_or_default().contains(&folder));
    becomes("nothing is left to do", || left() == 0);
    assert_eq!(worker.get(&format!("/v1/jobs/{id}")).json()["status"], "succeeded");
}
