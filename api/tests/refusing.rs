//! A database that refuses writes for a while, as one on a full volume does: nothing that was accepted is lost by it.
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
use common::*;
use serde_json::json;

/// Until this is dropped, no run becomes one of these.
struct Refusal(rusqlite::Connection);

impl Refusal {
    fn of(worker: &Worker, statuses: &str) -> Self {
        let connection = rusqlite::Connection::open(worker.path("data/skill_api.db")).unwrap();
        connection.busy_timeout(HANG).unwrap();
        let trigger = format!(
            "CREATE TRIGGER refuses BEFORE UPDATE OF status ON runs WHEN NEW.status IN ({statuses})
             BEGIN SELECT RAISE(ABORT, 'refused'); END"
        );
        connection.execute_batch(&trigger).unwrap();
        Self(connection)
    }
}

impl Drop for Refusal {
    fn drop(&mut self) {
        self.0.execute_batch("DROP TRIGGER refuses").unwrap();
    }
}

fn status(worker: &Worker, id: &str) -> serde_json::Value {
    worker.get(&format!("/v1/jobs/{id}")).json()["status"].clone()
}

#[test]
fn a_run_whose_start_cannot_be_stored_starts_once_it_can() {
    let worker = Setup::new().skill("demo").cli("codex", &codex_says(r#"{"answer": 1}"#)).start();
    let refusal = Refusal::of(&worker, "'running'");
    let id = worker.job(&json!({"skill_id": "demo"}));
    becomes("it has its slot", || worker.app.admission.load().running == 1);
    assert_eq!(status(&worker, &id), "queued");
    drop(refusal);
    assert_eq!(worker.settled("/v1/jobs", &id)["status"], "succeeded");
}

#[test]
fn a_run_whose_end_cannot_be_stored_ends_once_it_can() {
    let worker = Setup::new().skill("demo").cli("codex", &codex_says(r#"{"answer": 1}"#)).start();
    let refusal = Refusal::of(&worker, "'succeeded', 'failed', 'canceled'");
    let id = worker.job(&json!({"skill_id": "demo"}));
    let folder = awaited("it has a folder", || Some(worker.run_folder(&id)).filter(|folder| folder.is_dir()));
    becomes("its engine has ended", || folder.join("bundle/run_bundle_debug.zip").exists());
    assert_eq!(status(&worker, &id), "running");
    drop(refusal);
    let ended = worker.settled("/v1/jobs", &id);
    assert_eq!(ended["status"], "succeeded", "{ended}");
    becomes("its slot is free", || worker.app.admission.load().running == 0);
}

#[test]
fn a_database_without_room_answers_507_and_takes_the_next_request_when_there_is_some() {
    let worker = Setup::new().skill("demo").cli("codex", &codex_says(r#"{"answer": 1}"#)).start();
    let room = |pages: &str| {
        let limit = format!("PRAGMA max_page_count = {pages}");
        let set = worker.app.store.call(move |connection| connection.query_row(&limit, [], |row| row.get::<_, i64>(0)));
        worker.block_on(set).unwrap()
    };
    // Smaller than it is: as large as it is.
    room("1");
    let large = json!({"skill_id": "demo", "input": {"topic": "x".repeat(100_000)}});
    let answer = worker.post("/v1/jobs", &large);
    assert_eq!(answer.status, 507, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.json()["detail"], "no room is left on the worker's volume");
    room("1000000");
    let id = worker.job(&large);
    assert_eq!(worker.settled("/v1/jobs", &id)["status"], "succeeded");
}
