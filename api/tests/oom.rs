//! A real OOM kill in a real memory cgroup: the run's record says that it was one, and of nothing else.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "what fails here fails the test"
)]

#[path = "../../tests/supervise/cgroup.rs"]
mod cgroup;
mod common;
use cgroup::Group;
use common::{program::Program, *};
use serde_json::{Value, json};
use std::fs;

/// A run of this CLI to its end: the status record.
fn run(program: &Program, setup: &Setup, script: &str) -> Value {
    write_cli(setup.dir.path(), "codex", script);
    let job = program.try_json("POST", "/v1/jobs", &json!({"skill_id": "demo"})).unwrap();
    let path = format!("/v1/jobs/{}", job["request_id"].as_str().unwrap());
    awaited("the run ends", || {
        let status = program.try_json("GET", &path, &json!({})).unwrap();
        matches!(status["status"].as_str(), Some("succeeded" | "failed" | "canceled")).then_some(status)
    })
}

#[test]
fn a_run_that_the_kernel_killed_for_memory_names_the_limit_and_one_killed_by_somebody_else_does_not() {
    let Some(group) = Group::with_memory(256 << 20) else {
        return skips::skip("no cgroup with a memory limit can be made here (needs root and a writable hierarchy)");
    };
    let setup = Setup::new().skill("demo");
    let program = Program::start_in(&group.0, setup.dir.path());
    // One line without an end: tail keeps all of it. The worker is never the kernel's first choice.
    let eater = "echo 1000 > /proc/self/oom_score_adj; echo eating >&2;";
    for (script, how) in [
        (format!("{eater} exec tail /dev/zero"), "the engine itself"),
        (format!("{eater} tail /dev/zero; exit $?"), "what a shell ran for it"),
    ] {
        let status = run(&program, &setup, &script);
        assert_eq!(status["status"], "failed", "{how}: {status}");
        assert_eq!(status["error"]["code"], "ENGINE_OUT_OF_MEMORY", "{how}: {status}");
        let message = status["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("killed by the kernel: out of memory (limit 256.0 MiB)"), "{how}: {message}");
        assert!(message.contains("eating"), "{how}: its last words are there too: {message}");
        let folder = setup.dir.path().join("data/runs").join(status["run_id"].as_str().unwrap());
        let read = |name: &str| -> Value { serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap() };
        assert_eq!(read("result/result.json")["error"], status["error"], "{how}");
        assert_eq!(read("status.json")["error"], status["error"], "{how}");
        assert_eq!(read(".audit/meta.1.json")["ended"], "oom_killed", "{how}");
    }
    // Moments later in the same cgroup: both kills have had their victims.
    for (script, message) in [
        ("kill -9 $$", "killed from outside by signal 9"),
        ("exit 137", "exit status 137"),
        ("kill -15 $$", "signal 15"),
    ] {
        let status = run(&program, &setup, script);
        assert_eq!(status["error"], json!({"code": "ENGINE_FAILED", "message": message}), "{status}");
    }
}
