//! Limits that move while the container runs, as when a pod is resized in place, and limits that are reached.

use crate::{
    cgroup::Group,
    fixture::{Init, until},
};
use std::fs;

#[test]
fn a_smaller_pids_limit_reaches_the_status_and_the_file_that_a_running_worker_reads() {
    let Some(group) = Group::with_pids(1000) else {
        return crate::skips::skip(
            "no cgroup with a pids limit can be made here (needs root and a writable hierarchy)",
        );
    };
    let config = "[service.worker]\ncommand = [\"sleep\", \"1000\"]\nessential = true\n";
    let env = [
        ("SKILL_INIT_TICK", "100ms"),
        ("SKILL_RUNNER_CPU_FACTOR", "64"),
        ("SKILL_RUNNER_MEM_RESERVE_MB", "0"),
        ("SKILL_RUNNER_ESTIMATED_MEM_PER_RUN_MB", "1"),
    ];
    let mut init = Init::start_in(&group.0, config, &env);
    init.ready();
    let worker = init.service("worker")["pid"].clone();
    let runs = |init: &Init| init.status()["concurrency"]["max_concurrent"].as_u64();
    // (1000 - 128 of reserve - a few in use) / 64 a run.
    assert_eq!((runs(&init), init.status()["concurrency"]["binds"].as_str()), (Some(13), Some("pids")));
    // The first look: only a later one can see that something moved.
    until(|| init.status()["usage"]["pids"]["used"].as_u64());

    fs::write(group.0.join("pids.max"), "300").unwrap();
    init.log(|line| line["message"] == "limits have moved: planning again");
    until(|| (runs(&init) == Some(2)).then_some(()));
    let file =
        until(|| fs::read_to_string(init.path("data/concurrency.json")).ok().filter(|text| text.contains(": 2,")));
    assert!(file.contains("\"binds\": \"pids\""), "{file}");
    assert_eq!(init.service("worker")["pid"], worker, "a plan that changed restarts nobody");

    fs::write(group.0.join("pids.max"), "1000").unwrap();
    until(|| (runs(&init) == Some(13)).then_some(()));
    assert_eq!(init.stop().code(), Some(0));
}

#[test]
fn pids_near_their_limit_cost_readiness_and_name_the_owner_and_come_back() {
    let Some(group) = Group::with_pids(32) else {
        return crate::skips::skip(
            "no cgroup with a pids limit can be made here (needs root and a writable hierarchy)",
        );
    };
    // Twenty-five sleepers on demand: with the init and its services more than 75 % of the limit, and room for a few more.
    let config = r#"
        [service.main]
        command = ["sh", "-c", "echo >&5; while ! test -e @DIR@/go; do sleep 0.05; done; i=0; while [ $i -lt 25 ]; do sleep 1000 & i=$((i+1)); done; exec sleep 1000"]
        readiness = { fd = 5 }
        essential = true
    "#;
    let env = [("SKILL_INIT_TICK", "100ms"), ("SKILL_INIT_BUDGET_UNREADY", "75"), ("SKILL_INIT_BUDGET_WARN", "60")];
    let mut init = Init::start_in(&group.0, config, &env);
    init.ready();
    fs::write(init.path("go"), "").unwrap();
    let said = init.log(|line| line["message"] == "not ready")["reason"].as_str().unwrap().to_owned();
    let owner = format!("most of it: sh (pid {}) and what it started", init.service("main")["pid"]);
    let owner = owner.replace("sh (", if said.contains("sleep (") { "sleep (" } else { "sh (" });
    assert!(said.starts_with("pids at ") && said.contains(&owner), "{said}");
    // Asked in the very moment in which a fork may fail: neither answer needs one.
    assert_eq!(init.ask(&["health", "--ready"]).0.code(), Some(1));
    assert_eq!(init.ask(&["health", "--live"]).0.code(), Some(0));
    fs::write(group.0.join("pids.max"), "400").unwrap();
    init.log(|line| line["message"] == "ready");
    assert_eq!(init.stop().code(), Some(0));
}

#[test]
fn a_service_that_we_killed_ourselves_takes_no_oom_kill_from_its_real_victim() {
    let Some(group) = Group::with_memory(256 << 20) else {
        return crate::skips::skip(
            "no cgroup with a memory limit can be made here (needs root and a writable hierarchy)",
        );
    };
    // One line without an end: tail keeps all of it, and is no service itself.
    let config = r#"
        [service.eater]
        command = ["sh", "-c", "until test -e @DIR@/eat; do sleep 0.02; done; head -c 1000m /dev/zero | tail; exec sleep 1000"]
        [service.deaf]
        command = ["sh", "-c", "trap '' TERM; echo > @DIR@/deaf; while :; do sleep 1000; done"]
        stop_grace = "50ms"
        [service.main]
        command = ["sleep", "1000"]
        essential = true
        "#;
    let mut init = Init::start_in(&group.0, config, &[("SKILL_INIT_TICK", "100ms")]);
    init.ready();
    until(|| init.path("deaf").exists().then_some(()));
    fs::write(init.path("eat"), "").unwrap();
    init.log(|line| line["message"].as_str().is_some_and(|text| text.contains("OOM killer")));
    assert_eq!(init.ask(&["stop", "deaf"]).0.code(), Some(0));
    let reason = init.state("deaf", "stopped");
    assert!(!reason.contains("oom"), "{reason}");
    assert_eq!(init.stop().code(), Some(0));
}
