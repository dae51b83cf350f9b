//! Readiness and liveness by each kind of probe.

use crate::fixture::{Init, lines};
use std::{fs, os::unix::net::UnixDatagram};

#[test]
fn an_exec_probe_decides_readiness_both_ways() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sleep", "1000"]
        essential = true
        [service.app.readiness]
        exec = ["test", "-e", "@DIR@/up"]
        interval = "50ms"
        failure_threshold = 1
        "#,
    );
    init.state("app", "starting");
    assert_eq!(init.ask(&["health", "--ready"]).0.code(), Some(1));
    fs::write(init.path("up"), "").unwrap();
    init.ready();
    fs::remove_file(init.path("up")).unwrap();
    let reason = init.state("app", "unready");
    assert_eq!(reason, "probe: exit 1");
    assert_eq!(init.ask(&["health", "--live"]).0.code(), Some(0));
    assert_eq!(init.ask(&["health", "--ready"]).0.code(), Some(1));
}

#[test]
fn a_failing_liveness_probe_restarts_the_service_and_says_why() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sh", "-c", "rm -f @DIR@/sick; echo run >> @DIR@/runs; exec sleep 1000"]
        backoff = { initial = "0s" }
        [service.app.liveness]
        exec = ["test", "!", "-e", "@DIR@/sick"]
        start_period = "0s"
        interval = "50ms"
        failure_threshold = 2
        "#,
    );
    init.state("app", "ready");
    lines(&init.path("runs"), 1);
    fs::write(init.path("sick"), "").unwrap();
    let reason = init.state("app", "stopping");
    assert_eq!(reason, "liveness probe: exit 1");
    init.state("app", "ready");
    assert_eq!(lines(&init.path("runs"), 2).lines().count(), 2);
}

#[test]
fn a_hanging_exec_probe_is_killed_at_its_deadline_and_counts_as_a_failure() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sleep", "1000"]
        [service.app.liveness]
        exec = ["sh", "-c", "echo $$ >> @DIR@/probes; exec sleep 1000"]
        start_period = "0s"
        interval = "50ms"
        timeout = "200ms"
        failure_threshold = 1
        "#,
    );
    let reason = init.state("app", "stopping");
    assert!(reason.contains("signal 9"), "{reason}");
    let probe = lines(&init.path("probes"), 1);
    let first = probe.lines().next().unwrap().to_owned();
    crate::fixture::until(|| crate::fixture::gone(&first).then_some(()));
}

#[test]
fn sd_notify_counts_only_from_the_service_itself() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sh", "-c", "echo $NOTIFY_SOCKET > @DIR@/socket; exec sleep 1000"]
        readiness = { notify = true }
        essential = true
        "#,
    );
    let socket = lines(&init.path("socket"), 1);
    // A stranger's word is not the service's.
    UnixDatagram::unbound().unwrap().send_to(b"READY=1", socket.trim()).unwrap();
    assert_eq!(init.service("app")["state"], "starting");
    assert_eq!(init.stop().code(), Some(0));
}

#[test]
fn the_service_that_is_never_ready_in_time_is_ended_and_comes_back() {
    let mut init = Init::start(
        r#"
        [service.app]
        command = ["sleep", "1000"]
        readiness = { fd = 3 }
        start_timeout = "100ms"
        budget = { restarts = 1, window = "1h" }
        backoff = { initial = "0s" }
        "#,
    );
    assert_eq!(init.state("app", "stopping"), "not ready in time");
    init.state("app", "starting");
    let reason = init.state("app", "failed");
    assert!(reason.starts_with("budget spent"), "{reason}");
}
