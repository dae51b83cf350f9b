//! Starts, order, restarts, budgets, reasons.

use crate::fixture::{Init, lines, until};
use std::fs;

#[test]
fn services_start_in_the_order_of_readiness_and_the_container_becomes_ready() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sh", "-c", "test -e @DIR@/db-ready && echo app >> @DIR@/order; exec sleep 1000"]
        after = ["db"]
        essential = true
        [service.db]
        command = ["sh", "-c", "echo db >> @DIR@/order; touch @DIR@/db-ready; echo >&5; exec sleep 1000"]
        readiness = { fd = 5 }
        "#,
    );
    init.ready();
    assert_eq!(lines(&init.path("order"), 2), "db\napp\n");
    assert_eq!(init.ask(&["health", "--ready"]).0.code(), Some(0));
    assert_eq!(init.stop().code(), Some(0));
}

#[test]
fn a_oneshot_is_done_before_what_comes_after_it_starts() {
    let mut init = Init::start(
        r#"
        [service.setup]
        kind = "oneshot"
        command = ["sh", "-c", "echo setup >> @DIR@/order"]
        [service.app]
        command = ["sh", "-c", "echo app >> @DIR@/order; exec sleep 1000"]
        after = ["setup"]
        essential = true
        "#,
    );
    init.ready();
    assert_eq!(lines(&init.path("order"), 2), "setup\napp\n");
    assert_eq!(init.service("setup")["state"], "done");
}

#[test]
fn a_killed_service_comes_back_and_the_reason_names_the_signal() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sh", "-c", "echo $$ >> @DIR@/pids; exec sleep 1000"]
        backoff = { initial = "0s" }
        "#,
    );
    let first = lines(&init.path("pids"), 1);
    let pid: i32 = first.trim().parse().unwrap();
    init.state("app", "ready");
    // A death by a real-time signal is a death like any other.
    skill_init::sys::process::kill(pid, libc::SIGRTMIN() + 5).unwrap();
    let reason = init.state("app", "starting");
    assert!(reason.contains(&format!("signal {}", libc::SIGRTMIN() + 5)), "{reason}");
    assert_eq!(lines(&init.path("pids"), 2).lines().count(), 2);
    init.state("app", "ready");
    assert_eq!(init.service("app")["restarts"], 1);
}

#[test]
fn an_essential_service_that_spends_its_budget_ends_the_container_with_its_code() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sh", "-c", "echo run >> @DIR@/runs; exit 42"]
        essential = true
        backoff = { initial = "0s" }
        budget = { restarts = 3, window = "1h" }
        "#,
    );
    let reason = init.state("app", "failed");
    assert!(reason.contains("budget spent") && reason.contains("exit 42"), "{reason}");
    assert_eq!(init.exit().code(), Some(42));
    assert_eq!(fs::read_to_string(init.path("runs")).unwrap().lines().count(), 4);
}

/// Asked to end because it failed, a tidy service leaves with 0; the container must not say that all is well.
#[test]
fn a_service_that_was_given_up_and_leaves_with_0_does_not_end_the_container_with_0() {
    let failures = [
        (
            "liveness = { exec = \"false\", start_period = 0, interval = \"20ms\", failure_threshold = 1 }",
            "liveness probe",
        ),
        ("readiness = { fd = 9 }\nstart_timeout = \"50ms\"", "not ready in time"),
        ("kind = \"oneshot\"\nstart_timeout = \"50ms\"", "not ready in time"),
    ];
    for (failure, words) in failures {
        for restart in ["restart = \"never\"", "restart = \"on-failure\"\nbudget = { restarts = 0 }"] {
            let tidy = "trap 'exit 0' TERM; while :; do sleep 0.02; done";
            let mut init = Init::start(&format!(
                "[service.app]\ncommand = [\"sh\", \"-c\", \"{tidy}\"]\nessential = true\n{restart}\n{failure}\n"
            ));
            let reason = init.state("app", "failed");
            // A shell that was ended before it had set its trap died by the signal.
            let expected = if reason.contains("(exit 0)") { 75 } else { 143 };
            assert!(reason.contains(words), "{reason}");
            assert_eq!(init.exit().code(), Some(expected), "{failure}, {restart}: {reason}");
        }
    }
}

