//! Runs from the pages: the form with its mistakes and its files, the run's page while it waits, runs and has ended.

use super::{common::*, page, send, started, text, with_engine};
use serde_json::json;
use std::fs;

#[test]
fn a_form_with_mistakes_comes_back_with_each_at_its_field_and_starts_nothing() {
    let schema = json!({"type": "object", "required": ["paper", "topic"], "properties": {
        "paper": {"type": "string", "extensions": ["txt"]},
        "topic": {"type": "string", "minLength": 3, "x-input-source": "inline"}}});
    let worker = with_engine().input("demo", &schema).start();
    let refused = send(
        worker.address,
        "/ui/skills/demo/run",
        &[
            ("engine", None, "codex"),
            ("input.topic", None, "ab"),
            ("parameter.n", None, "many"),
            ("input.paper", Some(""), ""),
        ],
    );
    let body = text(&refused);
    assert_eq!(refused.status, 422, "{body}");
    for field in ["input.paper", "input.topic", "parameter.n"] {
        assert!(
            body.contains(&format!("id=\"{field}-error\"")) && body.contains(&format!("href=\"#{field}\"")),
            "{field}: {body}"
        );
    }
    assert!(
        body.contains("value=\"many\"") && body.contains("aria-invalid=\"true\"") && body.contains("role=\"alert\"")
    );
    assert!(body.contains("This is not a number."));
    let unknown = send(
        worker.address,
        "/ui/skills/demo/run",
        &[("engine", None, "none"), ("input.topic", None, "abc"), ("input.paper", Some("a.txt"), "x")],
    );
    assert!(unknown.status == 400 && text(&unknown).contains("is unknown"), "{}", text(&unknown));
    assert_eq!(worker.get("/v1/management/runs").json()["total"], 0);
    let good = send(
        worker.address,
        "/ui/skills/demo/run",
        &[
            ("engine", None, "codex"),
            ("input.topic", None, "cats"),
            ("parameter.n", None, "7"),
            ("no_cache", None, "on"),
            ("input.paper", Some("../My Paper.txt"), "the paper"),
        ],
    );
    let id = started(&worker, &good);
    let input: serde_json::Value =
        serde_json::from_slice(&fs::read(worker.run_folder(&id).join("input.json")).unwrap()).unwrap();
    assert_eq!((&input["input"]["topic"], &input["parameter"]), (&json!("cats"), &json!({"n": 7})));
    assert_eq!(fs::read_to_string(worker.run_folder(&id).join("uploads/paper.txt")).unwrap(), "the paper");
    let left: Vec<_> = fs::read_dir(worker.path("data/requests")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".upload")), "{left:?}");
}

#[test]
fn a_file_that_is_not_required_reaches_the_run_too() {
    let schema = json!({"type": "object", "properties": {"extra": {"type": "string"}}});
    let worker = with_engine().input("demo", &schema).start();
    let sent = send(
        worker.address,
        "/ui/skills/demo/run",
        &[("engine", None, "codex"), ("input.extra", Some("e.md"), "more")],
    );
    let id = started(&worker, &sent);
    assert_eq!(fs::read_to_string(worker.run_folder(&id).join("uploads/extra.md")).unwrap(), "more");
    started(
        &worker,
        &send(worker.address, "/ui/skills/demo/run", &[("engine", None, "codex"), ("input.extra", Some(""), "")]),
    );
}

#[test]
fn a_run_can_be_canceled_from_its_page_and_the_head_shows_the_load() {
    let setup = Setup::new().skill("demo").cli("codex", "exec sleep 1000").env("SKILL_RUNNER_MAX_CONCURRENT", "1");
    fs::write(
        setup.dir.path().join("data/concurrency.json"),
        r#"{"max_concurrent": 1, "max_queue_size": 9, "binds": "memory", "advice": "raise the memory limit"}"#,
    )
    .unwrap();
    let worker = setup.start();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let sent = send(worker.address, "/ui/skills/demo/run", &[("engine", None, "codex"), ("no_cache", None, "on")]);
        ids.push(sent.header("location").unwrap().to_owned());
    }
    let load = awaited("one runs and one waits", || {
        let load = page(&worker, "/ui/load").split_whitespace().collect::<Vec<_>>().join(" ");
        let both = ["<strong>1</strong> <span>of 1</span>", "<strong>1</strong> <span>of 9</span>"];
        both.iter().all(|part| load.contains(part)).then_some(load)
    });
    assert!(load.contains("memory") && load.contains("raise the memory limit"), "{load}");
    let load = worker.get("/v1/management/concurrency").json();
    assert_eq!((&load["binds"], &load["advice"]), (&json!("memory"), &json!("raise the memory limit")));
    let running = page(&worker, &ids[0]);
    assert!(running.contains("data-events=\"/v1/jobs/") && running.contains("/cancel"), "{running}");
    for path in ids.iter().rev() {
        let answer = request(worker.address, "POST", &format!("{path}/cancel"), &[("origin", "http://x")], b"");
        assert_eq!((answer.status, answer.header("location")), (303, Some(path.as_str())));
        let id = path.strip_prefix("/ui/runs/").unwrap();
        assert_eq!(worker.settled("/v1/jobs", id)["status"], "canceled");
        assert!(page(&worker, path).contains("badge canceled") && !page(&worker, path).contains("data-events"));
    }
}

#[test]
fn a_request_that_waits_for_its_files_has_a_page_too() {
    let worker = with_engine().reader().start();
    let id = worker.job(&json!({"skill_id": "reader"}));
    assert!(page(&worker, &format!("/ui/runs/{id}")).contains("Waiting for its files"));
    assert_eq!(worker.get(&format!("/ui/runs/{id}/view?path=input.json")).status, 404);
}

#[test]
fn a_finished_run_of_a_hundred_thousand_events_is_shown_in_pages() {
    let mut script = "seq -f line-%.0f 0 99999\n".to_owned();
    script.push_str(&codex_says(r#"{"answer": 1}"#));
    let worker = Setup::new().skill("demo").cli("codex", &script).start();
    let id = started(&worker, &send(worker.address, "/ui/skills/demo/run", &[("engine", None, "codex")]));
    for (limit, count) in [("", 1_000), ("?limit=20000", 10_000)] {
        let history = worker.get(&format!("/v1/jobs/{id}/events/history{limit}")).json();
        assert_eq!((&history["count"], &history["next_from_seq"]), (&json!(count), &json!(count + 1)));
    }
    let last = page(&worker, &format!("/ui/runs/{id}"));
    assert!(last.contains("conversation-completed") && !last.contains("line-99000<"), "{}", last.len());
    assert!(last.len() < 120_000, "{}", last.len());
    assert_eq!(last.matches("<li class=\"line ").count(), 200);
    let first = page(&worker, &format!("/ui/runs/{id}?from=1"));
    assert!(first.contains("line-0<") && first.contains(&format!("/ui/runs/{id}?from=201")), "{first}");
    let middle = page(&worker, &format!("/ui/runs/{id}?from=50001"));
    assert!(middle.contains("from=49801") && middle.contains("from=50201"));
    assert_eq!(middle.matches("<li class=\"line ").count(), 200);
}
