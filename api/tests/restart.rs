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
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    net::TcpStream,
    path::{Path, PathBuf},
    time::Duration,
};

const SLOW: &str = "echo out; sleep 300";

#[test]
fn queued_work_survives_a_stop_and_running_work_is_told_as_interrupted() {
    let setup = Setup::new().skill("demo").cli("codex", SLOW).env("SKILL_RUNNER_MAX_CONCURRENT", "1");
    let worker = setup.start();
    let body = json!({"skill_id": "demo", "runtime_options": {"no_cache": true}});
    let (running, queued) = (worker.job(&body), worker.job(&body));
    worker.running(&running);
    let setup = worker.stop();
    write_cli(setup.dir.path(), "codex", &codex_says(r#"{"answer": 1}"#));
    let worker = setup.start();
    let status = worker.settled("/v1/jobs", &running);
    assert_eq!(status["error"]["code"], "ORCHESTRATOR_RESTART_INTERRUPTED", "{status}");
    assert_eq!(status["recovery_state"], "failed_reconciled");
    assert_eq!(worker.settled("/v1/jobs", &queued)["status"], "succeeded");
}

/// One container, one form of its log.
#[test]
fn its_log_has_the_form_of_the_inits() {
    let setup = Setup::new();
    let (mut command, _, _notify) = Program::command(setup.dir.path());
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stderr.take().unwrap()), &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    let has = |key: &str| line[key].is_string();
    assert!(has("timestamp") && has("level") && has("message") && line.get("fields").is_none(), "{line}");
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
    worker.running(&id);
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
    worker.block_on(worker.app.reload());
    let limits = worker.app.admission.load().limits;
    assert_eq!((limits.max_concurrent, limits.max_queue), (3, 5));
    fs::write(worker.path("data/concurrency.json"), "{").unwrap();
    worker.block_on(worker.app.reload());
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

/// What the fifty kills left, asked of one more worker.
struct Aftermath {
    program: Program,
    root: PathBuf,
}

impl Aftermath {
    fn get(&self, path: &str) -> Value {
        self.program.try_json("GET", path, &json!({})).unwrap_or_else(|| panic!("{path} is not answered with 200"))
    }

    fn load(&self) -> (u64, u64) {
        let load = self.get("/v1/management/concurrency");
        (load["running"].as_u64().unwrap(), load["queued"].as_u64().unwrap())
    }

    /// A request's status once its run has ended and its log is whole: the event stream ends with it.
    fn ended(&self, id: &str) -> Value {
        awaited(&format!("{id} ends"), || {
            self.program.try_text("GET", &format!("/v1/jobs/{id}/events"), "text/plain", b"").expect("it is known");
            let status = self.get(&format!("/v1/jobs/{id}"));
            matches!(status["status"].as_str(), Some("succeeded" | "failed" | "canceled")).then_some(status)
        })
    }

    /// Accepted is accepted: known, ended in one of two ways, its result and its log whole. `true`: it succeeded.
    fn check_request(&self, id: &str) -> bool {
        let status = self.ended(id);
        let succeeded = match status["error"]["code"].as_str() {
            None => true,
            Some("ORCHESTRATOR_RESTART_INTERRUPTED") => false,
            Some(_) => panic!("{status}"),
        };
        let result = self.get(&format!("/v1/jobs/{id}/result"));
        assert_eq!(result["result"]["status"] == "success", succeeded, "{result} {status}");
        let history = self.get(&format!("/v1/jobs/{id}/events/history"));
        let events = history["events"].as_array().unwrap();
        let ends =
            |event: &&Value| matches!(event["type"].as_str(), Some("conversation.completed" | "conversation.failed"));
        assert_eq!(events.iter().filter(ends).count(), 1, "{id}: {history}");
        assert!(events.iter().enumerate().all(|(n, event)| event["seq"] == n + 1), "{history}");
        succeeded
    }

    /// As many as the limit run at the same time, one more waits, and all of it is given back.
    fn check_slots(&self) {
        becomes("every slot is free", || self.load() == (0, 0));
        fs::write(self.root.join("hold"), "").unwrap();
        let body = json!({"skill_id": "demo", "runtime_options": {"no_cache": true}});
        let ids: Vec<String> = (0..4)
            .map(|_| {
                let created = self.program.try_json("POST", "/v1/jobs", &body).expect("it is accepted");
                created["request_id"].as_str().unwrap().to_owned()
            })
            .collect();
        becomes("three run and one waits", || self.load() == (3, 1));
        fs::remove_file(self.root.join("hold")).unwrap();
        for id in ids {
            assert_eq!(self.ended(&id)["status"], "succeeded");
        }
        becomes("every slot is free again", || self.load() == (0, 0));
    }

    /// Rows, folders and launches belong together, one to one.
    fn check_store(&self) {
        let database = rusqlite::Connection::open(self.root.join("data/skill_api.db")).unwrap();
        let one = |sql: &str| -> String { database.query_row(sql, [], |row| row.get(0)).unwrap() };
        assert_eq!(one("PRAGMA integrity_check"), "ok");
        for (what, sql) in [
            ("trust entries that stay", "SELECT count(*) FROM trust_left"),
            ("requests with two runs", "SELECT count(*) - count(DISTINCT request_id) FROM runs"),
            (
                "runs without their request",
                "SELECT count(*) FROM runs LEFT JOIN requests USING (run_id) WHERE requests.run_id IS NULL",
            ),
            (
                "requests without their run",
                "SELECT count(*) FROM requests LEFT JOIN runs USING (run_id) WHERE runs.run_id IS NULL",
            ),
            ("logs without an end", "SELECT count(*) FROM runs WHERE log_ended = 0"),
            ("folders without a row", "SELECT count(*) FROM folders"),
        ] {
            let count: i64 = database.query_row(sql, [], |row| row.get(0)).unwrap();
            assert_eq!(count, 0, "{what}");
        }
        let rows = |sql: &str| -> BTreeMap<String, String> {
            let mut statement = database.prepare(sql).unwrap();
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
        };
        let runs = rows("SELECT run_id, status FROM runs");
        let folders = |below: &str| -> BTreeSet<String> {
            let entries = fs::read_dir(self.root.join("data").join(below)).unwrap().flatten();
            let folders = entries.filter(|entry| entry.path().is_dir());
            folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        let requests = rows("SELECT request_id, kind FROM requests");
        for (below, rows) in [("runs", &runs), ("requests", &requests)] {
            let (rows, folders): (BTreeSet<_>, _) = (rows.keys().cloned().collect(), folders(below));
            let odd: Vec<_> = rows.symmetric_difference(&folders).collect();
            assert!(odd.is_empty(), "{below}: a row without a folder, or a folder without a row: {odd:?}");
        }
        for (run, row) in &runs {
            let folder = self.root.join("data/runs").join(run);
            let file = |name: &str| -> Value { serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap() };
            assert_eq!(file("status.json")["status"], **row, "{run}");
            assert_eq!(file("result/result.json")["status"] == "success", row == "succeeded", "{run}");
            for zip in ["bundle/run_bundle.zip", "bundle/run_bundle_debug.zip"] {
                zip::ZipArchive::new(fs::File::open(folder.join(zip)).unwrap()).unwrap();
            }
        }
        let text = fs::read_to_string(self.root.join("launched")).unwrap();
        let mut launches: BTreeMap<&str, u32> = BTreeMap::new();
        text.lines().for_each(|run| *launches.entry(run).or_default() += 1);
        assert!(launches.values().all(|count| *count == 1), "an engine was started twice: {launches:?}");
        for (run, _) in runs.iter().filter(|(_, status)| *status == "succeeded") {
            assert!(launches.contains_key(run.as_str()), "{run} succeeded without an engine");
        }
    }
}

#[test]
fn killed_at_fifty_random_moments_nothing_is_lost_doubled_leaked_or_left_behind() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let setup = Setup::new_in(dir).skill("demo");
    let root = setup.dir.path().to_owned();
    // Every engine says which run it is of and leaves a child behind that left its group; it ends at once, a little
    // later, or not while there is a file `hold`.
    write_cli(
        &root,
        "codex",
        &format!(
            "echo \"$SKILL_RUNNER_RUN_ID\" >> {0}/launched\nsetsid sleep 3000 &\ncase $$ in *[02468]) sleep 0.0$$;; esac\n\
             while [ -e {0}/hold ]; do sleep 0.02; done\n{1}",
            root.display(),
            codex_says(r#"{"answer": 7, "__SKILL_DONE__": true}"#)
        ),
    );
    let mut random = Random::new(0x2545_F491_4F6C_DD1D);
    let mut known: Vec<String> = Vec::new();
    let answered = |program: &Program, random: &mut Random| -> Option<String> {
        let body = json!({"skill_id": "demo", "parameter": {"n": random.below(1_000_000)},
            "runtime_options": {"no_cache": random.below(2) == 0}});
        let created = program.try_json("POST", "/v1/jobs", &body)?;
        Some(created["request_id"].as_str().unwrap().to_owned())
    };
    for round in 0..50 {
        // Of five rounds one kills a worker that is still settling what the last one left, one kills it while engines
        // certainly run, and one after a run has certainly ended: each of these is in every run of this test.
        if round % 5 == 1 {
            let mut program = Program::spawn(&root);
            let killer = program.kill_after(Duration::from_micros(random.below(120_000)));
            program.reap(killer);
            continue;
        }
        let held = round % 5 == 2;
        if held {
            fs::write(root.join("hold"), "").unwrap();
        }
        let mut program = Program::start(&root);
        match round % 5 {
            2 => {
                known.push(answered(&program, &mut random).expect("it is accepted"));
                becomes("an engine runs", || {
                    let load = program.try_json("GET", "/v1/management/concurrency", &json!({})).unwrap();
                    load["running"].as_u64().unwrap() > 0
                });
            }
            3 => {
                let id = answered(&program, &mut random).expect("it is accepted");
                becomes("a run ends well", || {
                    program.try_json("GET", &format!("/v1/jobs/{id}"), &json!({})).unwrap()["status"] == "succeeded"
                });
                known.push(id);
            }
            _ => {}
        }
        let killer = program.kill_after(Duration::from_micros(random.below(700_000)));
        // Until it answers no more.
        while let Ok(()) = TcpStream::connect(program.address).map(drop) {
            known.extend(answered(&program, &mut random));
        }
        program.reap(killer);
        if held {
            fs::remove_file(root.join("hold")).unwrap();
        }
    }
    let after = Aftermath { program: Program::start(&root), root: root.clone() };
    let succeeded = known.iter().filter(|id| after.check_request(id)).count();
    eprintln!("{} accepted, {succeeded} succeeded, {} interrupted", known.len(), known.len() - succeeded);
    assert!(succeeded >= 10, "{succeeded} of {}", known.len());
    after.check_slots();
    becomes("no agent process is left", || agents_of(&root.join("data")).is_empty());
    let trust = fs::read_to_string(root.join("agent-cache/agent-home/.codex/config.toml")).unwrap_or_default();
    assert!(!trust.contains("/data/runs/"), "{trust}");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(after.program.child.id() as i32),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    let mut after = after;
    assert_eq!(after.program.child.wait().unwrap().code(), Some(0));
    after.check_store();
}