#[test]
fn what_an_operator_restarts_has_left_its_status_in_the_log() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sh", "-c", "trap 'exit 7' TERM; echo >&5; while :; do sleep 0.02; done"]
        readiness = { fd = 5 }
        "#,
    );
    init.state("app", "ready");
    let (status, _) = init.ask(&["restart", "app"]);
    assert!(status.success());
    assert_eq!(init.state("app", "starting"), "restarted by operator (exit 7)");
    assert_eq!(init.state("app", "ready"), "ready");
}

#[test]
fn a_missing_program_is_named_and_its_code_is_127() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["no-such-program-anywhere"]
        essential = true
        restart = "never"
        "#,
    );
    let reason = init.state("app", "failed");
    assert!(reason.contains("no-such-program-anywhere: not found"), "{reason}");
    assert_eq!(init.exit().code(), Some(127));
}

#[test]
fn a_service_that_is_not_essential_may_fail_and_the_rest_goes_on() {
    let mut init = Init::start(
        r#"
        [service.main]
        command = ["sleep", "1000"]
        essential = true
        [service.extra]
        command = ["sh", "-c", "exit 3"]
        restart = "never"
        "#,
    );
    init.state("extra", "failed");
    let status = init.status();
    assert_eq!(status["ready"], true, "{status}");
    assert!(status["warnings"].to_string().contains("extra has failed: exit 3"), "{status}");
}

#[test]
fn what_the_leader_leaves_in_its_group_dies_with_it() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sh", "-c", "sleep 1000 & echo $! > @DIR@/left; exit 0"]
        restart = "never"
        "#,
    );
    init.state("app", "stopped");
    let left = lines(&init.path("left"), 1);
    crate::fixture::until(|| crate::fixture::gone(left.trim()).then_some(()));
}

#[test]
fn reload_touches_only_what_changed() {
    let config = |second: &str| {
        format!(
            "[service.a]\ncommand = [\"sh\", \"-c\", \"echo $$ >> @DIR@/a; exec sleep 1000\"]\n\
             [service.b]\ncommand = [\"sh\", \"-c\", \"echo $$ >> @DIR@/b; exec sleep {second}\"]\n"
        )
    };
    let mut init = Init::start(&config("1000"));
    init.state("a", "ready");
    init.state("b", "ready");
    lines(&init.path("a"), 1);
    lines(&init.path("b"), 1);
    let changed = config("1001").replace("@DIR@", &init.dir.path().display().to_string());
    fs::write(init.path("init.toml"), changed).unwrap();
    init.signal(libc::SIGHUP);
    init.state("b", "stopping");
    init.state("b", "ready");
    assert_eq!(lines(&init.path("b"), 2).lines().count(), 2);
    assert_eq!(fs::read_to_string(init.path("a")).unwrap().lines().count(), 1);
    assert_eq!(init.service("a")["restarts"], 0);
}

#[test]
fn a_broken_configuration_is_not_taken_over_and_everything_stays_as_it_is() {
    let mut init = Init::start("[service.a]\ncommand = [\"sleep\", \"1000\"]\n");
    init.state("agents", "done");
    fs::write(init.path("init.toml"), "[service.a]\ncomand = [\"sleep\"]\n").unwrap();
    init.signal(libc::SIGHUP);
    let line = init.log(|line| line["message"].as_str().is_some_and(|m| m.starts_with("configuration not re-read")));
    assert!(line["reason"].as_str().unwrap().contains("comand"), "{line}");
    assert_eq!(init.service("a")["state"], "ready");
}

