//! What an installation does: a new skill, a higher version, what was in the way, what runs meanwhile.

use super::{INSTALL, common::*, ended, install, package_with, refused, unchanged};
use serde_json::{Value, json};
use std::fs;

#[test]
fn a_package_is_installed_and_can_be_run_at_once() {
    let worker = Setup::new().cli("codex", &codex_says(r#"{"answer": 1}"#)).start();
    // The listing is warm, so that what follows proves that the installer tells the registry.
    assert_eq!(worker.get("/v1/skills").json(), json!([]));
    let package = package_with(
        "fresh",
        &json!({"version": "1.0.0"}),
        &[("fresh/.git/config", Some("x")), ("fresh/sub/.git", Some("gitdir: x")), ("__MACOSX/fresh/._x", Some("x"))],
    );
    let record = install(&worker, &package);
    for (field, value) in [("status", "succeeded"), ("skill_id", "fresh"), ("version", "1.0.0"), ("action", "install")]
    {
        assert_eq!(record[field], value, "{record}");
    }
    assert_eq!((&record["error"], &record["errors"]), (&json!(null), &json!([])));
    assert_eq!(worker.get("/v1/skills/fresh").json()["version"], "1.0.0");
    assert!(!worker.path("skills/fresh/.git").exists() && !worker.path("skills/fresh/sub/.git").exists());
    unchanged(&worker, &["fresh"]);
    let id = worker.job(&json!({"skill_id": "fresh"}));
    assert_eq!(worker.settled("/v1/jobs", &id)["status"], "succeeded");
}

#[test]
fn an_update_needs_a_higher_version_and_archives_the_old_one() {
    let worker = Setup::new().skill("demo").start();
    let version = |version: &str| package("demo", &json!({"version": version}));
    for lower in ["0.9.9", "1.0.0", "1.0"] {
        let reason = refused(&worker, &version(lower));
        assert!(reason.contains("not higher than the installed 1.0.0"), "{reason}");
    }
    assert!(refused(&worker, &package("demo", &json!({"version": null}))).contains("has no version"));
    unchanged(&worker, &["demo"]);
    for (new, old) in [("1.9.0", "1.0.0"), ("1.10.0", "1.9.0")] {
        let record = install(&worker, &version(new));
        assert_eq!((&record["status"], &record["action"]), (&json!("succeeded"), &json!("update")), "{record}");
        assert_eq!(worker.get("/v1/skills/demo").json()["version"], new);
        let kept = fs::read_to_string(worker.path(&format!("skills/.archive/demo/{old}/assets/runner.json"))).unwrap();
        assert!(kept.contains(&format!("\"version\":\"{old}\"")), "{kept}");
    }
    unchanged(&worker, &["demo"]);
}

#[test]
fn an_invalid_folder_in_the_way_is_set_aside() {
    let worker = Setup::new().start();
    for round in ["", "~2"] {
        fs::remove_dir_all(worker.path("skills/demo")).ok();
        fs::create_dir_all(worker.path("skills/demo")).unwrap();
        fs::write(worker.path("skills/demo/notes"), format!("mine{round}")).unwrap();
        let record = install(&worker, &package("demo", &json!({})));
        assert_eq!((&record["status"], &record["action"]), (&json!("succeeded"), &json!("install")), "{record}");
        let kept = fs::read_to_string(worker.path(&format!("skills/.invalid/demo{round}/notes"))).unwrap();
        assert_eq!(kept, format!("mine{round}"));
    }
    unchanged(&worker, &["demo"]);
}

#[test]
fn two_uploads_of_one_skill_never_mix() {
    let worker = Setup::new().skill("demo").start();
    let accepted: Vec<String> = (1..=8)
        .map(|n| {
            let archive = package("demo", &json!({"version": format!("2.{n}.0")}));
            let answer = worker.post_form(INSTALL, &[("file", &archive)]).json();
            answer["request_id"].as_str().unwrap_or_else(|| panic!("upload {n}: {answer}")).to_owned()
        })
        .collect();
    let records: Vec<Value> = accepted.iter().map(|id| ended(&worker, id)).collect();
    // The order is the worker's; the highest version wins in every order, and what lost was told so.
    assert_eq!(worker.get("/v1/skills/demo").json()["version"], "2.8.0");
    for record in &records {
        let told = record["error"].as_str().is_none_or(|error| error.contains("not higher"));
        assert!(record["status"] == "succeeded" || told, "{record}");
    }
    let succeeded = records.iter().filter(|record| record["status"] == "succeeded").count();
    assert_eq!(fs::read_dir(worker.path("skills/.archive/demo")).unwrap().count(), succeeded);
    unchanged(&worker, &["demo"]);
}

#[test]
fn a_run_keeps_the_version_that_it_started_with() {
    let worker = Setup::new()
        .skill("demo")
        .cli(
            "codex",
            &format!("while [ ! -e \"$PWD/../../../go\" ]; do sleep 0.05; done\n{}", codex_says(r#"{"answer": 1}"#)),
        )
        .start();
    let id = worker.job(&json!({"skill_id": "demo"}));
    worker.running(&id);
    let copy = worker.run_folder(&id).join(".codex/skills/demo/assets/runner.json");
    becomes("the skill is copied", || copy.exists());
    assert_eq!(install(&worker, &package("demo", &json!({"version": "2.0.0"})))["status"], "succeeded");
    assert!(fs::read_to_string(&copy).unwrap().contains("1.0.0"));
    fs::write(worker.path("go"), "").unwrap();
    assert_eq!(worker.settled("/v1/jobs", &id)["status"], "succeeded");
}