#[test]
fn a_reload_in_the_middle_of_a_save_waits_for_the_whole_file() {
    let mut init = Init::start("[service.a]\ncommand = [\"sleep\", \"1000\"]\n");
    init.state("a", "ready");
    let file = init.path("init.toml");
    let more = fs::read_to_string(&file).unwrap() + "[service.b]\ncommand = [\"sleep\", \"1000\"]\n";
    // As `>` and many editors do it; and as those that move the old file away first.
    let empty = |file: &std::path::Path| fs::write(file, "").unwrap();
    let take_away = |file: &std::path::Path| fs::rename(file, file.with_extension("old")).unwrap();
    for begin in [&empty as &dyn Fn(&std::path::Path), &take_away] {
        begin(&file);
        init.signal(libc::SIGHUP);
        fs::write(&file, &more).unwrap();
        init.log(|line| line["message"] == "configuration re-read");
        assert!(["a", "b"].iter().all(|name| init.service(name)["restarts"] == 0));
    }
    assert!(!init.seen("\"stopping\""), "a service was stopped for a file that was being written");
    // What stays empty is an answer.
    empty(&file);
    init.signal(libc::SIGHUP);
    init.state("a", "stopped");
}

#[test]
fn a_service_that_a_reload_removed_cannot_be_started_again() {
    let keep = "[service.keep]\ncommand = [\"sleep\", \"1000\"]\n";
    let mut init = Init::start(&format!("{keep}[service.gone]\ncommand = [\"sleep\", \"1000\"]\n"));
    init.state("gone", "ready");
    fs::write(init.path("init.toml"), keep).unwrap();
    init.signal(libc::SIGHUP);
    init.state("gone", "stopped");
    assert_eq!(init.ask(&["start", "gone"]).0.code(), Some(69));
    assert!(!init.status().to_string().contains("gone"));
}

#[test]
fn a_reload_takes_over_the_grace_and_the_rules_of_the_file() {
    let stubborn = "[service.app]\ncommand = [\"sh\", \"-c\", \"trap '' TERM; echo >&5; while :; do sleep 0.05; done\"]\n\
                    readiness = { fd = 5 }\nessential = true\nstop_grace = \"200ms\"\n";
    let mut init = Init::start(stubborn);
    init.ready();
    assert_eq!(init.status()["usage"]["pids"]["used"], serde_json::Value::Null, "the tick is off");
    // The fixture's environment has the tick; the file has the rest.
    fs::write(init.path("init.toml"), format!("[supervise]\ndrain = \"1s\"\n{stubborn}")).unwrap();
    init.signal(libc::SIGHUP);
    init.log(|line| line["message"] == "configuration re-read");
    init.signal(libc::SIGTERM);
    init.log(|line| line["message"] == "not ready");
    assert_eq!(init.status()["state"], "draining");
    assert_eq!(init.exit().code(), Some(0));
}

#[test]
fn a_missing_working_folder_is_named_and_not_the_program() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["true"]
        cwd = "@DIR@/nowhere"
        restart = "never"
        [service.main]
        command = ["sleep", "1000"]
        essential = true
        "#,
    );
    let reason = init.state("app", "failed");
    assert!(reason.contains("/nowhere: no such folder"), "{reason}");
    init.ready();
    assert_eq!(init.stop().code(), Some(0));
}

#[test]
fn more_services_than_one_batch_that_die_at_once_are_all_acted_upon_before_the_loop_waits() {
    const COUNT: usize = 600;
    let service = |n: usize| {
        format!(
            "[service.s{n}]\ncommand = [\"sh\", \"-c\", \"echo $$ >> @DIR@/pids; exec sleep 1000\"]\n\
             restart = \"never\"\nessential = {}\n",
            n == COUNT - 1
        )
    };
    let config: String = (0..COUNT).map(service).collect();
    // No slow tick: nothing but the deaths themselves may wake the loop, which checks in this build that nothing is left undone.
    let mut init = Init::start_with(&config, &[("SKILL_INIT_TICK", "0")]);
    let pids = lines(&init.path("pids"), COUNT);
    init.signal(libc::SIGSTOP);
    for pid in pids.lines() {
        skill_init::sys::process::kill(pid.parse().unwrap(), libc::SIGKILL).unwrap();
    }
    for pid in pids.lines() {
        until(|| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") Z ").then_some(()));
    }
    init.signal(libc::SIGCONT);
    assert_eq!(init.exit().code(), Some(137));
}
